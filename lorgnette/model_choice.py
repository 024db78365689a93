"""Remembers which model answers from the next start on; one that cannot be loaded is refused here."""

from dataclasses import dataclass
from pathlib import Path

from lorgnette.settings_file import overriding, remember


@dataclass(frozen=True)
class Choice:
    """What was remembered."""

    model: str
    """As it is found from every folder."""
    file: Path
    stronger: str | None
    """What names another model in this place and wins; none if nothing does."""


def choose_model(model: str) -> Choice:
    """Write a model into the user's `lorgnette.yaml`.

    Args:
        model: `tiny`, a hub id that was downloaded, a folder, an address, or a converted model behind `openvino:`.

    Raises:
        ModelError: It is not on this machine, or cannot be loaded.
        ConfigUnreadable: The file cannot be changed.
    """
    from model.checkpoint import read_checkpoint
    from model.hub import HUB_ID, MODELSCOPE, TINY, find_local
    from model.open import is_converted, is_remote

    if is_converted(model):
        model = _checked_ir(model)
    elif not is_remote(model):
        read_checkpoint(find_local(model))
        if model != TINY and not HUB_ID.fullmatch(model.removeprefix(MODELSCOPE)):
            model = str(Path(model).expanduser().absolute())
        elif Path(model).is_dir():
            model = str(Path(model).absolute())
    return Choice(model, remember("model", model), overriding("model"))


def _checked_ir(model: str) -> str:
    from model.hub import OPENVINO, find_local
    from model.ir import read_ir

    read_ir(find_local(model))
    place, mark, device = model.removeprefix(OPENVINO).partition("#")
    folder = Path(place).expanduser()
    return OPENVINO + (str(folder.absolute()) if folder.is_dir() else place) + mark + device
