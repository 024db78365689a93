"""One SQLite file used by several threads and processes: opening, transactions, errors. It does not know the tables.

Every write transaction takes the next generation, kept in the table `meta`; a reader that remembers a generation can
tell whether anything happened since.
"""

import os
import re
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from retrieval.errors import RetrievalError
from retrieval.locks import FileLock

APPLICATION_ID = int.from_bytes(b"LKB1", "big")
BUSY_TIMEOUT_S = 30.0
COMPANIONS = ("-wal", "-shm", "-journal")
_UNREADABLE = (sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_SHORT_READ, sqlite3.SQLITE_IOERR_CORRUPTFS)
_LITTLE_BYTES = 64 * 1024


class CatalogueError(RetrievalError):
    """The catalogue at `path` cannot be used as asked."""

    def __init__(self, path: Path, message: str) -> None:
        super().__init__(message)
        self.path = path


class CatalogueNewer(CatalogueError):
    """A newer Lorgnette wrote it: update, or index into another place."""

    def __init__(self, path: Path, version: int, known: int) -> None:
        super().__init__(
            path,
            f"The catalogue {str(path)!r} has format {version} and this Lorgnette knows up to {known}; update "
            "Lorgnette, or run `lorgnette kb doctor --anew` to put it aside, untouched, and build a new one",
        )
        self.version = version


class CatalogueDamaged(CatalogueError):
    """The file is no catalogue or is broken: repair it."""

    def __init__(self, path: Path, detail: str) -> None:
        super().__init__(
            path, f"The catalogue {str(path)!r} cannot be read ({detail}); run `lorgnette kb doctor` to repair it"
        )
        self.detail = detail


class CatalogueFull(CatalogueError):
    """No room is left on the disk: free some; what was committed is safe."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            path,
            f"The disk of the catalogue {str(path)!r} is full; what was indexed so far is safe: free some space and "
            "run `lorgnette kb sync` again",
        )


class CatalogueReadOnly(CatalogueError):
    """The file or its folder cannot be written: change the permissions or the place."""

    def __init__(self, path: Path, detail: str) -> None:
        super().__init__(
            path,
            f"The catalogue {str(path)!r} cannot be written ({detail}); make its folder writable or set LORGNETTE_HOME "
            "to one that is",
        )
        self.detail = detail


class CatalogueBusy(CatalogueError):
    """Another process kept it locked for too long: try again."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            path,
            f"The catalogue {str(path)!r} was locked by another process for {BUSY_TIMEOUT_S:.0f} s; try again when it "
            "is done",
        )


def _is_full(path: Path) -> bool:
    """Return whether there is no room beside the file: SQLite calls that by other names where it maps memory."""
    try:
        return shutil.disk_usage(path.parent).free < _LITTLE_BYTES
    except OSError:
        return False


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into ours."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        # The low byte is the kind, the rest says where it struck.
        code = getattr(error, "sqlite_errorcode", None) or sqlite3.SQLITE_ERROR
        kind = code & 0xFF
        if kind in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT) or code in _UNREADABLE:
            raise CatalogueDamaged(path, str(error)) from error
        if kind == sqlite3.SQLITE_FULL or (kind == sqlite3.SQLITE_IOERR and _is_full(path)):
            raise CatalogueFull(path) from error
        if kind in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_IOERR):
            raise CatalogueReadOnly(path, str(error)) from error
        if kind in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise CatalogueBusy(path) from error
        if isinstance(error, sqlite3.OperationalError) and re.match("no such|Could not decode", str(error)):
            raise CatalogueDamaged(path, str(error)) from error
        raise


def beside(path: Path, end: str) -> Path:
    """Return the path of a file that belongs to another one."""
    return path.with_name(path.name + end)


def _number_of(path: Path) -> tuple[int, int] | None:
    """Return what tells a file from another one in the same place; None if there is no file now."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


class Database:
    """The file, one connection a thread.

    If its folder cannot be written, or its disk is full, an existing file is opened for reading alone, and `read_only`
    is true.
    """

    def __init__(
        self,
        path: Path,
        statements: Sequence[str],
        version: int,
        prepare: Callable[[sqlite3.Connection], None],
        *,
        migrations: Mapping[int, Callable[[sqlite3.Connection], None]],
        readable: Mapping[int, Sequence[str]],
        durable: bool = True,
    ) -> None:
        """Open or create the file, and bring its tables to today's version.

        Args:
            path: The file; missing folders are made.
            statements: What creates the tables, `meta` among them.
            version: Of the tables, raised with each change of them.
            migrations: By version, what brings the tables of the version before to it.
            readable: By older version, what lets a file be read that cannot be migrated.
            prepare: Called with each new connection, for functions of our own.
            durable: Whether what was committed survives the power.
        """
        self.path = path
        self.read_only = False
        self.full = False
        """Whether it is read only because the disk had no room when it was opened."""
        self._statements = statements
        self._version = version
        self._migrations = migrations
        self._readable = readable
        self._prepare = prepare
        self._durable = durable
        self._local = threading.local()
        self._open: list[tuple[threading.Thread, sqlite3.Connection]] = []
        self._guard = threading.Lock()
        with translated(path):
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                if not path.exists():
                    self._create()
                if not path.stat().st_size:
                    raise CatalogueDamaged(path, "it is empty")
                self.connection()
            except OSError as error:
                raise CatalogueReadOnly(path, error.strerror or str(error)) from error

    def _create(self) -> None:
        # Under another name until it is whole, so that a file of that name without tables is always a damaged one.
        with FileLock(beside(self.path, ".lock")):
            if self.path.exists():
                return
            new = beside(self.path, ".new")
            # SQLite would take a log that lost its file for that of the new one.
            for old in (new, *(beside(path, end) for path in (new, self.path) for end in COMPANIONS)):
                old.unlink(missing_ok=True)
            # Made for its owner's eyes alone; SQLite gives its companions the same mode.
            os.close(os.open(new, os.O_RDWR | os.O_CREAT, 0o600))
            db = sqlite3.connect(new, isolation_level=None)
            try:
                self._check_tables(db)
                db.execute("PRAGMA journal_mode = WAL")
            finally:
                db.close()
            new.replace(self.path)

    def connection(self) -> sqlite3.Connection:
        """Return this thread's connection; a child process by fork gets its own, as does a file that was replaced."""
        db: sqlite3.Connection | None = getattr(self._local, "db", None)
        owner = os.getpid(), _number_of(self.path)
        if db is None or self._local.owner[0] != owner[0] or owner[1] not in (None, self._local.owner[1]):
            db = self._connect()
            self._local.db, self._local.owner = db, owner
            with self._guard:
                for thread, old in self._open:
                    if not thread.is_alive():
                        old.close()
                self._open = [(thread, old) for thread, old in self._open if thread.is_alive()]
                self._open.append((threading.current_thread(), db))
        return db

    def _connect(self) -> sqlite3.Connection:
        if not self.read_only:
            db = self._connect_to(str(self.path), uri=False)
            try:
                self._version_of(db)  # before anything in it is changed
                db.execute("PRAGMA journal_mode = WAL")
                # In WAL the default may lose the last transactions with the power; an acknowledged file must stay.
                db.execute(f"PRAGMA synchronous = {'FULL' if self._durable else 'OFF'}")
                self._check_tables(db)
            except sqlite3.OperationalError as error:
                db.close()
                kind = error.sqlite_errorcode & 0xFF
                self.full = kind == sqlite3.SQLITE_FULL or _is_full(self.path)
                if not self.full and kind not in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN):
                    raise
                self._refuse_unread_log(error)
                self.read_only = True
            except BaseException:
                db.close()
                raise
            else:
                return db
        # The file alone, without the companions that cannot be made here.
        db = self._connect_to(f"{self.path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
        try:
            version = self._version_of(db)
            if not version:
                raise CatalogueReadOnly(self.path, "it has no tables")
            for statement in self._readable.get(version, ()):
                db.execute(statement)
        except BaseException:
            db.close()
            raise
        return db

    def _connect_to(self, target: str, *, uri: bool) -> sqlite3.Connection:
        db = sqlite3.connect(
            target,
            timeout=BUSY_TIMEOUT_S,
            isolation_level=None,
            check_same_thread=False,
            uri=uri,
            cached_statements=256,
        )
        db.execute("PRAGMA foreign_keys = ON")
        self._prepare(db)
        return db

    def _refuse_unread_log(self, error: sqlite3.Error) -> None:
        log = self.path.with_name(self.path.name + "-wal")
        if not self.path.stat().st_size or (log.exists() and log.stat().st_size):
            raise CatalogueFull(self.path) if self.full else CatalogueReadOnly(self.path, str(error)) from error

    def _check_tables(self, db: sqlite3.Connection) -> None:
        """Create the tables, or bring older ones to today's version, one version a transaction."""
        while self._version_of(db) < self._version:
            db.execute("BEGIN IMMEDIATE")
            try:
                # Again, now that nobody else can be at it: another process may have done this step.
                version = self._version_of(db)
                if not version:
                    for statement in self._statements:
                        db.execute(statement)
                    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                    db.execute(f"PRAGMA user_version = {self._version}")
                elif version < self._version:
                    self._migrations[version + 1](db)
                    db.execute(f"PRAGMA user_version = {version + 1}")
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise

    def _version_of(self, db: sqlite3.Connection) -> int:
        """Return the version of the tables; 0 if there are none yet."""
        (application,) = db.execute("PRAGMA application_id").fetchone()
        (version,) = db.execute("PRAGMA user_version").fetchone()
        (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if application != APPLICATION_ID and (application or version or tables):
            raise CatalogueDamaged(self.path, "it belongs to another program")
        if version > self._version:
            raise CatalogueNewer(self.path, version, self._version)
        return int(version)

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Show one state of everything for as long as the block lasts; keep it short, it holds back the log."""
        with translated(self.path):
            db = self.connection()
            db.execute("BEGIN")
            try:
                yield db
            except ValueError as error:
                if isinstance(error, UnicodeEncodeError):  # what was asked for, not what was found
                    raise
                raise CatalogueDamaged(self.path, f"it holds an invalid value: {error}") from error
            finally:
                if db.in_transaction:
                    db.execute("ROLLBACK")

    @contextmanager
    def write(self) -> Iterator[tuple[sqlite3.Connection, int]]:
        """Do all of the block or nothing of it; gives the connection and the new generation."""
        if self.full:
            raise CatalogueFull(self.path)
        if self.read_only:
            raise CatalogueReadOnly(self.path, "it was opened for reading only")
        with translated(self.path):
            db = self.connection()
            db.execute("BEGIN IMMEDIATE")
            try:
                row = db.execute(
                    "UPDATE meta SET value = value + 1 WHERE key = 'generation' RETURNING value"
                ).fetchone()
                if row is None:
                    raise CatalogueDamaged(self.path, "its generation is missing")
                yield db, row[0]
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close the connections of all threads."""
        with self._guard:
            for _, db in self._open:
                db.close()
            self._open.clear()
        self._local = threading.local()
