"""The bundle for Claude Desktop and the entry of the MCP Registry agree with the package and start the server."""

import json
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import Annotated, Any, Literal

import anyio
import pytest
from mcp import Client, StdioServerParameters
from packaging.specifiers import SpecifierSet
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from lorgnette.settings import load_settings
from mcp_server.app import build_server

pytestmark = pytest.mark.heavy

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
MANIFEST = json.loads((ROOT / "distribution" / "manifest.json").read_text("utf-8"))
SERVER = json.loads((ROOT / "distribution" / "server.json").read_text("utf-8"))
README = (ROOT / "README.md").read_text("utf-8")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle, built as `make bundle` builds it and unpacked."""
    folder = tmp_path_factory.mktemp("bundle")
    run = subprocess.run(
        [sys.executable, "-m", "distribution.bundle", "--out", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    (path,) = folder.glob("*.mcpb")
    assert str(path) in run.stdout and path.name == f"lorgnette-{PROJECT['project']['version']}.mcpb"
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder / "unpacked")
    return folder / "unpacked"


def test_versions_agree() -> None:
    version = PROJECT["project"]["version"]
    assert [MANIFEST["version"], SERVER["version"], SERVER["packages"][0]["version"]] == [version] * 3
    assert SERVER["packages"][0]["identifier"] == PROJECT["project"]["name"]


def test_the_manifest_names_the_tools_that_the_server_offers() -> None:
    async def names() -> list[str]:
        async with Client(build_server(load_settings(), lambda _settings, _progress: None)) as client:  # type: ignore[arg-type, return-value]
            return [tool.name for tool in (await client.list_tools()).tools]

    assert [tool["name"] for tool in MANIFEST["tools"]] == anyio.run(names)


def test_the_bundle_holds_our_packages_and_nothing_of_this_machine(bundle: Path) -> None:
    files = {file.relative_to(bundle).as_posix() for file in bundle.rglob("*") if file.is_file()}
    assert {"manifest.json", "pyproject.toml", "server.py", "LICENSE", "cli/main.py", "model/tiny/config.json"} <= files
    top = {name.split("/")[0] for name in files if "/" in name}
    assert top == {package.split(".")[0] for package in PROJECT["tool"]["setuptools"]["packages"]}
    assert not [name for name in files if "__pycache__" in name or name.endswith((".pyc", ".bak"))]
    assert MANIFEST["server"]["entry_point"] in files


def test_the_bundles_project_pins_what_was_tested(bundle: Path) -> None:
    project = tomllib.loads((bundle / "pyproject.toml").read_text("utf-8"))
    for key in ("name", "version", "dependencies"):
        assert project["project"][key] == PROJECT["project"][key]
    assert project["project"]["requires-python"].startswith(PROJECT["project"]["requires-python"])
    pins = project["tool"]["uv"]["constraint-dependencies"]
    assert pins and set(pins) <= set((ROOT / "constraints.txt").read_text("utf-8").splitlines())
    assert project["tool"]["setuptools"]["packages"] == PROJECT["tool"]["setuptools"]["packages"]


def test_every_pinned_version_takes_the_first_python_that_the_project_takes() -> None:
    first = PROJECT["project"]["requires-python"].removeprefix(">=") + ".0"
    pins = [
        line.partition("==")[0] for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines() if "==" in line
    ]
    wanted = {name: metadata(name).json.get("requires_python") for name in pins if is_installed(name)}
    assert len(wanted) > 100
    assert {name: python for name, python in wanted.items() if python and first not in SpecifierSet(str(python))} == {}


def is_installed(name: str) -> bool:
    try:
        return bool(metadata(name))
    except PackageNotFoundError:
        return False


def test_the_same_sources_give_the_same_bytes(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        command = [sys.executable, "-m", "distribution.bundle", "--out", str(tmp_path / folder)]
        subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    (first,), (second,) = (tmp_path / "a").iterdir(), (tmp_path / "b").iterdir()
    assert first.read_bytes() == second.read_bytes()


def filled(argument: str, bundle: Path, chosen: dict[str, Any]) -> list[str]:
    """Fill an argument as a host does: a list becomes arguments, and what is not set stays as it is written."""
    whole = re.fullmatch(r"\$\{user_config\.(\w+)\}", argument)
    if whole and isinstance(chosen.get(whole[1]), list):
        return list(chosen[whole[1]])
    values = {"__dirname": str(bundle), **{f"user_config.{name}": value for name, value in chosen.items()}}
    return [re.sub(r"\$\{([^}]+)\}", lambda found: str(values.get(found[1], found[0])), argument)]


def test_the_bundles_entry_starts_the_server_with_the_chosen_folders(bundle: Path, tmp_path: Path) -> None:
    pictures = [str(tmp_path / "my pictures"), str(tmp_path / "scans")]
    chosen = {"pictures": pictures, "model": MANIFEST["user_config"]["model"]["default"]}  # documents are left empty
    config = MANIFEST["server"]["mcp_config"]
    arguments = [part for text in config["args"] for part in filled(text, bundle, chosen)]
    assert (config["command"], arguments[:3]) == ("uv", ["run", "--directory", str(bundle)])
    # uv would make an environment of the bundle's pyproject.toml; this one has the same packages installed.
    program = StdioServerParameters(command=sys.executable, args=arguments[3:], cwd=str(bundle),
                                    env={"LORGNETTE_HOME": str(tmp_path / "home")})  # fmt: skip

    async def talk() -> str:
        async with Client(program, mode="legacy") as client:
            assert len((await client.list_tools()).tools) == len(MANIFEST["tools"])
            return client.instructions or ""

    instructions = anyio.run(talk)
    assert all(folder in instructions for folder in pictures)


class Strict(BaseModel):
    """A part of server.json; the registry's documentation names its keys and their limits."""

    model_config = ConfigDict(extra="forbid")


class Input(Strict):
    description: str | None = None
    is_required: bool = Field(False, alias="isRequired")
    format: Literal["string", "number", "boolean", "filepath"] = "string"
    default: str | None = None


class Positional(Input):
    type: Literal["positional"]
    value: str


class Named(Input):
    type: Literal["named"]
    name: str = Field(pattern=r"^--[a-z-]+$")
    is_repeated: bool = Field(False, alias="isRepeated")


class Variable(Input):
    name: str = Field(pattern=r"^[A-Z_]+$")
    is_secret: bool = Field(False, alias="isSecret")


class Stdio(Strict):
    type: Literal["stdio"]


class Package(Strict):
    registry_type: Literal["pypi"] = Field(alias="registryType")
    identifier: str
    version: str = Field(pattern=r"^\d+\.\d+\.\d+$")
    runtime_hint: Literal["uvx"] = Field(alias="runtimeHint")
    transport: Stdio
    package_arguments: list[Annotated[Positional | Named, Field(discriminator="type")]] = Field(
        alias="packageArguments"
    )
    environment_variables: list[Variable] = Field(alias="environmentVariables")


class ServerJson(Strict):
    schema_: Literal["https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json"] = Field(
        alias="$schema"
    )
    name: str = Field(pattern=r"^[a-zA-Z0-9.-]+/[a-zA-Z0-9._-]+$", min_length=3, max_length=200)
    title: str = Field(min_length=1, max_length=100)
    description: str = Field(min_length=1, max_length=100)
    version: str = Field(pattern=r"^\d+\.\d+\.\d+$")
    packages: list[Package]


def test_the_registrys_entry_keeps_the_documented_limits() -> None:
    TypeAdapter(ServerJson).validate_python(SERVER)
    for key, value in (("description", "x" * 101), ("name", "lorgnette"), ("version", "latest"), ("extra", 1)):
        with pytest.raises(ValidationError):
            TypeAdapter(ServerJson).validate_python({**SERVER, key: value})


def test_the_registrys_flags_are_those_of_the_command() -> None:
    from cli.serve import serve

    flags = {flag for option in serve.params for flag in option.opts}
    named = {argument["name"] for argument in SERVER["packages"][0]["packageArguments"] if argument["type"] == "named"}
    assert named <= flags


def test_the_readme_proves_to_the_registry_whose_package_it_is() -> None:
    assert f"<!-- mcp-name: {SERVER['name']} -->" in README
