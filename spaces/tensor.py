"""What flows between modules, as far as it can be known before anything is built: a shape and a dtype."""

from __future__ import annotations

import re
from dataclasses import dataclass

from archsearch.errors import ShapeError, SpaceError, did_you_mean

DTYPES = (
    "float32",
    "float64",
    "float16",
    "bfloat16",
    "int64",
    "int32",
    "int16",
    "int8",
    "uint8",
    "bool",
    "complex64",
    "complex128",
)


@dataclass(frozen=True, init=False, slots=True)
class Tensor:
    """One input of a space. The shape leaves the batch out.

    >>> Tensor(3, 32, 32)
    Tensor(3, 32, 32)
    >>> Tensor(128, dtype="int64", below=50257)
    Tensor(128, dtype='int64', below=50257)

    Args:
        shape: the sizes after the batch, each at least 1.
        dtype: torch's name of it, such as "float32" or "int64".
        below: integers are from 0 to below - 1 (token ids, for instance); None where there is no such bound.

    Raises:
        SpaceError: a size, the dtype or the bound is not one.
    """

    shape: tuple[int, ...]
    dtype: str
    below: int | None

    def __init__(self, *shape: int, dtype: str = "float32", below: int | None = None) -> None:
        for size in shape:
            if type(size) is not int or size < 1:
                raise SpaceError(f"the sizes of a Tensor are whole numbers from 1 on, but got {size!r} in {shape}")
        dtype = str(dtype).removeprefix("torch.")
        if dtype not in DTYPES:
            raise SpaceError(f"a Tensor's dtype is one of {', '.join(DTYPES)}, but got {dtype!r}" + near(dtype))
        if below is not None:
            if type(below) is not int or below < 1:
                raise SpaceError(f"a Tensor's below= is a whole number from 1 on, but got {below!r}")
            if not re.fullmatch(r"u?int\d+", dtype):
                raise SpaceError(f"a Tensor's below= bounds integers, but its dtype is {dtype!r}; add dtype='int64'")
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "dtype", dtype)
        object.__setattr__(self, "below", below)

    def __repr__(self) -> str:
        parts = [str(size) for size in self.shape]
        parts += [f"dtype={self.dtype!r}"] if self.dtype != "float32" else []
        parts += [f"below={self.below}"] if self.below is not None else []
        return f"Tensor({', '.join(parts)})"


def near(dtype: str) -> str:
    """'float' and 'long' are torch's other names; anything else gets the nearest one."""
    other = {"float": "float32", "double": "float64", "half": "float16", "long": "int64", "int": "int32"}.get(dtype)
    return f"; did you mean {other!r}?" if other else did_you_mean(dtype, DTYPES)


@dataclass(frozen=True, slots=True)
class InputSize:
    """The size of what reaches a module; what `A.input` stands for. The batch is left out.

    >>> InputSize((3, 32, 16)).channels, InputSize((3, 32, 16)).features
    (3, 16)
    """

    shape: tuple[int, ...]

    @property
    def channels(self) -> int:
        """The first size."""
        return self.at(0, "channels")

    @property
    def features(self) -> int:
        """The last size."""
        return self.at(-1, "features")

    def at(self, index: int, what: str) -> int:
        if not self.shape:
            raise ShapeError(f"it has no {what}: one number for each of the batch reaches it, shape ()")
        return self.shape[index]
