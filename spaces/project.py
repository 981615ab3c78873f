"""What brings x to the shape of body(x) in a Residual that projects by itself."""

from __future__ import annotations

from archsearch.spaces.mistakes import at
from archsearch.spaces.resolved import Leaf
from archsearch.spaces.sized import Signature


def projection(source: Signature, target: Signature, place: str) -> Leaf:
    """A linear layer where only the last of one or two sizes differs, else a convolution of kernel size 1.

    The convolution strides where spatial sizes shrink: the shortcut of He et al. 2015, "Deep Residual
    Learning for Image Recognition", option B. Sizes are (channels, then up to three spatial ones).

    Args:
        source: shape and dtype of x.
        target: those of body(x).
        place: of the Residual.

    Raises:
        ShapeError: neither applies.
    """
    (before, kind), (after, other) = source, target
    problem = f"x + body(x) needs equal shapes, but x has {before} and body(x) {after}"
    if kind != other or "float" not in kind:
        raise at(place, f"{problem} (dtypes {kind} and {other}): no projection brings one to the other; give project=")
    if len(before) != len(after) or not before:
        raise at(place, f"{problem}: a projection keeps the number of dimensions; give project= or change the body")
    if len(before) <= 2 and before[:-1] == after[:-1]:
        return Leaf("", "torch.nn:Linear", {"out_features": after[-1], "bias": False}, {"in_features": "features"})
    strides = [-(-size // wanted) for size, wanted in zip(before[1:], after[1:], strict=True)]
    fits = all(
        (size - 1) // stride + 1 == wanted for size, stride, wanted in zip(before[1:], strides, after[1:], strict=True)
    )
    if len(before) > 4 or not fits:
        raise at(
            place,
            f"{problem}: neither a linear layer (only the last of one or two sizes may differ) nor a strided "
            "convolution of kernel size 1 (channels, and spatial sizes that shrink evenly) brings one to the other; "
            "give project=",
        )
    arguments = {"out_channels": after[0], "kernel_size": 1, "stride": tuple(strides), "bias": False}
    return Leaf("", f"torch.nn:Conv{len(before) - 1}d", arguments, {"in_channels": "channels"})
