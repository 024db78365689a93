"""Rows about one picture in one sequence: the model says of each what it says of it alone."""

import copy
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from peft import get_peft_model

from finetune.adapters.attach import SharingRefused
from finetune.config.schema import FinetuneConfig
from finetune.data.sample import ImageFile, Message, Origin, Sample
from finetune.training.batching import Items
from finetune.training.collate import Collator, model_inputs
from finetune.training.encoding import Encoder, Row
from finetune.training.prepare import prepare
from finetune.training.reporting.log import read_log
from finetune.training.shared_pictures import share_pictures
from finetune.training.train import train
from finetune.training.vision_cache import GIB, FeatureCache, tower_key
from model.adapters.moe_lora import MoeLoraConfig, expert_usage
from model.qwen3_vl.load import Loaded, load
from model.settings import ModelSettings

pytestmark = pytest.mark.training

Quick = Callable[..., FinetuneConfig]
HERE = Origin(Path("asked.csv"), 1)
ASKED = (
    ("0.png", "What color is it?", "red"),
    ("0.png", "What color is it?", "Red, and round."),
    ("1.png", "How many discs are there?", "1"),
    ("0.png", "Is there a disc?", "yes, a red disc"),
)


@pytest.fixture(scope="module")
def loaded() -> Loaded:
    return load(ModelSettings(model="tiny"))


@pytest.fixture(scope="module")
def rows(loaded: Loaded, discs: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Row], Path]:
    """Rows of two pictures and one without, and the folder of the kept features."""
    samples = [
        Sample(
            str(n), (Message("user", (ImageFile(discs.parent / picture), text)), Message("assistant", (said,))), HERE
        )
        for n, (picture, text, said) in enumerate(ASKED)
    ]
    samples.append(Sample("talk", (Message("user", ("Hello.",)), Message("assistant", ("Hi.",))), HERE))
    cache = FeatureCache(tmp_path_factory.mktemp("features"), tower_key(loaded.model), GIB)
    encoder = Encoder(loaded.processor, cutoff_len=512, max_pixels=None, mask_history=False)
    prepared = prepare(samples, encoder, loaded.model, cache=cache)
    assert prepared.features is not None
    return prepared.rows, prepared.features


def losses(loaded: Loaded, rows: list[Row], features: Path, *, packing: bool) -> list[float]:
    """The loss of every labelled token, sorted: in a joined row they stand in another order."""
    collator = Collator(loaded.processor.tokenizer.pad_token_id, packing=packing, features=features)
    inputs = model_inputs(collator([tuple(rows)] if packing else [(row,) for row in rows]))
    targets = inputs.pop("labels")
    inputs.pop("shift_labels")
    loaded.model.model.rope_deltas = None
    with torch.no_grad():
        logits = loaded.model(**inputs).logits
    return sorted(torch.nn.functional.cross_entropy(logits, targets, reduction="none").tolist())


@pytest.mark.parametrize("packing", [False, True])
def test_branches_score_as_rows_of_their_own(loaded: Loaded, rows: tuple[list[Row], Path], packing: bool) -> None:
    each, features = rows
    shared = share_pictures(each, 512)
    assert [row.sample.id for row in shared] == ["0", "2", "talk"] and shared[0].branches is not None
    assert set(shared[0].branches.tolist()) == {0, 1, 2, 3} and shared[1] is each[2]
    pictures = int((shared[0].mm_token_type_ids > 0).sum())
    assert pictures == int((each[0].mm_token_type_ids > 0).sum()), "the picture is there once"
    together, apart = losses(loaded, shared, features, packing=packing), losses(loaded, each, features, packing=False)
    assert np.allclose(together, apart, atol=1e-4)


def test_a_joined_row_is_no_longer_than_allowed(rows: tuple[list[Row], Path]) -> None:
    each = [row for row in rows[0] if row.sample.id in ("0", "1", "3")]
    whole = len(share_pictures(each, 512)[0])
    assert [len(row) <= whole - 1 for row in share_pictures(each, whole - 1)] == [True, True]
    assert share_pictures(each, 1) == each and Items(each, share_to=None).lengths == [len(row) for row in each]


@pytest.mark.parametrize("packing", [False, True])
def test_padding_is_no_work_of_the_experts(loaded: Loaded, rows: tuple[list[Row], Path], packing: bool) -> None:
    each, features = rows
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peft uses a name that transformers has renamed
        model = get_peft_model(copy.deepcopy(loaded.model), MoeLoraConfig(target_modules=["v_proj"])).train()
    collator = Collator(0, packing=packing, features=features, attention_mask=True)
    items = [tuple(each[:2]), (each[4],)] if packing else [(row,) for row in share_pictures(each, 512)]
    batch = model_inputs(collator(items))
    assert ("attention_mask" in batch) is not packing
    model(**batch)
    real = sum(len(row) for item in items for row in item)
    assert real < batch["input_ids"].numel()
    assert {usage.tokens for usage in expert_usage(model).values()} == {real}


def asked(folder: Path, discs: Path) -> Path:
    """A data file of the questions above, each picture's in a batch of three."""
    said = ("Color?,red", "Color?,dark", "Any?,yes")
    lines = ["image_path,question,caption"]
    lines += [f"{discs.parent / picture},{text}" for picture in ("0.png", "1.png") for text in said]
    file = folder / "asked.csv"
    file.write_text("\n".join(lines) + "\n", "utf-8")
    return file


@pytest.mark.parametrize("kind", ["moe_lora", pytest.param("lora", marks=pytest.mark.slow)])
def test_a_run_with_shared_pictures_learns_what_the_batches_of_their_rows_teach(
    quick: Quick, discs: Path, tmp_path: Path, kind: str
) -> None:
    data = asked(tmp_path, discs)
    same = (f"--dataset={data}", f"--finetuning_type={kind}", "--router_aux_loss_coef=0", "--max_steps=3")

    def curve(name: str, batch: int, *flags: str) -> list[float]:
        folder = tmp_path / name
        train(quick(*same, f"--output_dir={folder}", f"--per_device_train_batch_size={batch}", *flags))
        return [line["loss"] for line in read_log(folder / "train_log.jsonl") if "loss" in line]

    shared = curve("shared", 2, "--share_pictures=true")
    assert len(shared) == 3 and np.allclose(shared, curve("apart", 6), atol=1e-4)


def test_an_adapter_that_looks_at_places_is_refused(quick: Quick) -> None:
    for flags in (("--finetuning_type=alora",), ("--finetuning_type=moe_lora", "--token_mixing=3")):
        with pytest.raises(SharingRefused, match="write share_pictures: false"):
            train(quick(*flags, "--share_pictures=true"))
