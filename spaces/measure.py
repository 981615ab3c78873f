"""One leaf on torch's meta device: what it gives, and what it costs."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from archsearch.errors import BuildError
from archsearch.spaces.build import Made, make_leaf, values
from archsearch.spaces.dtypes import RefuseDtypes
from archsearch.spaces.mistakes import Failure, wrong_rank
from archsearch.spaces.settled import Settled
from archsearch.spaces.sized import Argument, Signature, Signatures, Tied
from archsearch.spaces.tensor import Tensor


@dataclass(frozen=True, slots=True)
class Measured:
    """What a leaf came to: see `Sized`."""

    output: Signature
    parameters: int
    flops: int
    tied: frozenset[Tied]


def measure(
    target: Callable[..., Any], arguments: Mapping[str, Any], inputs: Signatures, shape: Callable[..., Any] | None
) -> Measured | Failure:
    """Make the leaf on the meta device and run it once: batch 1, evaluation mode, FLOPs counted.

    Args:
        target: class or function.
        arguments: settled.
        inputs: what reaches it.
        shape: gives the output's shape where it cannot run there.
    """
    if not isinstance(target, type) or not issubclass(target, nn.Module):
        if isinstance(target, type):
            return Failure("make", f"{target.__qualname__} is no torch.nn.Module; give a function, or derive from it")
    elif shape is None and wrong_rank(target, inputs):
        return Failure("run", "wrong number of dimensions")
    # What torch warns of, it warns of again where the model is built and run.
    with torch.random.fork_rng(devices=[]), torch.enable_grad(), warnings.catch_warnings(action="ignore"):
        made = Made()
        module = on_meta(target, arguments, made)
        if isinstance(module, Failure):
            return module
        module.eval()
        problem = batch_second(module)
        if problem:
            return Failure("output", problem)
        output, flops = run(module, inputs)
    if shape is not None:
        declared = declare(shape, arguments, inputs)
        if isinstance(declared, Failure):
            return declared
        if isinstance(output, tuple) and output[0] != declared[0]:
            return Failure("output", f"shape= says that it gives {declared[0]}, but it gives {output[0]}")
        output = declared
    if isinstance(output, Failure):
        return output
    parameters, tied = weights(module, arguments, made)
    return Measured(output, parameters, flops, tied)


def on_meta(target: Callable[..., Any], arguments: Mapping[str, Any], made: Made) -> nn.Module | Failure:
    """The module on the meta device; made for real and moved there where its constructor needs real numbers."""
    try:
        with torch.device("meta"):
            return make_leaf(target, values(arguments, made))
    except BuildError:
        raise
    except Exception:
        # Constructors that read a tensor back (`.item()`) fail on meta only; what fails here as well is wrong.
        made.clear()
        try:
            with torch.device("cpu"):
                return to_meta(make_leaf(target, values(arguments, made)))
        except Exception as error:
            return Failure("make", reason(error))


def to_meta(module: nn.Module) -> nn.Module:
    """The module moved there; torch would leave two of a parameter that stands at two places."""
    places: dict[int, list[tuple[nn.Module, str]]] = {}
    for owner in module.modules():
        for name, parameter in owner._parameters.items():
            if parameter is not None:
                places.setdefault(id(parameter), []).append((owner, name))
    module.to("meta")
    for (first, name), *others in places.values():
        for owner, other in others:
            owner._parameters[other] = first._parameters[name]
    return module


def reason(error: Exception) -> str:
    """An exception in one line."""
    lines = str(error).strip().splitlines()
    return f"{lines[0].strip()}" if lines else type(error).__name__


def run(module: nn.Module, inputs: Signatures) -> tuple[Signature | Failure, int]:
    """Shape and dtype of the output without the batch, and FLOPs; no FLOPs where it cannot run on meta."""
    counter = FlopCounterMode(display=False)
    try:
        # The counter stands inside, so that what it takes apart is looked at as well.
        with RefuseDtypes(), counter, torch.device("meta"):  # type: ignore[no-untyped-call]
            output = module(*batch(1, inputs))
            counted = int(counter.get_total_flops())
            found = check_output(output, inputs)
            if inputs and not isinstance(found, Failure):
                found = check_batch(module(*batch(2, inputs)), found)
    except NotImplementedError as error:
        return Failure("output", f"it does not run on torch's meta device ({reason(error)}); declare shape="), 0
    except Exception as error:
        if "meta tensor" in str(error).lower():
            return Failure("output", f"it does not run on torch's meta device ({reason(error)}); declare shape="), 0
        return Failure("run", reason(error)), 0
    return found, counted


def batch(number: int, inputs: Signatures) -> list[torch.Tensor]:
    return [torch.empty((number, *size), dtype=getattr(torch, kind), device="meta") for size, kind in inputs]


def check_batch(output: torch.Tensor, found: Signature) -> Signature | Failure:
    """Whether a batch of 2 keeps apart, as far as its shape shows."""
    if tuple(output.shape) != (2, *found[0]):
        return Failure(
            "output",
            f"it does not keep the batch apart: of a batch of 1 it makes {(1, *found[0])}, of a batch of 2 "
            f"{tuple(output.shape)}, batch included",
        )
    return found


def check_output(output: Any, inputs: Signatures) -> Signature | Failure:
    if isinstance(output, nn.Module):
        return Failure(
            "output", "it returns a module: a function is applied to what reaches it; lift the class instead"
        )
    if not isinstance(output, torch.Tensor):
        return Failure(
            "output",
            f"it returns a {type(output).__name__}, and one tensor is passed on; lift a function or a class that "
            "returns the tensor (nn.LSTM, nn.GRU, nn.RNN and nn.MultiheadAttention of archsearch do)",
        )
    size = tuple(output.shape)
    if not inputs and size[:1] != (1,):
        return Failure(
            "output",
            f"it reads nothing, so what it gives stands for every member of the batch: its first size is 1, but it "
            f"makes {size}",
        )
    if not size or size[0] != 1:
        return Failure("output", f"it does not keep the batch first: of a batch of 1 it makes {size}, batch included")
    if any(n <= 0 for n in size[1:]):
        return Failure("output", f"nothing would be left: it gives {size[1:]}; use a smaller kernel, or padding")
    return size[1:], str(output.dtype).removeprefix("torch.")


def batch_second(module: nn.Module) -> str:
    """Torch's recurrent and attention modules take the batch second unless told otherwise; here it is first."""
    if not any(c.__module__.startswith("torch.nn.modules") and c is not nn.Module for c in type(module).__mro__[:2]):
        return ""
    if any(getattr(inner, "batch_first", True) is False for inner in module.modules()):
        return "it takes the batch as its second dimension, but the batch comes first; give batch_first=True"
    return ""


def declare(shape: Callable[..., Any], arguments: Mapping[str, Any], inputs: Signatures) -> Signature | Failure:
    """What `shape=` says. A shape alone has the dtype of the first input."""
    plain = {k: Settled(v.part, v.sized) if isinstance(v, Argument) else v for k, v in arguments.items()}
    try:
        inspect.signature(shape).bind(*[size for size, _ in inputs], **plain)
    except TypeError as error:
        return Failure("make", f"shape= is called with (input shapes..., **arguments): {error}")
    try:
        result = shape(*[size for size, _ in inputs], **plain)
    except Exception as error:
        return Failure("output", f"shape= raised {type(error).__name__}: {reason(error)}")
    if isinstance(result, Tensor):
        return result.shape, result.dtype
    if not isinstance(result, tuple | list) or not all(type(n) is int and n > 0 for n in result):
        return Failure("output", f"shape= gives a tuple of sizes without the batch, or a Tensor, but got {result!r}")
    return tuple(result), inputs[0][1] if inputs else "float32"


def weights(module: nn.Module, arguments: Mapping[str, Any], made: Made) -> tuple[int, frozenset[Tied]]:
    """How many numbers are the leaf's own, and which it shares with a `Once` among its arguments."""
    known = {entry.key: entry for entry in tied_below(arguments)}
    owner: dict[int, tuple[str, str]] = {}
    for key, part in made.modules.items():
        for name, parameter in part.named_parameters():
            # The innermost Once is made first, and owns it.
            owner.setdefault(id(parameter), (key, name))
    own = 0
    tied = set()
    for parameter in module.parameters():
        if id(parameter) not in owner:
            own += parameter.numel()
            continue
        key, name = owner[id(parameter)]
        tied.add(Tied(key, known[key].structure, name, parameter.numel()))
    return own, frozenset(tied)


def tied_below(value: Any) -> frozenset[Tied]:
    """The weights of every Once that stands in the arguments."""
    if isinstance(value, Argument):
        return value.sized.tied
    found: frozenset[Tied] = frozenset()
    if isinstance(value, Mapping | list | tuple):
        for item in value.values() if isinstance(value, Mapping) else value:
            found |= tied_below(item)
    return found
