"""DPO by TRL's trainer on our rows, batches, checkpoints and errors. The loss is TRL's.

Source: Rafailov et al., "Direct Preference Optimization", 2023; trl `trainer/dpo_trainer.py`.
"""

import warnings
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from finetune.config.schema import FinetuneConfig
from finetune.errors import FinetuneError
from finetune.training.batching import Order
from finetune.training.collate import Collator
from finetune.training.preferences.pairs import Pair, PairCollator

if TYPE_CHECKING:
    from finetune.training.trainer import AdapterTrainer


class MissingTrl(FinetuneError):
    """Preference training without the package that has it."""

    def __init__(self) -> None:
        super().__init__("stage: dpo needs the package 'trl'; run: pip install 'lorgnette[preference]'")


def check_trl() -> None:
    """Refuse preference training where its package is missing.

    Raises:
        MissingTrl: It is.
    """
    if find_spec("trl") is None:
        raise MissingTrl


def preference_trainer(
    config: FinetuneConfig,
    order: Order,
    pairs: list[Pair],
    held_back: list[Pair],
    collator: Collator,
    **options: Any,
) -> "AdapterTrainer":
    """Return a trainer of pairs.

    Args:
        config: Of the run.
        order: Of the pairs.
        pairs: To learn.
        held_back: To measure on.
        collator: Makes batches of rows.
        options: Of transformers' Trainer.
    """
    from datasets import Dataset
    from trl import DPOTrainer

    from finetune.training.trainer import AdapterTrainer

    class PreferenceTrainer(AdapterTrainer, DPOTrainer):
        """Ours in front of TRL's: steps are checked and saved as in supervised training."""

        def __init__(self, **given: Any) -> None:
            super().__init__(config, order, **given)
            self.model_accepts_loss_kwargs = False  # TRL's loss is a mean over pairs, whatever the number of tokens

        def _compute_loss(self, *args: Any, **options: Any) -> Any:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)  # TRL 1.16 uses a name that transformers has renamed
                return super()._compute_loss(*args, **options)

        def create_model_card(self, *args: Any, **options: Any) -> None:
            """Write none: TRL's names the base by its folder on this machine."""

    every = [*pairs, *held_back]
    # TRL asks for a data set of its own kind and, where it has pictures, leaves it as it is
    numbered = Dataset.from_dict({"number": list(range(len(every))), "images": [[]] * len(every)})
    return PreferenceTrainer(
        data_collator=PairCollator(every, collator),
        train_dataset=numbered.select(range(len(pairs))),
        eval_dataset=numbered.select(range(len(pairs), len(every))) if held_back else None,
        **options,
    )
