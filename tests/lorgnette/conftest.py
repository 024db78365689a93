"""The same agent, settings and servers as the tests of mcp_server: the doors stand on what is tested here."""

from tests.mcp_server.conftest import answer, anyio_backend, clean_environment, fake_agent, serve, settings

__all__ = ["answer", "anyio_backend", "clean_environment", "fake_agent", "serve", "settings"]
