import json
from pathlib import Path
from typing import Any

import pytest

from lorgnette.settings import load_settings


def state_of(result: Any, name: str) -> dict[str, str]:
    (check,) = [check for check in json.loads(result.stdout)["checks"] if check["name"] == name]
    return dict(check)


def test_help_names_every_command_and_an_example(lorgnette: Any) -> None:
    result = lorgnette("--help")
    assert result.exit_code == 0
    assert all(f"  {name}" in result.stdout for name in ("ask", "doctor", "model", "serve"))
    assert 'lorgnette ask "How many objects are there?" photo.png' in result.stdout


@pytest.mark.parametrize("command", ["ask", "serve", "doctor", "model", "model pull", "model convert"])
def test_the_help_of_a_command_has_an_example(command: str, lorgnette: Any) -> None:
    result = lorgnette(*command.split(), "--help")
    assert result.exit_code == 0
    assert "Example" in result.stdout and f"  lorgnette {command}" in result.stdout


def test_version_is_one_line(lorgnette: Any) -> None:
    result = lorgnette("--version")
    assert result.exit_code == 0
    assert result.stdout.startswith("lorgnette ") and len(result.stdout.splitlines()) == 1


def test_an_unknown_command_is_bad_usage(lorgnette: Any) -> None:
    assert lorgnette("aks").exit_code == 2


def test_doctor_finds_the_bundled_model(lorgnette: Any) -> None:
    result = lorgnette("doctor", "--json")
    assert state_of(result, "model")["state"] == "ok"
    assert state_of(result, "settings")["state"] == "ok"
    assert result.exit_code == 0


def test_doctor_names_the_command_that_brings_a_missing_model(
    lorgnette: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    result = lorgnette("doctor", "--json", "--model", "Qwen/Qwen3-VL-2B-Instruct")
    assert result.exit_code == 1
    assert state_of(result, "model")["state"] == "fail"
    assert state_of(result, "model")["mend"] == "lorgnette model pull Qwen/Qwen3-VL-2B-Instruct"


def test_doctor_fails_on_an_adapter_that_is_not_there(lorgnette: Any, tmp_path: Path) -> None:
    result = lorgnette("doctor", "--json", "--adapter", str(tmp_path / "lens"))
    assert result.exit_code == 1
    assert "adapter_config.json" in state_of(result, "adapter")["found"]


def test_doctor_accepts_an_adapter_that_can_be_read(lorgnette: Any, tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}", encoding="utf-8")
    (tmp_path / "adapter_model.safetensors").write_bytes(b"12345678")
    assert state_of(lorgnette("doctor", "--json", "--adapter", str(tmp_path)), "adapter")["state"] == "ok"


def test_doctor_fails_on_a_root_that_does_not_exist(lorgnette: Any, tmp_path: Path) -> None:
    result = lorgnette("doctor", "--json", "--root", str(tmp_path / "none"))
    assert result.exit_code == 1
    assert "--root" in state_of(result, "root")["mend"]


def test_doctor_warns_of_a_root_that_is_the_whole_machine(lorgnette: Any, tmp_path: Path) -> None:
    result = lorgnette("doctor", "--json", "--root", tmp_path.anchor)
    assert state_of(result, "root")["state"] == "warn"
    assert result.exit_code == 0


def test_doctor_fails_on_a_data_folder_that_is_a_file(
    lorgnette: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("LORGNETTE_HOME", str(tmp_path / "file"))
    result = lorgnette("doctor", "--json")
    assert result.exit_code == 1
    assert "LORGNETTE_HOME" in state_of(result, "data folder")["mend"]


def test_doctor_tells_bad_settings_and_goes_on(lorgnette: Any, tmp_path: Path) -> None:
    (tmp_path / "lorgnette.yaml").write_text("modell: tiny\n", encoding="utf-8")
    result = lorgnette("doctor", "--json")
    assert result.exit_code == 1
    assert "did you mean 'model'?" in state_of(result, "settings")["found"]
    assert state_of(result, "device")["state"] == "ok"


def test_doctor_reads_well(lorgnette: Any, tmp_path: Path) -> None:
    result = lorgnette("doctor", "--root", str(tmp_path / "none"))
    lines = result.stdout.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("fail  root"))
    assert lines[at + 1].strip() == "create it, or name another with --root DIR"


def test_doctor_asks_a_remote_model_whether_it_answers(lorgnette: Any) -> None:
    result = lorgnette("doctor", "--json", "--model", "http://127.0.0.1:9/v1#m")
    assert result.exit_code == 1
    assert "does not answer" in state_of(result, "model")["found"]


def test_model_list_begins_with_the_bundled_model(lorgnette: Any) -> None:
    result = lorgnette("model", "list")
    assert result.exit_code == 0
    assert any(line.startswith("tiny ") for line in result.stdout.splitlines())


def test_pulling_what_is_no_id_is_one_line_and_exit_code_1(lorgnette: Any) -> None:
    result = lorgnette("model", "pull", "not an id")
    assert result.exit_code == 1
    (line,) = result.stderr.strip().splitlines()
    assert line.startswith("Error: The model 'not an id' could not be downloaded")


def test_the_chosen_model_is_remembered_for_every_folder(lorgnette: Any, tmp_path: Path) -> None:
    address = "http://127.0.0.1:9/v1#some-model"
    chosen = lorgnette("model", "use", address)
    assert chosen.exit_code == 0 and chosen.stdout.startswith(f"{address} answers from now on, by ")
    assert load_settings().model == address
    assert lorgnette("model", "use", "tiny").exit_code == 0
    assert load_settings().model == "tiny"


def test_a_model_that_is_not_there_is_not_chosen(lorgnette: Any) -> None:
    chosen = lorgnette("model", "use", "Qwen/Qwen3-VL-2B-Instruct")
    assert chosen.exit_code == 1
    assert "run: lorgnette model pull Qwen/Qwen3-VL-2B-Instruct" in chosen.stderr
