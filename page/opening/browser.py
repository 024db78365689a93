"""Opens the page: in the user's browser, in a window of its own by pywebview, or in a browser's window without tabs."""

import importlib.util
import shutil
import subprocess
import sys
import webbrowser
from pathlib import Path

WITHOUT_TABS = (
    "google-chrome", "google-chrome-stable", "chromium", "chromium-browser", "microsoft-edge", "brave-browser",
    "msedge", "chrome",
)  # fmt: skip
"""Browsers that know `--app`."""
ON_MAC = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
SIZE = 1100, 820


def open_browser(url: str) -> bool:
    """Open a tab in the user's browser; returns whether there was one."""
    try:
        return webbrowser.open(url)
    except webbrowser.Error:
        return False


def has_windows() -> bool:
    """Return whether pywebview is installed."""
    return importlib.util.find_spec("webview") is not None


def show_window(url: str) -> None:
    """Show a window by pywebview until the user closes it; to be called on the main thread."""
    import webview

    webview.create_window("Lorgnette", url, width=SIZE[0], height=SIZE[1])
    webview.start()


def open_app_window(url: str) -> bool:
    """Open a browser's window without tabs and address; returns whether there is a browser that can."""
    command = next((found for name in WITHOUT_TABS if (found := shutil.which(name))), None)
    if command is None and sys.platform == "darwin":
        command = next((path for path in ON_MAC if Path(path).is_file()), None)
    if command is None:
        return False
    subprocess.Popen(
        [command, f"--app={url}", f"--window-size={SIZE[0]},{SIZE[1]}"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    return True
