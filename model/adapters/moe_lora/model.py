"""The tuner: puts experts on the layers that the configuration names, and refuses what they cannot do."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, ClassVar

import torch
from peft.tuners.tuners_utils import BaseTuner
from peft.utils import AuxiliaryTrainingWrapper
from torch import nn

from model.adapters.moe_lora.config import MoeLoraConfig
from model.adapters.moe_lora.layer import BASE, MergeRefused, MoeLoraLayer, MoeLoraLinear, WeighingRefused
from model.adapters.moe_lora.tokens import Notice, language_model, notice_of, tells_pictures

ATTENTION = r"(.*\.)?language_model\.layers\.\d+\.self_attn\.(q|k|v|o)_proj"


class MoeLoraModel(BaseTuner):
    """What `get_peft_model` and `PeftModel.from_pretrained` make of a `MoeLoraConfig`."""

    prefix = "moelora_"
    tuner_layer_cls = MoeLoraLayer
    target_module_mapping: ClassVar[dict[str, Any]] = {
        "qwen3_vl": ATTENTION,
        "qwen3_vl_text": ["q_proj", "k_proj", "v_proj", "o_proj"],
    }

    def _create_and_replace(
        self,
        peft_config: MoeLoraConfig,
        adapter_name: str,
        target: nn.Module,
        target_name: str,
        parent: nn.Module,
        current_key: str,
        parameter_name: str | None = None,
    ) -> None:
        notice = self._notice(peft_config, current_key)
        if isinstance(target, MoeLoraLayer):
            target.update_layer(adapter_name, peft_config)
            if adapter_name not in self.active_adapters:
                target.requires_grad_(False)
            return
        if not isinstance(target, nn.Linear):
            raise ValueError(
                f"MoE-LoRA works on linear layers, and {current_key!r} is {type(target).__name__}; leave it out of "
                "target_modules"
            )
        layer = MoeLoraLinear(target, adapter_name, peft_config, current_key, notice)
        if adapter_name not in self.active_adapters:
            layer.requires_grad_(False)
        self._replace_module(parent, target_name, layer, target)

    def _notice(self, config: MoeLoraConfig, key: str) -> Notice | None:
        """Return what tells a layer of its tokens; none outside of the language model.

        Raises:
            ValueError: The configuration needs it there.
        """
        found = language_model(self.model)
        inside = found is not None and key.startswith(f"{found[0]}.layers." if found[0] else "layers.")
        needs = {"router modality": config.router == "modality", "token_mixing": config.token_mixing > 0}
        for option in (option for option, wanted in needs.items() if wanted):
            if not inside:
                raise ValueError(
                    f"the option {option} works in the language model alone, and target_modules names {key!r}; leave "
                    "it out"
                )
        if found is None or not inside:
            return None
        if config.router == "modality" and not tells_pictures(found[1]):
            raise ValueError(
                f"the modality router needs a model that tells pictures from text, which {type(found[1]).__name__} "
                "does not; use the token router"
            )
        return notice_of(found[1])

    @contextmanager
    def _enable_peft_forward_hooks(self, *args: Any, **kwargs: Any) -> Iterator[None]:
        """Give each row of the batch the adapter that `adapter_names` says, for the time of a call.

        Raises:
            ValueError: While training, or for a name that is no adapter.
        """
        adapter_names = kwargs.get("adapter_names")
        if adapter_names is None:
            yield
            return
        if self.training:
            raise ValueError("adapter_names is for inference; call eval() first, or leave it out")
        if unknown := sorted(set(adapter_names) - {BASE} - set(self.peft_config)):
            raise ValueError(f"adapter_names has {unknown[0]!r}, which is no adapter; load it first")
        beams = kwargs.get("num_beams") or 1
        names = [name for name in adapter_names for _ in range(beams)]  # as generate repeats the rows
        handles = [
            module.register_forward_pre_hook(partial(_with_names, names), with_kwargs=True)
            for module in self.modules()
            if isinstance(module, MoeLoraLinear | AuxiliaryTrainingWrapper)
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _check_merge_allowed(self) -> None:
        raise MergeRefused

    def add_weighted_adapter(self, *args: Any, **kwargs: Any) -> None:
        """Refuse it."""
        raise WeighingRefused

    def unload(self) -> torch.nn.Module:
        """Return the base model without adapters."""
        found = language_model(self.model)
        base: torch.nn.Module = super().unload()
        if found is not None:
            notice_of(found[1]).remove()
        return base


def _with_names(names: list[str], module: nn.Module, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    return args, {**kwargs, "adapter_names": names}
