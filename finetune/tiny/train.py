"""Train the bundled checkpoint from scratch, in two stages: `python -m finetune.tiny.train --out runs/tiny`.

First pictures are drawn, and the vision tower learns densely what each of its tokens shows (`dense`). Then language
is learned over what the tower says of the pictures: the tower frozen and run once over all of them, and at the end
trained along at a small rate, by language and densely. Interrupted at any moment, the same command goes on from the
last checkpoint. `--weights model/tiny` begins with a trained model instead: the same two stages, without the easy
beginning.
"""

import argparse
import json
import shutil
import time
from collections import defaultdict
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch.utils.data import DataLoader
from tqdm import tqdm

from common.atomic_files import whole_file
from finetune.tiny import pictures, row_model
from finetune.tiny.batches import EASY_BEGINNING, LAYOUTS, Batches, Part, Store, make_batch
from finetune.tiny.build import IGNORE_INDEX, VISION, build_tower, save_untrained
from finetune.tiny.dense import Head, dense_loss, train_tower
from finetune.tiny.features import compute_all, features_of, in_slots
from finetune.tiny.first_embeddings import embed_as_seen
from finetune.tiny.optimizers import build_optimizers, load_state, save_state, set_learning_rates
from finetune.tiny.rows import RowWriter

if TYPE_CHECKING:
    from transformers import Qwen3VLForConditionalGeneration

SHARES = {"pictures": 0.65, "long": 0.15, "compare": 0.1, "text": 0.25}
"""Of the loss: counted by words, the few that are learned of text would hardly weigh."""
DENSE_SHARE = 0.1  # of the dense loss beside that of language, once the tower is trained along
TOWER_SHARE = 0.1  # of the language side's rates, once the tower is trained along
EVALUATION_SEED, EVALUATION_FILES, EVALUATION_BATCHES = 1_000_003, 6, 9


def main() -> None:
    """Parse the command line and train."""
    parser = argparse.ArgumentParser(description="Train the bundled checkpoint from scratch; resumes by itself.")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run: pictures, checkpoints, logs, model")
    parser.add_argument("--weights", type=Path, help="folder of a trained model to begin with; by default random ones")
    parser.add_argument("--files", type=int, default=300, help=f"of {pictures.PICTURES_A_FILE} drawn pictures each")
    parser.add_argument("--language-files", type=int, default=120, help="of them, for the language stage")
    parser.add_argument("--tower-steps", type=int, default=4200, help="of the dense stage; 0 leaves it out")
    parser.add_argument("--heads-alone", type=int, default=0, help="of them, at first, that leave the tower as it is")
    parser.add_argument("--steps", type=int, default=6000, help="of the language stage")
    parser.add_argument("--release-at", type=int, help="step from which the tower is trained along; by default 85 %%")
    parser.add_argument("--rate", type=float, default=1.0, help="factor on all learning rates")
    parser.add_argument("--seed", type=int, default=0, help="of pictures, talks and random weights")
    parser.add_argument("--processes", type=int, default=1, help="that draw")
    parser.add_argument("--threads", type=int, default=1, help="torch threads; 2 only help on an idle machine")
    parser.add_argument("--dtype", choices=("bf16", "fp32"), default="bf16", help="of the matrix products")
    parser.add_argument("--plain", action="store_true", help="do not compile the layers")
    parser.add_argument("--save-every", type=int, default=100)
    parser.add_argument("--evaluate-every", type=int, default=250)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    train(options)


def train(options: argparse.Namespace) -> None:
    """Run both stages to their ends, saving as they go, and write the trained model into `out`/model."""
    from transformers import Qwen2Tokenizer

    drawn, features = options.out / "pictures", options.out / "features"
    bf16, files = options.dtype == "bf16", min(options.files, options.language_files)
    pictures.draw_all(drawn, options.files, options.seed, options.processes)
    model = first_model(options.out / "untrained", options.seed, options.weights)
    visual, heads = model.model.visual, None
    if options.weights is None:
        visual.load_state_dict(build_tower(options.seed).state_dict())
    torch.manual_seed(options.seed)  # of the heads
    if options.tower_steps:
        heads = train_tower(
            visual, drawn, options.files, options.tower_steps, options.out,
            rate=options.rate, bf16=bf16, save_every=options.save_every, heads_alone=options.heads_alone,
        )  # fmt: skip
    compute_all(visual, drawn, features, files, bf16=bf16)
    held_out = options.out / "held-out"
    pictures.draw_all(held_out / "pictures", EVALUATION_FILES, EVALUATION_SEED, options.processes)
    compute_all(visual, held_out / "pictures", held_out / "features", EVALUATION_FILES, bf16=bf16)
    if heads is not None and options.weights is None:
        first = heads[0]
        assert isinstance(first, Head), "of the merger's output"
        embed_as_seen(model, Qwen2Tokenizer.from_pretrained(options.out / "untrained"), first)
    with nullcontext(row_model.layer) if options.plain else row_model.compiled() as run:
        _train_language(model, heads, options, files, bf16, run)
    save_model(model, options.out / "untrained", options.out / "model")


def first_model(folder: Path, seed: int, weights: Path | None) -> "Qwen3VLForConditionalGeneration":
    """Return the whole model as the run begins, and keep it in the folder, tokenizer and processor beside it.

    Args:
        folder: Of what a run begins with; read where it is there already.
        seed: Of random weights.
        weights: Folder of a trained model to take instead of random weights.

    Raises:
        SystemExit: `weights` holds no model of this recipe's sizes.
    """
    from transformers import Qwen3VLForConditionalGeneration

    if not (folder / "model.safetensors").exists():
        folder.mkdir(parents=True, exist_ok=True)
        if weights is None:
            save_untrained(folder, seed)
        else:
            _copy_trained(weights, folder)
    # Whole, without the matrix that stands for the first convolution in a trained one.
    return Qwen3VLForConditionalGeneration.from_pretrained(folder, dtype=torch.float32, fusion_config={})


def _copy_trained(weights: Path, folder: Path) -> None:
    config = weights / "config.json"
    vision = json.loads(config.read_text("utf-8")).get("vision_config", {}) if config.exists() else {}
    if any(vision.get(name) != value for name, value in VISION.items()):
        message = f"{weights} holds no model of this recipe's sizes; begin with model/tiny or without --weights"
        raise SystemExit(message)
    # The weights last: their being there says that the copy is whole.
    for file in sorted(weights.iterdir(), key=lambda file: file.suffix == ".safetensors"):
        if file.is_file():
            with whole_file(folder / file.name, durable=False) as part:
                shutil.copyfile(file, part)


def _train_language(
    model: "Qwen3VLForConditionalGeneration", heads: torch.nn.ModuleList | None, options: argparse.Namespace,
    files: int, bf16: bool, run: row_model.Layer,
) -> None:  # fmt: skip
    from transformers import Qwen2Tokenizer

    out, steps = options.out, options.steps
    release_at = options.release_at if options.release_at is not None else round(steps * 0.85)
    tokenizer = Qwen2Tokenizer.from_pretrained(out / "untrained")
    model.train()
    kept_heads = heads if heads is not None else torch.nn.ModuleList()
    language = torch.nn.ModuleDict({"text": model.model.language_model, "heads": kept_heads})
    optimizers = [
        *build_optimizers(language, options.rate),
        *build_optimizers(model.model.visual, options.rate * TOWER_SHARE),
    ]
    learned = torch.nn.ModuleDict({"model": model, "heads": kept_heads})
    state_file, log_file = out / "state.pt", out / "log.jsonl"
    step = load_state(state_file, learned, optimizers) if state_file.exists() else 0
    skipped = 0 if options.weights is None else EASY_BEGINNING
    batches = DataLoader(
        Batches(out / "pictures", out / "features", files, tokenizer, options.seed, step, steps, release_at, skipped),
        batch_size=None, num_workers=1, prefetch_factor=4,
    )  # fmt: skip
    held_out = Store(out / "held-out" / "pictures", out / "held-out" / "features", EVALUATION_FILES)
    writer = RowWriter(tokenizer)
    tests = [
        [make_batch(held_out, writer, EVALUATION_SEED, 10**6 + i, released=released) for i in range(EVALUATION_BATCHES)]
        for released in (False, True)
    ]
    began, losses = time.process_time(), list[float]()
    with tqdm(total=steps, initial=step, desc="language", unit="step") as bar:
        for parts in batches:
            model.model.visual.requires_grad_(step >= release_at)
            set_learning_rates(optimizers, step, steps)
            seen = [features_for(model, part, bf16) for part in parts]
            scored = [
                row_model.loss_of(model, part.rows, features, bf16=bf16, run=run)
                for part, features in zip(parts, seen, strict=True)
            ]
            shares = [SHARES[p.kind] for p in parts]
            means = [share * total / max(count, 1) for share, (total, count) in zip(shares, scored, strict=True)]
            loss = sum(means, torch.zeros(())) / sum(shares)
            dense = _dense_loss(heads, parts, seen)
            (loss + DENSE_SHARE * dense).backward()
            torch.nn.utils.clip_grad_norm_(learned.parameters(), 1.0)
            for optimizer in optimizers:
                optimizer.step()
                optimizer.zero_grad()
            step += 1
            losses.append(loss.item())
            bar.update()
            bar.set_postfix(loss=f"{losses[-1]:.3f}")
            if step % 50 == 0:
                recent = losses[-50:]
                line = {"loss": sum(recent) / len(recent), "dense": round(dense.item(), 3)}
                _log(log_file, step=step, **line, cpu_s=round(time.process_time() - began))
            if step % options.save_every == 0 or step == steps:
                save_state(state_file, learned, optimizers, step)
            if step % options.evaluate_every == 0 or step == steps:
                _log(log_file, step=step, exact=exact_by_kind(model, tests[step > release_at], run, bf16))


def _dense_loss(heads: torch.nn.ModuleList | None, parts: list[Part], seen: list[torch.Tensor | None]) -> torch.Tensor:
    """Return the dense loss of the pictures that the tower is trained along on; 0 where there are none."""
    loss = torch.zeros(())
    for part, features in zip(parts, seen, strict=True):
        if heads is not None and features is not None and part.targets is not None:
            tokens = features.flatten(0, 1)[:, : part.targets.middle[0].numel()].flatten(0, 1)
            loss = loss + SHARES[part.kind] * dense_loss(heads, tokens.unbind(1), part.targets)
    return loss


def features_for(model: "Qwen3VLForConditionalGeneration", part: Part, bf16: bool) -> torch.Tensor | None:
    """Return what the tower says of the part's pictures: read from the store, or computed where it is trained along."""
    if part.pixels is None:
        return None if part.features is None else part.features.float()
    layout = LAYOUTS[part.kind]
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
        seen = features_of(model.model.visual, part.pixels)
    return in_slots(seen.float()).unflatten(0, (layout.rows, layout.pictures))


@torch.no_grad()
def exact_by_kind(
    model: "Qwen3VLForConditionalGeneration", batches: list[list[Part]], run: row_model.Layer, bf16: bool
) -> dict[str, float]:
    """Return the share of answers whose every token is the most likely one, by kind of turn and language.

    Given the right tokens before it, an answer is right in this sense exactly when greedy decoding
    would write it, so this costs one forward pass and no decoding.
    """
    model.eval()
    right: dict[str, list[bool]] = defaultdict(list)
    for part in (part for parts in batches for part in parts):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            logits, targets = row_model.logits_of(model, part.rows, features_for(model, part, bf16), run)
        hit = torch.ones_like(part.rows.labels, dtype=torch.bool)
        hit[part.rows.labels != IGNORE_INDEX] = logits.argmax(-1) == targets
        for row, begin, end, kind in part.rows.spans:
            right[kind].append(bool(hit[row, begin - 1 : end - 1].all()))
    model.train()
    return {kind: round(sum(v) / len(v), 3) for kind, v in sorted(right.items())}


def save_model(model: "Qwen3VLForConditionalGeneration", processor_from: Path, folder: Path) -> None:
    """Write the trained weights as fp16 with tokenizer and processor beside them, ready to be loaded."""
    from model.qwen3_vl.processor import ImageTextProcessor

    model.config.fusion_config = {"patch_embeddings": True}  # read when it is loaded: the slow convolution is spared
    model.to(torch.float16).save_pretrained(folder)
    ImageTextProcessor.from_pretrained(processor_from).save_pretrained(folder)


def _log(file: Path, **values: object) -> None:
    with file.open("a", encoding="utf-8") as log:
        log.write(json.dumps(values) + "\n")


if __name__ == "__main__":
    main()
