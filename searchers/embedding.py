"""Architectures as points: near where they decide alike.

A decision is a block of columns. Between two architectures that both ask it, the squared distance is 1 between labels
that differ, and for numbers one half plus one half of how far apart they stand; a decision that one of them does not
ask adds about a half. So the squared distance of two points is, but for scale, the share of differing decisions.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import chain, combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from archsearch.spaces.architecture import Architecture
from archsearch.spaces.decisions import Decision, IntegerRange, Options, RealRange, typed
from archsearch.spaces.moves import live
from archsearch.spaces.space import Space
from archsearch.spaces.text import list_decisions

Array = npt.NDArray[np.float64]
Index = npt.NDArray[np.intp]

MAX_PATHS = 2_000
# A number with more answers than this is described by how far along its range it is, by so many columns.
MAX_LEVELS = 16
# The share of the range over which each of them goes from its least value to its largest.
RAMP = 0.5

UNKNOWN, COMPUTED = -1, -2

INDEX = re.compile(r"\[\d+\]")


def template_of(path: str) -> str:
    """A path with its indices left out: equal for the copies of one decision.

    >>> template_of("body[2].op.conv[0].kernel")
    'body[*].op.conv[*].kernel'
    """
    return INDEX.sub("[*]", path)


@dataclass(frozen=True)
class Block:
    """The columns of a decision.

    Attributes:
        start: the first of them.
        table: a row for each option, or none where they are computed.
        decision: what is decided.
    """

    start: int
    table: Array
    decision: Decision


def along(decision: IntegerRange | RealRange, answer: float) -> float:
    """How far along its range an answer is, from 0 to 1."""
    low, high = float(decision.low), float(decision.high)
    if decision.log:
        low, high, answer = math.log(low), math.log(high), math.log(answer)
    return (answer - low) / (high - low) if high > low else 0.0


def steps(shares: list[float]) -> Array:
    """MAX_LEVELS ramps for each share, each half a range long, centred: squared distances are at most 1/2.

    Of numbers that are near, the squared distance grows with the square of how far apart they stand, so the kernel is
    smooth in a number.
    """
    return ramps(np.array(shares)) * (math.sqrt(0.5) / LENGTH)


def ramps(shares: Array) -> Array:
    middle = (np.arange(MAX_LEVELS) + 0.5) / MAX_LEVELS
    filled: Array = np.clip((shares[:, None] - middle) / RAMP, -0.5, 0.5)
    return filled


# From one end of a range to the other.
LENGTH = float(np.linalg.norm(np.diff(ramps(np.array([0.0, 1.0])), axis=0)))


def table_of(decision: Decision) -> Array:
    """A row of numbers for each option; none where they are too many, and are computed instead."""
    size = decision.size
    if decision.kind == "permute":  # n! options: their rows are made when they come up
        assert decision.options is not None
        return np.zeros((0, len(order_row(decision.options[0]))))
    if not isinstance(decision, Options) and (decision.options is None or size > MAX_LEVELS):
        return np.zeros((0, MAX_LEVELS))
    labels = np.zeros((int(size), int(size)))
    np.fill_diagonal(labels, math.sqrt(0.5))
    if not decision.ordered or size <= 2:
        return labels
    levels = (np.arange(size - 1) < np.arange(size)[:, None]) - 0.5
    return np.hstack([labels * math.sqrt(0.5), levels * math.sqrt(0.5 / (size - 1))])


@lru_cache(10_000)
def order_row(order: tuple[Any, ...]) -> Array:
    """Of an order: half the squared distance is the share of pairs the other way round (Kendall; Jiao and Vert, 2015),
    half that of members in other places."""
    n = len(order)
    place = {member: i for i, member in enumerate(order)}
    pairs = [place[a] < place[b] for a, b in combinations(sorted(order, key=repr), 2)]
    places = np.zeros((n, n))
    for i, member in enumerate(sorted(order, key=repr)):
        places[i, place[member]] = 1.0
    return np.concatenate(
        [(np.array(pairs) - 0.5) * math.sqrt(0.5 / len(pairs)), places.reshape(-1) * math.sqrt(0.25 / n)]
    )


class Codes(dict[Any, int]):
    """The code of each (path, answer) that has a row.

    Attributes:
        mixed: the paths with answers that Python takes for equal (1 and True): their keys hold the type.
        computed: the paths whose rows are made when they come up.
    """

    def __init__(self) -> None:
        super().__init__()
        self.mixed: set[str] = set()
        self.computed: set[str] = set()

    def __missing__(self, pair: tuple[str, Any]) -> int:
        path, answer = pair
        if path in self.mixed:
            return self.get((path, typed(answer)), UNKNOWN)
        return COMPUTED if path in self.computed else UNKNOWN


class Embedding:
    """The columns of a space's decisions.

    Attributes:
        blocks: the columns of every decision that has some, by path.
        width: the number of their columns.
        complete: whether these are all decisions of the space.
    """

    def __init__(self, space: Space) -> None:
        listed, self.complete = list_decisions(space.compiler, MAX_PATHS)
        self.space = space
        self.blocks: dict[str, Block] = {}
        self.codes = Codes()
        self.entries: list[tuple[int, Array]] = []
        self.width = 0
        if self.complete:
            for item in listed:
                self.add(item.path, item.decision)

    def add(self, path: str, decision: Decision) -> None:
        """Give a decision its columns."""
        table = table_of(decision)
        self.blocks[path] = Block(self.width, table, decision)
        if len(table):
            assert decision.options is not None
            if len(set(decision.options)) < len(decision.options):
                self.codes.mixed.add(path)
            for option, row in zip(decision.options, table, strict=True):
                self.codes[path, typed(option) if path in self.codes.mixed else option] = len(self.entries)
                self.entries.append((self.width, row))
        else:
            self.codes.computed.add(path)
        self.width += table.shape[1]
        self.__dict__.pop("layout", None)
        self.__dict__.pop("flat", None)

    def learn(self, archs: Iterable[Architecture]) -> None:
        """Give the decisions of architectures columns, where a grammar has no list of them."""
        for arch in archs:
            for path, decision in live(self.space, arch).items():
                if path not in self.blocks:
                    self.add(path, decision)

    @cached_property
    def layout(self) -> Layout:
        return Layout(self)

    @cached_property
    def flat(self) -> tuple[Index, Index, Index, Array]:
        """By code: its first column, its number of columns, where its numbers begin in the last array."""
        widths = np.array([len(row) for _, row in self.entries], dtype=np.intp)
        numbers = np.concatenate([np.zeros(0), *[row for _, row in self.entries]])
        columns = np.array([start for start, _ in self.entries], dtype=np.intp)
        return columns, widths, np.cumsum(widths) - widths, numbers

    def rows(self, archs: Sequence[Architecture]) -> Array:
        """A row for each architecture, shape (len(archs), width).

        What has no columns is left out; where a grammar has no list of its decisions, a last column says how much.
        """
        columns, widths, begins, numbers = self.flat
        width = self.width + (not self.complete)
        rows = np.zeros((len(archs), width))
        answers = [arch.answers for arch in archs]
        codes, ranged, orders = self.look_up(answers)
        lengths = np.array([len(a) for a in answers], dtype=np.intp)
        of_row = np.repeat(np.arange(len(archs)), lengths)
        if not self.complete:
            rows[:, -1] = np.sqrt(0.5 * np.bincount(of_row[codes == UNKNOWN], minlength=len(archs)))
        for i, start, row in orders:
            rows[of_row[i], start : start + len(row)] = row
        if ranged:
            at_row = of_row[[i for i, _, _ in ranged]]
            starts = np.array([start for _, start, _ in ranged])
            rows[at_row[:, None], starts[:, None] + np.arange(MAX_LEVELS)] = steps([share for _, _, share in ranged])
        kept = np.flatnonzero(codes >= 0)
        codes, of_row = codes[kept], of_row[kept]
        count = widths[codes]
        inside = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)
        at = np.repeat(of_row * width + columns[codes], count) + inside
        rows.reshape(-1)[at] = numbers[np.repeat(begins[codes], count) + inside]
        return rows

    def look_up(
        self, answers: Sequence[dict[str, Any]]
    ) -> tuple[Index, list[tuple[int, int, float]], list[tuple[int, int, Array]]]:
        """The code of each answer, or UNKNOWN, or COMPUTED.

        Of those in a range the position, first column and share; of orders the position, first column and row.
        """
        pairs = chain.from_iterable([a.items() for a in answers])
        codes = np.fromiter(map(self.codes.__getitem__, pairs), np.intp, sum(map(len, answers)))
        ranged: list[tuple[int, int, float]] = []
        orders: list[tuple[int, int, Array]] = []
        computed = np.flatnonzero(codes == COMPUTED).tolist()
        if computed:
            every = [pair for a in answers for pair in a.items()]
            for i in computed:
                path, answer = every[i]
                block = self.blocks[path]
                if isinstance(block.decision, Options):
                    orders.append((i, block.start, order_row(answer)))
                else:
                    ranged.append((i, block.start, along(block.decision, answer)))
        return codes, ranged, orders


class Layout:
    """What the columns of an embedding are of.

    Attributes:
        path: by column, the index of its decision's path.
        template: by path, the index of its template.
        bag: by column, the column of its template's bag, in which copies of one decision are added up.
        bag_template: by column of a bag, the index of its template.
    """

    def __init__(self, embedding: Embedding) -> None:
        blocks = embedding.blocks
        names = {path: template_of(path) for path in blocks}
        copies: dict[str, set[str]] = {}
        # Copies answer alike; where a template's decisions differ they are kept apart.
        for path, block in blocks.items():
            copies.setdefault(f"{names[path]}/{block.decision.signature}", set()).add(path)
        template_of_path = {path: i for i, paths in enumerate(copies.values()) for path in paths}
        self.num_templates = len(copies)
        self.template = np.array([template_of_path[path] for path in blocks], dtype=np.intp)
        of_path, bag = [np.zeros(0, np.intp)], [np.zeros(0, np.intp)]
        starts: dict[int, int] = {}
        bag_template: list[int] = []
        for i, block in enumerate(blocks.values()):
            width, template = block.table.shape[1], int(self.template[i])
            if template not in starts:
                starts[template] = len(bag_template)
                bag_template += [template] * width
            of_path.append(np.full(width, i, np.intp))
            bag.append(starts[template] + np.arange(width))
        self.path = np.concatenate(of_path)
        self.bag = np.concatenate(bag)
        self.bag_template = np.array(bag_template, dtype=np.intp)

    @property
    def has_copies(self) -> bool:
        """Whether any decision stands in more than one place."""
        return self.num_templates < len(self.template)

    def bags(self, rows: Array) -> Array:
        """The rows with copies of one decision added up."""
        bags: Array = rows @ self.adder
        return bags

    @cached_property
    def adder(self) -> Array:
        adder = np.zeros((len(self.bag), len(self.bag_template)))
        adder[np.arange(len(self.bag)), self.bag] = 1.0
        return adder
