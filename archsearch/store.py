"""The SQLite file: opening it, bringing it to this version, transactions, and what went wrong with it in one line."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote

from archsearch.errors import StoreError
from archsearch.schema import APPLICATION_ID, MIGRATIONS, VERSION

BUSY_SECONDS = 30


class Store:
    """An open record.

    Args:
        path: the file; made where it is not there.

    Raises:
        StoreError: it is not a record, is from a newer version, or cannot be opened.
    """

    def __init__(self, path: str | Path) -> None:
        from sqlite_utils import Database  # takes pandas along where that is installed

        self.path = Path(path).absolute()
        if self.path.is_dir():
            raise StoreError(f"{self.path} is a folder; the store is a file")
        self.writable = not self.path.exists() or is_writable(self.path)
        with self.errors():
            self.db = Database(connect(self.path, self.writable), execute_plugins=False)
            try:
                self.prepare()
            except BaseException:
                self.close()
                raise

    def prepare(self) -> None:
        db = self.db
        version = self.version()
        if version == VERSION:
            pass
        elif not self.writable:
            raise StoreError(f"{self.path} is read-only and has the schema of an older version ({version})")
        else:
            self.migrate()
        if self.writable:
            db.execute("PRAGMA journal_mode = wal")
            # With a write-ahead log, NORMAL loses nothing when a process is killed: what was committed is with the
            # operating system. Only a power failure can take the last commits, whole ones, with it; and then the
            # driver, whose memory must not run ahead of the file, is gone as well.
            db.execute("PRAGMA synchronous = normal")
        db.execute("PRAGMA foreign_keys = on")

    def version(self) -> int:
        """The version of the file's schema; 0 for an empty file."""
        (version,) = self.db.execute("PRAGMA user_version").fetchone()
        (application,) = self.db.execute("PRAGMA application_id").fetchone()
        (size,) = self.db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if application != APPLICATION_ID and (size or version or application):
            raise StoreError(f"{self.path} is an SQLite file, but not a record of archsearch; choose another store")
        if version > VERSION:
            raise StoreError(
                f"{self.path} has schema version {version}, but this archsearch knows {VERSION}; "
                "install a newer archsearch, or choose another store"
            )
        return int(version)

    def migrate(self) -> None:
        with self.transaction():
            version = self.version()  # another process may have been faster
            for script in MIGRATIONS[version:]:
                for statement in statements(script):
                    self.db.execute(statement)
            self.db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            self.db.execute(f"PRAGMA user_version = {VERSION}")

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """One transaction, which has the file to itself from its beginning."""
        with self.errors():
            if not self.writable:
                raise StoreError(f"{self.path} is read-only; make it writable, or choose another store")
            # Without sqlite-utils between, which would look at every statement: this is what a trial costs.
            connection: sqlite3.Connection = self.db.conn
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def errors(self) -> Iterator[None]:
        """SQLite's errors as one line about this file."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise StoreError(explain(self.path, error)) from error

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """The rows of a SELECT."""
        return list(self.rows(sql, parameters))

    def rows(self, sql: str, parameters: Mapping[str, Any] | None = None) -> Iterator[dict[str, Any]]:
        """The rows of a SELECT, one at a time."""
        with self.errors():
            yield from self.db.query(sql, dict(parameters or {}))

    def studies(self) -> list[dict[str, Any]]:
        """Every study by name: its columns, and `num_trials` by state in `states`."""
        rows = self.query(
            "SELECT studies.*, (SELECT json_group_object(state, n) FROM"
            " (SELECT state, count(*) AS n FROM trials WHERE study = studies.id GROUP BY state)) AS states"
            " FROM studies ORDER BY id"
        )
        for row in rows:
            for column in ("objectives", "constraints", "searcher", "space", "states", "holder"):
                row[column] = json.loads(row[column]) if row[column] is not None else None
        return rows

    def close(self) -> None:
        self.db.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


def connect(path: Path, writable: bool) -> sqlite3.Connection:
    log = path.with_name(path.name + "-wal")
    # A file that cannot be written and has no log is opened as one that does not change: otherwise SQLite would
    # make a log beside it.
    mode = "rwc" if writable else "ro" if log.exists() else "ro&immutable=1"
    # Autocommit, so that every transaction is one that `Store.transaction` begins.
    return sqlite3.connect(
        f"file:{quote(str(path))}?mode={mode}",
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )


def is_writable(path: Path) -> bool:
    """Whether a file may be written; root, whom nothing stops, respects a file without a `w` too.

    The file is not opened to find out: closing it would take the locks of every connection that this process has to it
    (POSIX), another process would then take itself for the last one, remove the write-ahead log, and with it lose or
    corrupt what is written from then on (sqlite.org/howtocorrupt.html, 2.2).
    """
    return bool(path.stat().st_mode & 0o222) and os.access(path, os.W_OK)


def explain(path: Path, error: sqlite3.DatabaseError) -> str:
    text = str(error)
    if "not a database" in text:
        return f"{path} is not an SQLite file; choose another store"
    if "unable to open" in text and not path.parent.is_dir():
        return f"cannot make {path}: there is no folder {path.parent}"
    if "locked" in text:
        return f"{path}: another process kept it locked for {BUSY_SECONDS} seconds"
    return f"{path}: {text}"


def statements(script: str) -> Iterator[str]:
    """The statements of an SQL script, one at a time, so that all of them are one transaction."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    assert not statement.strip()


def dumps(value: Any) -> str:
    """JSON in a line. A number that is not finite is an error: SQLite's functions would refuse the row."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def now() -> str:
    """The time as ISO 8601 in UTC, in milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


__all__ = ["Store", "dumps", "now"]
