"""Records of older versions, made from one of this version."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from archsearch import schema
from archsearch.store import statements

TABLES = ("studies", "trials", "attempts", "reports", "files", "events")


def downgrade(store: Path, version: int) -> None:
    """Make the record one of a version: its own script, with the rows of what it knew."""
    older = store.with_name("older.db")
    with closing(sqlite3.connect(older, isolation_level=None)) as connection:
        for script in schema.MIGRATIONS[:version]:
            for statement in statements(script):
                connection.execute(statement)
        connection.execute(f"ATTACH '{store}' AS newer")
        for table in TABLES:
            columns = ", ".join([row[1] for row in connection.execute(f"PRAGMA main.table_info({table})")])
            connection.execute(f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM newer.{table}")
        connection.execute("DETACH newer")
        connection.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {version}")
    for suffix in ("-wal", "-shm"):
        store.with_name(store.name + suffix).unlink(missing_ok=True)
    older.replace(store)
