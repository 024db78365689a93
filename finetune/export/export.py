"""Makes of an adapter what other programs load: a whole model with it merged in, or a plain LoRA that comes near it.

Only weights that are the same for every token can be merged; MoE-LoRA is approximated where that is asked for, and
what it costs is measured. Nothing is left at the target unless it is complete.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune.data.dataset import Broken
from finetune.data.sample import Sample
from finetune.errors import FinetuneError
from finetune.export.approximation import Losses, approximate, check_approximation
from finetune.output_files import whole_folder
from model.adapters.attach import read_adapter
from model.hub import TINY, ModelNotFound, find_local
from model.settings import ModelSettings

if TYPE_CHECKING:
    import torch
    from peft import PeftConfig

BASES_OWN = ("*.json", "*.jinja", "*.txt", "LICENSE*")
NOT_COPIED = {"config.json", "generation_config.json", "model.safetensors.index.json"}
"""What `save_pretrained` writes itself."""


class TargetExists(FinetuneError):
    """Something is there already."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        super().__init__(f"The folder {str(folder)!r} exists and is not empty; name a new one with --to.")


class CannotMerge(FinetuneError):
    """An adapter that no fixed weights can stand for."""

    def __init__(self, folder: Path, reason: str, fix: str) -> None:
        self.folder, self.reason, self.fix = folder, reason, fix
        super().__init__(f"The adapter {str(folder)!r} cannot be merged: {reason}; {fix}.")


class BaseUnknown(FinetuneError):
    """The base that the adapter names is not on this machine."""

    def __init__(self, adapter: Path, base: str | None) -> None:
        self.adapter, self.base = adapter, base
        named = f"was made for {base!r}, which is not on this machine" if base else "does not name its base"
        super().__init__(f"The adapter {str(adapter)!r} {named}; name the base model with --model M.")


@dataclass(frozen=True)
class Exported:
    """What was written."""

    folder: Path
    base: str
    merged: bool
    """A whole model; else an adapter's folder."""
    losses: Losses | None
    """Of an approximation."""
    broken: Sequence[Broken] = ()
    """Samples that it could not be measured on."""


def export(
    adapter: Path,
    base: str | None,
    out: Path,
    *,
    approximate_merge: bool = False,
    samples: Sequence[Sample] | None = None,
    largest_file_gb: int | None = None,
) -> Exported:
    """Merge the adapter into its base and write the whole model; or write a plain LoRA in place of a mixture.

    Args:
        adapter: Folder of a PEFT adapter.
        base: As the setting model names it; none takes the one that the adapter names. It is loaded in bfloat16,
            never quantised, the bundled one in float32.
        out: The new folder; a model's holds processor, tokenizer and chat template of the base too.
        approximate_merge: For MoE-LoRA: write a LoRA of rank num_experts * r.
        samples: For it: what the experts are weighed on, and what is lost measured on.
        largest_file_gb: The weights are cut into files of at most so many GB; none leaves that to transformers.

    Raises:
        TargetExists, BaseUnknown, CannotMerge, NoApproximation, SamplesMissing: Before anything is loaded.
        AdapterError, ModelError: The adapter or the base.
        FolderNotWritten: The disk.
    """
    adapter, out = adapter.expanduser(), out.expanduser()
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise TargetExists(out)
    config, _ = read_adapter(adapter)
    base = base or base_of(adapter, config)
    mixture = _kind(config) == "MOELORA"
    if approximate_merge:
        check_approximation(adapter, config, samples)
    elif mixture:
        raise CannotMerge(
            adapter,
            "MoE-LoRA decides for each token which experts work",
            "load it beside the base model, or add --approximate-merge --data FILE",
        )
    elif _kind(config) == "MULTIWAY":
        raise CannotMerge(
            adapter, "Multiway is layers of its own in front of the decoder", "load it beside the base model"
        )
    elif getattr(config, "alora_invocation_tokens", None):
        raise CannotMerge(
            adapter, "an activated LoRA works from its invocation tokens on alone", "load it beside the base model"
        )
    if not approximate_merge:
        _merge(adapter, base, out, largest_file_gb)
        return Exported(out, base, merged=True, losses=None)
    losses, broken = approximate(adapter, base, out, samples or (), _dtype(base))
    return Exported(out, base, merged=False, losses=losses, broken=broken)


def base_of(adapter: Path, config: "PeftConfig") -> str:
    """Return the base that the adapter names, where it is on this machine.

    Raises:
        BaseUnknown: It is not.
    """
    named: str | None = config.base_model_name_or_path
    if named:
        try:
            folder = find_local(named)
        except ModelNotFound:
            pass
        else:
            return TINY if folder == find_local(TINY) else named
    raise BaseUnknown(adapter, named)


def _merge(adapter: Path, base: str, out: Path, largest_file_gb: int | None) -> None:
    from model.qwen3_vl.load import load

    loaded = load(ModelSettings(model=base, adapter=adapter, quantization="none"), dtype=_dtype(base))
    _part_tied(loaded.model)
    try:
        merged = loaded.model.merge_and_unload(safe_merge=True)
    except ValueError as error:  # PEFT: NaNs in the product
        raise CannotMerge(adapter, " ".join(str(error).split()), "go back to a checkpoint before") from error
    except NotImplementedError as error:
        reason = f"its type {_kind(loaded.model.peft_config['default'])} has no merged form"
        raise CannotMerge(adapter, reason, "load it beside the base model") from error
    _say_whether_tied(merged)
    with whole_folder(out, size=sum(tensor.nbytes for tensor in merged.parameters())) as folder:
        size = {} if largest_file_gb is None else {"max_shard_size": f"{largest_file_gb}GB"}
        merged.save_pretrained(folder, **size)
        origin = find_local(base)
        for pattern in BASES_OWN:
            for file in origin.glob(pattern):
                if file.name not in NOT_COPIED:
                    shutil.copyfile(file, folder / file.name)


def _part_tied(model: Any) -> None:
    """Give the head weights of its own where an adapter works on it or on the embeddings, with which it shares them.

    Merged into one of the two, the update would be in both.
    """
    import torch
    from peft.tuners.tuners_utils import BaseTunerLayer

    base = model.get_base_model()
    head, embeddings = base.get_output_embeddings(), base.get_input_embeddings()
    if not isinstance(head, BaseTunerLayer) and not isinstance(embeddings, BaseTunerLayer):
        return
    head, embeddings = (
        each.get_base_layer() if isinstance(each, BaseTunerLayer) else each for each in (head, embeddings)
    )
    if head.weight is embeddings.weight:
        head.weight = torch.nn.Parameter(head.weight.detach().clone(), requires_grad=False)
        for config in (base.config, base.config.get_text_config()):
            config.tie_word_embeddings = False


def _say_whether_tied(model: Any) -> None:
    """Have both configurations say that head and embeddings are two, where training one of them whole parted them.

    transformers reads the outer one, vLLM the text's.
    """
    if model.get_output_embeddings().weight is not model.get_input_embeddings().weight:
        for config in (model.config, model.config.get_text_config()):
            config.tie_word_embeddings = False


def _dtype(base: str) -> "torch.dtype":
    import torch

    return torch.float32 if base == TINY else torch.bfloat16


def _kind(config: "PeftConfig") -> str:
    return str(getattr(config.peft_type, "value", config.peft_type))
