"""The benchmark of picture kinds, whole: it takes seconds, and each of its kinds is one that somebody has."""

from pathlib import Path

import pytest

from benchmarks.pictures.__main__ import measure


def test_every_kind_of_picture_is_seen_as_drawn_or_refused_for_its_reason_by_every_door(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LORGNETTE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)  # and back: it works in the folder of the pictures
    rows, wrong = measure(tmp_path / "pictures")
    assert wrong == []
    assert rows[-1]["kinds"] > 89
