"""What the steps of one training share, from the loaded base to the report. It does nothing by itself."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune.config.schema import FinetuneConfig
from finetune.data.configured import Data
from finetune.data.dataset import Broken

if TYPE_CHECKING:
    from finetune.adapters.parameter_count import Parameters
    from finetune.training.encoding import Encoder
    from finetune.training.prepare import Prepared
    from model.qwen3_vl.load import Loaded

Say = Callable[[str], None]
"""Called with what is done, in words; the command line writes it to stderr."""


@dataclass(frozen=True)
class Run:
    """One training, ready to begin."""

    config: FinetuneConfig
    args: Any
    """`transformers.TrainingArguments`."""
    loaded: "Loaded"
    """The base, its processor and their dtype."""
    model: Any
    """The base with the adapter that is trained."""
    encoder: "Encoder"
    """Of the processor."""
    data: Data
    prepared: "Prepared"
    """The rows to learn."""
    evaluated: "Prepared"
    """The rows that are held back."""
    parameters: "Parameters"
    say: Say

    @property
    def output(self) -> Path:
        """The run's folder."""
        return Path(self.args.output_dir)

    @property
    def is_first_process(self) -> bool:
        """Whether this one writes and reports, of several that train together."""
        return bool(self.args.process_index == 0)

    @property
    def unusable(self) -> list[Broken]:
        """Return the samples that could be read and not learned."""
        return [*self.prepared.broken, *self.evaluated.broken]

    @property
    def broken(self) -> list[Broken]:
        """Return everything of the data that is left out."""
        return [*self.data.broken, *self.unusable]
