"""`lorgnette ask`: one question, one answer, printed as it is written."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.ask.boxes import Boxes, png_path
from cli.edge import Run, set_up_logging, settings_options, verbose_option

if TYPE_CHECKING:
    from collections.abc import Callable

    from graph.answer import Answer, Event
    from lorgnette.settings import Settings


EXTRACT = "Read the values from the document."
"""What is asked where fields are wanted and the user asks nothing."""


@click.command(short_help="Ask a question about pictures.")
@click.argument("words", metavar="[QUESTION] [IMAGE]...", nargs=-1)
@click.option("--clipboard", is_flag=True, help="Ask about the picture on the clipboard, too.")
@click.option("--screenshot", is_flag=True, help="Ask about what the screen shows, too.")
@click.option("--session", "session_id", metavar="ID", help="Go on with an earlier conversation.")
@click.option("--no-kb", is_flag=True, help="Do not search documents.")
@click.option("--field", "fields", metavar="NAME", multiple=True, help="Extract this field as JSON; may be repeated.")
@click.option(
    "--boxes",
    "boxes_file",
    metavar="FILE.png",
    type=click.Path(path_type=Path),
    callback=png_path,
    help="Write the picture there with the answer's boxes drawn in.",
)
@click.option("--open", "opened", is_flag=True, help="Show the page that the answer cites first, its words framed.")
@click.option("--trace", is_flag=True, help="Draw what each node thought and did, its cost and the session, on stderr.")
@click.option("--show-prompts", is_flag=True, help="Print each conversation as the model gets it, on stderr.")
@click.option(
    "--batch",
    type=click.Path(path_type=Path),
    metavar="SOURCE",
    help="Ask many: a JSON object in each line, or QUESTION about each picture of a folder.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="FILE.jsonl", help="With --batch: where the answers go."
)
@click.option(
    "--csv",
    "table",
    type=click.Path(path_type=Path),
    metavar="FILE.csv",
    help="With --field, and a folder or --batch: a row a document, its answers in FILE.jsonl, a review in FILE.html.",
)
@click.option("--retry-failed", is_flag=True, help="With --batch: ask rows again whose line in --out is an error.")
@settings_options
@click.option("--json", "as_json", is_flag=True, help="Print exactly one JSON document.")
@verbose_option
@click.pass_obj
def ask(
    run: Run,
    /,
    words: tuple[str, ...],
    clipboard: bool,
    screenshot: bool,
    session_id: str | None,
    no_kb: bool,
    fields: tuple[str, ...],
    boxes_file: Path | None,
    opened: bool,
    trace: bool,
    show_prompts: bool,
    batch: Path | None,
    out: Path | None,
    table: Path | None,
    retry_failed: bool,
    as_json: bool,
    **flags: Any,
) -> None:
    """Ask QUESTION about the pictures IMAGE...; several are one question about all of them.

    Without a question the pictures are described. A file that is named here may lie anywhere.

    \b
    Examples:
      lorgnette ask "How many objects are there?" photo.png
      lorgnette ask "What differs?" before.jpg after.jpg --json
      lorgnette ask photo.heic
      lorgnette ask "What does this error mean?" --screenshot
      lorgnette ask "How long is the warranty of the K3?" --open
      lorgnette ask "Who is at the door?" door.jpg --model Qwen/Qwen3-VL-2B-Instruct
      lorgnette ask --batch questions.jsonl --out answers.jsonl
      lorgnette ask "How many people are there?" --batch photos --out answers.jsonl
      lorgnette ask --field invoice_number --field total invoices --csv invoices.csv

    A row of a batch is {"question": "...", "image": "photo.png"}, or "images" with a list, and may have an "id" and the
    options session_id, use_knowledge, effort, max_new_tokens, fields, time_budget_s. The same command again goes on
    where the last one was stopped.
    """  # noqa: D301
    from cli.ask.named import DESCRIBE, allowing, question_and_pictures
    from cli.ask.render import Transcript, status_line
    from cli.ask.standing import to_be_told
    from cli.ask.trace import Trace
    from common.home import data_home
    from lorgnette.background import Background
    from lorgnette.local_agent import LocalAgent
    from lorgnette.settings import load_settings
    from model.qwen3_vl.loading import lean_import

    lean_import.allow()
    if table is not None:
        words, batch, out = _of_table(table, words, fields, batch, out)
    alone = EXTRACT if fields else DESCRIBE
    question, images = question_and_pictures(words, clipboard=clipboard, screenshot=screenshot, alone=alone)
    single = bool(images or session_id or boxes_file or opened or trace or as_json)
    _check_usage(question, batch, out, retry_failed=retry_failed, single=single)
    settings = allowing(load_settings(**flags), images)
    set_up_logging(run)
    if show_prompts:
        from cli.ask.prompts import print_conversations  # brings LangChain

        print_conversations()
    if batch is not None and out is not None:
        return _ask_many(
            run, settings, question, batch, out, no_kb=no_kb, fields=fields, retry_failed=retry_failed, table=table
        )
    boxes = Boxes(boxes_file) if boxes_file else None

    def work(job: "Background[Event | str, Answer]") -> "Answer":
        agent = LocalAgent(
            settings,
            open_agent=run.open_agent,
            progress=lambda phase, share: job.tell(f"{phase} {share:.0%}"),
            may_hand_over=not show_prompts,
        )
        return agent.ask(
            question,
            images,
            session_id=session_id,
            use_knowledge=not no_kb,
            fields=fields,
            on_event=job.tell,
            on_pictures=boxes.on_pictures if boxes else None,
            cancel=job.cancel,
        )

    course = Trace()
    with status_line() as line, Background(work) as job:
        transcript = Transcript(line)
        for news in job.follow():
            if isinstance(news, str):
                line.say(f"Loading {settings.model}: {news}")
                continue
            course.note(news)
            if as_json:
                line.say(news.node)
            else:
                transcript.show(news)
        answer = job.result()
        if as_json:
            line.hide()
            click.echo(answer.model_dump_json())
        else:
            transcript.finish(answer, question, to_be_told(answer, data_home()))
        line.hide()
        open_page = partial(_open, run, settings, answer, question, inline=not as_json)
        _show_pictures(boxes, answer, open_page if opened else None)
        if trace:
            course.print(answer)


def _ask_many(
    run: Run,
    settings: "Settings",
    question: str,
    batch: Path,
    out: Path,
    *,
    no_kb: bool,
    fields: tuple[str, ...],
    retry_failed: bool,
    table: Path | None,
) -> None:
    from cli.ask.batch import ask_batch
    from cli.ask.named import allowing
    from graph.question import Question

    in_folder = batch.is_dir()
    if in_folder:  # it may lie anywhere, as a picture that is named
        settings = allowing(settings, (str(batch / "picture"),))
    # A table says what stands in each document, and not in others.
    search = not no_kb and not (table is not None and in_folder)
    default = Question(question, use_knowledge=search, fields=fields)
    ask_batch(run, settings, batch, out, default, retry_failed=retry_failed, table=table)


def _show_pictures(boxes: Boxes | None, answer: "Answer", open_page: "Callable[[], None] | None") -> None:
    if boxes:
        _draw(boxes, answer)
    if open_page:
        open_page()


def _open(run: Run, settings: "Settings", answer: "Answer", question: str, *, inline: bool) -> None:
    from cli.shown_page import show_page
    from lorgnette.documents import Documents
    from retrieval.regions.locate import Placement

    cited = next((one for one in answer.citations if one.page is not None or one.regions), None)
    if cited is None:
        click.echo("The answer cites no page of a PDF and no picture; there is nothing to open.", err=True)
        return
    place = Placement(cited.source, cited.page, cited.start, cited.end, cited.quote)
    with Documents(settings) as documents:
        show_page(run, documents.required(), place, f"{question} {answer.answer}", inline=inline)


def _draw(boxes: Boxes, answer: "Answer") -> None:
    from common.safe_text import printable

    where = ", ".join(printable(str(path)) for path in boxes.write(answer))
    click.echo(f"Boxes drawn in {where}" if where else "The answer has no boxes; nothing was drawn.", err=True)


def _of_table(
    table: Path, words: tuple[str, ...], fields: tuple[str, ...], batch: Path | None, out: Path | None
) -> tuple[tuple[str, ...], Path, Path]:
    """Return the words, the source and the file of the answers of a table of fields: a folder may be named alone."""
    _refuse(not fields, "--csv needs --field NAME, at least once.")
    _refuse(table.suffix.lower() != ".csv", f"--csv {str(table)!r} does not end in .csv.")
    if batch is None and words and Path(words[-1]).is_dir():
        words, batch = words[:-1], Path(words[-1])
    if batch is None:
        _refuse(True, "--csv needs a folder of documents, or --batch SOURCE.")
    assert batch is not None, "a table without a source was refused"
    return words or (EXTRACT,), batch, out or table.with_suffix(".jsonl")


def _check_usage(question: str, batch: Path | None, out: Path | None, *, retry_failed: bool, single: bool) -> None:
    if batch is None:
        _refuse(not question, "Missing argument 'QUESTION'.")
        _refuse(out is not None or retry_failed, "--out and --retry-failed belong to --batch.")
        return
    _refuse(out is None, "--batch needs --out, the file that the answers go into.")
    _refuse(
        single,
        "IMAGE, --session, --boxes, --open, --trace and --json are for one question; rows of a batch name theirs.",
    )


def _refuse(wrong: bool, text: str) -> None:
    if wrong:
        raise click.UsageError(text, click.get_current_context())
