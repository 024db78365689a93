"""What a run would do: its rows and its parameters, without weights and without training."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from finetune.adapters.parameter_count import Parameters, count_on_meta
from finetune.config.schema import FinetuneConfig, KeyMissing
from finetune.data.configured import Data, read_data
from finetune.training.trackers import trackers

if TYPE_CHECKING:
    from transformers import Qwen3VLProcessor


@dataclass(frozen=True)
class Ahead:
    """What is known before the training."""

    data: Data
    parameters: Parameters
    processor: "Qwen3VLProcessor"


def look_ahead(config: FinetuneConfig) -> Ahead:
    """Check everything that needs no weights.

    Raises:
        FinetuneError, ModelError: What the run itself would end with.
    """
    from finetune.training.preferences.pairs import spread
    from finetune.training.reporting.held_back_answers import measures_of_answers
    from model.hub import find_local
    from model.qwen3_vl.processor import load_processor

    trackers(config)
    if not config.data.dataset:
        raise KeyMissing("dataset", "data/captions.csv")
    data = read_data(config)
    held_back = spread(config, data).held_back  # refuses what the run would
    measures_of_answers(config, held_back)
    processor = load_processor(find_local(config.model.model_name_or_path))
    return Ahead(data, count_on_meta(config), processor)
