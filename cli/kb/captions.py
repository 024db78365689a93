"""Captions for the commands that index: the flags, who describes the pictures, and doing it after a sync."""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cli.kb.options import KB_SETTINGS

if TYPE_CHECKING:
    from retrieval.knowledge_base import KnowledgeBase
    from retrieval.sync.captions import Captioner
    from retrieval.sync.missing_vectors import Progress
    from retrieval.sync.sync import SyncReport

F = TypeVar("F", bound=Callable[..., Any])


def caption_options(command: F) -> F:
    """Add the flags that say whether pictures are captioned, and by which model."""
    for option in (
        click.option("--model", metavar="M", help="Who captions pictures: an id, a folder, or http(s)://host/v1#name."),
        click.option("--captions", type=click.Choice(["auto", "off", "on"]), help="Whether pictures get a caption."),
    ):
        command = option(command)
    return command


def open_captioner(options: dict[str, Any]) -> "Captioner | None":
    """Return who captions pictures, where that is wanted; the model is loaded for the first picture."""
    from graph.model_captioner import ChatCaptioner, wants_captions
    from lorgnette.model_sharing.attach import open_model
    from lorgnette.settings import load_settings

    settings = load_settings(**{key: options.get(key) for key in (*KB_SETTINGS, "captions", "model")})
    return ChatCaptioner(lambda: open_model(settings)) if wants_captions(settings) else None


def add_captions(
    base: "KnowledgeBase",
    report: "SyncReport",
    captioner: "Captioner | None",
    progress: "Progress",
    cancel: threading.Event,
) -> "SyncReport":
    """Caption the pictures that a sync has left without; returns its report with what became of them."""
    from dataclasses import replace

    if captioner is None or cancel.is_set():
        return report
    made, problems = 0, list[str]()
    for picture in base.captions(captioner, cancel):
        progress(f"captions: {picture.source}", picture.done, picture.total)
        made += not picture.problem
        problems += [f"{picture.source}: {picture.problem}"] * bool(picture.problem)
    notes = (
        [f"captions: {len(problems)} pictures without, the next sync tries again; {problems[0]}"] if problems else []
    )
    return replace(
        report, captioned=made, degraded=(*report.degraded, *notes), cancelled=report.cancelled or cancel.is_set()
    )
