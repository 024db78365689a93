"""Makes of an adapter what other programs load: a whole model with it merged in, or a plain LoRA that comes near it.

Only weights that are the same for every token can be merged; MoE-LoRA is approximated where that is asked for, and
what it costs is measured. Nothing is left at the target unless it is complete.
"""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune.data.sample import Sample
from finetune.errors import FinetuneError
from model.adapters.attach import CONFIG, WEIGHTS, read_adapter
from model.hub import TINY, ModelNotFound, find_local
from model.settings import ModelSettings

if TYPE_CHECKING:
    import torch
    from peft import PeftConfig

    from model.adapters.moe_lora import MoeLoraConfig
    from model.load import Loaded

BASES_OWN = ("*.json", "*.jinja", "*.txt", "LICENSE*")
NOT_COPIED = {"config.json", "generation_config.json", "model.safetensors.index.json"}
"""What `save_pretrained` writes itself."""
CUTOFF_LEN = 8192


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


class NoApproximation(FinetuneError):
    """An approximation was asked for where there is nothing to approximate, or where it would be worthless."""

    def __init__(self, folder: Path, reason: str, fix: str) -> None:
        self.folder, self.reason, self.fix = folder, reason, fix
        super().__init__(f"The adapter {str(folder)!r} is not approximated: {reason}; {fix}.")


class SamplesMissing(FinetuneError):
    """An approximation without data to measure on."""

    def __init__(self) -> None:
        super().__init__(
            "An approximation of MoE-LoRA weighs the experts as they are used, and measures what is lost; name rows "
            "like those it will see with --data FILE."
        )


class BaseUnknown(FinetuneError):
    """The base that the adapter names is not on this machine."""

    def __init__(self, adapter: Path, base: str | None) -> None:
        self.adapter, self.base = adapter, base
        named = f"was made for {base!r}, which is not on this machine" if base else "does not name its base"
        super().__init__(f"The adapter {str(adapter)!r} {named}; name the base model with --model M.")


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


@dataclass(frozen=True)
class Exported:
    """What was written."""

    folder: Path
    base: str
    merged: bool
    """A whole model; else an adapter's folder."""
    losses: Losses | None
    """Of an approximation."""


def export(
    adapter: Path,
    base: str | None,
    out: Path,
    *,
    approximate_merge: bool = False,
    samples: Sequence[Sample] | None = None,
) -> Exported:
    """Merge the adapter into its base and write the whole model; or write a plain LoRA in place of a mixture.

    Args:
        adapter: Folder of a PEFT adapter.
        base: As the setting model names it; none takes the one that the adapter names. It is loaded in bfloat16,
            never quantised, the bundled one in float32.
        out: The new folder; a model's holds processor, tokenizer and chat template of the base too.
        approximate_merge: For MoE-LoRA: write a LoRA of rank num_experts * r.
        samples: For it: what the experts are weighed on, and what is lost measured on.

    Raises:
        TargetExists, BaseUnknown, CannotMerge, NoApproximation, SamplesMissing: Before anything is loaded.
        AdapterError, ModelError: The adapter or the base.
    """
    adapter, out = adapter.expanduser(), out.expanduser()
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise TargetExists(out)
    config, _ = read_adapter(adapter)
    base = base or base_of(adapter, config)
    mixture = _kind(config) == "MOELORA"
    if approximate_merge:
        _check_approximation(adapter, config, samples)
    elif mixture:
        raise CannotMerge(
            adapter,
            "MoE-LoRA decides for each token which experts work",
            "load it beside the base model, or add --approximate-merge --data FILE",
        )
    elif getattr(config, "alora_invocation_tokens", None):
        raise CannotMerge(
            adapter, "an activated LoRA works from its invocation tokens on alone", "load it beside the base model"
        )
    if not approximate_merge:
        _merge(adapter, base, out)
        return Exported(out, base, merged=True, losses=None)
    losses = _approximate(adapter, base, out, samples or ())
    return Exported(out, base, merged=False, losses=losses)


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


@contextmanager
def whole_or_nothing(out: Path) -> Iterator[Path]:
    """Yield a new folder beside `out` that takes its place at the end, and is removed where there is none."""
    out.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        yield unfinished
        unfinished.chmod(0o755)  # mkdtemp makes it the user's alone
        if out.is_dir():
            out.rmdir()  # it is empty
        unfinished.rename(out)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


def _merge(adapter: Path, base: str, out: Path) -> None:
    from model.load import load

    loaded = load(ModelSettings(model=base, adapter=adapter, quantization="none"), dtype=_dtype(base))
    try:
        merged = loaded.model.merge_and_unload(safe_merge=True)
    except ValueError as error:  # PEFT: NaNs in the product
        raise CannotMerge(adapter, " ".join(str(error).split()), "go back to a checkpoint before") from error
    except NotImplementedError as error:
        reason = f"its type {_kind(loaded.model.peft_config['default'])} has no merged form"
        raise CannotMerge(adapter, reason, "load it beside the base model") from error
    with whole_or_nothing(out) as folder:
        merged.save_pretrained(folder)
        origin = find_local(base)
        for pattern in BASES_OWN:
            for file in origin.glob(pattern):
                if file.name not in NOT_COPIED:
                    shutil.copyfile(file, folder / file.name)


def _dtype(base: str) -> "torch.dtype":
    import torch

    return torch.float32 if base == TINY else torch.bfloat16


def _check_approximation(adapter: Path, config: "PeftConfig", samples: Sequence[Sample] | None) -> None:
    if _kind(config) != "MOELORA":
        raise NoApproximation(adapter, "it is no MoE-LoRA", "leave --approximate-merge out, it is merged as it is")
    if config.token_mixing:
        raise NoApproximation(
            adapter, "its token mixing looks at earlier tokens, which no LoRA does", "load it beside the base model"
        )
    if not samples:
        raise SamplesMissing


def _approximate(adapter: Path, base: str, out: Path, samples: Sequence[Sample]) -> Losses:
    from model.adapters.moe_lora import counted, expert_usage
    from model.load import load

    settings = ModelSettings(model=base, adapter=adapter, quantization="none")
    loaded = load(settings, dtype=_dtype(base))
    rows = _rows(loaded, samples)
    with counted(loaded.model):
        with_adapter = _mean_loss(loaded, rows)
    gates = {name: usage.mean_gates for name, usage in expert_usage(loaded.model).items()}
    with loaded.model.disable_adapter():
        without = _mean_loss(loaded, rows)
    with whole_or_nothing(out) as folder:
        write_static(adapter, gates, folder)
        static = load(settings.model_copy(update={"adapter": folder}), dtype=_dtype(base))
        losses = Losses(without, with_adapter, _mean_loss(static, rows))
    return losses


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


def _rows(loaded: "Loaded", samples: Sequence[Sample]) -> list[dict[str, Any]]:
    import torch

    from finetune.rows import Encoder

    encoder = Encoder(loaded.processor, cutoff_len=CUTOFF_LEN, max_pixels=None, mask_history=False)
    rows = []
    for sample in samples:
        row = encoder(sample)
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
    return rows


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


def _kind(config: "PeftConfig") -> str:
    return str(getattr(config.peft_type, "value", config.peft_type))
