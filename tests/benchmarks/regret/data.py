"""The tables of `shared/data`, which are no part of the repository."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[3]


class NoData(Exception):
    """A table is not on this machine."""


def folder() -> Path:
    """Where the tables are: ARCHSEARCH_DATA, or `shared/data` beside the repository."""
    return Path(os.environ.get("ARCHSEARCH_DATA", REPOSITORY.parent / "shared" / "data"))


@cache
def table(name: str) -> Any:
    """A table as a pandas frame.

    Raises:
        NoData: it is not there.
    """
    path = folder() / f"{name}.parquet"
    if not path.exists():
        raise NoData(f"{path} is missing: put the tables there, or set ARCHSEARCH_DATA to their folder")
    import pandas

    return pandas.read_parquet(path)
