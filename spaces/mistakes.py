"""What to say where a module cannot take what reaches it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from archsearch.errors import ArchsearchError, BuildError, ShapeError
from archsearch.spaces.resolved import Leaf
from archsearch.spaces.sized import Argument, Signature, Signatures
from archsearch.spaces.targets import INFERRED, inferred, label


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a leaf could not be settled; remembered like sizes.

    Attributes:
        stage: "make" (the constructor raised), "run", or "output" (it ran, and what it gives cannot be used).
        reason: in one line.
    """

    stage: str
    reason: str


def at(place: str, message: str) -> ShapeError:
    return ShapeError(f"{place or 'root'}: {message}", place)


def shapes(signatures: Sequence[Signature]) -> str:
    """What reaches a module; the dtype where it is not the usual one."""
    if not signatures:
        return "no inputs"
    return ", ".join([f"{shape}{'' if kind == 'float32' else f' of {kind}'}" for shape, kind in signatures])


def dtypes(a: Signature, b: Signature) -> str:
    return "" if a[1] == b[1] else f" (dtypes {a[1]} and {b[1]})"


def call(target: Callable[..., Any] | str, arguments: Mapping[str, Any]) -> str:
    """A module as it would be written.

    >>> call("torch.nn:Linear", {"out_features": 10})
    'Linear(out_features=10)'
    """
    return f"{label(target)}({', '.join([f'{name}={short(value)}' for name, value in arguments.items()])})"


def short(value: Any) -> str:
    if isinstance(value, Argument):
        return call(value.part.target, value.sized.arguments or {}) if isinstance(value.part, Leaf) else "module"
    if hasattr(value, "sized"):
        return short(Argument(value.part, value.sized))
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


WANTED = {
    1: "(channels, length)",
    2: "(channels, height, width)",
    3: "(channels, depth, height, width)",
}


def spatial(target: Callable[..., Any]) -> int:
    """How many spatial dimensions a class of torch.nn works on by its name; 0 where the name does not say."""
    if not getattr(target, "__module__", "").startswith("torch.nn.modules"):
        return 0
    match = re.search(r"([123])d$", label(target))
    return int(match[1]) if match else 0


SEQUENCES = re.compile(r"RNN|GRU|LSTM|MultiheadAttention|Transformer((En|De)coder(Layer)?)?")


def takes_sequences(target: Callable[..., Any]) -> bool:
    """Whether it is one of torch's recurrent or attention classes, or ours made of them."""
    torchs = getattr(target, "__module__", "").startswith(("torch.nn.modules", "archsearch.spaces.layers"))
    return torchs and SEQUENCES.fullmatch(label(target)) is not None


def wrong_rank(target: Callable[..., Any], inputs: Signatures) -> str | None:
    """What a class of torch.nn for so many dimensions wants, where something else reaches it.

    Torch would take an input with one dimension less for one without a batch, and mix the batch's members up.
    """
    if not inputs:
        return None
    dimensions = spatial(target)
    rank = len(inputs[0][0])
    if rank != 2 and takes_sequences(target):
        return "it wants (length, features)"
    if not dimensions or rank == dimensions + 1:
        return None
    if label(target) in ("BatchNorm1d", "SyncBatchNorm") and rank == 1:
        return None
    return f"it wants {WANTED[dimensions]}"


def explain(
    failure: Failure, leaf: Leaf, target: Callable[..., Any], arguments: Mapping[str, Any], inputs: Signatures
) -> ArchsearchError:
    """The error for a failure at a place: what came, what was wanted, and what would fit."""
    place = leaf.place or "root"
    written = call(leaf.target, arguments)
    if failure.stage == "make":
        message = f"{place}: {written} cannot be made: {failure.reason}"
        follows = {name: short(value) for name, value in arguments.items() if name not in leaf.arguments}
        sizes = [f"{n}={v}" for n, v in follows.items() if re.search(rf"\b({n}|{re.escape(v)})\b", failure.reason)]
        if sizes:
            sizes_text = ", ".join(sizes)
            return ShapeError(f"{message} ({sizes_text} follows from what reaches it, {shapes(inputs)})", leaf.place)
        return BuildError(message)
    wanted, hints = wishes(arguments, leaf, inputs)
    message = f"{place}: {written} cannot take {shapes(inputs)}"
    if failure.stage == "output":
        return ShapeError(f"{message}: {failure.reason}", leaf.place)
    rank = wrong_rank(target, inputs)
    if rank is not None:
        return ShapeError(f"{message}: {rank}{advice(target, inputs)}", leaf.place)
    if wanted:
        return ShapeError(f"{message}, it wants {wanted}; {'; '.join(hints)}", leaf.place)
    small = "kernel size can't be greater" in failure.reason.lower() or "too small" in failure.reason.lower()
    hint = "; it is too small: use fewer strides or pools before it, a smaller kernel, or padding"
    return ShapeError(f"{message}: {failure.reason}{hint if small else ''}", leaf.place)


def wishes(arguments: Mapping[str, Any], leaf: Leaf, inputs: Signatures) -> tuple[str, list[str]]:
    """The shape that a given size asks for, where another size reaches it, and that it need not be given."""
    found = [shape for shape, _ in inputs]
    wanted = ""
    hints = []
    for name, rule in INFERRED.items():
        if name not in leaf.arguments or not found or not all(found) or (callable(rule) and len(found) < 2):
            continue
        given = arguments[name]
        there = inferred(rule, found)
        if given in (there, [there], (there,)) or (isinstance(given, list | tuple) and ends_with(found[0], given)):
            continue
        inside = ", ".join([str(n) for n in given]) if isinstance(given, list | tuple) else str(given)
        wanted = wanted or (f"({inside}, ...)" if rule == "channels" else f"(..., {inside})")
        hints.append(f"leave out {name}: it would be {there}")
    return wanted, hints


def ends_with(shape: Sequence[int], end: Sequence[int]) -> bool:
    return tuple(shape[len(shape) - len(end) :]) == tuple(end)


def advice(target: Callable[..., Any], inputs: Signatures) -> str:
    """What would bring an input of another rank to the one that is wanted."""
    rank = len(inputs[0][0])
    if rank == 1 and spatial(target):
        return "; put it before the Flatten or pooling that took the other dimensions away, or Unflatten them"
    if rank == 3 and spatial(target) == 1:
        return f"; {label(target)[:-2]}2d takes images"
    return ""
