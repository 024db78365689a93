"""What holds for every test: one thread, a home of its own, no clock, and servers that are started once.

Tests run in two processes (`make test`); what shares something dear is kept together in one of them.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests import servers

# On a busy machine a deadline fails for no fault of the code.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
# Read when torch is imported, here and in every child: two test processes use both cores as it is.
os.environ["OMP_NUM_THREADS"] = "1"

DATABASES = {"chroma_server_url", "milvus_url", "postgres_url"}


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in its own
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs a database, and say which tests may not be told apart."""
    for item in items:
        if DATABASES & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.database)
        if item.get_closest_marker("database") is not None:
            item.add_marker(pytest.mark.xdist_group("database"))
        elif _shares_something_dear(item):
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))


def _shares_something_dear(item: pytest.Item) -> bool:
    """Whether it uses what its module makes once, such as a trained adapter."""
    if not isinstance(item, pytest.Function):
        return False
    made = item._fixtureinfo.name2fixturedefs  # pytest tells it nowhere else
    return any(definition.scope == "module" for definitions in made.values() for definition in definitions)


@pytest.fixture(scope="session", autouse=True)
def home_of_the_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing of this machine's user is read or written, whatever a test forgets to say."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LORGNETTE_HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(scope="session")
def chroma_server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with servers.chroma(tmp_path_factory.mktemp("chroma-server")) as url:
        yield url


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    with servers.postgres() as url:
        yield url


@pytest.fixture
def milvus_url(tmp_path: Path) -> str:
    """Give the address of a milvus-lite file that is not there yet."""
    servers.need("pymilvus", "milvus_lite")
    return f"milvus://{tmp_path / 'engine.db'}"
