"""Refusing on torch's meta device the dtypes that its real devices refuse."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

aten = torch.ops.aten

PRODUCTS = frozenset({aten.mm, aten.addmm, aten.bmm, aten.baddbmm, aten.mv, aten.addmv, aten.convolution})

# These take half precision beside weights of single precision.
NORMS = frozenset({aten.native_layer_norm, aten.native_group_norm, aten._native_batch_norm_legit_no_training})

SMOOTH = frozenset(
    {
        aten._log_softmax,
        aten._softmax,
        aten.avg_pool2d,
        aten.avg_pool3d,
        aten.elu,
        aten.gelu,
        aten.glu,
        aten.hardswish,
        aten.silu,
        aten.softplus,
        aten.upsample_bilinear2d,
    }
)


class RefuseDtypes(TorchDispatchMode):
    """Raises a TypeError where a CPU would, for operations whose meta kernels take any dtypes.

    Without it an int64 input would pass a linear layer of float32, and fail when the model runs.
    """

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        operation: Callable[..., Any] = func.overloadpacket
        if operation in PRODUCTS or operation in NORMS or operation in SMOOTH:
            kinds = [arg.dtype for arg in args if isinstance(arg, torch.Tensor)]
            if operation in NORMS and kinds[0] in (torch.float16, torch.bfloat16):
                kinds = kinds[:1]
            refuse(kinds, alike=operation not in SMOOTH)
        return func(*args, **(kwargs or {}))


def refuse(kinds: Sequence[torch.dtype], alike: bool) -> None:
    names = [str(kind).removeprefix("torch.") for kind in kinds]
    if alike and len(set(kinds)) > 1:
        whole = any(not kind.is_floating_point and not kind.is_complex for kind in kinds)
        hint = "; an Embedding or a function makes numbers of integers" if whole else ""
        raise TypeError(f"{' and '.join(dict.fromkeys(names))} do not go together{hint}")
    if not alike and not (kinds[0].is_floating_point or kinds[0].is_complex):
        raise TypeError(f"it is not defined for {names[0]}; an Embedding or a function makes numbers of integers")
