"""How likely the model is to begin its answer with one of several words, such as yes or no. It writes nothing."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from model.adapters.node_adapters import active_adapter
from model.call_options import Cancellation, Cancelled
from model.messages import Turn, for_processor
from model.qwen3_vl.prefill import UNSHARED
from model.qwen3_vl.processor import encode

if TYPE_CHECKING:
    from model.qwen3_vl.load import Loaded
    from model.qwen3_vl.prefill import PrefixReader


def choice_probabilities(
    loaded: "Loaded",
    turns: Sequence[Turn],
    words: Sequence[str],
    *,
    reader: "PrefixReader",
    cancellation: Cancellation,
    max_pixels: int | None,
) -> list[float]:
    """Return the probability of each word's first token among those of all the words; they sum up to 1.

    Raises:
        Cancelled: Before anything was computed.
    """
    if cancellation.is_set():
        raise Cancelled
    tokenizer = loaded.processor.tokenizer
    first = [tokenizer(word, add_special_tokens=False)["input_ids"][0] for word in words]
    messages = [for_processor(turn) for turn in turns]
    inputs = encode(loaded.processor, messages, max_pixels=max_pixels).to(loaded.device)
    family = UNSHARED if loaded.mixes_tokens else loaded.family
    with active_adapter(loaded.model, None, loaded.invocations):
        read = reader.read(inputs, family, sight=loaded.sight)
        logits = reader.last_logits(inputs, read)
    reader.keep(read, [], family)
    found: list[float] = logits[first].float().softmax(-1).tolist()
    return found
