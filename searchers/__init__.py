"""Search algorithms: one a file, each a frozen description that starts a search (see `contract`).

Each is loaded when it is first used, since some need numpy and scikit-optimize.
"""

import importlib
import sys
from typing import TYPE_CHECKING, Any

from archsearch.errors import StudyError, did_you_mean

if TYPE_CHECKING:
    from archsearch.searchers.contract import Pending, Problem, Proposal, Search, Searcher, Told
    from archsearch.searchers.exhaustive import Exhaustive
    from archsearch.searchers.random import Random

__all__ = [
    "Exhaustive",
    "Pending",
    "Problem",
    "Proposal",
    "Random",
    "Search",
    "Searcher",
    "Told",
    "named",
    "names",
]

_CONTRACT = ("Pending", "Problem", "Proposal", "Search", "Searcher", "Told")
_ALGORITHMS = {"random": "Random", "exhaustive": "Exhaustive"}
_ORIGIN = dict.fromkeys(_CONTRACT, "contract") | {name: module for module, name in _ALGORITHMS.items()}


def names() -> list[str]:
    """The names that stand for our searchers on the command line and in `Study(searcher=...)`."""
    return sorted(_ALGORITHMS)


def named(name: str) -> "Searcher":
    """The searcher of a name, with its default settings; `"package.module:Class"` is somebody's own.

    Raises:
        StudyError: there is none.
    """
    module, _, attribute = name.partition(":")
    if attribute:
        try:
            found: Searcher = getattr(importlib.import_module(module), attribute)()
        except (ImportError, AttributeError, TypeError) as error:
            raise StudyError(f"searcher {name!r} cannot be made: {type(error).__name__}: {error}") from error
        return found
    if name not in _ALGORITHMS:
        hint = did_you_mean(name, _ALGORITHMS) or "; there is " + ", ".join(names())
        raise StudyError(f"no searcher {name!r}{hint}")
    made: Searcher = getattr(importlib.import_module(f"archsearch.searchers.{name}"), _ALGORITHMS[name])()
    return made


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name not in _ORIGIN:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name, obj=sys.modules[__name__])
        value = getattr(importlib.import_module(f"archsearch.searchers.{_ORIGIN[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return __all__
