"""Whether an activated LoRA is ever invoked by the rows it is trained on."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from finetune.adapters.attach import ADAPTER
from finetune.errors import FinetuneError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from finetune.training.encoding import Row


class NeverInvoked(FinetuneError):
    """An activated LoRA whose invocation stands in no row, so that it would not work in any."""

    def __init__(self, tokens: Sequence[int], text: str) -> None:
        self.tokens, self.text = tuple(tokens), text
        super().__init__(
            f"No row holds {text!r}, from which the activated LoRA works, so nothing would be learned; write as "
            "alora_invocation what stands in front of the answers (in YAML in double quotes, where \\n is a new line)."
        )


def check_invoked(model: Any, rows: Sequence["Row"], tokenizer: "PreTrainedTokenizerBase") -> int:
    """Return how many rows an activated LoRA does not work in; they teach it nothing. Zero for other adapters.

    Raises:
        NeverInvoked: All of them.
    """
    adapters = getattr(model, "peft_config", {})
    tokens = list(getattr(adapters.get(ADAPTER), "alora_invocation_tokens", None) or ())
    if not tokens:
        return 0
    size = len(tokens)
    without = sum(
        all(
            row.input_ids[start : start + size].tolist() != tokens
            for start in np.flatnonzero(row.input_ids == tokens[0])
        )
        for row in rows
    )
    if rows and without == len(rows):
        raise NeverInvoked(tokens, str(tokenizer.decode(tokens)))
    return without
