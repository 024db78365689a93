"""Which pictures a caller may draw an answer's boxes into."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from pydantic import Field

from graph.archive import Archive
from lorgnette.box_drawing import on_picture
from model.open import REMOTE
from model.pictures.picture import Picture
from model.served import ServedModel
from tests.graph.conftest import Scripted

WHERE = '[{"bbox_2d": [0, 0, 500, 500], "label": "left"}]'


def test_the_pictures_of_a_question_come_with_the_number_that_its_boxes_have(
    agent_of: Any, archive: Archive, picture: str, tmp_path: Path
) -> None:
    heard: list[tuple[list[str], int]] = []

    def on_pictures(pictures: Sequence[Picture], first: int) -> None:
        heard.append(([one.source for one in pictures], first))

    other = str(tmp_path / "other.png")
    Image.new("RGB", (50, 40), "red").save(other)
    agent, chat = agent_of("grey", WHERE, WHERE, archive=archive)
    agent.ask("What color?", [picture], session_id="mine", effort="quick", on_pictures=on_pictures)
    (box,) = agent.ask("Where?", [other], session_id="mine", effort="quick", on_pictures=on_pictures).boxes
    assert (box.image, box.picture, box.x2, box.y2) == (0, "other.png", 25, 20)
    assert chat.asked[1][-1].text.endswith("this question is about the last 1.)")
    agent.ask("And where now?", session_id="mine", effort="quick", on_pictures=on_pictures)
    assert heard == [([picture], 0), ([other], 0), ([picture, other], 0)]


def test_the_same_question_twice_has_its_boxes_in_its_own_picture(
    agent_of: Any, archive: Archive, picture: str
) -> None:
    agent, _ = agent_of(WHERE, WHERE, archive=archive)
    heard: list[int] = []
    for _ in range(2):
        answer = agent.ask(
            "Where?", [picture], session_id="mine", effort="quick",
            on_pictures=lambda pictures, first: heard.append(first + len(pictures)),
        )  # fmt: skip
        assert [(box.image, box.picture, box.x2) for box in answer.boxes] == [(0, "grey.png", 100)]
    assert heard == [1, 1]


def test_the_bundled_checkpoint_looks_at_the_new_picture_alone(
    agent_of: Any, archive: Archive, picture: str, tmp_path: Path
) -> None:
    other = str(tmp_path / "other.png")
    Image.new("RGB", (50, 40), "red").save(other)
    agent, chat = agent_of("grey", "red", "red", archive=archive, name="tiny")
    agent.ask("What color?", [picture], session_id="mine", effort="quick")
    agent.ask("What color?", [other], session_id="mine", effort="quick")
    assert [
        block["image"].source for message in chat.asked[1][1:] for block in message.content if "image" in block
    ] == [other]


def test_the_time_of_a_question_may_be_its_own(agent_of: Any, picture: str) -> None:
    agent, chat = agent_of("grey", "grey", time_budget_s=1000.0)
    agent.ask("What color?", [picture], effort="quick")
    agent.ask("What color?", [picture], effort="quick", time_budget_s=10.0)
    longer, shorter = (options["deadline"] for options in chat.options)
    assert 900 < longer - shorter < 1000


def test_a_film_goes_to_the_model_as_one_video_with_its_times_and_again_with_the_next_question(
    agent_of: Any, archive: Archive, tmp_path: Path
) -> None:
    frames = [Image.new("RGB", (20, 10), colour) for colour in ("red", "green", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], duration=500)
    agent, chat = agent_of("It turns blue at 1 s.", "Green.", archive=archive)
    answer = agent.ask("What happens?", [str(tmp_path / "a.gif")], session_id="film", effort="quick")
    assert any("a film of 1.5 s" in note for note in answer.degraded)
    agent.ask("And before?", session_id="film", effort="quick")
    for asked in chat.asked:
        video: Any = asked[1].content[0]
        assert video["type"] == "video" and video["times_s"] == [0.0, 0.5, 1.0]
        assert [frame.image.getpixel((0, 0)) for frame in video["frames"]] == [(255, 0, 0), (0, 128, 0), (0, 0, 255)]


def test_frames_of_a_film_have_a_budget_of_their_own(agent_of: Any, archive: Archive, tmp_path: Path) -> None:
    frames = [Image.new("RGB", (200, 100), colour) for colour in ("red", "green")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], duration=500)
    frames[0].save(tmp_path / "b.png")
    agent, chat = agent_of("Green.", "Still green.", archive=archive, video_max_pixels=5_000)
    agent.ask("What happens?", [str(tmp_path / "a.gif"), str(tmp_path / "b.png")], session_id="film", effort="quick")
    agent.ask("And before?", session_id="film", effort="quick")
    for asked in chat.asked:
        film, still = asked[1].content[:2]
        assert [frame.image.size for frame in film["frames"]] == [(100, 50)] * 2
        assert still["image"].image.size == (200, 100)


def test_the_bundled_checkpoint_sees_one_frame_of_a_film(agent_of: Any, archive: Archive, tmp_path: Path) -> None:
    frames = [Image.new("RGB", (20, 10), colour) for colour in ("red", "green", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], duration=500)
    agent, chat = agent_of("red", archive=archive, name="tiny")
    answer = agent.ask("What color?", [str(tmp_path / "a.gif")], effort="quick")
    content: Any = chat.asked[0][1].content
    assert [block["type"] for block in content] == ["image", "text"]
    assert any("others with #t=SECONDS" in note for note in answer.degraded)


def test_a_box_in_a_region_is_told_and_drawn_in_the_whole_picture(
    agent_of: Any, archive: Archive, picture: str
) -> None:
    heard: list[Picture] = []
    agent, _ = agent_of(WHERE, archive=archive)
    (box,) = agent.ask(
        "Where?", [f"{picture}#xywh=percent:50,50,50,50"], effort="quick",
        on_pictures=lambda pictures, _: heard.extend(pictures),
    ).boxes  # fmt: skip
    with Image.open(picture) as whole:
        width, height = whole.size
    assert (box.x1, box.y1, box.x2, box.y2) == (width // 2, height // 2, width * 3 // 4, height * 3 // 4)
    image, boxes = on_picture(heard[0], [box])
    assert image.size == (width, height) and boxes == [box]


def test_a_picture_is_looked_at_as_large_as_the_time_allows_and_the_answer_says_so(
    agent_of: Any, archive: Archive, tmp_path: Path
) -> None:
    Image.new("RGB", (400, 200), "grey").save(tmp_path / "large.png")
    agent, timed = agent_of(WHERE, "And again", archive=archive, chat_type=TimedChat)
    answer = agent.ask("Where?", [str(tmp_path / "large.png")], session_id="mine", effort="quick")
    assert first_picture(timed, 0).image.size == (200, 100)
    (box,) = answer.boxes
    assert (box.x2, box.y2) == (200, 100)
    assert "pictures: large.png was looked at with 200 x 100 of its 400 x 200 pixels" in "\n".join(answer.degraded)
    assert timed.told == [(pytest.approx(0.4 * 50, abs=5), 1)]
    agent.ask("And again?", session_id="mine", effort="quick")
    assert first_picture(timed, 1).image.size == (200, 100)


class TimedChat(Scripted, ServedModel):
    """Can look at 20,000 pixels in any time."""

    told: list[Any] = Field(default_factory=list)

    def looking_pixels(self, seconds: float, pictures: int) -> int | None:
        self.told.append((seconds, pictures))
        return 20_000 if pictures else None


def test_a_server_gets_pictures_of_at_most_max_pixels(agent_of: Any, tmp_path: Path) -> None:
    Image.new("RGB", (400, 200), "grey").save(tmp_path / "large.png")
    agent, chat = agent_of("grey", max_pixels=20_000, quantization=REMOTE)
    answer = agent.ask("What?", [str(tmp_path / "large.png")], effort="quick")
    assert first_picture(chat, 0).image.size == (200, 100)
    assert not any("looked at with" in note for note in answer.degraded)


def first_picture(chat: Scripted, call: int) -> Picture:
    content: Any = chat.asked[call][1].content
    picture: Picture = content[0]["image"]
    return picture
