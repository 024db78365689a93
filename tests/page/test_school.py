"""The board of training: its form makes what the command line reads, previews, and runs that outlive the page."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from finetune.config.loading import UnknownKey, load_config
from finetune.config.schema import ValueRefused
from page.errors import PageError
from page.runs import Runs
from page.school.form import ASKED, PRESETS, as_yaml, fields_of, write
from page.school.preview import preview

EXAMPLES = Path(__file__).parents[2] / "examples"
SHAPES = EXAMPLES / "shapes.png"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LORGNETTE_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("preset", "example"),
    [("preset_practice", "tiny"), ("preset_mixture", "moe_lora"), ("preset_8gb", "qlora_8gb")],
)
def test_a_preset_is_the_example_of_the_command_line(preset: str, example: str, folder: Path) -> None:
    values, rest = fields_of(preset)
    written = write(as_yaml(values, rest))
    assert written.config == load_config(EXAMPLES / "finetune" / f"{example}.yaml")
    assert load_config(written.file) == written.config
    assert written.command == f"lorgnette finetune train {written.file}"


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_passes_the_checks(preset: str, folder: Path) -> None:
    values, rest = fields_of(preset)
    assert set(values) == set(ASKED)
    assert write(as_yaml(values, rest)).config.data.dataset


def test_what_the_command_line_refuses_the_form_refuses_and_writes_nothing(folder: Path) -> None:
    fields = {"dataset": "rows.jsonl", "output_dir": "runs/a"}
    with pytest.raises(UnknownKey, match="learning_rate"):
        write(as_yaml(fields, "learning_rat: 1"))
    with pytest.raises(ValueRefused, match="lora_rank"):
        write(as_yaml({**fields, "lora_rank": "0"}, ""))
    with pytest.raises(PageError, match="output_dir has a field of its own"):
        as_yaml(fields, "output_dir: elsewhere")
    with pytest.raises(PageError, match="cannot be read"):
        as_yaml(fields, "a: [")
    assert not (folder / "runs").exists()


def rows_in(folder: Path) -> Path:
    good = {
        "messages": [{"role": "user", "content": "<image>How many?"}, {"role": "assistant", "content": "Five."}],
        "images": [str(SHAPES)],
    }
    broken = {**good, "images": ["missing.png"]}
    file = folder / "rows.jsonl"
    file.write_text(json.dumps(good) + "\n" + json.dumps(broken) + "\n", "utf-8")
    return file


def test_a_preview_shows_what_is_learned_and_what_is_left_out_and_why(folder: Path) -> None:
    written = write(as_yaml({"dataset": str(rows_in(folder)), "output_dir": "runs/a"}, ""))
    found = preview(written.config)
    assert (found.rows, found.usable, found.broken_rows) == (2, 1, 1)
    (row,) = found.shown
    assert row.pictures == (SHAPES,)
    learned = "".join(piece.text for piece in row.pieces if piece.learned)
    masked = "".join(piece.text for piece in row.pieces if not piece.learned)
    assert learned.startswith("Five.") and "How many?" in masked and "🖼" in masked and row.learned < row.tokens
    ((place, reason),) = found.broken
    assert place == "rows.jsonl:2" and "missing.png" in reason


def test_the_time_left_counts_the_last_attempt_alone(folder: Path) -> None:
    output = folder / "runs" / "a"
    output.mkdir(parents=True)
    text = as_yaml({"dataset": "rows.jsonl", "output_dir": str(output), "max_steps": "100"}, "")
    (output / "finetune.yaml").write_text(write(text).config.to_yaml(), "utf-8")
    lines = [(10, 500.0), (20, 1000.0), (30, 10.0), (40, 20.0)]
    log = [{"step": step, "loss": 1.0, "seconds": seconds} for step, seconds in lines]
    (output / "train_log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in log), "utf-8")
    # The process is this test's own: it is alive.
    import psutil

    said = {"pid": os.getpid(), "created": psutil.Process().create_time(), "config": "a.yaml"}
    (folder / "runs" / "a.run.json").write_text(json.dumps(said), "utf-8")
    found = Runs().progress(output)
    assert (found.state, found.step, found.total, found.seconds_left) == ("running", 40, 100, 60.0)
    assert found.series("loss")[-1] == (40, 1.0)
    with pytest.raises(PageError, match="runs already"):
        Runs().start(folder / "runs" / "a.yaml", output)
    said["created"] = 1.0  # another process has the number now
    (folder / "runs" / "a.run.json").write_text(json.dumps(said), "utf-8")
    assert Runs().progress(output).state == "failed"


@pytest.mark.slow
@pytest.mark.heavy
@pytest.mark.training
def test_a_run_outlives_the_process_that_began_it_is_stopped_with_a_checkpoint_and_resumed(folder: Path) -> None:
    more = "logging_steps: 1\nreport_samples: 0\nplot_loss: false\ngradient_accumulation_steps: 1"
    fields = {
        "dataset": str(rows_in(folder)), "output_dir": str(folder / "runs" / "a"), "max_steps": "100000",
        "learning_rate": "1.0e-3",
    }  # fmt: skip
    written = write(as_yaml(fields, more))
    output = written.config.training.output_dir
    begin = "import sys; from pathlib import Path; from page.runs import Runs; "
    begin += "Runs().start(Path(sys.argv[1]), Path(sys.argv[2]))"
    subprocess.run([sys.executable, "-c", begin, str(written.file), str(output)], check=True)
    runs = Runs()
    assert runs.known() == [output]
    import time

    while (found := runs.progress(output)).step < 2:
        assert found.state == "running", found.told
        time.sleep(0.2)
    runs.stop(output)
    while (found := runs.progress(output)).state == "running":
        time.sleep(0.2)
    assert found.state == "stopped" and found.resumable, found.told
    at = found.step
    runs.resume(output)
    while (found := runs.progress(output)).step <= at:
        assert found.state == "running", found.told
        time.sleep(0.2)
    runs.stop(output)
    while runs.progress(output).state == "running":
        time.sleep(0.2)
