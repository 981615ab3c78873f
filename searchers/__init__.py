"""Search algorithms, one a file: each is a frozen description that starts a search (see `contract`).

They are loaded when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from archsearch.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from archsearch.searchers.auto import Auto
    from archsearch.searchers.contract import Pending, Problem, Proposal, Search, Searcher, Told
    from archsearch.searchers.evolution import Evolution
    from archsearch.searchers.exhaustive import Exhaustive
    from archsearch.searchers.local_search import LocalSearch
    from archsearch.searchers.mcts import MCTS
    from archsearch.searchers.nsga2 import NSGA2
    from archsearch.searchers.random import Random
    from archsearch.searchers.smbo import SMBO

__all__ = [
    "MCTS",
    "NSGA2",
    "SMBO",
    "Auto",
    "Evolution",
    "Exhaustive",
    "LocalSearch",
    "Pending",
    "Problem",
    "Proposal",
    "Random",
    "Search",
    "Searcher",
    "Told",
    "by_name",
]

NAMES = {
    "auto": "Auto",
    "random": "Random",
    "exhaustive": "Exhaustive",
    "evolution": "Evolution",
    "smbo": "SMBO",
    "mcts": "MCTS",
    "nsga2": "NSGA2",
    "local_search": "LocalSearch",
}

_MODULES = {name: module for module, name in NAMES.items()}


def by_name(name: str) -> Searcher:
    """The searcher of this name, with its defaults.

    >>> by_name("random")
    Random(uniform='decisions')

    Raises:
        UsageError: there is none.
    """
    if name not in NAMES:
        hint = did_you_mean(name, NAMES) or "; there is " + ", ".join(NAMES)
        raise UsageError(f"no searcher {name!r}{hint}")
    searcher: Searcher = getattr(importlib.import_module(f"archsearch.searchers.{name}"), NAMES[name])()
    return searcher


if not TYPE_CHECKING:  # so that a wrong name is an error to type checkers

    def __getattr__(name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        module = importlib.import_module(f"archsearch.searchers.{_MODULES.get(name, 'contract')}")
        found = globals()[name] = getattr(module, name)
        return found


def __dir__() -> list[str]:
    return __all__
