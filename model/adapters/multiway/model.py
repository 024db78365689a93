"""The tuner: puts the module in front of the decoder's first layer, and refuses what it cannot do."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import torch
from peft.tuners.tuners_utils import BaseTuner
from torch import nn

from model.adapters.moe_lora.tokens import language_model, tells_pictures
from model.adapters.multiway.config import FIRST_LAYER, MultiwayConfig
from model.adapters.multiway.layer import PART, MergeRefused, MultiwayLayer
from model.adapters.multiway.passage import forget_passage, passage_of


class MultiwayModel(BaseTuner):
    """What `get_peft_model` and `PeftModel.from_pretrained` make of a `MultiwayConfig`."""

    prefix = "multiway_"
    tuner_layer_cls = MultiwayLayer
    target_module_mapping: ClassVar[dict[str, Any]] = {"qwen3_vl": FIRST_LAYER, "qwen3_vl_text": FIRST_LAYER}

    def _create_and_replace(
        self,
        peft_config: MultiwayConfig,
        adapter_name: str,
        target: nn.Module,
        target_name: str,
        parent: nn.Module,
        current_key: str,
        parameter_name: str | None = None,
    ) -> None:
        found = language_model(self.model)
        if found is None or not tells_pictures(found[1]):
            kind = type(self.model).__name__
            raise ValueError(
                f"Multiway needs a decoder that is told which tokens are pictures, which {kind} has not; use Qwen3-VL"
            )
        decoder = found[1]
        if isinstance(target, MultiwayLayer):
            target.update_layer(adapter_name, peft_config)
            if adapter_name not in self.active_adapters:
                target.multiway_module[adapter_name].requires_grad_(False)
            return
        layer = MultiwayLayer(target, adapter_name, peft_config, decoder, passage_of(decoder))
        if adapter_name not in self.active_adapters:
            layer.multiway_module.requires_grad_(False)
        setattr(parent, target_name, layer)

    @contextmanager
    def _enable_peft_forward_hooks(self, *args: Any, **kwargs: Any) -> Iterator[None]:
        """Refuse rows with adapters of their own.

        Raises:
            ValueError: There are any.
        """
        if kwargs.get("adapter_names") is not None:
            raise ValueError("adapter_names is not for Multiway, one module reads a whole batch; use set_adapter")
        yield

    def _check_merge_allowed(self) -> None:
        raise MergeRefused

    @classmethod
    def _remove_adapter_name_from_key(cls, key: str, adapter_name: str) -> str:
        """Return a tensor's name in a file: PEFT takes an adapter's name off the end alone, and here it is within."""
        return key.replace(f".{PART}.{adapter_name}.", f".{PART}.")

    def unload(self) -> torch.nn.Module:
        """Return the base model without adapters."""
        found = language_model(self.model)
        if found is not None:
            layers: Any = found[1].layers
            if isinstance(layers[0], MultiwayLayer):
                layers[0] = layers[0].base_layer
            forget_passage(found[1])
        base: torch.nn.Module = super().unload()  # what was saved whole
        return base
