"""The documentation's table of LLaMA-Factory's keys, held against the parser."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from finetune.config.foreign_keys import CHANGES_NOTHING, NOT_HERE
from finetune.config.job import Exporting, Predicting, read_job
from finetune.config.translations import TRANSLATIONS
from finetune.errors import FinetuneError

ROOT = Path(__file__).parents[3]
ROW = re.compile(r"\| `(?P<key>[\w.]+)` \| (?P<kind>same|note|refused) \| `(?P<example>[^`]*)` \| (?P<words>.*) \|")
ROWS = [match.groups() for match in map(ROW.fullmatch, (ROOT / "docs/llamafactory.md").read_text("utf-8").splitlines())
        if match]  # fmt: skip


@pytest.mark.parametrize(("key", "kind", "example", "words"), ROWS, ids=[row[0] for row in ROWS])
def test_the_parser_answers_a_key_as_the_table_says(key: str, kind: str, example: str, words: str) -> None:
    if kind == "refused":
        assert words, "what to write instead"
        with pytest.raises(FinetuneError) as refused:
            read_job(None, [f"--{key}={example}"])
        assert key in str(refused.value) and words in str(refused.value)
        return
    measured = ["--val_size=0.1", "--eval_strategy=steps"] if key == "early_stopping_steps" else []
    best = ["--load_best_model_at_end=true", "--val_size=0.1", "--eval_strategy=steps", "--predict_with_generate=true"]
    measured += best if key == "metric_for_best_model" else []
    measured += ["--finetuning_type=freeze"] if key.startswith(("freeze_trainable", "freeze_extra")) else []
    measured += ["--stage=dpo"] if key.startswith("pref_") else []
    job = read_job(None, [f"--{key}={example}", *measured])
    notes = [note.removeprefix(f"{key}: ") for note in job.config.notes if note.startswith(f"{key}: ")]
    assert notes == ([words] if kind == "note" else [])
    if kind == "same" and words:
        values = {name: value for part in job.config.to_dict().values() for name, value in part.items()}
        for own, value in re.findall(r"`(\w+): ([^`]+)`", words):
            assert str(values[own]).lower() == value.lower()


def test_the_table_has_every_key_of_llamafactory_and_of_transformers_once() -> None:
    from transformers import Seq2SeqTrainingArguments

    keys = [key for key, *_ in ROWS]
    theirs = (Path(__file__).parent / "llamafactory_keys.txt").read_text("utf-8").split()
    trainers = [field.name for field in fields(Seq2SeqTrainingArguments) if field.init]
    assert len(keys) == len(set(keys))
    assert set(keys) == {*theirs, *trainers}


def test_no_key_is_translated_that_the_table_does_not_have() -> None:

    listed = {key for _, keys in NOT_HERE for key in keys} | set(CHANGES_NOTHING)
    assert listed <= {key for key, *_ in ROWS} and listed <= set(TRANSLATIONS)
    assert {*Predicting.model_fields, *Exporting.model_fields} <= {key for key, *_ in ROWS}


def test_a_usual_value_is_taken_without_a_word_from_a_file_and_from_the_command_line(tmp_path: Path) -> None:
    for number, (key, (usual, *_)) in enumerate((key, values) for _, keys in NOT_HERE for key, values in keys.items()):
        text = "null" if usual is None else str(usual).lower() if isinstance(usual, bool) else str(usual)
        (tmp_path / f"{number}.yaml").write_text(f"{key}: {text}\n", "utf-8")
        assert not read_job(tmp_path / f"{number}.yaml").config.notes
        assert not read_job(None, [f"--{key}={text}"]).config.notes, key
