"""One pipeline of OpenVINO GenAI, driven step by step, so that whoever asks can leave between two steps.

It knows prompts as text with pictures' tags and pixels, and answers in tokens. For one thread. Python's lock is held
while a step computes (GenAI's bindings do not release it there), which bounds how long a step may be.
"""

from collections.abc import Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from common.safe_text import first_sentence
from model.errors import ModelError
from model.hub import MissingExtra
from model.openvino.errors import EngineBroken
from model.openvino.staging import staged

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from model.ir import IR

BLOCK_TOKENS = 32
"""GenAI keeps and shares what was read in blocks of so many tokens, on processors."""
STEP_TOKENS = 256
"""So much of a prompt is read in one step."""
LEAST_TOKENS = 20480
"""Room for prompt and answer, however little memory the cache may have: the largest picture, and some text."""
ALL = 2**31 - 1


class Token(NamedTuple):
    """One token of an answer."""

    id: int
    log_probability: float
    """By the bare scores, whatever grammar or sampling made of them."""


@dataclass(frozen=True)
class WritingOptions:
    """How one answer is written."""

    max_new_tokens: int
    stop_token_ids: frozenset[int]
    grammar: str | None = None
    """EBNF."""
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    repetition_penalty: float = 1.0
    """Of the answer's own tokens: GenAI does not know a prompt with pictures as tokens."""
    presence_penalty: float = 0.0
    seed: int = 0


class MemoryFull(ModelError):
    """The prompt does not fit into the memory that it may have."""


class Engine(Protocol):
    """What an answer needs of an engine."""

    capacity: int
    """How many tokens fit."""
    block_tokens: int
    """What was read is kept in blocks of so many tokens; 0 where nothing is kept."""

    def write(
        self, prompt: str, pictures: "Sequence[NDArray[np.uint8]]", options: WritingOptions
    ) -> Generator[Token | None]:
        """Yield the tokens of an answer; None after each step that brought none. Closing it ends the answer.

        Args:
            prompt: Each picture stands in it as `model.openvino.prompt.PICTURE_TAG`.
            pictures: (1, height, width, 3) each, in the size in which they are read.
            options: How to write.

        Raises:
            MemoryFull: The prompt does not fit.
            EngineBroken: OpenVINO gave up; the next answer gets a new pipeline.
        """
        ...


class Pipeline:
    """OpenVINO GenAI's pipeline with continuous batching, which brings paged attention and a cache of prefixes."""

    def __init__(self, ir: "IR", device: str, cache_mib: int) -> None:
        """Load the model; blocks for as long as it takes.

        Raises:
            MissingExtra: openvino-genai is not installed.
            EngineBroken: OpenVINO refuses the model or the device.
        """
        try:
            import openvino  # noqa: F401 - genai's own import would name a library of its instead
            import openvino_genai
        except ImportError as error:
            raise MissingExtra("openvino-genai", "openvino") from error
        self._genai = openvino_genai
        self._ir, self._device = ir, device
        room = max(cache_mib * 2**20 // _token_bytes(ir), LEAST_TOKENS)
        self.capacity = min(int(room), ir.window) // BLOCK_TOKENS * BLOCK_TOKENS
        self.block_tokens = BLOCK_TOKENS if cache_mib else 0
        self._asked = 0
        self._pipeline: Any = None
        self._pipeline = self._open()

    def write(
        self, prompt: str, pictures: "Sequence[NDArray[np.uint8]]", options: WritingOptions
    ) -> Generator[Token | None]:
        """Yield the tokens of an answer; as `Engine`."""
        import openvino

        if self._pipeline is None:
            self._pipeline = self._open()
        self._asked += 1
        images = [openvino.Tensor(pixels) for pixels in pictures]
        broken = False
        try:
            handle = self._pipeline.add_request(self._asked, prompt, images, self._config(options))
        except RuntimeError as error:
            raise EngineBroken("read the question", first_sentence(error), "ask another way") from error
        try:
            yield from self._steps(handle)
        except RuntimeError as error:
            broken = True  # what failed half-way stays in the pipeline and spoils the next answers
            raise EngineBroken("answer", first_sentence(error), "ask again, or ask something shorter") from error
        finally:
            if broken:
                self._pipeline = None
            else:
                self._settle(handle)
        if handle.get_status() == self._genai.GenerationStatus.IGNORED:
            raise MemoryFull

    def _steps(self, handle: Any) -> Generator[Token | None]:
        while handle.get_status() == self._genai.GenerationStatus.RUNNING:
            self._pipeline.step()
            if not handle.can_read():
                yield None
            while handle.can_read():
                for output in handle.read().values():
                    yield from map(Token, output.generated_ids, output.generated_log_probs)

    def _settle(self, handle: Any) -> None:
        """Let the pipeline forget a request that nobody wants any more."""
        handle.stop()
        with suppress(RuntimeError):
            while self._pipeline.has_non_finished_requests():
                self._pipeline.step()
            return
        self._pipeline = None

    def _config(self, options: WritingOptions) -> Any:
        genai = self._genai
        config = genai.GenerationConfig()
        config.apply_chat_template = False
        config.max_new_tokens = options.max_new_tokens
        config.stop_token_ids = set(options.stop_token_ids)
        config.logprobs = 1
        config.repetition_penalty = options.repetition_penalty
        config.presence_penalty = options.presence_penalty
        if options.temperature > 0:
            config.do_sample = True
            config.temperature = options.temperature
            config.top_p = options.top_p
            config.top_k = options.top_k or ALL
            config.rng_seed = options.seed
        if options.grammar is not None:
            config.structured_output_config = genai.StructuredOutputConfig(grammar=options.grammar)
        return config

    def _open(self) -> Any:
        scheduler = self._genai.SchedulerConfig()
        scheduler.enable_prefix_caching = self.block_tokens > 0
        scheduler.num_kv_blocks = self.capacity // BLOCK_TOKENS
        scheduler.max_num_batched_tokens = STEP_TOKENS
        exact = {"INFERENCE_PRECISION_HINT": "f32"} if self._ir.weights == "fp32" else {}
        language = {**exact, "KV_CACHE_PRECISION": "f32"} if exact and self._device == "CPU" else exact
        vision = {**exact, "PERFORMANCE_HINT": "LATENCY"}  # one tower, which the memo wants
        try:
            with staged(self._ir.folder, self._ir.picture) as folder:
                return self._genai.ContinuousBatchingPipeline(
                    str(folder), scheduler, self._device, {**language, "PERFORMANCE_HINT": "LATENCY"}, {}, vision
                )
        except RuntimeError as error:
            fix = f"convert {str(self._ir.folder)!r} again with this version, or name another device"
            raise EngineBroken(f"load it on {self._device!r}", first_sentence(error), fix) from error


def _token_bytes(ir: "IR") -> int:
    """Return what a token's keys and values take at most; OpenVINO may keep them in fewer bytes."""
    text = ir.config["text_config"]
    heads = int(text.get("num_key_value_heads") or text["num_attention_heads"])
    size = int(text.get("head_dim") or text["hidden_size"] // text["num_attention_heads"])
    return int(text["num_hidden_layers"]) * 2 * heads * size * (4 if ir.weights == "fp32" else 2)
