"""Lifting a class or function into the language."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from archsearch.errors import SpaceError
from archsearch.spaces.node import Node
from archsearch.spaces.nodes import Module
from archsearch.spaces.targets import INFERRED, by_name, check_arguments, label, parameters


def module(
    target: Callable[..., Any] | str,
    /,
    *args: Any,
    infer: Mapping[str, str | Callable[..., Any]] | None = None,
    shape: Callable[..., Any] | None = None,
    **kwargs: Any,
) -> Module:
    """A description of a torch module or function with its arguments.

    A class makes the module; a function is applied to what reaches it (several inputs come as several
    arguments) and takes its own arguments by keyword. Arguments may be nodes (`Choice`, `Derived`, ...),
    also inside lists and dicts, and descriptions of modules, which are settled on the same input, built, and
    passed as torch modules. A size that follows from the input may be left out where its parameter has one of
    torch's names (in_channels, in_features, num_features, normalized_shape, embed_dim, ...) and no default.

    >>> class Scale:
    ...     def __init__(self, in_features, init=1.0): ...
    >>> module(Scale, init=0.5)
    Scale(init=0.5)
    >>> module("timm.layers:DropPath", drop_prob=0.1)
    DropPath(drop_prob=0.1)

    Args:
        target: a class, a function, or "package.mod:Class", which is imported only when something is built.
        args: in the order of the class's signature.
        infer: further sizes that follow from the input: parameter -> "channels" (first size), "features" (last),
            "shape" (all of them, without the batch), or a function of the inputs' shapes.
        shape: for what cannot run on torch's meta device: a function of (input shapes..., **arguments) that
            returns the output's shape without the batch, or a Tensor. Its FLOPs count only where it can run there.
        kwargs: by name.

    Raises:
        SpaceError: the class has no such parameter, or lacks one. For strings, when something is built.
    """
    if infer is not None and not isinstance(infer, Mapping):
        raise SpaceError(
            f"infer= of module({label(target)}) maps parameters to what they follow from, but got {infer!r}; "
            "an argument of the class that is called infer can be given by position"
        )
    infer = dict(infer or {})
    check_infer(target, infer, kwargs)
    if shape is not None and not callable(shape):
        raise SpaceError(
            f"shape= of module({label(target)}) is a function that gives the output's shape, but got {shape!r}; "
            "an argument of the class that is called shape can be given by position"
        )
    if isinstance(target, str):
        if not re.fullmatch(r"[\w.]+:[\w.]+", target):
            raise SpaceError(f"a module's name is 'package.mod:Class', but got {target!r}")
        if args:
            raise SpaceError(f"{target!r} is imported only when built, so its arguments go by name, but got {args!r}")
        return Module(target, kwargs, infer, shape)
    if isinstance(target, Node) or not callable(target):
        raise SpaceError(f"module() takes a class, a function or 'package.mod:Class', but got {target!r}")
    if not hasattr(target, "__name__"):
        kind = type(target).__name__
        raise SpaceError(
            f"module() takes a class, or a function that has a name, but got {target!r}; "
            + (
                "give the function, and its arguments by name"
                if kind == "partial"
                else f"lift the class: module({kind}, ...)"
            )
        )
    arguments = bind(target, args, kwargs)
    infer = by_name(target, arguments) | infer
    try:
        check_arguments(target, arguments, infer)
    except SpaceError as error:
        first = next(iter(arguments), "")
        if args and first in INFERRED and "needs" in str(error):
            raise SpaceError(f"{error}; to have {first} inferred, leave it out and give the others by name") from None
        raise
    return Module(target, arguments, infer, shape)


def check_infer(target: Callable[..., Any] | str, infer: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    for name, rule in infer.items():
        if not (callable(rule) or rule in ("channels", "features", "shape")):
            raise SpaceError(
                f"infer={{{name!r}: ...}} of {label(target)} is 'channels', 'features', 'shape' or a function of the "
                f"input shapes, but got {rule!r}"
            )
        if name in given:
            raise SpaceError(f"{name} of {label(target)} is given as {given[name]!r} and is to be inferred; keep one")


def bind(target: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments by parameter name."""
    own = parameters(target)
    if len(args) > own.positional:
        name = label(target)
        if not isinstance(target, type):
            raise SpaceError(f"{name} is a function: its inputs come by position, its arguments by name, got {args!r}")
        if own.positional:
            raise SpaceError(f"{name} takes {', '.join(own.known[: own.positional])} by position, but got {args!r}")
        raise SpaceError(f"{name} does not say what its positional arguments are; give {args!r} by name")
    by_position = dict(zip(own.known, args, strict=False))
    for name in by_position:
        if name in kwargs:
            raise SpaceError(f"{label(target)} got {name} twice: {by_position[name]!r} and {kwargs[name]!r}")
    return by_position | dict(kwargs)
