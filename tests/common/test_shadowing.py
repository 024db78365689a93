"""A user's own files that are called as our packages: never run in their place, and named in one sentence."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from common.shadowing import PACKAGES

pytestmark = pytest.mark.heavy

ROOT = Path(__file__).parents[2]
FOREIGN = 'import sys; sys.stderr.write("FOREIGN CODE RAN\\n")\n'


def run(command: list[str], folder: Path) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "LORGNETTE_HOME": str(folder / "home"), "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment)


@pytest.mark.parametrize("name", [name for name in PACKAGES if name != "cli"])
def test_the_command_as_a_module_names_the_file_in_its_way(name: str, tmp_path: Path) -> None:
    (tmp_path / f"{name}.py").write_text(FOREIGN, "utf-8")
    done = run([sys.executable, "-m", "cli.main", "--version"], tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith(f"Error: {str(tmp_path / f'{name}.py')!r} takes the place of Lorgnette's own package")
    assert "rename it" in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize("name", ["model", "graph", "cli"])
def test_importing_lorgnette_names_the_file_in_its_way(name: str, tmp_path: Path) -> None:
    (tmp_path / f"{name}.py").write_text(FOREIGN, "utf-8")
    done = run([sys.executable, "-c", "import lorgnette"], tmp_path)
    assert done.returncode == 1 and "FOREIGN" not in done.stderr
    assert f"{str(tmp_path / f'{name}.py')!r} takes the place" in done.stderr.splitlines()[-1]


def test_a_module_of_that_name_that_a_program_has_imported_already_is_named_too(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text("", "utf-8")
    done = run([sys.executable, "-c", "import model, lorgnette"], tmp_path)
    assert f"{str(tmp_path / 'model.py')!r} takes the place" in done.stderr.splitlines()[-1]


def test_a_folder_of_that_name_is_no_hindrance_unless_python_takes_it(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()  # a folder of weights, say: without __init__.py it comes after real packages
    assert run([sys.executable, "-c", "import lorgnette"], tmp_path).returncode == 0
    (tmp_path / "graph").mkdir()
    (tmp_path / "graph" / "__init__.py").write_text(FOREIGN, "utf-8")
    done = run([sys.executable, "-c", "import lorgnette"], tmp_path)
    assert str(tmp_path / "graph" / "__init__.py") in done.stderr and "FOREIGN" not in done.stderr


def test_the_installed_command_is_in_nobodys_way(tmp_path: Path) -> None:
    """It puts its own folder first on the path, and not the working folder; so does `accelerate launch` with it."""
    command = shutil.which("lorgnette", path=str(Path(sys.executable).parent))
    if command is None:
        pytest.skip("Lorgnette is not installed")
    for name in PACKAGES:
        (tmp_path / f"{name}.py").write_text(FOREIGN, "utf-8")
    done = subprocess.run([command, "--version"], capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    launched = subprocess.run([sys.executable, command, "--version"], capture_output=True, text=True, cwd=tmp_path)
    assert (launched.returncode, launched.stdout) == (0, done.stdout)


def test_accelerate_launches_the_installed_command_past_foreign_files(tmp_path: Path) -> None:
    command = shutil.which("lorgnette", path=str(Path(sys.executable).parent))
    launch = shutil.which("accelerate", path=str(Path(sys.executable).parent))
    if command is None or launch is None:
        pytest.skip("Lorgnette is not installed")
    for name in PACKAGES:
        (tmp_path / f"{name}.py").write_text(FOREIGN, "utf-8")
    words = [launch, "launch", "--cpu", "--num_processes", "1", command, "--version"]
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("lorgnette ") and "FOREIGN" not in done.stderr
