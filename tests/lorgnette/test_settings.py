import os
import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from common.home import data_home
from lorgnette.settings import (
    BadSetting,
    ConfigError,
    ConfigUnreadable,
    Settings,
    UnknownSetting,
    config_file,
    load_settings,
    settings_table,
)


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_a_flag_wins_over_the_environment_over_the_file_over_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load_settings().max_new_tokens == 256
    write(tmp_path / "lorgnette.yaml", "max_new_tokens: 1\n")
    assert load_settings().max_new_tokens == 1
    monkeypatch.setenv("LORGNETTE_MAX_NEW_TOKENS", "2")
    assert load_settings().max_new_tokens == 2
    assert load_settings(max_new_tokens=3).max_new_tokens == 3
    assert load_settings(max_new_tokens=None).max_new_tokens == 2


def test_the_working_folders_file_wins_over_the_users(tmp_path: Path) -> None:
    theirs = write(tmp_path / "config" / "lorgnette" / "lorgnette.yaml", "effort: quick\n")
    assert config_file() == theirs
    assert load_settings().effort == "quick"
    ours = write(tmp_path / "lorgnette.yaml", "effort: thorough\n")
    assert config_file() == ours
    assert load_settings().effort == "thorough"


def test_a_file_can_be_named_by_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "lorgnette.yaml", "effort: quick\n")
    monkeypatch.setenv("LORGNETTE_CONFIG", str(write(tmp_path / "other.yaml", "effort: thorough\n")))
    assert load_settings().effort == "thorough"
    monkeypatch.setenv("LORGNETTE_CONFIG", str(tmp_path / "none.yaml"))
    with pytest.raises(ConfigUnreadable, match="no such file"):
        load_settings()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("roots: [a\n", "not valid YAML"),
        ("- model\n", "should hold lines such as"),
        ("api_key: abc\n", "set LORGNETTE_API_KEY instead"),
    ],
)
def test_a_file_that_is_no_settings_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path / "lorgnette.yaml", text)
    with pytest.raises(ConfigUnreadable, match=message) as caught:
        load_settings()
    assert caught.value.path == path
    assert "\n" not in str(caught.value)


def test_a_file_in_another_encoding_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "lorgnette.yaml").write_bytes("model: ü\n".encode("latin-1"))
    with pytest.raises(ConfigUnreadable):
        load_settings()


def test_an_unknown_key_of_the_file_is_an_error_that_suggests_the_nearest(tmp_path: Path) -> None:
    write(tmp_path / "lorgnette.yaml", "time_budgets: 3\n")
    with pytest.raises(UnknownSetting, match=r"'time_budgets': did you mean 'time_budget_s'\?"):
        load_settings()


def test_an_unknown_variable_is_an_error_that_suggests_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LORGNETTE_MODLE", "tiny")
    with pytest.raises(UnknownSetting, match=r"'LORGNETTE_MODLE': did you mean 'LORGNETTE_MODEL'\?"):
        load_settings()


def test_an_unknown_flag_is_an_error() -> None:
    with pytest.raises(UnknownSetting):
        load_settings(efort="quick")


def test_a_bad_value_names_the_place_where_it_was_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "lorgnette.yaml", "temperature: hot\n")
    with pytest.raises(BadSetting, match="temperature in") as caught:
        load_settings()
    assert str(path) in str(caught.value) and "'hot'" in str(caught.value)
    monkeypatch.setenv("LORGNETTE_TEMPERATURE", "warm")
    with pytest.raises(BadSetting, match=r"^LORGNETTE_TEMPERATURE cannot be 'warm'"):
        load_settings()
    with pytest.raises(BadSetting, match=r"^--time-budget cannot be -1"):
        load_settings(time_budget_s=-1, temperature=0.0)


def test_an_empty_variable_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LORGNETTE_ADAPTER", "")
    assert load_settings().adapter is None


def test_roots_in_the_environment_are_separated_as_in_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LORGNETTE_ROOTS", os.pathsep.join(["pictures", str(tmp_path / "b")]))
    assert load_settings().roots == (tmp_path / "pictures", tmp_path / "b")


def test_limits_of_memory_are_a_mapping_in_the_file_and_a_list_in_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "lorgnette.yaml", "max_memory: {0: 10GiB, cpu: 1.5 GB}\noffload_folder: disk\n")
    settings = load_settings()
    assert settings.max_memory == ((0, 10 * 2**30), ("cpu", 1_500_000_000))
    assert settings.offload_folder == tmp_path / "disk" and isinstance(hash(settings), int)
    monkeypatch.setenv("LORGNETTE_MAX_MEMORY", "cpu=8MiB, 1=512")
    with pytest.raises(BadSetting, match="'512' is no size; write it as 10GiB or 800MiB; correct it there"):
        load_settings()
    monkeypatch.setenv("LORGNETTE_MAX_MEMORY", "cpu=8MiB, 1=512MiB")
    assert load_settings().max_memory == (("cpu", 8 * 2**20), (1, 512 * 2**20))


@pytest.mark.parametrize(
    ("setting", "value", "reason"),
    [
        ("max_memory", "8GiB", "write it as cpu=30GiB,0=10GiB"),
        ("max_memory", "disk=8GiB", "'disk' is no place; a card's number, cpu or mps is"),
        ("max_memory", "cpu=0GiB", "'0GiB' is no size"),
        ("device_map", "everywhere", "'auto', 'one', 'balanced'"),
        ("attn_implementation", "fast", "'auto', 'sdpa', 'eager' or 'flash_attention_2'"),
    ],
)
def test_a_bad_place_for_the_weights_is_one_sentence(
    setting: str, value: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"LORGNETTE_{setting.upper()}", value)
    with pytest.raises(BadSetting) as refused:
        load_settings()
    assert reason in str(refused.value) and "\n" not in str(refused.value)


def test_modules_can_be_given_their_places_in_the_file(tmp_path: Path) -> None:
    write(tmp_path / "lorgnette.yaml", "device_map: {model.visual: 0, lm_head: cpu}\n")
    assert load_settings().device_map == (("lm_head", "cpu"), ("model.visual", 0))


def test_relative_paths_of_the_file_start_at_its_own_folder(tmp_path: Path) -> None:
    folder = tmp_path / "config" / "lorgnette"
    write(folder / "lorgnette.yaml", "roots: [pictures, ~/here]\nadapter: lens\nmodel: ./weights\n")
    settings = load_settings()
    assert settings.roots == (folder / "pictures", Path.home() / "here")
    assert settings.adapter == folder / "lens"
    assert settings.model == str(folder / "weights")


def test_a_tilde_is_a_home_everywhere() -> None:
    settings = load_settings(model="~/weights", adapter=Path("~/lens"))
    assert settings.model == str(Path.home() / "weights")
    assert settings.adapter == Path.home() / "lens"


def test_the_default_root_is_the_working_folder(tmp_path: Path) -> None:
    assert load_settings().roots == (tmp_path,)


def test_no_root_at_all_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"--root cannot be .*at least one folder"):
        load_settings(roots=())


def test_the_key_of_a_remote_model_never_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LORGNETTE_API_KEY", "sk-secret")
    settings = load_settings()
    assert settings.api_key is not None and settings.api_key.get_secret_value() == "sk-secret"
    assert "sk-secret" not in repr(settings)


def test_settings_cannot_be_changed_after_they_were_read() -> None:
    with pytest.raises(ValidationError):
        load_settings().effort = "quick"  # type: ignore[misc]


def test_data_lives_where_the_environment_says_or_where_the_platform_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LORGNETTE_HOME", str(tmp_path / "mine"))
    assert data_home() == tmp_path / "mine"
    monkeypatch.delenv("LORGNETTE_HOME")
    assert data_home().name == "lorgnette"


def test_the_table_for_the_readme_has_a_row_for_every_setting() -> None:
    rows = settings_table().splitlines()[2:]
    assert sorted(row.split("`")[1] for row in rows) == sorted(Settings.model_fields)
    assert all(cell.strip() for row in rows for cell in row.replace("\\|", "").strip("|").split("|"))
    assert "| `effort` | `normal` |" in settings_table()


def test_the_settings_that_the_page_about_the_agent_shows_can_be_used(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "agent.md").read_text("utf-8")
    shown = re.findall(r"^```yaml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert len(shown) >= 2
    write(tmp_path / "lorgnette.yaml", "".join(shown))
    read = load_settings()
    assert (read.temperature, read.top_p, read.top_k, read.presence_penalty) == (0.7, 0.8, 20, 1.5)
    assert read.max_memory == ((0, 20 * 2**30), ("cpu", 48 * 2**30))


def test_the_documentation_holds_every_setting() -> None:
    page = Path(__file__).parents[2] / "docs" / "settings.md"
    assert settings_table() in page.read_text("utf-8")
