"""The product with the conformance suite's fixtures beside its own tools: `python tests/suites/serve_fixtures.py PORT`.

Everything but the fixtures is what `lorgnette serve --http` runs. Nobody asks about a picture, so no model is loaded.
"""

import sys
from typing import Any, NoReturn

from fixtures import add_fixtures
from mcp.server import MCPServer

from lorgnette.settings import load_settings
from mcp_server import http_server as http
from mcp_server.app import build_server


def no_model(*_: object) -> NoReturn:
    raise RuntimeError("the suite asks no questions")


def build_with_fixtures(*arguments: Any, **options: Any) -> MCPServer[Any]:
    server = build_server(*arguments, **options)
    add_fixtures(server)
    return server


def say(line: str) -> None:
    sys.stderr.write(line)


def main() -> None:
    product: Any = http
    product.build_server = build_with_fixtures
    http.HttpServer(load_settings(), "127.0.0.1", int(sys.argv[1]), no_model).run(say)


if __name__ == "__main__":
    main()
