"""One setting into the user's file, and everything else in it as it was."""

from pathlib import Path

import pytest

from lorgnette.settings import ConfigUnreadable, load_settings, user_file
from lorgnette.settings_file import overriding, remember


def test_a_new_file_holds_the_one_setting() -> None:
    path = remember("model", "http://host/v1#it's")
    assert path == user_file() and path.read_text("utf-8") == "model: 'http://host/v1#it''s'\n"
    assert load_settings().model == "http://host/v1#it's"


def test_other_lines_and_comments_stay() -> None:
    user_file().parent.mkdir(parents=True)
    user_file().write_text("# mine\nmodel: tiny  # for now\neffort: quick # fast", "utf-8")
    remember("model", "a/b")
    assert user_file().read_text("utf-8") == "# mine\nmodel: 'a/b'\neffort: quick # fast"
    remember("quantization", "nf4")
    assert user_file().read_text("utf-8").endswith("effort: quick # fast\nquantization: 'nf4'\n")


def test_what_wins_over_the_users_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remember("model", "a/b")
    assert overriding("model") is None
    (tmp_path / "lorgnette.yaml").write_text("effort: quick\n", "utf-8")
    assert overriding("model") == f"the file {str(tmp_path / 'lorgnette.yaml')!r}"
    monkeypatch.setenv("LORGNETTE_MODEL", "tiny")
    assert overriding("model") == "the variable LORGNETTE_MODEL"


def test_a_file_that_cannot_be_written_is_named() -> None:
    user_file().mkdir(parents=True)
    with pytest.raises(ConfigUnreadable, match="cannot be changed"):
        remember("model", "a/b")
