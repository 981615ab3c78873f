"""What a module's target is, what its parameters are called, and which of them follow from the input."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from archsearch.errors import BuildError, ShapeError, SpaceError, did_you_mean
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
        try:
            return rule(*shapes)
        except TypeError as error:
            count = "1 input reaches" if len(shapes) == 1 else f"{len(shapes)} inputs reach"
            raise ShapeError(f"{count} it, and the rule fails on that: {error}") from error
    return getattr(InputSize(shapes[0]), rule)


@dataclass(frozen=True)
class Parameters:
    """The parameters of a class or function.

    Attributes:
        known: their names, in order, as far as signatures say.
        positional: how many of them, from the first, can be given by position.
        required: those without a default.
        closed: whether there are no others, so that an unknown name is a mistake.
    """

    known: tuple[str, ...]
    positional: int
    required: tuple[str, ...]
    closed: bool


def parameters(target: Callable[..., Any]) -> Parameters:
    """What can be read from the signature.

    A class that passes ``**kwargs`` on has the parameters of its bases as well, and may have others. Of a function,
    the first parameters may be inputs, so no argument of it goes by position.
    """
    all_signatures = signatures(target)
    if not all_signatures:
        return Parameters((), 0, (), closed=False)
    own, *bases = all_signatures
    kinds = {parameter.kind for parameter in own.parameters.values()}
    closed = inspect.Parameter.VAR_KEYWORD not in kinds
    found: dict[str, inspect.Parameter] = {}
    for signature in [own] if closed else [own, *bases]:
        for parameter in signature.parameters.values():
            if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                found.setdefault(parameter.name, parameter)
    if not isinstance(target, type):
        required = [p.name for p in found.values() if p.default is p.empty and p.kind == p.KEYWORD_ONLY]
        return Parameters(tuple(found), 0, tuple(required), closed)
    required = [p.name for p in found.values() if p.default is p.empty]
    by_position = [p for p in own.parameters.values() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    positional = 0 if inspect.Parameter.VAR_POSITIONAL in kinds else len(by_position)
    return Parameters(tuple(found), positional, tuple(required), closed)


def signatures(target: Callable[..., Any]) -> list[inspect.Signature]:
    """The target's own signature, and for a class those of its bases' constructors, nearest first."""
    try:
        found = [inspect.signature(target)]
    except (ValueError, TypeError):
        # Written in C: it does not say.
        return []
    if isinstance(target, type):
        for base in [c for c in target.__mro__ if "__init__" in vars(c)][1:]:
            if base is object or (base.__module__, base.__qualname__) == ("torch.nn.modules.module", "Module"):
                # Neither takes anything, whatever torch's signature says.
                break
            constructor = inspect.signature(vars(base)["__init__"])
            found.append(constructor.replace(parameters=list(constructor.parameters.values())[1:]))
    return found


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
    if missing and own.closed and isinstance(target, type):
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
        # Looked up first: importlib takes longer to find out that it is there.
        found: Any = sys.modules.get(package) or importlib.import_module(package)
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
