"""Which test runs in which of the processes of `pytest -n`: a file stays together, the databases do too.

Written here because the groups of `--dist loadgroup` are lost with pytest 9.2: xdist 3.8 hangs them on an attribute
that pytest no longer reads.
"""

from xdist.scheduler import LoadScopeScheduling

# Their tests start servers, or open files that a second process may not; one process does all of it.
DATABASE_FILES = frozenset({
    "tests/cli/kb/test_export.py",
    "tests/graph/test_session_store.py",
    "tests/retrieval/index/engines/test_engines.py",
    "tests/test_servers.py",
})  # fmt: skip


class FilesTogether(LoadScopeScheduling):
    """Deals out files in the order of the collection, which begins with what takes long."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "databases" if file in DATABASE_FILES else file
