"""A search's `source`, as people and models name it."""

from pathlib import Path

import pytest

from lorgnette.search_source import SourceUnknown, named_source

DECOMPOSED = "papers/2017/Re\u0301sume\u0301.md"
NAMES = ["papers/Attention.pdf", "papers/2017/Résumé.md", "notes/lamp.md", "README.md"]


@pytest.mark.parametrize(
    ("source", "meant"),
    [
        ("notes/lamp.md", "notes/lamp.md"), ("./notes/lamp.md", "./notes/lamp.md"), ("notes", "notes"),
        ("*.md", "*.md"), ("papers/**", "papers/**"), ("{kb}/notes/lamp.md", "notes/lamp.md"),
        ("{kb}/papers", "papers"), (DECOMPOSED, DECOMPOSED),
        ("attention.pdf", None), ("papers/attention.PDF", "papers/Attention.pdf"), ("NOTES/LAMP.MD", "notes/lamp.md"),
        ("readme.md", "README.md"), ("Papers", "papers"),
        (" notes/lamp.md ", "notes/lamp.md"),
    ],
)  # fmt: skip
def test_a_source_means_what_is_there(source: str, meant: str | None, tmp_path: Path) -> None:
    if meant is None:
        with pytest.raises(SourceUnknown):
            named_source(source, NAMES, tmp_path)
    else:
        assert named_source(source.format(kb=tmp_path), NAMES, tmp_path) == meant


def test_a_mistyped_source_names_what_is_near(tmp_path: Path) -> None:
    with pytest.raises(SourceUnknown, match="did you mean 'notes/lamp"):
        named_source("notes/lmap.md", NAMES, tmp_path)
    with pytest.raises(SourceUnknown, match="did you mean 'papers/Attention"):
        named_source("attention.pdf", NAMES, tmp_path)


def test_a_source_like_nothing_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SourceUnknown, match="leave source out, or name a file or folder of the documents"):
        named_source("zzzz", NAMES, tmp_path)
