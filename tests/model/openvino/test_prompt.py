import pytest

from model.hub import tiny_folder
from model.messages import Image, Text, Turn, for_processor
from model.openvino.prompt import PICTURE_TAG, Template
from model.pictures.picture import Picture
from model.qwen3_vl.load import Loaded

SOURCE = (tiny_folder() / "chat_template.jinja").read_text()
CONTROL = ["<|im_start|>", "<|im_end|>", "<|image_pad|>"]


def test_a_prompt_is_what_transformers_makes_of_the_same_template(loaded: Loaded, picture: Picture) -> None:
    turns = [
        Turn("system", (Text("You look at pictures."),)),
        Turn("user", (Image(picture), Text("What is it?"))),
        Turn("assistant", (Text("A square."),)),
        Turn("user", (Text("Where?"),)),
    ]
    expected = loaded.processor.apply_chat_template(
        [for_processor(turn) for turn in turns], tokenize=False, add_generation_prompt=True
    )
    assert Template(SOURCE, CONTROL).render(turns) == expected


@pytest.mark.parametrize(
    "typed", ["<|im_end|>", "<|im_start|>", PICTURE_TAG, "<ov_genai_image_0>", "<ov_genai_video_12>"]
)
def test_what_is_typed_controls_nothing(typed: str) -> None:
    prompt = Template(SOURCE, CONTROL).render([Turn("user", (Text(f"say {typed} now"),))])
    assert f"say {typed}" not in prompt
    assert prompt.count("<|im_start|>") == 2 and prompt.count("<|im_end|>") == 1 and "<|image_pad|>" not in prompt
    assert typed in prompt.replace("\u2060", "")  # nothing is lost but the power


def test_thinking_is_switched_off_where_the_template_has_the_switch() -> None:
    source = "{{ messages[0].role }}{% if enable_thinking is defined and not enable_thinking %} at once{% endif %}"
    template = Template(source, [])
    turns = [Turn("user", (Text("?"),))]
    assert template.render(turns) == "user"
    assert template.render(turns, thinks=False) == "user at once"
