"""A Qwen3-VL that OpenVINO computes, as the same chat model as the local one.

Queue, streams and options are the local model's own; what differs is who computes an answer, and what that one cannot.
"""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from langchain_core.messages import BaseMessage
from langchain_core.runnables import Runnable
from pydantic import PrivateAttr

from model.call_options import Call, Cancellation, Generated, json_schema, schema_name, structured
from model.messages import parse_messages
from model.qwen3_vl.chat import ChatQwen3VL
from model.served import NotOffered

if TYPE_CHECKING:
    from model.openvino.read_before import ReadBefore


class ChatOpenVINO(ChatQwen3VL):
    """Answers one question at a time; the others wait in a bounded queue.

    `loaded` is a `model.openvino.load.LoadedIR`. Calls take the options of `ChatQwen3VL` but `node_adapter`. A
    structured answer that `max_new_tokens` cuts off is refused (InvalidOutput), not closed early; repetition_penalty
    counts the answer's own tokens alone.
    """

    gives_probabilities: ClassVar[bool] = False
    swaps_adapters: ClassVar[bool] = False

    _read_before: "ReadBefore | None" = PrivateAttr(default=None)

    @property
    def _llm_type(self) -> str:
        return "qwen3-vl-openvino"

    def swap_adapter(self, folder: Path | None) -> None:
        """Refuse it: what was merged before the conversion is a part of the model."""
        raise NotOffered("was converted for OpenVINO and does not change its adapter")

    def choice_probabilities(
        self, messages: list[BaseMessage], words: Sequence[str], *, cancel: threading.Event | None = None
    ) -> list[float]:
        """Refuse it: OpenVINO GenAI tells the probability of what it wrote, not of what it could have written."""
        raise NotOffered("was converted for OpenVINO and gives no probabilities")

    def get_token_ids(self, text: str) -> list[int]:
        """Return the text's tokens by the model's own tokenizer."""
        ids: list[int] = self.loaded.vocabulary.encode(text)
        return ids

    def with_structured_output(  # type: ignore[override]  # no tools and no "method": the grammar is the method
        self, schema: dict[str, Any] | type, *, include_raw: bool = False
    ) -> Runnable[Any, Any]:
        """Return a runnable that answers with an instance of the schema; see `ChatQwen3VL.with_structured_output`."""
        from model.openvino.grammar import json_grammar

        json_grammar(json_schema(schema), schema_name(schema))
        return structured(self, schema, include_raw=include_raw)

    def _answer(
        self, messages: Sequence[BaseMessage], call: Call, cancellation: Cancellation, emit: Callable[[str], None]
    ) -> Generated:
        from model.openvino.generation import GenerationRequest, generate

        return generate(
            GenerationRequest(
                self.loaded,
                parse_messages(messages),
                call,
                read_before=self._get_read_before(),
                cancellation=cancellation,
                emit=emit,
                max_pixels=self.max_pixels,
                thinking_tokens=self.thinking_tokens,
            )
        )

    def _get_read_before(self) -> "ReadBefore":
        # Only the worker's thread comes here.
        if self._read_before is None:
            from model.openvino.read_before import ReadBefore

            engine = self.loaded.engine
            self._read_before = ReadBefore(engine.block_tokens, engine.capacity)
        return self._read_before
