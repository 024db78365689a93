"""`--open`: the page of a hit or a citation, its words framed, in the terminal or else in the system's viewer."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.edge import Run

if TYPE_CHECKING:
    from retrieval.knowledge_base import KnowledgeBase
    from retrieval.regions.locate import Cited


def show_page(run: Run, base: "KnowledgeBase", cited: "Cited", words: str, *, inline: bool) -> None:
    """Draw the page, say where the picture lies, and open it; a viewer that does not start is said and no failure.

    Args:
        run: Of the command line.
        base: The documents.
        cited: What is to be seen.
        words: The question or the answer, whose sentence is framed.
        inline: Whether the terminal may show it among its text.

    Raises:
        PageMissing: The document has no page to show.
    """
    from cli.inline_picture import draw_inline
    from common.safe_text import escaped
    from lorgnette.page_pictures import PagePictures

    pictures = PagePictures(base)
    path = pictures.keep(pictures.of_cited(cited, words))
    place = f", page {cited.page}" if cited.page is not None else ""
    click.echo(escaped(f"{cited.source}{place}: {path}"), err=True)
    if inline and draw_inline(path, sys.stdout, os.environ):
        return
    if not (run.show or _in_viewer)(path):
        click.echo("No viewer could be started; open the file named above.", err=True)


def _in_viewer(path: Path) -> bool:
    try:
        return click.launch(str(path)) == 0
    except OSError:
        return False
