"""The folder of features: what a killed process left half written is swept when it is old."""

import os
import time
from pathlib import Path

import pytest

from common.atomic_files import whole_files
from finetune.training.vision_cache import FORGOTTEN_S, GIB, FeatureCache

pytestmark = pytest.mark.training


def left_half_written(folder: Path, age_s: float) -> Path:
    """Leave what a process leaves that is killed in the middle of writing."""
    with whole_files([folder / "picture.safetensors"], private=True, durable=False) as (part,):
        part.write_bytes(b"half")
    (folder / "picture.safetensors").rename(part)
    os.utime(part, (time.time() - age_s,) * 2)
    return part


def test_an_old_half_written_file_is_swept_and_one_that_is_being_written_stays(tmp_path: Path) -> None:
    old = left_half_written(tmp_path, 2 * FORGOTTEN_S)
    fresh = left_half_written(tmp_path, 0)
    FeatureCache(tmp_path, "tower", GIB)
    assert (old.exists(), fresh.exists()) == (False, True)
