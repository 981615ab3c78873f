"""The cells of a parameter: blocks of its numbers that sub-networks used together so far.

A parameter begins as one cell. The ends of what a sub-network uses become bounds, in every dimension that it cuts, so
that each cell is used as a whole or not at all, and what is to be counted for a unit is counted for its cell.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TypeAlias

import torch

from archsearch.elastic.axes import Segments

# What stays of a tensor: ranges in each dimension, None for all.
Area: TypeAlias = tuple[Segments | None, ...]

# The ends of cells in each dimension, from 0 to its size.
Bounds: TypeAlias = list[list[int]]


@dataclass(frozen=True)
class Block:
    """A rectangle of cells.

    Attributes:
        cells: in each dimension.
        where: it is in the parameter.
        in_part: where it is in what stays of the parameter.
        is_whole: whether it is all of the parameter.
    """

    cells: tuple[slice, ...]
    where: tuple[slice, ...]
    in_part: tuple[slice, ...]
    is_whole: bool

    def of(self, tensor: torch.Tensor) -> torch.Tensor:
        """The block of a tensor of the parameter's shape."""
        return tensor if self.is_whole else tensor[self.where]

    def spread(self, values: torch.Tensor, bounds: Bounds) -> torch.Tensor:
        """Values of its cells as a tensor that broadcasts to its shape."""
        for dim, (side, cells) in enumerate(zip(bounds, self.cells, strict=True)):
            if values.shape[dim] > 1:
                ends = torch.tensor(side[cells.start : cells.stop + 1])
                values = values.repeat_interleave(ends.diff(), dim)
        return values


def split(bounds: Bounds, counts: torch.Tensor, area: Area) -> torch.Tensor:
    """Split cells at the ends of an area.

    Args:
        bounds: they are changed.
        counts: of each cell, in the first dimensions.
        area: what a sub-network uses.

    Returns:
        The counts, those of a split cell for each of its parts.
    """
    for dim, segments in enumerate(area):
        for bound in (end for segment in segments or () for end in segment):
            at = bisect_left(bounds[dim], bound)
            if bounds[dim][at] != bound:
                bounds[dim].insert(at, bound)
                copies = torch.ones(counts.shape[dim], dtype=torch.long)
                copies[at - 1] = 2
                counts = counts.repeat_interleave(copies, dim)
    return counts


def blocks_of(bounds: Bounds, area: Area) -> Iterator[Block]:
    """The blocks of an area whose ends are bounds: one, where what stays is in one piece."""
    sides = []
    for side, segments in zip(bounds, area, strict=True):
        pieces, kept = [], 0
        for start, stop in segments or ((0, side[-1]),):
            cells = slice(bisect_left(side, start), bisect_left(side, stop))
            pieces.append((cells, slice(start, stop), slice(kept, kept + stop - start)))
            kept += stop - start
        sides.append(pieces)
    for block in product(*sides):
        where = tuple(w for _, w, _ in block)
        is_whole = all((w.start, w.stop) == (0, side[-1]) for w, side in zip(where, bounds, strict=True))
        yield Block(tuple(c for c, _, _ in block), where, tuple(p for _, _, p in block), is_whole)


def union(bounds: Bounds, areas: Sequence[Area]) -> list[Block]:
    """The blocks of several areas, none of which overlap: those of the area that has all others in it, if one does."""
    each = [list(blocks_of(bounds, area)) for area in areas]
    cells = [{cell for block in blocks for cell in product(*map(indices, block.cells))} for blocks in each]
    together = set().union(*cells)
    for blocks, own in zip(each, cells, strict=True):
        if own == together:
            return blocks
    alone = [tuple((side[i], side[i + 1]) for side, i in zip(bounds, cell, strict=True)) for cell in sorted(together)]
    return [block for cell in alone for block in blocks_of(bounds, tuple((ends,) for ends in cell))]


def indices(cells: slice) -> range:
    return range(cells.start, cells.stop)
