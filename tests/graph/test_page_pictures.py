"""The page goes to the model with its words: a scripted model that looks at what it is sent."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import BaseMessage
from PIL import Image

from graph.agent import Agent
from graph.settings import AgentSettings
from model.errors import ModelError
from model.open import ModelIdentity
from retrieval.knowledge_base import KnowledgeBase
from retrieval.records import Region
from retrieval.regions.page_view import cut_around, shows_more
from retrieval.settings import RetrievalSettings
from tests.graph.conftest import Scripted
from tests.retrieval.regions.page_pdf import page_pdf

# Three bars on an axis, none of which says a number: the blue one is the highest.
CHART = (
    "1 0 0 rg 100 500 40 40 re f 0 0 1 rg 160 500 40 150 re f 0 0.6 0 rg 220 500 40 80 re f "
    "0 0 0 RG 90 500 m 280 500 l S 90 500 m 90 680 l S 90 590 m 280 590 l S\n"
)
TITLE = [
    (90, 700, "Turnover of the pump division by region"),
    (100, 480, "North"),
    (160, 480, "South"),
    (220, 480, "West"),
]


class Looking(Scripted):
    """Answers with the colour of the highest bar in the last picture that it is sent."""

    refuses: bool = False

    def _next(self, messages: list[BaseMessage]) -> str:
        self.asked.append(messages)
        pictures = pictures_in(messages)
        if not pictures:
            return "I see no page."
        if self.refuses:
            raise ModelError("this model takes no pictures")
        image = pictures[-1].image
        heights = {"red": 0, "green": 0, "blue": 0}
        for x in range(0, image.width, 4):
            column = [image.getpixel((x, y)) for y in range(0, image.height, 4)]
            for name, colour in (("red", (255, 0, 0)), ("green", (0, 153, 0)), ("blue", (0, 0, 255))):
                heights[name] = max(heights[name], sum(pixel == colour for pixel in column))
        return f"The {max(heights, key=lambda name: heights[name])} bar is the highest."


def pictures_in(messages: list[BaseMessage]) -> list[Any]:
    blocks = [block for message in messages if isinstance(message.content, list) for block in message.content]
    return [block["image"] for block in blocks if isinstance(block, dict) and block["type"] == "image"]


@pytest.fixture
def asking(tmp_path: Path) -> Callable[..., tuple[Any, Looking]]:
    def ask(pdf: bytes, *, refuses: bool = False, **settings: Any) -> tuple[Any, Looking]:
        (tmp_path / "kb").mkdir()
        (tmp_path / "kb" / "a.pdf").write_bytes(pdf)
        base = KnowledgeBase(RetrievalSettings(kb=tmp_path / "kb", embedder="none-of-ours"), tmp_path / "home")
        base.sync()
        chat = Looking(script=[], refuses=refuses)
        identity = ModelIdentity(name="looking", adapter=None, quantization="none")
        agent = Agent(chat, identity, AgentSettings(roots=(tmp_path,), effort="quick", **settings), base)
        return agent.ask("Which bar of the turnover of the pump division is the highest?"), chat

    return ask


def test_a_chart_is_answered_from_the_picture_of_its_page(asking: Any) -> None:
    answer, chat = asking(page_pdf(TITLE, drawn=CHART))
    assert answer.answer.startswith("The blue bar is the highest.")
    (page,) = pictures_in(chat.asked[-1])
    assert page.source == "a.pdf, page 1"
    assert page.image.width * page.image.height < 0.5 * 1_120 * 1_120  # the chart, not the page


def test_a_chart_of_few_lines_is_seen_as_well(asking: Any) -> None:
    answer, _ = asking(page_pdf(TITLE, drawn=CHART.split(" 90 500 m 90 680")[0] + "\n"))
    assert answer.answer.startswith("The blue bar is the highest.")


def test_a_page_that_shows_no_more_than_its_words_is_not_sent(asking: Any) -> None:
    answer, _ = asking(page_pdf(TITLE))
    assert answer.answer.startswith("I see no page.")


@pytest.mark.parametrize(("how", "drawn", "pages"), [("never", CHART, 0), ("always", "", 1)])
def test_the_setting_decides(how: str, drawn: str, pages: int, asking: Any) -> None:
    _, chat = asking(page_pdf(TITLE, drawn=drawn), page_pictures=how)
    assert len(pictures_in(chat.asked[-1])) == pages


def test_a_model_that_takes_no_pictures_answers_from_the_words_and_says_so(asking: Any) -> None:
    answer, _ = asking(page_pdf(TITLE, drawn=CHART), refuses=True)
    assert answer.answer.startswith("I see no page.")
    assert any(note.startswith("pages: answered from the words alone") for note in answer.degraded)


def test_what_stands_by_a_passage_is_cut_out_with_it_and_nothing_far_away() -> None:
    words = [Region(1, 100, 100, 500, 120)]
    near, next_to_near, far = (
        Region(1, 100, 150, 400, 300),
        Region(1, 100, 340, 400, 360),
        Region(1, 100, 800, 400, 900),
    )
    assert cut_around(words, [near], [next_to_near, far]) == Region(1, 85, 85, 515, 375)
    assert cut_around([], [near], []) is None
    assert cut_around([Region(1, 0, 0, 1_000, 900)], [], []) is None


def test_a_frame_and_a_logo_are_no_figure_and_a_scan_is_one() -> None:
    frame, logo = Region(1, 5, 5, 995, 995), Region(1, 10, 10, 60, 60)
    assert not shows_more([logo], [frame] * 9, has_words=True)
    assert shows_more([], [], has_words=False)
    assert shows_more([Region(1, 100, 100, 400, 400)], [], has_words=True)


def test_pictures_of_the_documents_are_shown_too(tmp_path: Path) -> None:
    (tmp_path / "kb").mkdir()
    Image.new("RGB", (300, 200), "blue").save(tmp_path / "kb" / "highest_bar.png")
    base = KnowledgeBase(RetrievalSettings(kb=tmp_path / "kb", embedder="none-of-ours"), tmp_path / "home")
    base.sync()
    chat = Looking(script=[])
    identity = ModelIdentity(name="looking", adapter=None, quantization="none")
    agent = Agent(chat, identity, AgentSettings(roots=(tmp_path,), effort="quick"), base)
    assert agent.ask("Where is the picture of the highest bar?").answer.startswith("The blue bar is the highest.")
