"""Networks that can be changed and run without leaving a trace anywhere else."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _NormBase
from torch.overrides import TorchFunctionMode

from archsearch.errors import UsageError
from archsearch.spaces.architecture import Architecture
from archsearch.zerocost_batches import Inputs

NORMALIZATIONS: frozenset[Callable[..., Any]] = frozenset(
    getattr(where, name)
    for where in (functional, torch)
    for name in ("batch_norm", "instance_norm", "layer_norm", "group_norm", "rms_norm")
)


class Flow(TorchFunctionMode):
    """Where torch's normalisations, as modules or functions, pass their input on, and ReLU6 has no upper bound."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in NORMALIZATIONS:
            return args[0] if args else kwargs["input"]
        if func is functional.relu6 or (func is functional.hardtanh and 0 in (*args[1:2], kwargs.get("min_val"))):
            return functional.relu(args[0] if args else kwargs["input"])
        return func(*args, **kwargs)


def network_of(model: nn.Module | Architecture) -> nn.Module:
    """A network of our own: an architecture built with seed 0, or a copy of a model.

    In evaluation mode, but batch normalisation normalises by the batch. A copy, because torch cannot run every
    module with other weights in place of its own (an LSTM keeps a list of them), nor undo what a forward pass
    notes down (running statistics, caches).

    Raises:
        UsageError: the model cannot be copied.
    """
    if isinstance(model, Architecture):
        network = model.build(seed=0)
    else:
        try:
            network = copy.deepcopy(model)
        except Exception as error:
            raise UsageError(
                f"a copy of the model is scored, but {type(model).__name__} cannot be copied: {error}"
            ) from error
    network.eval()
    for module in network.modules():
        if isinstance(module, _NormBase):
            module.train()
    return network


def weights_of(network: nn.Module) -> dict[str, nn.Parameter]:
    """The floating-point parameters of two dimensions and more by name, each once, set to be differentiated.

    Those of a layer normalisation over several dimensions are scales like any other's, and left out.

    Raises:
        UsageError: there are none.
    """
    norms = [module for module in network.modules() if isinstance(module, nn.LayerNorm | nn.RMSNorm)]
    scales = {id(parameter) for norm in norms for parameter in norm.parameters()}
    weights = {
        name: parameter
        for name, parameter in network.named_parameters()
        if parameter.dim() >= 2 and parameter.is_floating_point() and id(parameter) not in scales
    }
    if not weights:
        raise UsageError("the network has no weights (parameters of two dimensions or more) to score")
    for weight in weights.values():
        weight.requires_grad_(True)
    return weights


def tensors(inputs: Inputs) -> list[Tensor]:
    """The inputs as a list, checked.

    Raises:
        UsageError: no tensors, or batches of different sizes.
    """
    given = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    if not given or not all([isinstance(x, Tensor) and x.dim() > 0 for x in given]):
        raise UsageError(f"expected inputs as a tensor or several, the batch first, but got {inputs!r}")
    if len({len(x) for x in given}) > 1 or not len(given[0]):
        sizes = ", ".join([str(len(x)) for x in given])
        raise UsageError(f"the batch is the first dimension of every input, but the inputs have {sizes} examples")
    # Tensors of torch.inference_mode() cannot take part in gradients.
    return [x.clone() if x.is_inference() else x for x in given]


def run(network: nn.Module, inputs: Sequence[Tensor]) -> Any:
    """The network's output, its inputs moved to where its parameters are."""
    first = next(network.parameters(), None)
    return network(*[x if first is None else x.to(first.device) for x in inputs])


def outputs_of(output: Any) -> Iterator[Tensor]:
    """The floating-point tensors in an output, which may be nested."""
    if isinstance(output, Tensor):
        if output.is_floating_point():
            yield output
    elif isinstance(output, Mapping):
        for value in output.values():
            yield from outputs_of(value)
    elif isinstance(output, tuple | list):
        for value in output:
            yield from outputs_of(value)


@contextmanager
def reproducible() -> Iterator[None]:
    """Gradients on, and what a network draws drawn from seed 0; torch's global generator is left as it was."""
    with torch.inference_mode(False), torch.enable_grad(), torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        yield
