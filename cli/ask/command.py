"""`lorgnette ask`: one question, one answer, printed as it is written."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.ask.boxes import Boxes, png_path
from cli.edge import Run, set_up_logging, settings_options, verbose_option

if TYPE_CHECKING:
    from graph.answer import Answer, Event


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
@click.option("--trace", is_flag=True, help="Draw what each node thought and did, its cost and the session, on stderr.")
@click.option("--show-prompts", is_flag=True, help="Print each conversation as the model gets it, on stderr.")
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
    show_prompts: bool,
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
    from cli.ask.prompts import print_conversations
    from cli.ask.render import Transcript, status_line
    from cli.ask.standing import to_be_told
    from cli.ask.trace import Trace
    from common.safe_text import printable
    from lorgnette.background import Background
    from lorgnette.local_agent import LocalAgent
    from lorgnette.settings import data_home, load_settings

    settings = load_settings(**flags)
    set_up_logging(run)
    if show_prompts:
        print_conversations()
    boxes = Boxes(boxes_file) if boxes_file else None

    def work(job: "Background[Event | str, Answer]") -> "Answer":
        agent = LocalAgent(
            settings, open_agent=run.open_agent, progress=lambda phase, share: job.tell(f"{phase} {share:.0%}")
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
            if not as_json:
                transcript.show(news)
            elif news.kind == "start":
                line.say(news.node)
        answer = job.result()
        if as_json:
            line.hide()
            click.echo(answer.model_dump_json())
        else:
            transcript.finish(answer, question, to_be_told(answer, data_home()))
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
