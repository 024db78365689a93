"""What brings the tables of an older version to those of today. It opens no file and begins no transaction.

To change the tables: change `schema.TABLES`, raise `schema.VERSION`, and add here a function that does the same to a
file of the version before, a view by which such a file can still be read, and in
`tests/retrieval/catalogue/test_migrations.py` a file of that version. New columns come last and have a default, so that
`ALTER TABLE` gives the tables that a new file has.
"""

import sqlite3
from collections.abc import Callable, Mapping

Migration = Callable[[sqlite3.Connection], None]


def add_change_time(db: sqlite3.Connection) -> None:
    """Give files their change time; 0 until the next sync has seen them."""
    db.execute("ALTER TABLE files ADD COLUMN ctime_ns INTEGER NOT NULL DEFAULT 0")


def add_unread(db: sqlite3.Connection) -> None:
    """Remember which chunks an embedder cannot read; the next sync finds them."""
    db.execute(
        """CREATE TABLE unread (
        number INTEGER PRIMARY KEY REFERENCES chunks (number) ON DELETE CASCADE, embedder TEXT NOT NULL,
        language TEXT NOT NULL)"""
    )


MIGRATIONS: Mapping[int, Migration] = {2: add_change_time, 3: add_unread}
"""By the version that it leads to from the one before; each is done in a transaction of its own."""

_NONE_UNREAD = "CREATE TEMP VIEW unread AS SELECT 0 AS number, '' AS embedder, '' AS language WHERE 0"
READABLE: Mapping[int, tuple[str, ...]] = {
    1: ("CREATE TEMP VIEW files AS SELECT *, 0 AS ctime_ns FROM main.files", _NONE_UNREAD),
    2: (_NONE_UNREAD,),
}
"""By version, what lets today's queries read a file that cannot be migrated, its folder not being writable."""

ADDED = {"ctime_ns": "0"}
"""Columns of `files` that a damaged file of an older version does not have, and what stands for them."""
