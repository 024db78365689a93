"""What the page must not import before it is drawn: it would be that much later there."""

import subprocess
import sys
from pathlib import Path

from tests.servers import need

HEAVY = ("mcp", "langchain_core", "langgraph", "langsmith", "numpy", "torch", "transformers", "sqlite3", "pandas",
         "matplotlib", "retrieval.catalogue", "graph.agent", "mcp_server.app", "mcp_server.openai_api")  # fmt: skip
SCRIPT = """
import os, sys, threading, urllib.request
import cli.main, cli.open
from lorgnette.settings import load_settings
from mcp_server import http_server
from page.opening.mount import Page

page = Page()
http_server.PAGE_S = 3600.0  # a busy machine is no reason to import meanwhile
server = http_server.HttpServer(load_settings(model="no/model", attach="never"), "127.0.0.1", 0, beside=page.beside)

def fetch():
    drawn = urllib.request.urlopen(server.url + page.address.path + "/").read().decode()
    print("Your question" in drawn, [name for name in {heavy} if name in sys.modules])
    proof = urllib.request.urlopen(server.url + "/v1/lorgnette/proof?nonce=1").read()
    print(b"proof" in proof, "mcp" in sys.modules)
    request = urllib.request.Request(server.url + "/v1/models")
    print(b'"lorgnette"' in urllib.request.urlopen(request).read(), "mcp" in sys.modules)
    server.stop()

server.run(lambda text: threading.Thread(target=fetch).start())
"""


def test_the_page_is_drawn_before_anything_heavy_is_imported_and_the_endpoints_answer_who_asks(tmp_path: Path) -> None:
    need("nicegui")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.replace("{heavy}", repr(HEAVY))], cwd=tmp_path, capture_output=True, text=True,
        env={"LORGNETTE_HOME": str(tmp_path / "home"), "PYTHONPATH": str(Path(__file__).parents[2]), "PATH": ""},
    )  # fmt: skip
    assert done.stdout.splitlines() == ["True []", "True False", "True True"], done.stderr
