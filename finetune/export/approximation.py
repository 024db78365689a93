"""Makes of a mixture of LoRA experts a plain LoRA that comes near it, and measures what that costs.

Which experts work is decided for each token; here their mean over the rows at hand stands for it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune.data.dataset import Broken
from finetune.data.sample import Sample
from finetune.errors import FinetuneError
from finetune.output_files import whole_folder
from finetune.training.encoding import Encoder, RowRefused
from model.adapters.attach import CONFIG, WEIGHTS, read_adapter
from model.errors import ImageError
from model.settings import ModelSettings

if TYPE_CHECKING:
    import torch
    from peft import PeftConfig

    from model.adapters.moe_lora import MoeLoraConfig
    from model.qwen3_vl.load import Loaded

CUTOFF_LEN = 8192


class NoApproximation(FinetuneError):
    """An approximation was asked for where there is nothing to approximate, or where it would be worthless."""

    def __init__(self, folder: Path, reason: str, fix: str) -> None:
        self.folder, self.reason, self.fix = folder, reason, fix
        super().__init__(f"The adapter {str(folder)!r} is not approximated: {reason}; {fix}.")


class SamplesMissing(FinetuneError):
    """An approximation without data to measure on."""

    def __init__(self, broken: Sequence[Broken] = ()) -> None:
        self.broken = list(broken)
        unusable = f" (none of these {len(broken)} can be used, the first: {broken[0]})" if broken else ""
        super().__init__(
            "An approximation of MoE-LoRA weighs the experts as they are used, and measures what is lost; name rows "
            f"like those it will see with --data FILE{unusable}."
        )


@dataclass(frozen=True)
class Losses:
    """Mean loss of an answer's token on the samples, in nats: the lower, the better."""

    base: float
    adapter: float
    approximation: float

    @property
    def kept(self) -> float | None:
        """Share of the adapter's gain over the base that the approximation keeps; none where it gains nothing."""
        gain = self.base - self.adapter
        return (self.base - self.approximation) / gain if gain > 0 else None


def check_approximation(adapter: Path, config: "PeftConfig", samples: Sequence[Sample] | None) -> None:
    """Refuse, before anything is loaded, what cannot be approximated.

    Raises:
        NoApproximation, SamplesMissing: As they say.
    """
    if str(getattr(config.peft_type, "value", config.peft_type)) != "MOELORA":
        raise NoApproximation(adapter, "it is no MoE-LoRA", "leave --approximate-merge out, it is merged as it is")
    if config.token_mixing:
        raise NoApproximation(
            adapter, "its token mixing looks at earlier tokens, which no LoRA does", "load it beside the base model"
        )
    if not samples:
        raise SamplesMissing


def approximate(
    adapter: Path, base: str, out: Path, samples: Sequence[Sample], dtype: "torch.dtype"
) -> tuple[Losses, list[Broken]]:
    """Write the approximation; return the losses of base, adapter and approximation, and the samples left out of them.

    Raises:
        AdapterError, ModelError: The adapter or the base.
        SamplesMissing: None of the samples can be used.
        FolderNotWritten: The disk.
    """
    from model.adapters.moe_lora import counted, expert_usage
    from model.qwen3_vl.load import load

    settings = ModelSettings(model=base, adapter=adapter, quantization="none")
    loaded = load(settings, dtype=dtype)
    rows, broken = _rows(loaded, samples)
    if not rows:
        raise SamplesMissing(broken)
    with counted(loaded.model):
        with_adapter = _mean_loss(loaded, rows)
    gates = {name: usage.mean_gates for name, usage in expert_usage(loaded.model).items()}
    with loaded.model.disable_adapter():
        without = _mean_loss(loaded, rows)
    with whole_folder(out) as folder:
        write_static(adapter, gates, folder)
        static = load(settings.model_copy(update={"adapter": folder}), dtype=dtype)
        losses = Losses(without, with_adapter, _mean_loss(static, rows))
    return losses, broken


def write_static(adapter: Path, gates: dict[str, tuple[float, ...]], folder: Path) -> None:
    r"""Write a plain LoRA of rank E r in place of a mixture of E experts of rank r.

    The experts are stacked, each weighed by its mean gate over all tokens: :math:`\sum_e \bar g_e B_e A_e`. It is exact
    where the gates never change, as with a single expert.

    Args:
        adapter: Folder of the mixture.
        gates: By layer, the mean gate of each expert.
        folder: Where it goes.
    """
    import torch
    from peft import LoraConfig
    from safetensors.torch import load_file, save_file

    config: MoeLoraConfig = read_adapter(adapter)[0]
    tensors: dict[str, torch.Tensor] = {}
    for name, tensor in load_file(adapter / WEIGHTS).items():
        layer, _, part = name.rpartition(".")
        if part == "moelora_A":
            tensors[f"{layer}.lora_A.weight"] = tensor
        elif part == "moelora_B":
            own = (1.0,) if config.num_experts == 1 else gates[layer.removeprefix("base_model.model.")]
            weights = torch.tensor(own).repeat_interleave(config.r)
            tensors[f"{layer}.lora_B.weight"] = (tensor.float() * weights).to(tensor.dtype)
        elif part != "moelora_router":
            tensors[name] = tensor
    static = LoraConfig(
        r=config.r * config.num_experts,
        lora_alpha=config.lora_alpha * config.num_experts,  # the same scale: alpha / r
        target_modules=config.target_modules,
        exclude_modules=config.exclude_modules,
        modules_to_save=config.modules_to_save,
        bias="lora_only" if config.bias == "moelora_only" else config.bias,
        task_type=config.task_type,
        base_model_name_or_path=config.base_model_name_or_path,
        inference_mode=True,
    )
    static.save_pretrained(str(folder))
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
    assert (folder / CONFIG).is_file(), "PEFT names it so"


def _rows(loaded: "Loaded", samples: Sequence[Sample]) -> tuple[list[dict[str, Any]], list[Broken]]:
    import torch

    encoder = Encoder(loaded.processor, cutoff_len=CUTOFF_LEN, max_pixels=None, mask_history=False)
    rows, broken = [], []
    for sample in samples:
        try:
            row = encoder(sample)
        except (RowRefused, ImageError) as error:
            broken.append(Broken(sample.origin, str(error)))
            continue
        inputs = {
            name: torch.from_numpy(getattr(row, name)).long()[None]
            for name in ("input_ids", "labels", "mm_token_type_ids")
        }
        for kind, values, grids in (
            ("image", "pixel_values", "image_grid_thw"),
            ("video", "pixel_values_videos", "video_grid_thw"),
        ):
            seen = [vision for vision in row.vision if vision.kind == kind]
            if seen:
                inputs[values] = torch.cat([vision.pixel_values for vision in seen if vision.pixel_values is not None])
                inputs[grids] = torch.tensor([vision.grid_thw for vision in seen])
        rows.append({name: tensor.to(loaded.device) for name, tensor in inputs.items()})
    return rows, broken


def _mean_loss(loaded: "Loaded", rows: Sequence[dict[str, Any]]) -> float:
    """Return the mean over all learned tokens of all rows."""
    import torch

    total, tokens = 0.0, 0
    for row in rows:
        learned = int((row["labels"][:, 1:] != -100).sum())
        loaded.model.get_base_model().model.rope_deltas = None
        with torch.no_grad():
            total += float(loaded.model(**row, use_cache=False).loss) * learned
        tokens += learned
    return total / max(tokens, 1)
