"""Folders of links to a model's files, in which single ones are replaced, for programs that take a folder alone."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from model.openvino.vision_memo import TOWER, has_memo, write_memo

PICTURES = "preprocessor_config.json"
_ANY_SIZE = {"shortest_edge": 1, "longest_edge": 2**31 - 1}


@contextmanager
def staged(folder: Path, picture: Mapping[str, Any]) -> Iterator[Path]:
    """Yield a folder of the same model as OpenVINO GenAI is to load it; it is gone afterwards.

    Its vision tower remembers, and it takes pictures of any size as they are: they come fitted, and GenAI would fit
    some of them once more, where growing them to the least size went over the largest.
    """
    with tempfile.TemporaryDirectory(prefix="lorgnette-", ignore_cleanup_errors=True) as temporary:
        place = Path(temporary)
        replaced = [PICTURES]
        if not has_memo(folder) and write_memo(folder, place):
            replaced += [f"{TOWER}.xml", f"{TOWER}.bin"]
        any_size = {key: value for key, value in picture.items() if key not in ("min_pixels", "max_pixels")}
        (place / PICTURES).write_text(json.dumps({**any_size, "size": _ANY_SIZE}), encoding="utf-8")
        for path in folder.iterdir():
            if path.is_file() and path.name not in replaced:
                link_file(path, place / path.name)
        yield place


def link_file(path: Path, link: Path) -> None:
    """Let a file be found in another folder, in whichever way the system allows."""
    target = path.resolve()
    try:
        link.symlink_to(target)
    except OSError:  # Windows allows it to administrators alone
        try:
            os.link(target, link)
        except OSError:
            shutil.copyfile(target, link)
