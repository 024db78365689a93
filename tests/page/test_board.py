"""Models and training in a real browser: a data set looked at, a training watched to its end, its adapter tried."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.page.conftest import SHAPES, Serve, visit

pytestmark = [pytest.mark.browser, pytest.mark.heavy, pytest.mark.slow]


def test_what_is_loaded_and_what_fits_is_shown(tab: Any, serve_page: Serve) -> None:
    visit(tab, f"{serve_page(scripted=True).address}?view=models")
    tab.locator(".lo-model").first.wait_for()
    shown = tab.inner_text(".lo-models")
    assert "tiny" in shown and "fits" in shown and "Qwen/Qwen3-VL-8B-Instruct" in shown
    assert "tiny" in tab.inner_text(".lo-loaded")
    tab.get_by_text("No adapters in the folders of training yet.").wait_for()


def test_a_training_is_begun_watched_to_its_end_and_its_adapter_tried_beside_the_base(
    tab: Any, serve_page: Serve, folder: Path
) -> None:
    good = {
        "messages": [{"role": "user", "content": "<image>How many?"}, {"role": "assistant", "content": "Seven"}],
        "images": [str(SHAPES)],
    }
    rows = [good, {**good, "images": ["<b>missing</b>.png"]}]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    visit(tab, f"{serve_page().address}?view=school")
    values = {"dataset": "rows.jsonl", "output_dir": "runs/seven", "max_steps": "60", "val_size": "0"}
    for key, value in (values | {"per_device_train_batch_size": "1", "learning_rate": "0.0"}).items():
        tab.fill(f".lo-key-{key} input", value)
    tab.fill(".lo-further textarea", "logging_steps: 5\nreport_samples: 0\nplot_loss: false")
    tab.click(".lo-train")
    tab.get_by_text("learning_rate").filter(has_text="correct it").wait_for()  # as the command line says it
    tab.fill(".lo-key-learning_rate input", "0.005")
    tab.click(".lo-check_data")
    tab.locator(".lo-row mark").first.wait_for()
    assert "Seven" in tab.inner_text(".lo-row mark")
    tab.click(".lo-left-out")
    tab.get_by_text("<b>missing</b>.png").first.wait_for()
    tab.click(".lo-train")
    tab.locator(".lo-run-state", has_text="Finished; step 60 of 60").wait_for(timeout=400_000)
    assert (folder / "runs" / "seven.yaml").is_file() and (folder / "runs" / "seven" / "report.html").is_file()
    assert tab.locator(".lo-curve canvas, .lo-curve svg").count() == 3
    tab.locator(".lo-own-picture input[type=file]").set_input_files(str(SHAPES))
    tab.fill(".lo-try-question input", "How many?")
    tab.press(".lo-try-question input", "Enter")
    tab.locator(".lo-try-answer").nth(1).wait_for()
    assert "Seven" in tab.locator(".lo-try-answer").nth(1).inner_text()
    assert "Seven" not in tab.locator(".lo-try-answer").nth(0).inner_text()
    tab.click(".lo-measure")
    tab.fill(".lo-measure-rows input", "rows.jsonl")
    tab.click(".lo-measure-begin")
    tab.locator(".lo-measured tbody tr").first.wait_for(timeout=400_000)
    assert "100.0" in tab.inner_text(".lo-measured")
    # The adapter is on the shelf, too, and can be worn from there.
    tab.get_by_role("tab", name="Models").click()
    tab.get_by_role("button", name="Use the adapter").first.click()
    tab.locator(".lo-loaded", has_text="seven").wait_for()
    tab.get_by_role("button", name="Use no adapter").click()
    tab.locator(".lo-loaded", has_text="no adapter").wait_for()
