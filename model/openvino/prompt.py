"""A conversation as the text that OpenVINO GenAI reads: by the checkpoint's own chat template, pictures as its tags.

GenAI takes a prompt as one string in which control tokens have their meaning, so what is typed in a text is told apart
here: control tokens in it are broken with an invisible sign and are plain characters then.
"""

import re
from collections.abc import Collection, Sequence
from typing import Any

from model.messages import Image, Text, Turn, Video
from model.pictures.picture import Picture

PICTURE_TAG = "<|vision_start|><|image_pad|><|vision_end|>"
"""A picture in a prompt; GenAI makes as many tokens of it as the picture has."""
_JOINER = "\u2060"
"""Word joiner: no width, no meaning, and not in any control token."""
_TAGS = r"<ov_genai_(?:image|video)_\d+>"
"""GenAI's own tags of pictures, which it looks for in the whole prompt."""


class Template:
    """A checkpoint's chat template."""

    def __init__(self, source: str, control_tokens: Collection[str]) -> None:
        """Take the template.

        Args:
            source: Jinja, as transformers takes it; it comes with a model, so transformers' sandbox renders it.
            control_tokens: Texts of the tokens that nobody may type.
        """
        self._source = source
        self._has_switch = "enable_thinking" in source
        names = [re.escape(token) for token in sorted(control_tokens, key=len, reverse=True)]
        self._typed = re.compile("|".join([*names, _TAGS]))

    def render(self, turns: Sequence[Turn], *, thinks: bool = True) -> str:
        """Return the prompt, opened for the answer; a video goes as its frames.

        Raises:
            jinja2.TemplateError, TypeError, ValueError, LookupError: The template cannot take the conversation.
        """
        # Brings neither torch nor the models.
        from transformers.utils.chat_template_utils import render_jinja_template

        messages = [{"role": turn.role, "content": self._content(turn)} for turn in turns]
        switch = {} if thinks or not self._has_switch else {"enable_thinking": False}
        rendered, _ = render_jinja_template(
            [messages], chat_template=self._source, add_generation_prompt=True, **switch
        )
        return str(rendered[0])

    def _content(self, turn: Turn) -> list[dict[str, Any]]:
        content: list[dict[str, Any]] = []
        for block in turn.blocks:
            for one in block.as_pictures() if isinstance(block, Video) else [block]:
                if isinstance(one, Text):
                    content.append({"type": "text", "text": self._typed.sub(_broken, one.text)})
                else:
                    content.append({"type": "image"})
        return content


def pictures_of(turns: Sequence[Turn]) -> list[Picture]:
    """Return the pictures of a conversation in the order of their tags, a video's frames among them."""
    found: list[Picture] = []
    for turn in turns:
        for block in turn.blocks:
            if isinstance(block, Image):
                found.append(block.picture)
            elif isinstance(block, Video):
                found += block.frames
    return found


def _broken(match: re.Match[str]) -> str:
    return match[0][0] + _JOINER + match[0][1:]
