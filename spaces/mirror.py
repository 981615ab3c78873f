"""What the functions of `nn` are made with."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final, ParamSpec, TypeAlias

from archsearch.errors import SpaceError, did_you_mean
from archsearch.spaces.node import Value
from archsearch.spaces.nodes import Lazy, Module, Optional, Scope, Shared

Open: TypeAlias = Value | Lazy | Optional | Scope | Shared
"""What may stand for a value before it is decided."""

Int: TypeAlias = int | Open
Float: TypeAlias = float | Open
Bool: TypeAlias = bool | Open
Str: TypeAlias = str | Open

P = ParamSpec("P")


class Inferred:
    """The default of a size that follows from what reaches the layer."""

    def __repr__(self) -> str:
        return "inferred"


INFER: Final = Inferred()


def always(*shapes: tuple[int, ...]) -> bool:
    """The rule for `batch_first`: in a network that is described, the batch is always first."""
    return True


def layer(target: str, **infer: str | Callable[..., Any]) -> Callable[[Callable[P, Module]], Callable[P, Module]]:
    """Make a signature into a function that describes a layer: it keeps what its caller gave.

    Args:
        target: "package.mod:Class".
        infer: the rules of the sizes that may be left out.
    """

    def decorate(function: Callable[P, Module]) -> Callable[P, Module]:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def describe(*args: P.args, **kwargs: P.kwargs) -> Module:
            try:
                given = signature.bind(*args, **kwargs).arguments
            except TypeError as error:
                raise SpaceError(f"nn.{function.__name__}: {error}{nearest(signature, kwargs)}") from None
            for name, value in given.items():
                if isinstance(signature.parameters[name].default, bool) and type(value) in (int, float, str):
                    raise SpaceError(
                        f"nn.{function.__name__}: {name} is True or False, but got {value!r}{takes(signature)}"
                    )
            arguments = {name: value for name, value in given.items() if value is not INFER}
            return Module(target, arguments, {name: rule for name, rule in infer.items() if name not in arguments})

        return describe

    return decorate


def nearest(signature: inspect.Signature, given: Mapping[str, Any]) -> str:
    """For a name that is not a parameter: the one that is near. And what there is."""
    known = list(signature.parameters)
    unknown = [name for name in given if name not in known]
    return (did_you_mean(unknown[0], known) if unknown else "") + takes(signature)


def takes(signature: inspect.Signature) -> str:
    """What a layer takes, with a word on what is inferred."""
    own = signature.parameters.values()
    follow = [p.name for p in own if p.default is INFER]
    inferred = f"; {' and '.join(follow)} can be left out, or given by name" if follow else ""
    return f" (it takes {', '.join([p.name for p in own if p.name not in follow]) or 'no arguments'}{inferred})"
