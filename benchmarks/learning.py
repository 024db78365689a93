"""What adapters learn that the base cannot, and what they forget: LoRA, MoE-LoRA and Multiway at equal numbers.

`python -m benchmarks.learning --work FOLDER [--pictures 300] [--steps 300] [--seeds 0 1 2]` trains the bundled
checkpoint on a mixture of four drawn worlds that it has never seen (finetune/data/drawn/domains.py), each adapter
with each seed, and asks about pictures of another seed. An answer is right where every token of it, and its end, is
the one that greedy decoding gives. Old tasks are the checkpoint's own. What FOLDER holds already is not trained again.
"""

import argparse
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np

from benchmarks.report import publish
from finetune.data.drawn.domains import DOMAINS, Drawn, draw_mixture
from finetune.data.sample import ImageFile, Message, Origin, Sample
from graph.prompts import SYSTEM

# Seven linear layers of a decoder layer. LoRA has 393,984 parameters in all, the mixtures 390,144 with their routers.
EQUAL: dict[str, dict[str, Any]] = {
    "lora": {"finetuning_type": "lora", "lora_rank": 18},
    "moe_lora, token": {"finetuning_type": "moe_lora", "lora_rank": 4, "num_experts": 4, "top_k": 2},
    "moe_lora, modality": {
        "finetuning_type": "moe_lora", "lora_rank": 4, "num_experts": 4, "top_k": 1, "router": "modality",
    },
    # In front of the decoder, so not layer by layer: 393,408.
    "multiway": {
        "finetuning_type": "multiway", "num_multiway_layers": 1, "num_fusion_layers": 1, "num_experts": 4, "top_k": 2,
        "expert_size": 28, "shared_expert_size": 48, "fusion_size": 170, "attention_heads": 4,
        "attention_head_dim": 32, "attention_rope_dim": 16, "q_rank": 32, "kv_rank": 32,
    },
}  # fmt: skip
# What may explain a difference: experts that all work, as LoRA's whole rank does; routers that nothing keeps even; and
# a scale that makes up for the gates, whose sum is 1, so that two experts of a gate of a half step as far as LoRA, or
# the other way about, a LoRA that steps as short as they do.
VARIANTS: dict[str, dict[str, Any]] = {
    "moe_lora, token, all experts": {**EQUAL["moe_lora, token"], "top_k": 4},
    "moe_lora, token, not balanced": {**EQUAL["moe_lora, token"], "router_aux_loss_coef": 0.0},
    "moe_lora, token, scale doubled": {**EQUAL["moe_lora, token"], "lora_alpha": 16},
    "lora, scale halved": {**EQUAL["lora"], "lora_alpha": 18},
}
TEST_SEED = 1_000_003
ASKED = 150
"""Test pictures of a domain, one question about each."""
OLD = 400
"""Questions of the checkpoint's own tasks."""
RESAMPLES = 2_000


def main() -> None:
    """Train what is missing, ask, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder of data, adapters and answers")
    parser.add_argument("--pictures", type=int, default=300, help="of each domain, with up to three questions each")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--adapters", nargs="+", choices=[*EQUAL, *VARIANTS], default=list(EQUAL))
    parser.add_argument("--variants", action="store_true", help="train those that explain a difference, too")
    parser.add_argument("--name", default="learning", help="of the results")
    options = parser.parse_args()
    work: Path = options.work.absolute()
    train_file, test_file = write_data(work, options.pictures)
    names = [*options.adapters, *(VARIANTS if options.variants else ())]
    jobs = [(name, seed) for seed in options.seeds for name in names]
    answers = {("base", 0): answered(work / "base.json", test_file, work, None)}
    for name, seed in jobs:
        folder = work / f"{name.replace(', ', '_').replace(' ', '_')}_{seed}"
        if not (folder / "adapter_model.safetensors").is_file():
            run(folder, name, seed, train_file, options)
        answers[name, seed] = answered(folder / "answers.json", test_file, work, folder)
    publish(
        options.name, "Right answers in %, mean over the seeds (95 % of bootstrap samples)",
        [row(name, [found for (other, _), found in answers.items() if other == name]) for name in ("base", *names)],
        seeds=options.seeds, steps=options.steps, batch=options.batch,
        learning_rate=options.learning_rate, pictures=options.pictures,
    )  # fmt: skip


def write_data(work: Path, pictures: int) -> tuple[Path, Path]:
    """Write training rows, several questions a picture, and test rows, one question a picture; return both files."""
    from finetune.data.dataset import read_dataset
    from finetune.data.drawn.scene_rows import write_scenes
    from finetune.data.writing import write_samples

    train_file, test_file = work / "train.jsonl", work / "test.jsonl"
    if test_file.is_file():
        return train_file, test_file
    (work / "images").mkdir(parents=True, exist_ok=True)
    train = [sample(drawn, work / "images" / f"{i}.png", 3) for i, drawn in enumerate(draw_mixture(pictures, seed=0))]
    test = [sample(d, work / "images" / f"t{i}.png", 1) for i, d in enumerate(draw_mixture(ASKED, seed=TEST_SEED))]
    scenes = read_dataset(write_scenes(OLD, work / "old", seed=TEST_SEED, questions=1, force=True)).samples
    write_samples(train, train_file, "messages")
    told = Message("system", (SYSTEM,))
    old = [replace(scene, messages=(told, *scene.messages)) for scene in scenes]
    write_samples([*test, *old], test_file, "messages")
    return train_file, test_file


def sample(drawn: Drawn, picture: Path, questions: int) -> Sample:
    """Return the row of a picture, which is written."""
    drawn.picture.save(picture)
    messages = [Message("system", (SYSTEM,))]  # as the server tells the model
    for number, (question, answer) in enumerate(drawn.exchanges[:questions]):
        seen = () if number else (ImageFile(picture),)
        messages += [Message("user", (*seen, question)), Message("assistant", (answer,))]
    return Sample(picture.stem, tuple(messages), Origin(picture, 1), drawn.domain)


def run(folder: Path, name: str, seed: int, train_file: Path, options: argparse.Namespace) -> None:
    """Train one adapter."""
    from finetune.config.schema import FinetuneConfig
    from finetune.training.train import train

    work = train_file.parent
    config = FinetuneConfig().changed(
        data={
            "dataset": (str(train_file),), "cutoff_len": 512, "vision_cache_dir": work / "vision",
            "group_by_length": False,  # the worlds differ in length: a batch would be of one alone
        },
        adapter=(EQUAL | VARIANTS)[name],
        training={
            "output_dir": folder, "overwrite_output_dir": True, "per_device_train_batch_size": options.batch,
            "gradient_accumulation_steps": 1, "learning_rate": options.learning_rate, "max_steps": options.steps,
            "warmup_ratio": 0.05, "seed": seed, "save_strategy": "no",
        },
        report={"report_samples": 0},
    )  # fmt: skip
    train(config, lambda text: print(f"{name}, seed {seed}: {text}", flush=True))


def answered(file: Path, test_file: Path, work: Path, adapter: Path | None) -> dict[str, Any]:
    """Return what was right, by category, and how the experts were used; asked once and then read again."""
    if not file.is_file():
        found = ask(test_file, work, adapter)
        part = file.with_suffix(".part")
        part.write_text(json.dumps(found), "utf-8")
        os.replace(part, file)
    loaded: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return loaded


def ask(test_file: Path, work: Path, adapter: Path | None) -> dict[str, Any]:
    """Score every test row with the base or the base using an adapter."""
    import torch

    from finetune.data.dataset import read_dataset
    from finetune.training.collate import Collator, model_inputs
    from finetune.training.encoding import Encoder
    from finetune.training.prepare import prepare
    from finetune.training.vision_cache import FeatureCache, tower_key
    from model.adapters.moe_lora import counted, expert_usage, has_moe_lora
    from model.qwen3_vl.load import load
    from model.settings import ModelSettings

    loaded = load(ModelSettings(model="tiny", adapter=adapter))
    base = loaded.model if adapter is None else loaded.model.get_base_model()
    encoder = Encoder(loaded.processor, cutoff_len=2048, max_pixels=None, mask_history=False)
    cache = FeatureCache(work / "vision", tower_key(base), 20 * 2**30)
    read = read_dataset(test_file)
    assert not read.broken, "the rows were just written"
    rows = prepare(read.samples, encoder, base, cache=cache).rows
    rows.sort(key=len)
    mixture = has_moe_lora(loaded.model)  # padding is not to count as the experts' work
    collate = Collator(loaded.processor.tokenizer.pad_token_id, features=cache.folder, attention_mask=mixture)
    right: dict[str, list[int]] = {}
    with torch.inference_mode(), counted(loaded.model):
        for batch in batches(rows, 32):
            tensors = collate([(one,) for one in batch])
            wanted = tensors["shift_labels"]
            inputs = model_inputs({k: v for k, v in tensors.items() if k not in ("labels", "shift_labels")})
            hits = (loaded.model(**inputs).logits.reshape(len(wanted), -1).argmax(-1) == wanted).tolist()
            for one in batch:
                category = one.sample.category if one.sample.category in DOMAINS else "old tasks"
                right.setdefault(str(category), []).append(int(all(hits[: one.learned])))
                hits = hits[one.learned :]
        used = expert_usage(loaded.model)
    named = () if adapter is None else loaded.model.named_parameters()
    parameters = sum(tensor.numel() for name, tensor in named if "lora_" in name or "multiway" in name)
    entropy = mean(layer.entropy for layer in used.values()) if used else None
    usage = {key: [round(share, 3) for share in layer.shares] for key, layer in used.items()}
    return {"right": right, "entropy": entropy, "usage": usage, "parameters": parameters}


def batches(rows: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    """Yield the rows in groups."""
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def row(name: str, runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return an adapter's line of the table: accuracy by domain, of all new ones, and of the old tasks."""
    shown: dict[str, Any] = {"adapter": name, "parameters": runs[0]["parameters"], "runs": len(runs)}
    for domain in (*DOMAINS, "old tasks"):
        shown[domain] = interval([run["right"][domain] for run in runs])
    shown["all new"] = interval([[hit for d in DOMAINS for hit in run["right"][d]] for run in runs])
    entropies = [run["entropy"] for run in runs if run["entropy"] is not None]
    shown["expert entropy"] = round(mean(entropies), 3) if entropies else None
    largest = [max(shares) for run in runs for shares in run["usage"].values()]
    shown["busiest expert %"] = round(100 * mean(largest), 1) if largest else None
    return shown


def interval(hits: Sequence[Sequence[int]]) -> str:
    """Return the mean over runs and rows, and the bounds of 95 % of means over rows and runs that are drawn again."""
    found = np.asarray(hits, float)  # (runs, rows)
    rng = np.random.default_rng(0)
    runs, rows = found.shape
    means = [
        found[rng.integers(runs, size=runs)][:, rng.integers(rows, size=rows)].mean() for _ in range(RESAMPLES)
    ]  # fmt: skip
    low, high = np.percentile(means, [2.5, 97.5])
    return f"{100 * found.mean():.1f} ({100 * low:.0f} to {100 * high:.0f})"


if __name__ == "__main__":
    main()
