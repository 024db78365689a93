"""The page that comes back: after a kill, with another model, and for many tabs at once."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from cli.open import again_arguments
from lorgnette.settings import Settings
from page.opening.running import Place, advertise_page, take_over
from page.shelf import Other
from tests.page.conftest import ROOT, SHAPES, WAIT_MS, Serve, answered, ask, visit


@pytest.mark.parametrize(
    ("arguments", "own", "other", "expected"),
    [
        (["open"], "tiny", Other("b"), ["open", "--no-browser", "--port", "9", "--model", "b"]),
        (
            ["open", "--window", "--port", "1", "--root", "r", "--model=tiny", "--adapter", "a"], "tiny", Other("b"),
            ["open", "--root", "r", "--no-browser", "--port", "9", "--model", "b"],
        ),
        # Another form of the same weights keeps the adapter.
        (
            ["open", "--adapter=a", "--quantization", "nf4"], "tiny", Other("tiny", "int8"),
            ["open", "--adapter=a", "--no-browser", "--port", "9", "--model", "tiny", "--quantization", "int8"],
        ),
    ],
)  # fmt: skip
def test_the_page_starts_again_with_the_same_words_but_another_model(
    arguments: list[str], own: str, other: Other, expected: list[str]
) -> None:
    assert again_arguments(arguments, own, 9, other) == expected


def test_the_place_of_a_page_that_was_killed_is_taken_over_once_and_that_of_one_that_ended_never(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LORGNETTE_HOME", str(tmp_path))
    here = "http://127.0.0.1:9", "00"  # nobody listens there
    with advertise_page(*here, "http://127.0.0.1:9/page/secret/", Settings()):
        pass
    assert take_over(None) is None
    with advertise_page(*here, "http://127.0.0.1:9/page/secret/", Settings(), goes_on=lambda: True):
        pass
    assert take_over(None) == Place(9, "secret")
    assert take_over(None) is None


@pytest.mark.browser
@pytest.mark.heavy
def test_a_tab_whose_server_was_killed_comes_back_by_itself(tab: Any, serve_page: Serve) -> None:
    served = serve_page(scripted=True)
    visit(tab, served.address)
    served.process.kill()
    served.process.wait()
    tab.get_by_text("Connection lost").wait_for()
    assert serve_page(scripted=True).address == served.address
    tab.get_by_text("Connection lost").wait_for(state="hidden")
    tab.wait_for_selector("body[data-ready]")
    ask(tab, "back")
    assert answered(tab).startswith("back:")


@pytest.mark.browser
@pytest.mark.heavy
@pytest.mark.slow
def test_twenty_tabs_are_answered_each_its_own_question(browser: Any, serve_page: Serve) -> None:
    served = serve_page(scripted=True)
    tabs = [browser.new_page() for _ in range(20)]
    for tab in tabs:
        tab.set_default_timeout(WAIT_MS)
        visit(tab, served.address)
    for number, tab in enumerate(tabs):
        ask(tab, f"question{number}")
    for number, tab in enumerate(tabs):
        assert answered(tab).startswith(f"question{number}:")
        tab.close()


@pytest.mark.browser
@pytest.mark.heavy
@pytest.mark.slow
def test_another_model_and_another_form_of_its_weights_are_chosen_in_the_page(
    tab: Any, serve_page: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = tmp_path / "hub" / "models--me--small" / "snapshots" / ("0" * 40)
    snapshot.parent.mkdir(parents=True)
    shutil.copytree(ROOT / "model" / "tiny", snapshot)
    refs = snapshot.parents[1] / "refs"
    refs.mkdir()
    (refs / "main").write_text(snapshot.name, "utf-8")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    visit(tab, serve_page().address)
    ask(tab, "How many objects are there?", SHAPES)
    answered(tab)
    tab.click(".lo-again")
    tab.get_by_text("Ask again: me/small").click()
    answered(tab, 2)  # the tab has come back, and asked by itself
    tab.locator(".lo-review").nth(1).click()
    tab.get_by_text("me/small (").wait_for()
    tab.get_by_role("tab", name="Models").click()
    tab.locator(".lo-loaded", has_text="me/small").wait_for()
    tab.click(".lo-form")
    tab.get_by_role("option", name="int8").click()
    tab.get_by_role("button", name="Let tiny answer").click()
    tab.locator(".lo-loaded", has_text="tiny (int8").wait_for()
