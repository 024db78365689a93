"""`lorgnette open --no-browser` with an agent whose answers stand here; run as a script by the tests."""

import sys
import threading
import time
from pathlib import Path

from graph.answer import Answer, Box, Citation, Event, ModelResult, Plan, ReviewResult, Usage
from graph.question import Question
from graph.served_agent import OnEvent, OnPictures, ServedAgent
from lorgnette.settings import load_settings
from model.pictures.open import open_source
from page.opening.run import Opening

HOSTILE = """<img src=x onerror="document.title='taken'"><script>document.title='taken'</script>
[click](javascript:document.title='taken') ![beacon](http://198.51.100.7/seen.png) **bold**"""
SENTENCE = "These words come one after the other until somebody stops them."
WRONG = Answer(
    answer="",
    citations=[],
    boxes=[],
    plan=None,
    review=None,
    degraded=[],
    model=ModelResult(name="scripted", adapter=None, quantization="none"),
    usage=Usage(prefill_tokens=1, cached_tokens=2, new_tokens=3, seconds=0.5),
    session_id="s",
    truncated=False,
)


class ScriptedAgent(ServedAgent):
    """Answers by the first word of the question."""

    def answer(
        self,
        question: Question,
        *,
        on_event: OnEvent | None = None,
        on_pictures: OnPictures | None = None,
        cancel: threading.Event | None = None,
    ) -> Answer:
        assert on_event is not None and on_pictures is not None and cancel is not None
        pictures = [p for image in question.images for p in open_source(image, load_settings().roots + ROOTS).pictures]
        on_pictures(pictures, 0)
        on_event(Event(node="responder", kind="start"))
        match question.text.split()[0]:
            case "boxes":
                on_event(Event(node="responder", kind="text", text="Two boxes"))
                boxes = [
                    Box(label="a", image=0, x1=20, y1=30, x2=120, y2=80),
                    Box(label="b<i>", image=0, x1=0, y1=0, x2=320, y2=240),
                ]
                plan = Plan(task="locate", steps=["look"], needs_knowledge=False, queries=[])
                review = ReviewResult(verdict="PASS", feedback="two", rewrites=0)
                return WRONG.model_copy(update={"answer": "Two boxes.", "boxes": boxes, "plan": plan, "review": review})
            case "hostile":
                on_event(Event(node="responder", kind="text", text=HOSTILE))
                quote = "<b>quoted</b>"
                citation = Citation(id="c", source="<i>x</i>.md", page=None, start=0, end=3, quote=quote)
                return WRONG.model_copy(
                    update={"answer": HOSTILE, "citations": [citation], "degraded": ["plan: <u>x</u>"]}
                )
            case "slow":
                for word in SENTENCE.split():
                    on_event(Event(node="responder", kind="text", text=word + " "))
                    if cancel.wait(0.05):
                        break
                while not cancel.wait(1.0):
                    pass
                from model.errors import Cancelled

                raise Cancelled
            case "now":
                on_event(Event(node="responder", kind="text", text=f"{time.time():.6f}"))
                cancel.wait(2.0)
                return WRONG.model_copy(update={"answer": "done"})
        effort = f"{question.effort}, documents {question.use_knowledge}, {len(question.images)} pictures"
        seen = "; ".join(f"{p.width}x{p.height} {p.part}" for p in pictures)
        return WRONG.model_copy(update={"answer": f"{question.text}: {effort}; {seen}"})


ROOTS: tuple[Path, ...] = ()

if __name__ == "__main__":
    from page.desk import uploads_folder

    ROOTS = (uploads_folder(),)
    flags = dict(zip(sys.argv[1::2], sys.argv[2::2], strict=False))
    Opening(
        load_settings(sessions="none"), "127.0.0.1", int(flags.get("--port", 0)), 0,
        lambda _settings, _progress: ScriptedAgent(),
        say=lambda text: print(text, file=sys.stderr),  # noqa: T201
        print_address=lambda text: print(text, flush=True),  # noqa: T201
    ).run("none")  # fmt: skip
