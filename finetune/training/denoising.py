"""Steps before the training in which a Multiway module learns to restore embeddings that were blotted out.

As MultiwayQwen trains its module, but with the mask of a model that writes: what is restored hangs on what stands
before. The gate is left out and stays at zero, so that the training itself begins at the base model.

Letters for shapes: B rows, T tokens, H width of the model.
"""

from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional as F

from finetune.errors import FinetuneError
from finetune.training.collate import model_inputs
from model.adapters.multiway.layer import alone
from model.adapters.multiway.usage import expert_shares, multiway_layer, settle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from finetune.training.trainer import AdapterTrainer

BLOTTED = 0.18
"""Part of the tokens whose embeddings are set to ones."""


class DenoisingRefused(FinetuneError):
    """Processes that share the model out cannot begin with it."""

    def __init__(self) -> None:
        super().__init__("denoising_steps cannot be had under FSDP; write denoising_steps: 0, or train with DDP.")


def denoise(trainer: "AdapterTrainer", steps: int, say: "Callable[[str], None]") -> float:
    """Train the module alone and return the last loss.

    Raises:
        DenoisingRefused: Under FSDP.
    """
    if trainer.is_fsdp_enabled:
        raise DenoisingRefused
    model: Any = trainer.model
    layer = multiway_layer(model)
    working = layer.working() if layer is not None else None
    assert layer is not None and working is not None, "the configuration lets no other adapter have it"
    if trainer.place_model_on_device:
        model.to(trainer.args.device)
    module = working[1].train()
    learnt = [parameter for name, parameter in module.named_parameters() if name != "gate"]
    optimizer = torch.optim.AdamW(learnt, lr=trainer.args.learning_rate)
    generator = torch.Generator().manual_seed(trainer.args.seed)
    first = loss = torch.zeros(())
    batches = _batches(trainer)
    for step in range(steps):
        batch = trainer._prepare_inputs(next(batches))
        with trainer.compute_loss_context_manager():
            loss = denoising_loss(model, layer, batch, generator)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learnt, trainer.args.max_grad_norm or float("inf"))
        optimizer.step()
        optimizer.zero_grad()
        first = loss.detach() if step == 0 else first
    say(f"Denoising: loss {float(first):.3f} at first, {float(loss):.3f} after {steps} steps.")
    settle(model)
    expert_shares(model, reset=True)
    return float(loss)


def denoising_loss(model: Any, layer: Any, batch: dict[str, Any], generator: torch.Generator) -> torch.Tensor:
    """Return half the squared error and half one minus the cosine, of what the module makes of blotted embeddings.

    Over all tokens that are no padding, between its output and the embeddings before they were blotted out.
    """
    kept: dict[str, torch.Tensor] = {}

    def blot(x: torch.Tensor) -> torch.Tensor:
        chosen = torch.rand(x.shape[:2], generator=generator) < BLOTTED
        kept["clean"] = x.detach()
        counted = layer.passage.counted
        kept["real"] = torch.ones_like(chosen).to(x.device) if counted is None else counted.to(x.device)
        return torch.where(chosen.to(x.device).unsqueeze(-1), torch.ones_like(x), x)

    with alone(layer, blot) as found:
        model(**model_inputs(batch))
    restored, clean = found[0][kept["real"]].float(), kept["clean"][kept["real"]].float()
    return 0.5 * F.mse_loss(restored, clean) + 0.5 * (1 - F.cosine_similarity(restored, clean, dim=-1)).mean()


def _batches(trainer: "AdapterTrainer") -> "Iterator[Any]":
    """Yield batches of the training rows for ever, in the training's own order."""
    from torch.utils.data import DataLoader

    epoch = 0
    while True:
        trainer.order.set_epoch(epoch)
        rows: Any = trainer.train_dataset
        yield from DataLoader(
            rows, trainer.args.per_device_train_batch_size, sampler=trainer.order, collate_fn=trainer.data_collator
        )
        epoch += 1
