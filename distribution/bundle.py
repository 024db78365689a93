"""Builds `dist/lorgnette-VERSION.mcpb`, which Claude Desktop installs with a click: `python -m distribution.bundle`.

The bundle holds our sources and no dependency: the client's own uv installs those, in the versions that were tested.
The same sources give the same bytes. It publishes nothing.
"""

import json
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

ROOT = Path(__file__).parents[1]
HERE = Path("distribution")
ALONGSIDE = {"manifest.json": HERE / "manifest.json", "server.py": HERE / "server.py", "LICENSE": Path("LICENSE")}
TESTED_PYTHON = ">=3.11.5,<3.12"  # the pins were run with it, and not all of them exist for others
EPOCH = (1980, 1, 1, 0, 0, 0)  # zip knows no earlier time


def build(folder: Path, root: Path = ROOT) -> Path:
    """Write the bundle into the folder and return its path."""
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))
    path = folder / f"lorgnette-{project['project']['version']}.mcpb"
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, content in sorted(_files(project, root)):
            bundle.writestr(zipfile.ZipInfo(name, EPOCH), content, zipfile.ZIP_DEFLATED)
    return path


def _files(project: dict[str, Any], root: Path) -> Iterator[tuple[str, bytes]]:
    for name, source in ALONGSIDE.items():
        yield name, (root / source).read_bytes()
    yield "pyproject.toml", _pyproject(project, root).encode()
    setuptools = project["tool"]["setuptools"]
    for package in setuptools["packages"]:
        folder = root.joinpath(*package.split("."))
        for pattern in ("*.py", *setuptools["package-data"].get(package, ())):
            for file in sorted(folder.glob(pattern)):
                yield file.relative_to(root).as_posix(), file.read_bytes()


def _pyproject(project: dict[str, Any], root: Path) -> str:
    """Return what uv needs of our own pyproject.toml, with the tested versions in place of constraints.txt."""
    ours, setuptools = project["project"], project["tool"]["setuptools"]
    lines = (root / "constraints.txt").read_text("utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    tables = {
        "build-system": project["build-system"],
        "project": {
            **{key: ours[key] for key in ("name", "version", "description", "dependencies")},
            "requires-python": TESTED_PYTHON,
        },
        "project.scripts": ours["scripts"],
        "tool.setuptools": {"packages": setuptools["packages"], "include-package-data": False},
        "tool.setuptools.package-data": setuptools["package-data"],
        "tool.uv": {"constraint-dependencies": pins},
    }
    # Strings, lists and truth values are written in JSON as in TOML.
    return "\n".join(
        f"[{name}]\n" + "".join(f"{json.dumps(key)} = {json.dumps(value)}\n" for key, value in table.items())
        for name, table in tables.items()
    )


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=ROOT / "dist", help="Folder of the bundle.")
def main(out: Path) -> None:
    """Build the bundle and print where it is."""
    path = build(out)
    click.echo(f"{path} ({path.stat().st_size / (1 << 20):.1f} MiB)")


if __name__ == "__main__":
    main()
