"""The view of the documents, in a real browser with real documents."""

from pathlib import Path
from typing import Any

import pytest

from tests.page.conftest import Serve, answered, ask, visit

pytestmark = [pytest.mark.browser, pytest.mark.heavy, pytest.mark.slow]


def test_a_folder_is_added_searched_cited_and_taken_out_again(tab: Any, serve_page: Serve, tmp_path: Path) -> None:
    papers = tmp_path / "papers"
    papers.mkdir()
    (papers / "holidays.md").write_text("# Leave\n\nUp to five days of annual leave carry over into the next year.\n")
    (papers / "<b>broken<b>.pdf").write_bytes(b"%PDF-1.7 broken")
    visit(tab, serve_page().address)
    tab.get_by_role("tab", name="Documents").click()
    tab.get_by_text("No folders yet.").wait_for()
    tab.fill(".lo-folder-path input", str(papers))
    tab.press(".lo-folder-path input", "Enter")
    tab.get_by_text("1 files, 1 passages, 1 skipped").wait_for()
    tab.click(".lo-skipped")
    tab.get_by_text("papers/<b>broken<b>.pdf").wait_for()
    tab.fill(".lo-search input", "How many days of annual leave carry over?")
    tab.press(".lo-search input", "Enter")
    tab.wait_for_selector(".lo-found .lo-quote")
    tab.get_by_role("button", name="Show the page: papers/holidays.md").click()
    tab.wait_for_selector("mark.lo-mark")
    assert "five days" in tab.inner_text("mark.lo-mark")
    tab.get_by_role("button", name="Close").click()
    # The agent has the same documents; its citation opens the same page.
    tab.get_by_role("tab", name="Chat").click()
    ask(tab, "How many days of annual leave carry over?")
    assert "five days" in answered(tab)
    tab.get_by_role("button", name="Show where [1] stands").click()
    tab.wait_for_selector("mark.lo-mark")
    tab.get_by_role("button", name="Close").click()
    tab.get_by_role("tab", name="Documents").click()
    tab.locator(".lo-folder button").click()
    tab.get_by_role("button", name="Delete").click()
    tab.get_by_text("0 files, 0 passages, 0 skipped").wait_for()
    assert (papers / "holidays.md").exists()


def test_documents_that_were_named_at_the_start_stay_as_they_are(tab: Any, serve_page: Serve, folder: Path) -> None:
    named = folder / "named"
    named.mkdir()
    (named / "a.txt").write_text("The meeting is on Monday.")
    visit(tab, f"{serve_page('--kb', str(named)).address}?view=documents")
    tab.get_by_text("These documents were named at the start").wait_for()
    assert not tab.locator(".lo-folder-path").is_visible()
