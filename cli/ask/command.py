"""`lorgnette ask`: one question, one answer, printed as it is written."""

import queue
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.ask.boxes import Boxes, png_path
from cli.edge import Run, set_up_logging, settings_options, verbose_option

if TYPE_CHECKING:
    from graph.answer import Answer, Event

GIVE_UP_S = 0.5  # a cancelled generation stops within a token; a load cannot be stopped and is left behind


@click.command(short_help="Ask a question about pictures.")
@click.argument("question")
@click.argument("images", metavar="[IMAGE]...", nargs=-1)
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
@click.option("--trace", is_flag=True, help="Draw what each node did, on stderr.")
@settings_options
@click.option("--json", "as_json", is_flag=True, help="Print exactly one JSON document.")
@verbose_option
@click.pass_obj
def ask(
    run: Run,
    /,
    question: str,
    images: tuple[str, ...],
    session_id: str | None,
    no_kb: bool,
    fields: tuple[str, ...],
    boxes_file: Path | None,
    trace: bool,
    as_json: bool,
    **flags: Any,
) -> None:
    """Ask QUESTION about the pictures IMAGE...; several are one question about all of them.

    \b
    Examples:
      lorgnette ask "How many objects are there?" photo.png
      lorgnette ask "What differs?" before.jpg after.jpg --json
      lorgnette ask "Who is at the door?" door.jpg --model Qwen/Qwen3-VL-2B-Instruct
    """  # noqa: D301
    from cli.ask.render import Transcript, status_line
    from cli.ask.trace import Trace
    from graph.agent import open_pictures
    from graph.printable import printable
    from lorgnette.opening import open_real_agent
    from lorgnette.settings import load_settings

    settings = load_settings(**flags)
    set_up_logging(run)
    boxes = Boxes(boxes_file) if boxes_file else None
    sources = [_from_here(image, settings.roots[0]) for image in images]

    def work(job: "Job") -> "Answer":
        open_pictures(sources, settings)  # a mistyped path is told before minutes of loading
        agent = (run.open_agent or open_real_agent)(settings, job.on_load)
        return agent.ask(
            question,
            sources,
            session_id=session_id,
            use_knowledge=not no_kb,
            fields=fields,
            on_event=job.news.put,
            on_pictures=boxes.on_pictures if boxes else None,
            cancel=job.cancel,
        )

    course = Trace()
    with status_line() as line, Job(work) as job:
        transcript = Transcript(line)
        for news in job.follow():
            if isinstance(news, str):
                line.say(f"Loading {settings.model}: {news}")
                continue
            course.note(news)
            if not as_json:
                transcript.show(news)
            elif news.kind == "start":
                line.say(news.node)
        answer = job.answer()
        if as_json:
            line.hide()
            click.echo(answer.model_dump_json())
        else:
            transcript.finish(answer)
        if boxes:
            line.hide()
            written = boxes.write(answer)
            where = ", ".join(printable(str(path)) for path in written)
            click.echo(
                f"Boxes drawn in {where}" if written else "The answer has no boxes; nothing was drawn.", err=True
            )
        if trace:
            line.hide()
            course.print(answer)


def _from_here(image: str, first_root: Path) -> str:
    """Mean a relative path from the working folder, as a shell does; the agent would take it from the first root."""
    here = Path.cwd()
    return image if ":" in image or first_root == here else str(here / image)


class Job:
    """Work on a thread whose news are read here, so that Ctrl-C is heard at once."""

    def __init__(self, work: "Callable[[Job], Answer]") -> None:
        self.news: queue.SimpleQueue[Event | str | None] = queue.SimpleQueue()
        self.cancel = threading.Event()
        self._work = work
        self._answer: Answer | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="ask", daemon=True)

    def __enter__(self) -> "Job":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the work if it still runs: Ctrl-C, or nobody reads the output any more."""
        self.cancel.set()
        self._thread.join(GIVE_UP_S)

    def on_load(self, phase: str, share: float) -> None:
        """Pass on how far the loading is."""
        self.news.put(f"{phase} {share:.0%}")

    def follow(self) -> "Iterator[Event | str]":
        """Yield the news until the work is done."""
        while True:
            try:
                news = self.news.get(timeout=0.1)  # a wait without end would not hear Ctrl-C on Windows
            except queue.Empty:
                continue
            if news is None:
                return
            yield news

    def answer(self) -> "Answer":
        """Return what the work returned, or raise what it raised."""
        if self._error is not None:
            raise self._error
        assert self._answer is not None, "follow() returns only after the work has ended"
        return self._answer

    def _run(self) -> None:
        try:
            self._answer = self._work(self)
        except BaseException as error:  # a thread's edge: answer() raises it
            self._error = error
        finally:
            self.news.put(None)
