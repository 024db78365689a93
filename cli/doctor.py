"""`lorgnette doctor`: what is there, what is missing, and the command that mends it. It changes nothing."""

import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.clients.options import CLIENTS, here
from cli.edge import FAILED, Run, settings_options, verbose_option
from cli.finding import Check

if TYPE_CHECKING:
    from lorgnette.settings import Settings

NEEDED = ("torch", "transformers", "peft", "langgraph", "langchain-core", "llguidance", "mcp")
GIB = 1 << 30
LITTLE_MEMORY = 2 * GIB
REMOTE_TIMEOUT_S = 3.0


@click.command(short_help="Check the installation, the settings and the connected clients.")
@click.argument("client", required=False, type=click.Choice(CLIENTS))
@settings_options
@click.option("--json", "as_json", is_flag=True, help="Print exactly one JSON document.")
@verbose_option
@click.pass_obj
def doctor(_: Run, /, client: str | None, as_json: bool, **flags: object) -> None:
    """Check versions, device, memory, model, adapter, folders and settings; exit with 1 if something fails.

    The server is started as each client that has its entry would start it, or as the one that is named.

    \b
    Examples:
      lorgnette doctor --model Qwen/Qwen3-VL-2B-Instruct
      lorgnette doctor claude-desktop
    """  # noqa: D301
    checks = list(_check_versions())
    check, settings = _read_settings(flags)
    checks += [check, _check_device(), _check_memory(), _check_home()]
    if settings is not None:
        checks += [_check_model(settings), *_check_adapter(settings), *_check_roots(settings)]
        checks += [*_check_quantization(settings), *_check_reranker(settings)]
    checks += _check_clients(client)
    if as_json:
        import json

        click.echo(json.dumps({"checks": [asdict(check) for check in checks]}, ensure_ascii=False))
    else:
        for check in checks:
            click.echo(f"{check.state:<5} {check.name:<14} {check.found}")
            if check.mend:
                click.echo(f"{'':<20} {check.mend}")
    if any(check.state == "fail" for check in checks):
        raise click.exceptions.Exit(FAILED)


def _check_clients(client: str | None) -> "Iterator[Check]":
    from cli.clients.check import check_clients

    return check_clients(client, here())


def _check_versions() -> Iterator[Check]:
    from lorgnette.version import MISSING, own_version, version

    python = ".".join(str(part) for part in sys.version_info[:3])
    yield Check("python", "ok", python)
    yield Check("lorgnette", "ok", own_version())
    for name in NEEDED:
        found = version(name)
        if found == MISSING:
            yield Check(name, "fail", MISSING, "pip install lorgnette")
        else:
            yield Check(name, "ok", found)
    found = version("torchvision")
    yield Check("torchvision", "ok", "not needed" if found == MISSING else found)
    found = version("bitsandbytes")
    yield Check("bitsandbytes", "ok", "not installed, only for nf4 and int8" if found == MISSING else found)


def _read_settings(flags: dict[str, object]) -> "tuple[Check, Settings | None]":
    from lorgnette.settings import ConfigError, config_file, load_settings

    try:
        settings = load_settings(**flags)
        path = config_file()
    except ConfigError as error:
        return Check("settings", "fail", str(error), "model and folders can be checked after that"), None
    return Check("settings", "ok", f"file {path}" if path else "no file, defaults and environment"), settings


def _check_device() -> Check:
    try:
        from model.device import describe, find_device

        return Check("device", "ok", describe(find_device()))
    except Exception as error:  # a broken installation of torch raises anything, and saying so is the work here
        return Check("device", "fail", f"torch cannot be imported: {error}", "pip install --force-reinstall torch")


def _check_memory() -> Check:
    import psutil

    memory = psutil.virtual_memory()
    found = f"{memory.available / GIB:.1f} of {memory.total / GIB:.1f} GiB free"
    if memory.available < LITTLE_MEMORY:
        return Check("memory", "warn", found, "close other programs before you load a large model")
    return Check("memory", "ok", found)


def _check_home() -> Check:
    import tempfile

    from common.home import data_home

    home = data_home()
    try:
        present = next(folder for folder in (home, *home.parents) if folder.exists())  # the rest is made when needed
        with tempfile.TemporaryFile(dir=present):
            pass
    except OSError as error:
        reason = error.strerror or type(error).__name__
        return Check(
            "data folder", "fail", f"{home} cannot be written: {reason}", "set LORGNETTE_HOME to a folder of yours"
        )
    return Check("data folder", "ok", str(home))


def _check_model(settings: "Settings") -> Check:
    from model.open import is_converted, is_remote

    if is_remote(settings.model):
        return _check_remote(settings)
    if is_converted(settings.model):
        return _check_converted(settings.model)
    from model.checkpoint import read_checkpoint
    from model.errors import ModelError
    from model.hub import find_local

    try:
        checkpoint = read_checkpoint(find_local(settings.model))
    except ModelError as error:
        return Check("model", "fail", str(error), _mend_model(settings.model))
    found = f"{settings.model}, {checkpoint.parameters / 1e6:,.1f} M parameters, {checkpoint.folder}"
    if settings.model == "tiny":
        mend = "for photographs and documents: lorgnette model pull Qwen/Qwen3-VL-2B-Instruct"
        return Check("model", "ok", f"{found}; it knows drawn shapes only, in English and Chinese", mend)
    return Check("model", "ok", found)


def _check_converted(model: str) -> Check:
    from lorgnette.version import MISSING, version
    from model.errors import ModelError
    from model.hub import find_local
    from model.ir import read_ir

    try:
        ir = read_ir(find_local(model))
    except ModelError as error:
        return Check("model", "fail", str(error), "lorgnette model convert MODEL FOLDER, then --model openvino:FOLDER")
    found = version("openvino-genai")
    if found == MISSING:
        return Check("model", "fail", f"{model} needs openvino-genai", "pip install 'lorgnette[openvino]'")
    return Check("model", "ok", f"{model}, {ir.weights}, {ir.bytes / 1e6:,.1f} MB of weights, openvino-genai {found}")


def _mend_model(model: str) -> str:
    is_hub_id = model.count("/") == 1 and not Path(model).exists()
    return f"lorgnette model pull {model}" if is_hub_id else "give --model tiny, a hub id, or the folder of a Qwen3-VL"


def _check_remote(settings: "Settings") -> Check:
    import urllib.error
    import urllib.request

    address = settings.model.partition("#")[0].rstrip("/")
    request = urllib.request.Request(f"{address}/models")
    if settings.api_key is not None:
        request.add_header("Authorization", f"Bearer {settings.api_key.get_secret_value()}")
    try:
        with urllib.request.urlopen(request, timeout=REMOTE_TIMEOUT_S):
            return Check("model", "ok", f"{address} answers")
    except urllib.error.HTTPError as error:
        mend = "set LORGNETTE_API_KEY" if error.code in (401, 403) else "check the address; it should end in /v1"
        return Check("model", "fail", f"{address} answers {error.code}", mend)
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        return Check(
            "model", "fail", f"{address} does not answer: {reason}", "start the model's server, or correct --model"
        )


def _check_adapter(settings: "Settings") -> Iterator[Check]:
    folder = settings.adapter
    if folder is None:
        return
    missing = [name for name in ("adapter_config.json", "adapter_model.safetensors") if not (folder / name).is_file()]
    if missing:
        yield Check("adapter", "fail", f"{folder} has no {' and no '.join(missing)}", "give the folder that PEFT saved")
        return
    try:
        (folder / "adapter_config.json").read_text(encoding="utf-8")
        with open(folder / "adapter_model.safetensors", "rb") as weights:
            weights.read(8)
    except (OSError, UnicodeError) as error:
        yield Check("adapter", "fail", f"{folder} cannot be read: {error}", "correct its permissions, or copy it again")
    else:
        yield Check("adapter", "ok", str(folder))


def _check_roots(settings: "Settings") -> Iterator[Check]:
    for root in settings.roots:
        if not root.is_dir():
            yield Check("root", "fail", f"{root} is no folder", "create it, or name another with --root DIR")
        elif root == root.parent:
            yield Check("root", "warn", f"{root} is the whole machine", "name a smaller folder with --root DIR")
        else:
            yield Check("root", "ok", str(root))


def _check_quantization(settings: "Settings") -> Iterator[Check]:
    from lorgnette.version import MISSING, version

    if settings.quantization in ("nf4", "int8") and version("bitsandbytes") == MISSING:
        mend = "pip install 'lorgnette[quantization]'"
        yield Check("quantization", "fail", f"{settings.quantization} needs bitsandbytes", mend)


def _check_reranker(settings: "Settings") -> "Iterator[Check]":
    from retrieval.on_disk import model_folder
    from retrieval.search.rerank import DEFAULT_ID

    if settings.reranker == "auto" and model_folder(DEFAULT_ID) is None:
        found = "none on this machine; passages keep the order of the search"
        yield Check("reranker", "ok", found, f"lorgnette model pull {DEFAULT_ID}")
