"""What goes into a model: the shape and type of a tensor, without the batch."""

from __future__ import annotations

from archsearch.errors import SpaceError


class Tensor:
    """An input: `Tensor(3, 32, 32)`, `Tensor(128, dtype="int64", below=50257)`.

    Args:
        shape: without the batch.
        dtype: torch's name of the type.
        below: integers are drawn from 0 to below - 1 where an example is needed.
    """

    __slots__ = ("below", "dtype", "shape")

    def __init__(self, *shape: int, dtype: str = "float32", below: int | None = None) -> None:
        if any(type(size) is not int or size < 1 for size in shape):
            raise SpaceError(f"a shape is positive integers without the batch, but got {shape!r}")
        self.shape = shape
        self.dtype = dtype
        self.below = below
