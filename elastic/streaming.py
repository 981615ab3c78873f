"""Cutting a folder of safetensors files without loading it: of every tensor the kept ranges alone are read, and written
as they come, so that memory holds one block of one tensor however large the model is.

A cut keeps ranges of rows (of gate and up, of query heads) or ranges of columns (of down): whole rows are one range of
bytes in the file, and are copied from file to file; columns are gathered from a window of rows that is mapped, in which
the system reads no page that nothing is kept of (save for what it reads ahead).
"""

from __future__ import annotations

import json
import mmap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import torch

from archsearch.elastic.axes import Segments
from archsearch.elastic.cut import Cut, length
from archsearch.elastic.tensor_files import ITEM_SIZE, MAX_SHARD, PIECE, Stored, shards, stored_tensors, write_index
from archsearch.errors import ElasticError

# What `--dtype` may say, and how the format names it.
DTYPES = {"f32": "F32", "f16": "F16", "bf16": "BF16", "f64": "F64"}
TORCH = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}

WINDOW = 16 << 20  # bytes of a file that are mapped at a time
SPARSE = 8  # where less than one column in so many is kept, reading ahead would read more than it saves


@dataclass(frozen=True)
class Part:
    """What is kept of a tensor.

    Attributes:
        stored: the tensor.
        segments: the ranges that stay in each dimension; None where all do.
        dtype: that it is written in.
    """

    stored: Stored
    segments: tuple[Segments | None, ...]
    dtype: str

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(n if s is None else length(s) for n, s in zip(self.stored.shape, self.segments, strict=True))

    @property
    def nbytes(self) -> int:
        return prod(self.shape) * ITEM_SIZE[self.dtype]


def cut_folder(
    folder: Path, cut: Cut, out: Path, dtype: str | None = None, max_shard_size: int = MAX_SHARD
) -> dict[str, Part]:
    """Write what a cut keeps of a folder's weights, as `model.safetensors` or several files with an index.

    Args:
        folder: of the super-network.
        cut: what stays.
        out: the folder to write into.
        dtype: what floating-point numbers are converted to, of `DTYPES`; by default nothing is.
        max_shard_size: bytes of a file before the next one is begun.

    Returns:
        The tensors that were written, by their names in the sub-network.

    Raises:
        ElasticError: a file is truncated or corrupt, or the dtype is not one.
    """
    parts = kept_parts(stored_tensors(folder), cut, dtype)
    sizes = {name: part.nbytes for name, part in parts.items()}
    files = shards(sizes, max_shard_size)
    for file, names in files.items():
        write_file(out / file, {name: parts[name] for name in names})
    write_index(out, files, sizes)
    return parts


def kept_parts(stored: Mapping[str, Stored], cut: Cut, dtype: str | None = None) -> dict[str, Part]:
    """What stays of stored tensors, by the names in the sub-network; tied ones by their first."""
    if dtype is not None and dtype not in DTYPES:
        raise ElasticError(f"dtype: expected one of {', '.join(DTYPES)}, but got {dtype!r}")
    parts = {}
    for name, tensor in stored.items():
        new = cut.name(name)
        if new is None or cut.axes.tied.get(name) in stored:
            continue
        floating = dtype is not None and tensor.dtype in TORCH
        parts[new] = Part(
            tensor, cut.segments(name, tensor.shape), DTYPES[dtype] if floating and dtype else tensor.dtype
        )
    return parts


def write_file(path: Path, parts: Mapping[str, Part]) -> None:
    """One file of the format: the header follows from the shapes, then every tensor is copied in turn."""
    described: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    position = 0
    for name, part in parts.items():
        offsets = [position, position + part.nbytes]
        described[name] = {"dtype": part.dtype, "shape": list(part.shape), "data_offsets": offsets}
        position += part.nbytes
    text = json.dumps(described, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    sources: dict[Path, BinaryIO] = {}
    try:
        with path.open("wb", buffering=0) as file:
            file.write(len(text).to_bytes(8, "little") + text)
            for part in parts.values():
                if part.stored.file not in sources:
                    sources[part.stored.file] = part.stored.file.open("rb", buffering=0)
                for block in blocks(sources[part.stored.file], part):
                    write_all(file, converted(block, part))
            if file.tell() != 8 + len(text) + position:
                raise ElasticError(f"{path}: {file.tell()} bytes were written, not {8 + len(text) + position}")
    finally:
        for source in sources.values():
            source.close()


def write_all(file: Any, data: memoryview) -> None:
    while data:
        data = data[file.write(data) :]


def blocks(source: BinaryIO, part: Part) -> Iterator[memoryview]:
    """The kept bytes of a tensor, in their order."""
    shape, segments, size = part.stored.shape, part.segments, ITEM_SIZE[part.stored.dtype]
    if not shape:
        yield from spans(source, part.stored.start, size)
        return
    row = prod(shape[1:]) * size
    ranges = segments[0] or ((0, shape[0]),)
    if all([s is None for s in segments[1:]]):
        for start, stop in ranges:
            yield from spans(source, part.stored.start + start * row, (stop - start) * row)
        return
    step = max(1, min(part.shape[0], WINDOW // row))
    buffer: npt.NDArray[Any] = np.empty((step, *part.shape[1:]), f"u{size}")
    for start, stop in ranges:
        for first in range(start, stop, step):
            kept = buffer[: min(stop, first + step) - first]
            columns(source, part, first, kept)
            yield kept.reshape(-1).view(np.uint8).data


def spans(source: BinaryIO, start: int, size: int) -> Iterator[memoryview]:
    """A range of a file's bytes."""
    source.seek(start)
    buffer = memoryview(bytearray(min(size, PIECE)))
    while size:
        piece = buffer[: min(size, PIECE)]
        filled = 0
        while filled < len(piece):
            read = source.readinto(piece[filled:])  # type: ignore[attr-defined]
            if not read:
                raise ElasticError(f"{source.name} ended while it was read")
            filled += read
        yield piece
        size -= len(piece)


def columns(source: BinaryIO, part: Part, first: int, out: npt.NDArray[Any]) -> None:
    """Copy what is kept of as many rows of a tensor as `out` has."""
    shape = part.stored.shape
    row = prod(shape[1:]) * out.itemsize
    start = part.stored.start + first * row
    before = start % mmap.ALLOCATIONGRANULARITY
    size = before + len(out) * row
    with mmap.mmap(source.fileno(), size, access=mmap.ACCESS_READ, offset=start - before) as mapped:
        if prod(shape[1:]) > SPARSE * prod(out.shape[1:]) and hasattr(mmap, "MADV_RANDOM"):
            mapped.madvise(mmap.MADV_RANDOM)
        rows = kept = np.frombuffer(mapped, out.dtype, len(out) * prod(shape[1:]), before).reshape(len(out), *shape[1:])
        pieces: list[npt.NDArray[Any]] = []
        for dim, ranges in enumerate(part.segments[1:], 1):
            if ranges is not None:
                pieces = [kept[(slice(None),) * dim + (slice(a, b),)] for a, b in ranges]
                kept = pieces[0] if len(pieces) == 1 else np.concatenate(pieces, dim)
        np.copyto(out, kept)
        del rows, kept, pieces  # they hold the map


def converted(block: memoryview, part: Part) -> memoryview:
    """Numbers in the dtype that they are written in."""
    if part.dtype == part.stored.dtype:
        return block
    numbers = torch.frombuffer(block, dtype=TORCH[part.stored.dtype]).to(TORCH[part.dtype])
    return numbers.view(torch.uint8).numpy().data
