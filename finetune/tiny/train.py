"""Train the bundled checkpoint from scratch: `python -m finetune.tiny.train --out runs/tiny`.

Muon takes the matrices and AdamW the rest (Keller Jordan, "Muon: an optimizer for hidden layers in
neural networks", 2024), both with a linear decay after a short warm-up. Interrupted at any moment, the
same command goes on from the last checkpoint; batch i is the same in every run with the same seed.
"""

import argparse
import json
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch.nn.functional import cross_entropy, pad
from torch.utils.data import DataLoader
from tqdm import tqdm

from common.atomic_files import whole_file
from finetune.tiny.batches import Batches, make_batch
from finetune.tiny.build import save_untrained
from finetune.tiny.collate import IGNORE_INDEX, Batch, Collator
from finetune.tiny.vision_batch import equal_sized_pictures

if TYPE_CHECKING:
    from transformers import Qwen3VLForConditionalGeneration

MUON_LR, ADAMW_LR = 0.02, 2e-3
WARM_UP_STEPS = 100
FINAL_LR_SHARE = 0.01
EVALUATION_SEED, EVALUATION_BATCHES = 1_000_003, 4


def main() -> None:
    """Parse the command line and train."""
    parser = argparse.ArgumentParser(description="Train the bundled checkpoint from scratch; resumes by itself.")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run: checkpoint, log, final model")
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1, help="torch threads; 2 only help on an idle machine")
    parser.add_argument("--dtype", choices=("bf16", "fp32"), default="bf16", help="of the matrix products")
    parser.add_argument("--save-every", type=int, default=100)
    parser.add_argument("--evaluate-every", type=int, default=250)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    train(options)


def train(options: argparse.Namespace) -> None:
    """Run to `options.steps`, saving as it goes, and write the trained model into `out`/model."""
    from transformers import Qwen2Tokenizer, Qwen3VLForConditionalGeneration

    start, state_file, log_file = options.out / "untrained", options.out / "state.pt", options.out / "log.jsonl"
    if not (start / "model.safetensors").exists():
        start.mkdir(parents=True, exist_ok=True)
        save_untrained(start, options.seed)
    tokenizer = Qwen2Tokenizer.from_pretrained(start)
    model = Qwen3VLForConditionalGeneration.from_pretrained(
        start, dtype=torch.float32, fusion_config={"patch_embeddings": True}
    )
    model.train()
    optimizers = build_optimizers(model)
    step = _load_state(state_file, model, optimizers) if state_file.exists() else 0
    held_out = [make_batch(Collator(tokenizer), EVALUATION_SEED, 10**6 + i) for i in range(EVALUATION_BATCHES)]
    batches = DataLoader(
        Batches(tokenizer, options.seed, step, options.steps), batch_size=None, num_workers=1, prefetch_factor=4
    )
    began, losses = time.monotonic(), list[float]()
    with tqdm(total=options.steps, initial=step, desc="tiny", unit="step") as bar:
        for batch in batches:
            share = learning_rate_share(step, options.steps)
            for optimizer, lr in zip(optimizers, (MUON_LR, ADAMW_LR), strict=True):
                for group in optimizer.param_groups:
                    group["lr"] = lr * share
            loss = loss_of(model, batch, options.dtype == "bf16")
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            for optimizer in optimizers:
                optimizer.step()
                optimizer.zero_grad()
            step += 1
            losses.append(loss.item())
            bar.update()
            bar.set_postfix(loss=f"{losses[-1]:.3f}")
            if step % 50 == 0:
                _log(log_file, step=step, loss=sum(losses[-50:]) / len(losses[-50:]), seconds=time.monotonic() - began)
            if step % options.save_every == 0 or step == options.steps:
                _save_state(state_file, model, optimizers, step)
            if step % options.evaluate_every == 0 or step == options.steps:
                _log(log_file, step=step, exact=exact_by_kind(model, held_out))
    save_model(model, start, options.out / "model")


def build_optimizers(model: "Qwen3VLForConditionalGeneration") -> list[torch.optim.Optimizer]:
    """Return Muon over the weight matrices and AdamW over embeddings, positions, norms and biases."""
    matrices, rest = list[torch.nn.Parameter](), list[torch.nn.Parameter]()
    for name, parameter in model.named_parameters():
        is_table = "embed_tokens" in name or "pos_embed" in name
        (matrices if parameter.ndim == 2 and not is_table else rest).append(parameter)
    return [
        torch.optim.Muon(matrices, lr=MUON_LR, weight_decay=0.01, momentum=0.95),
        torch.optim.AdamW(rest, lr=ADAMW_LR, weight_decay=0.0, betas=(0.9, 0.98)),
    ]


def learning_rate_share(step: int, steps: int) -> float:
    """Return the factor on both learning rates: linear up over the warm-up, linear down to the end."""
    return min(1.0, (step + 1) / WARM_UP_STEPS) * max(FINAL_LR_SHARE, 1 - step / steps)


def _logits_and_targets(model: "Qwen3VLForConditionalGeneration", batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """Return logits (L, V) at the L labelled positions only, and the L token ids that follow them."""
    inputs = {k: v for k, v in batch.inputs.items() if k != "labels"}
    following = pad(batch.inputs["labels"][:, 1:], (0, 1), value=IGNORE_INDEX)
    keep = following != IGNORE_INDEX
    with equal_sized_pictures():
        logits = model(**inputs, use_cache=False, logits_to_keep=keep).logits
    return logits.view(-1, logits.shape[-1]), following[keep]


def loss_of(model: "Qwen3VLForConditionalGeneration", batch: Batch, bf16: bool) -> torch.Tensor:
    """Return the mean cross entropy over the labelled tokens."""
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
        logits, targets = _logits_and_targets(model, batch)
    return cross_entropy(logits.float(), targets)


@torch.no_grad()
def exact_by_kind(model: "Qwen3VLForConditionalGeneration", batches: list[Batch]) -> dict[str, float]:
    """Return the share of answers whose every token is the most likely one, by kind of turn.

    Given the right tokens before it, an answer is right in this sense exactly when greedy decoding
    would write it, so this costs one forward pass and no decoding.
    """
    model.eval()
    right: dict[str, list[bool]] = defaultdict(list)
    for batch in batches:
        logits, targets = _logits_and_targets(model, batch)
        following = pad(batch.inputs["labels"][:, 1:], (0, 1), value=IGNORE_INDEX)
        hit = torch.ones_like(following, dtype=torch.bool)
        hit[following != IGNORE_INDEX] = logits.argmax(-1) == targets
        for row, begin, end, kind in batch.spans:
            right[kind].append(bool(hit[row, begin - 1 : end - 1].all()))
    model.train()
    return {kind: round(sum(v) / len(v), 3) for kind, v in sorted(right.items())}


def save_model(model: "Qwen3VLForConditionalGeneration", processor_from: Path, folder: Path) -> None:
    """Write the trained weights as fp16 with tokenizer and processor beside them, ready to be loaded."""
    from model.qwen3_vl.processor import ImageTextProcessor

    model.to(torch.float16).save_pretrained(folder)
    ImageTextProcessor.from_pretrained(processor_from).save_pretrained(folder)


def _load_state(file: Path, model: torch.nn.Module, optimizers: list[torch.optim.Optimizer]) -> int:
    """Take up model and optimizers where the checkpoint left them; returns its step."""
    state = torch.load(file, weights_only=True)
    model.load_state_dict(state["model"])
    for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
        optimizer.load_state_dict(saved)
    return int(state["step"])


def _save_state(file: Path, model: torch.nn.Module, optimizers: list[torch.optim.Optimizer], step: int) -> None:
    """Replace the checkpoint in one step, so that a kill leaves the old one or the new one."""
    state = {"model": model.state_dict(), "optimizers": [o.state_dict() for o in optimizers], "step": step}
    with whole_file(file, durable=False) as part:
        torch.save(state, part)


def _log(file: Path, **values: object) -> None:
    with file.open("a", encoding="utf-8") as log:
        log.write(json.dumps(values) + "\n")


if __name__ == "__main__":
    main()
