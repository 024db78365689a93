"""What holds for every test: one thread, a home of its own, no clock, and servers that are started once.

Tests run in two processes (`make test`); what shares something dear is kept together in one of them.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests import servers
from tests.scheduling import DATABASE_FILES, FilesTogether

# On a busy machine a deadline fails for no fault of the code.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
# Read when torch is imported, here and in every child: two test processes use both cores as it is.
os.environ["OMP_NUM_THREADS"] = "1"

DATABASES = {"chroma_server_url", "milvus_url", "postgres_url"}


# Markers, of what takes longest first.
LONG = ("database", "training", "heavy")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs a database, and begin with what takes long, so that no process ends long after the other."""
    for item in items:
        if DATABASES & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.database)
        if item.get_closest_marker("database") is not None and item.location[0] not in DATABASE_FILES:
            raise pytest.UsageError(f"{item.location[0]} uses a database: name it in tests/scheduling.py")
    items.sort(key=lambda item: next((place for place, name in enumerate(LONG) if _has(item, name)), len(LONG)))


def _has(item: pytest.Item, marker: str) -> bool:
    return item.get_closest_marker(marker) is not None


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> FilesTogether:
    """Deal the tests out to the processes of `-n`; not asked without it."""
    config.option.loadscopereorder = False  # it would begin with the file of the most tests
    return FilesTogether(config, log)


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
