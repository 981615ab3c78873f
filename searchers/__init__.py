"""Search algorithms, one a file. `by_name` finds those that have a name on the command line."""

from __future__ import annotations

import importlib

from archsearch.errors import UsageError, did_you_mean
from archsearch.searchers.contract import Searcher

NAMES = {"random": "Random", "exhaustive": "Exhaustive"}


def by_name(name: str) -> Searcher:
    """The searcher of this name, with its defaults.

    >>> by_name("random")
    Random()

    Raises:
        UsageError: there is none.
    """
    if name not in NAMES:
        hint = did_you_mean(name, NAMES) or "; there is " + ", ".join(NAMES)
        raise UsageError(f"no searcher {name!r}{hint}")
    searcher: Searcher = getattr(importlib.import_module(f"archsearch.searchers.{name}"), NAMES[name])()
    return searcher
