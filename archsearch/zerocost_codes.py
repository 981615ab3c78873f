"""Which units of a network are active on which examples of a batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from archsearch.errors import UsageError
from archsearch.zerocost_networks import run

RECTIFIERS = (
    "relu",
    "leaky_relu",
    "_prelu_kernel",
    "rrelu_with_noise",
    "elu",
    "celu",
    "gelu",
    "silu",
    "mish",
    "hardswish",
)
"""Torch's operations that let positive numbers through and negative ones hardly; SELU is an elu."""


class Codes(TorchDispatchMode):
    """Hears every rectifier that runs, whether a module or a function calls it.

    Args:
        size: of the batch.
    """

    def __init__(self, size: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.size = size
        self.found: list[Tensor] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if rectifies(func, args):
            before: Tensor = args[0]
            # Rows of one example are taken to lie side by side, as windows of an image do; what has fewer rows than the
            # batch, such as a constant, does not respond to it.
            if before.dim() and before.shape[0] and before.shape[0] % self.size == 0:
                self.found.append((before > 0).reshape(self.size, -1))
        return func(*args, **(kwargs or {}))


def rectifies(func: Callable[..., Any], args: Sequence[Any]) -> bool:
    name = func.overloadpacket.__name__.removesuffix("_")  # type: ignore[attr-defined]
    # ReLU6 is a hardtanh from 0 on.
    return name in RECTIFIERS or (name == "hardtanh" and len(args) > 1 and args[1] == 0)


def activation_codes(network: nn.Module, inputs: Sequence[Tensor], size: int) -> list[Tensor]:
    """The bits of each rectifier in the order in which they run, shape (size, units).

    Args:
        network: our own; see `network_of`.
        inputs: with the batch first.
        size: of the batch.

    Raises:
        UsageError: the network has no rectifier.
    """
    fast = torch.backends.mha.get_fastpath_enabled()
    codes = Codes(size)
    try:
        # Torch's fused encoder layer would hide its activation.
        torch.backends.mha.set_fastpath_enabled(False)
        with torch.no_grad(), codes:
            run(network, inputs)
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
    if not codes.found:
        names = ", ".join([name for name in RECTIFIERS if not name.startswith("_")])
        raise UsageError(f"the network has no unit that is on or off: expected one of {names}, relu6 or prelu")
    return codes.found
