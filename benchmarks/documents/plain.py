"""Writes text formats around a sentence, in the encodings and forms that people have."""

import json
from collections.abc import Callable, Mapping
from email.message import EmailMessage

from benchmarks.documents.facts import FILLER, Fact


def _text(form: str, encoding: str = "utf-8") -> Callable[[Fact], bytes]:
    def write(fact: Fact) -> bytes:
        fields = {"said": fact.sentence, "filler": FILLER, **vars(fact)}
        return form.format(**fields).encode(encoding)

    return write


def _json(fact: Fact) -> bytes:
    return json.dumps({"things": [{"name": fact.other}, {"name": fact.name, fact.topic: fact.value}]}).encode()


def _jsonl(fact: Fact) -> bytes:
    rows = ({"name": fact.other, fact.topic: "unknown"}, {"name": fact.name, fact.topic: fact.value})
    return "\n".join(map(json.dumps, rows)).encode()


def _notebook(fact: Fact) -> bytes:
    cells = [
        {"cell_type": "markdown", "metadata": {}, "source": [f"# {fact.other}\n", FILLER]},
        {"cell_type": "markdown", "metadata": {}, "source": [fact.sentence]},
    ]
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}).encode()


def _mail(form: str) -> Callable[[Fact], bytes]:
    def write(fact: Fact) -> bytes:
        message = EmailMessage()
        message["Subject"], message["From"], message["To"] = f"About the {fact.name}", "a@example.org", "b@example.org"
        message.set_content(FILLER if form == "attachment" else "" if form == "html" else fact.sentence)
        if form == "html":
            message.add_alternative(f"<p>{FILLER}</p><p>{fact.sentence}</p>", subtype="html")
        if form == "attachment":
            message.add_attachment(fact.sentence.encode(), maintype="text", subtype="plain", filename="note.txt")
        return bytes(message)

    return write


KINDS: Mapping[str, tuple[str, Callable[[Fact], bytes]]] = {
    "text": ("txt", _text("{filler}\n\n{said}\n")),
    "text, UTF-16": ("txt", _text("{filler}\n\n{said}\n", "utf-16")),
    "text, with accents in Windows-1252": ("txt", _text("Déjà vu à l'été: {filler}\n\n{said}\n", "cp1252")),
    "text, beside Chinese in GB 18030": ("txt", _text("这里是说明文字,请仔细阅读以下内容。\n\n{said}\n", "gb18030")),
    "markdown": ("md", _text("# About\n{filler}\n\n## More\n{said}\n")),
    "markdown table": (
        "markdown",
        _text("| Name | {topic} |\n|---|---|\n| {other} | unknown |\n| {name} | {value} |\n"),
    ),
    "html": ("html", _text("<html><body><nav>Home</nav><h1>About</h1><p>{filler}</p><p>{said}</p></body></html>")),
    "html table": (
        "html",
        _text(
            "<table><tr><th>Name</th><th>{topic}</th></tr><tr><td>{other}</td><td>unknown</td></tr>"
            "<tr><td>{name}</td><td>{value}</td></tr></table>"
        ),
    ),
    "csv": ("csv", _text("Name,{topic}\n{other},unknown\n{name},{value}\n")),
    "tsv": ("tsv", _text("Name\t{topic}\n{other}\tunknown\n{name}\t{value}\n")),
    "json": ("json", _json),
    "jsonl": ("jsonl", _jsonl),
    "notebook": ("ipynb", _notebook),
    "mail": ("eml", _mail("text")),
    "mail in HTML": ("eml", _mail("html")),
    "mail with an attachment": ("eml", _mail("attachment")),
    "reStructuredText": ("rst", _text("About\n=====\n{filler}\n\nMore\n----\n{said}\n")),
    "org": ("org", _text("* About\n{filler}\n** More\n{said}\n")),
    "source code": ("py", _text('"""{filler}"""\n\n# {said}\nANSWER = "{value}"\n')),
    "without an ending": ("", _text("{filler}\n\n{said}\n")),
}
"""Ending and writer by kind."""
