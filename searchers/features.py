"""Numbers that an architecture has before it is trained, by name, so that a searcher's description can say them."""

from __future__ import annotations

import importlib
import math
import warnings
from collections.abc import Callable, Sequence

from archsearch.errors import UsageError, did_you_mean
from archsearch.spaces.architecture import Architecture

ATTRIBUTES = ("parameters", "flops")

MAX_REMEMBERED = 100_000


class Feature:
    """A named number of architectures, remembered by their ids; nan where there is none.

    A function that raises, or gives what is not a finite number, has no number for that architecture: a network
    that cannot be built or scored is no reason to stop a search. The first time that it raises is a warning.

    Attributes:
        name: "parameters", "flops" or "module:function".
    """

    def __init__(self, name: str, function: Callable[[Architecture], float]) -> None:
        self.name = name
        self.function = function
        self.known: dict[str, float] = {}
        self.has_warned = False

    def __call__(self, arch: Architecture) -> float:
        number = self.known.get(arch.id)
        if number is None:
            if len(self.known) >= MAX_REMEMBERED:
                del self.known[next(iter(self.known))]
            number = self.known[arch.id] = self.computed(arch)
        return number

    def computed(self, arch: Architecture) -> float:
        try:
            number = float(self.function(arch))
        except Exception as error:
            if not self.has_warned:
                self.has_warned = True
                warnings.warn(
                    f"feature {self.name!r} has no number for architecture {arch.id}, as it raises "
                    f"{type(error).__name__}: {error}; a model takes such architectures to have none",
                    stacklevel=2,
                )
            return math.nan
        return number if math.isfinite(number) else math.nan


def feature_functions(names: Sequence[str]) -> list[Callable[[Architecture], float]]:
    """The features of these names, in their order.

    Args:
        names: "parameters" or "flops", which are attributes of an architecture, or "package.module:function", which
            is imported now and called with the architecture.

    Raises:
        UsageError: there is no such attribute, module or function; says the nearest name.
    """
    if isinstance(names, str):
        raise UsageError(f"features are a list of names, but got the string {names!r}; write ({names!r},)")
    return [feature(name) for name in names]


def feature(name: str) -> Feature:
    if not isinstance(name, str):
        raise UsageError(f"a feature is a name such as 'parameters' or 'module:function', but got {name!r}")
    if ":" not in name:
        if name not in ATTRIBUTES:
            hint = did_you_mean(name, ATTRIBUTES) or f"; there is {', '.join(ATTRIBUTES)}"
            raise UsageError(f"no feature {name!r}{hint}; another function is named as 'package.module:function'")
        return Feature(name, lambda arch: float(getattr(arch, name)))
    return Feature(name, imported(name))


def imported(name: str) -> Callable[[Architecture], float]:
    package, _, function = name.partition(":")
    try:
        module = importlib.import_module(package)
    except (ImportError, ValueError) as error:
        raise UsageError(f"feature {name!r}: {package!r} cannot be imported: {error}") from error
    found = getattr(module, function, None)
    if found is None:
        raise UsageError(f"feature {name!r}: {package} has no {function!r}{did_you_mean(function, vars(module))}")
    if not callable(found):
        raise UsageError(f"feature {name!r}: expected a function of an architecture, but it is {found!r}")
    number: Callable[[Architecture], float] = found
    return number
