"""What a module's target is, what its parameters are called, and which of them follow from the input."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from archsearch.errors import BuildError, SpaceError, did_you_mean
from archsearch.spaces.tensor import InputSize

Shape = tuple[int, ...]


def second_features(first: Shape, second: Shape) -> int:
    """The last size of the second input (of torch.nn.Bilinear)."""
    return second[-1]


# By the names that torch and those who follow it use. A parameter with a default is never inferred by its name.
INFERRED: Mapping[str, str | Callable[..., Any]] = {
    "in_channels": "channels",
    "num_channels": "channels",
    "num_features": "channels",
    "in_features": "features",
    "in1_features": "features",
    "in2_features": second_features,
    "input_size": "features",
    "normalized_shape": "features",
    "embed_dim": "features",
    "d_model": "features",
}


def inferred(rule: str | Callable[..., Any], shapes: Sequence[Shape]) -> Any:
    """The size that a rule gives for the shapes of what reaches a module; the first, where it is one's."""
    if callable(rule):
        return rule(*shapes)
    return getattr(InputSize(shapes[0]), rule)


@dataclass(frozen=True)
class Parameters:
    """The parameters of a class or function.

    Attributes:
        known: their names, in order, as far as signatures say.
        positional: whether positional arguments go to `known` in order.
        required: those without a default.
        closed: whether there are no others, so that an unknown name is a mistake.
        exact: whether the required ones are all there is to give.
    """

    known: tuple[str, ...]
    positional: int
    required: tuple[str, ...]
    closed: bool
    exact: bool


def parameters(target: Callable[..., Any]) -> Parameters:
    """What can be read from the signature.

    A class that passes ``**kwargs`` on has the parameters of its bases as well. Of a function, the first
    parameters may be inputs, so no argument of it goes by position.
    """
    found: dict[str, inspect.Parameter] = {}
    closed = False
    positional = -1
    for signature in signatures(target):
        names = list(signature.parameters.values())
        kinds = {p.kind for p in names}
        named = [p for p in names if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
        if positional < 0:
            bindable = [p for p in named if p.kind != p.KEYWORD_ONLY]
            positional = 0 if inspect.Parameter.VAR_POSITIONAL in kinds else len(bindable)
            exact = inspect.Parameter.VAR_KEYWORD not in kinds
        for parameter in named:
            found.setdefault(parameter.name, parameter)
        if inspect.Parameter.VAR_KEYWORD not in kinds:
            closed = True
            break
    if positional < 0:
        return Parameters((), 0, (), closed=False, exact=False)
    is_class = isinstance(target, type)
    needed = [p for p in found.values() if p.default is p.empty and (is_class or p.kind == p.KEYWORD_ONLY)]
    required = tuple([p.name for p in needed])
    return Parameters(tuple(found), positional if is_class else 0, required, closed, exact and is_class)


def signatures(target: Callable[..., Any]) -> Iterator[inspect.Signature]:
    """The target's own signature, and for a class those of its bases' constructors, nearest first."""
    try:
        yield inspect.signature(target)
    except (ValueError, TypeError):
        # Written in C: it does not say.
        return
    if isinstance(target, type):
        bases = [c for c in target.__mro__ if "__init__" in vars(c)]
        for base in bases[1:]:
            if base is object or (base.__module__, base.__qualname__) == ("torch.nn.modules.module", "Module"):
                # Neither takes anything, whatever torch's signature says.
                yield inspect.Signature()
                return
            constructor = inspect.signature(vars(base)["__init__"])
            yield constructor.replace(parameters=list(constructor.parameters.values())[1:])


def label(target: Callable[..., Any] | str) -> str:
    """The name of a class or function.

    >>> label("torch.nn:Conv2d")
    'Conv2d'
    """
    if isinstance(target, str):
        return target.rpartition(":")[2].rpartition(".")[2]
    return str(getattr(target, "__name__", repr(target)))


def by_name(target: Callable[..., Any], given: Mapping[str, Any]) -> dict[str, str | Callable[..., Any]]:
    """The rules for the sizes that were not given and whose parameters have one of torch's names and no default."""
    return {name: INFERRED[name] for name in parameters(target).required if name in INFERRED and name not in given}


def check_arguments(target: Callable[..., Any], arguments: Iterable[str], infer: Iterable[str]) -> None:
    """Refuse names that the target does not have, and parameters that nothing gives.

    Raises:
        SpaceError: says which, and the nearest name.
    """
    own = parameters(target)
    given = [*arguments, *infer]
    if own.closed:
        for name in given:
            if name not in own.known:
                takes = f"it takes {', '.join(own.known)}" if own.known else "it takes no arguments"
                raise SpaceError(f"{label(target)} has no parameter {name!r}{did_you_mean(name, own.known)} ({takes})")
    missing = [name for name in own.required if name not in given]
    if missing and own.exact:
        raise SpaceError(f"{label(target)} needs {', '.join([name + '=' for name in missing])}")


def load(target: Callable[..., Any] | str, place: str) -> Callable[..., Any]:
    """The class or function; a string "package.mod:Class" is imported now.

    Raises:
        BuildError: there is no such package or name; says at which place of the space.
    """
    if not isinstance(target, str):
        return target
    package, _, name = target.partition(":")
    try:
        found: Any = importlib.import_module(package)
        for step in name.split("."):
            found = getattr(found, step)
    except ImportError as error:
        raise BuildError(f"{place or 'root'}: {target!r} cannot be imported: {error}") from error
    except AttributeError as error:
        nearest = did_you_mean(name, dir(importlib.import_module(package)))
        raise BuildError(f"{place or 'root'}: {package} has no {name!r}{nearest}") from error
    if not callable(found):
        raise BuildError(f"{place or 'root'}: {target!r} is neither a class nor a function, but {found!r}")
    return found  # type: ignore[no-any-return]
