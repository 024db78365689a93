"""The truth in one SQLite file: which files were read, which passages they hold, and how a damaged file is repaired.

Where SQL stands: one statement is one function that takes a connection, in `queries.py` where it reads and in
`updates.py` where it writes. `catalogue.py` opens the transactions and holds no SQL. The tables are in `schema.py`, and
what brings an older file to them in `migrations.py`. `database.py` knows one table, `meta`, and SQLite's pragmas;
`damaged.py` alone reads tables by itself, since it can trust none of them. Every INSERT names its columns, so that a
process of the version before can go on writing into a file that a newer one has migrated.
"""
