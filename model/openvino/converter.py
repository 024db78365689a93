"""The environment in which checkpoints are converted for OpenVINO: packages that do not live beside ours.

optimum-intel wants an older transformers than the product has, so both cannot be one installation. The environment is a
folder of its own that shares ours only in torch, which is large and may be any; it is made once, whole or not at all.
"""

import contextlib
import hashlib
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

from common.atomic_files import is_disk_full, whole_folder
from model.errors import ModelError

# The versions that were run together. optimum-intel itself goes in without its requirements, among which torchvision
# is not needed here, and must fit the installed torch to the letter.
CONVERTER = "optimum-intel==2.2.*"
BESIDE = (
    "transformers==5.0.0",
    "optimum==2.3.*",
    "nncf==3.4.*",
    "openvino==2026.4.*",
    "openvino-tokenizers==2026.4.*",
    "huggingface-hub>=1.3,<1.22",
    "tokenizers>=0.22,<0.23",
    "requests>=2.33,<3",
    "setuptools",
)
SHARED = ("torch", "torchgen", "functorch", "nvidia", "triton", "cuda")
"""Packages, and what else begins so, that are linked from where ours lie."""
_INSTALL_S = 1800


class ConverterUnavailable(ModelError):
    """The environment could not be made."""

    def __init__(self, folder: Path, reason: str, fix: str) -> None:
        self.folder, self.reason, self.fix = folder, reason, fix
        super().__init__(f"The environment for conversions, {str(folder)!r}, could not be made: {reason}; {fix}.")


def converter_python(home: Path) -> Path:
    """Return the environment's Python; makes the environment where there is none of these versions.

    Args:
        home: Folder that holds environments.

    Raises:
        ConverterUnavailable: No network, no room, no `venv`.
    """
    wanted = "\n".join((CONVERTER, *BESIDE, sys.version, sysconfig.get_path("platlib")))
    folder = home / f"openvino-{hashlib.sha256(wanted.encode()).hexdigest()[:12]}"
    if not folder.is_dir():
        try:
            with whole_folder(folder) as unfinished:
                _make(unfinished)
        except OSError as error:
            fix = "make room on the disk" if is_disk_full(error) else "see that the folder can be written"
            raise ConverterUnavailable(folder, error.strerror or str(error), fix) from error
        except subprocess.TimeoutExpired as error:
            raise ConverterUnavailable(folder, "it took too long", "check the network and try again") from error
    return _python_of(folder)


def _make(folder: Path) -> None:
    _run(folder, [sys.executable, "-m", "venv", str(folder)], "install Python's own venv (python3-venv)")
    site = next(folder.glob("lib/python*/site-packages"), folder / "Lib" / "site-packages")
    _share(site)
    pip = [str(_python_of(folder)), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    fix = "check the network and try again; an index of packages can be named in PIP_INDEX_URL"
    _run(folder, [*pip, *BESIDE], fix)
    _run(folder, [*pip, "--no-deps", CONVERTER], fix)


def _run(folder: Path, command: list[str], fix: str) -> None:
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")}
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
        env=environment, timeout=_INSTALL_S,
    )  # fmt: skip
    if done.returncode != 0:
        lines = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        errors = [line for line in lines if line.lower().startswith("error")] or lines or ["it ended without a word"]
        raise ConverterUnavailable(folder, errors[0].removeprefix("ERROR: ").rstrip("."), fix)


def _share(site: Path) -> None:
    """Link torch into the environment; where the system does not allow it, pip installs another one."""
    import torch

    ours = Path(torch.__file__).parent.parent
    for path in ours.iterdir():
        name = path.name.partition("-")[0].lower()
        if name in SHARED or name.startswith(("nvidia_", "cuda_")):
            with contextlib.suppress(OSError):
                (site / path.name).symlink_to(path)


def _python_of(environment: Path) -> Path:
    windows = environment / "Scripts" / "python.exe"
    return windows if windows.exists() else environment / "bin" / "python"
