"""The bundled checkpoint's training: what it learns is what the product says, and it survives a kill."""

import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
import torch
from pydantic import BaseModel
from transformers import Qwen3VLForConditionalGeneration

from finetune.data.drawn.protocol import compare_conversation, reading_conversation, scene_conversation
from finetune.data.drawn.turns import KINDS, Conversation
from finetune.tiny.batches import MAX_TOKENS, make_batch
from finetune.tiny.build import save_untrained
from finetune.tiny.collate import IGNORE_INDEX, Collator
from finetune.tiny.train import learning_rate_share, loss_of
from finetune.tiny.vision_batch import equal_sized_pictures
from graph import prompts
from graph.answer import Grade, Plan, Query, Review
from model.qwen3_vl.processor import ImageTextProcessor

pytestmark = pytest.mark.training


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("untrained")
    save_untrained(folder)
    return folder


@pytest.fixture(scope="module")
def processor(untrained: Path) -> ImageTextProcessor:
    return ImageTextProcessor.from_pretrained(untrained)


def _messages(talk: Conversation) -> list[dict[str, object]]:
    messages: list[dict[str, object]] = [{"role": "system", "content": prompts.SYSTEM}]
    for i, turn in enumerate(talk.turns):
        images = [{"type": "image", "image": im} for im in talk.images] if i == 0 else []
        messages.append({"role": "user", "content": [*images, {"type": "text", "text": turn.text}]})
        messages.append({"role": "assistant", "content": [{"type": "text", "text": turn.answer}]})
    return messages


@pytest.mark.parametrize("seed", range(4))
def test_the_collator_writes_what_the_chat_template_and_the_processor_write(
    seed: int, processor: ImageTextProcessor
) -> None:
    rng = Random(seed)
    talk = (scene_conversation, compare_conversation)[seed % 2](rng, 128, 96)
    talk = Conversation(talk.images, talk.turns[:2])
    expected = processor.apply_chat_template(
        _messages(talk), tokenize=True, return_dict=True, return_tensors="pt", return_assistant_tokens_mask=True
    )
    _, height, width = (int(v) for v in expected["image_grid_thw"][0])
    batch = Collator(processor.tokenizer)([talk], width * 16, height * 16, MAX_TOKENS)
    assert torch.equal(batch.inputs["input_ids"], expected["input_ids"])
    assert torch.equal(batch.inputs["pixel_values"], expected["pixel_values"])
    learned = batch.inputs["labels"] != IGNORE_INDEX
    assert not (learned & (torch.as_tensor(expected["assistant_masks"]) == 0)).any()


def test_wrong_drafts_are_read_but_not_learned(processor: ImageTextProcessor) -> None:
    collator = Collator(processor.tokenizer)
    talk = next(t for s in range(200) if (t := scene_conversation(Random(s), 96, 96)).turns[0].kind == "draft")
    batch = collator([talk], 96, 96, MAX_TOKENS)
    first_learned = int((batch.inputs["labels"][0] != IGNORE_INDEX).nonzero()[0])
    text_before = processor.tokenizer.decode(batch.inputs["input_ids"][0, :first_learned])
    assert f"assistant\n{talk.turns[0].answer}<|im_end|>" in text_before


def test_decisions_are_learned_in_the_form_that_the_graph_parses() -> None:
    forms: dict[str, type[BaseModel]] = {"plan": Plan, "review": Review, "grade": Grade, "query": Query}
    seen = set()
    for seed in range(300):
        rng = Random(seed)
        for talk in (scene_conversation(rng, 96, 96), reading_conversation(rng, 3)):
            for turn in talk.turns:
                assert turn.kind in KINDS
                if turn.kind in forms:
                    seen.add(turn.kind)
                    parsed = forms[turn.kind].model_validate_json(turn.answer)
                    assert parsed.model_dump_json() == turn.answer
    assert seen == set(forms)


def test_reading_answers_cite_the_passage_that_holds_the_value() -> None:
    cited = 0
    for seed in range(200):
        talk = reading_conversation(Random(seed), 4)
        passages = [line for line in talk.turns[0].text.splitlines() if line.startswith("[")]
        for turn in talk.turns:
            if turn.kind == "read" and turn.answer != "The evidence does not say.":
                value, number = turn.answer.removeprefix("It is ").removesuffix("].").split(" [")
                assert value in passages[int(number) - 1]
                cited += 1
    assert cited > 100


def test_batches_depend_on_seed_and_number_alone(processor: ImageTextProcessor) -> None:
    a, b, c = (make_batch(Collator(processor.tokenizer), 0, n).inputs for n in (5, 5, 6))
    assert torch.equal(a["input_ids"], b["input_ids"]) and torch.equal(a["pixel_values"], b["pixel_values"])
    assert a["input_ids"].shape != c["input_ids"].shape or not torch.equal(a["input_ids"], c["input_ids"])


def test_one_attention_call_for_equal_pictures_gives_the_same_loss(
    untrained: Path, processor: ImageTextProcessor
) -> None:
    model = Qwen3VLForConditionalGeneration.from_pretrained(untrained, dtype=torch.float32).eval()
    talks = [scene_conversation(Random(s), 96, 96) for s in range(3)]
    inputs = Collator(processor.tokenizer)(talks, 96, 96, MAX_TOKENS).inputs
    images = {"pixel_values": inputs["pixel_values"], "image_grid_thw": inputs["image_grid_thw"]}
    with torch.no_grad():
        stock = model.model.visual(images["pixel_values"], images["image_grid_thw"]).pooler_output
        with equal_sized_pictures():
            together = model.model.visual(images["pixel_values"], images["image_grid_thw"]).pooler_output
    assert torch.allclose(stock, together, atol=1e-5)


def test_the_loss_over_labelled_positions_is_the_models_own_loss(
    untrained: Path, processor: ImageTextProcessor
) -> None:
    model = Qwen3VLForConditionalGeneration.from_pretrained(untrained, dtype=torch.float32).eval()
    batch = Collator(processor.tokenizer)([scene_conversation(Random(1), 96, 96)], 96, 96, MAX_TOKENS)
    with torch.no_grad():
        assert float(loss_of(model, batch, bf16=False)) == pytest.approx(float(model(**batch.inputs).loss), abs=1e-5)


def test_learning_rate_rises_then_falls_linearly() -> None:
    assert learning_rate_share(0, 1000) == pytest.approx(0.01)
    assert learning_rate_share(499, 1000) == pytest.approx(0.501)
    assert learning_rate_share(999, 1000) == pytest.approx(0.01)


def _train(out: Path) -> list[str]:
    command = [sys.executable, "-m", "finetune.tiny.train", "--out", str(out), "--steps", "3", "--dtype", "fp32"]
    return [*command, "--save-every", "1"]


@pytest.mark.slow
def test_a_training_killed_at_any_moment_ends_with_the_same_weights(tmp_path: Path) -> None:
    subprocess.run(_train(tmp_path / "whole"), check=True, capture_output=True)
    with subprocess.Popen(_train(tmp_path / "parts"), stderr=subprocess.PIPE) as training:
        assert training.stderr is not None
        shown = b""
        while b"2/3" not in shown:  # the progress bar: the first checkpoint is on disk, the second is being written
            shown += training.stderr.read(1)
        training.kill()
    subprocess.run(_train(tmp_path / "parts"), check=True, capture_output=True)
    whole, parts = (torch.load(tmp_path / run / "state.pt", weights_only=True)["model"] for run in ("whole", "parts"))
    assert all(torch.allclose(whole[name], parts[name], atol=1e-6) for name in whole)
    assert (tmp_path / "parts" / "model" / "model.safetensors").stat().st_size < 25_000_000
