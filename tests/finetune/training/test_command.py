"""`lorgnette finetune train` as it is typed."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from cli.main import app

pytestmark = pytest.mark.training


def test_a_dry_run_tells_configuration_data_and_parameters_and_writes_nothing(discs: Path, tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(f"dataset: {discs}\noutput_dir: {tmp_path / 'out'}\nlora_target: q_proj\nstage: sft\n", "utf-8")
    run = CliRunner().invoke(app, ["finetune", "train", str(file), "--lora_rank=2", "--dry-run"])
    assert run.exit_code == 0, run.stderr
    assert "  lora_rank: 2" in run.stdout and "16 rows: 16 usable, 0 broken" in run.stdout
    # six layers of 192 features: A is 2 x 192, B is 192 x 2
    assert "4,608 of" in run.stdout.splitlines()[-1]
    assert not (tmp_path / "out").exists()


def test_a_run_ends_with_the_command_that_uses_its_adapter(discs: Path, tmp_path: Path) -> None:
    words = f"finetune train --config none.yaml --train_json {discs} --output_dir {tmp_path / 'out'} --max_steps=1"
    assert CliRunner().invoke(app, words.split()).exit_code == 1, "the file is missing"
    words = words.replace("--config none.yaml ", "") + f" --vision_cache_dir={tmp_path / 'cache'} --report_samples=0"
    run = CliRunner().invoke(app, [*words.split(), "--plot_loss=false"])
    assert run.exit_code == 0, run.stderr
    assert run.stdout.count("\n") == 1 and f"ask with --adapter {tmp_path / 'out'}" in run.stdout
    asked = ["ask", "What is it?", str(discs.parent / "0.png"), "--root", str(discs.parent), "--effort", "quick"]
    adapted = CliRunner(env={"LORGNETTE_HOME": str(tmp_path)}).invoke(app, [*asked, "--adapter", str(tmp_path / "out")])
    assert adapted.exit_code == 0, adapted.stderr


def test_what_is_wrong_is_one_line_on_stderr() -> None:
    run = CliRunner().invoke(app, ["finetune", "train", "--lora_targt", "all"])
    assert run.exit_code == 1 and run.stdout == ""
    assert run.stderr == "Error: There is no key 'lora_targt'; did you mean 'lora_target' or 'lora_dropout'?\n"


def test_keys_that_a_tuner_cannot_be_made_with_are_told_without_a_traceback(discs: Path) -> None:
    words = f"finetune train --dataset {discs} --finetuning_type moe_lora --router modality --num_experts 3 --dry-run"
    run = CliRunner().invoke(app, words.split())
    assert run.exit_code == 1 and run.stderr.startswith("Error: The key 'num_experts' cannot be 3: router")
