"""Architectures as rows of numbers for surrogates; decisions that are not asked are marked, not guessed."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from archsearch.errors import AssignmentError
from archsearch.spaces.decisions import Decision, IntegerRange, Options, RealRange, typed
from archsearch.spaces.text import list_decisions

if TYPE_CHECKING:
    import numpy as np

    from archsearch.spaces.architecture import Architecture
    from archsearch.spaces.program import Compiler

MAX_PATHS = 10_000
# A range of integers up to this size is looked up like a choice; what is wider, and a Real, is computed.
MAX_TABULATED = 256


def width_of(decision: Decision) -> int:
    """Columns of a decision: one that says it is asked, and its answer (one number, or one-hot)."""
    return 1 + (1 if decision.ordered or decision.options is None else decision.size)


class Codes(dict[Any, int]):
    """The code of each (path, answer), and of each path whose answers are computed; see `Columns`.

    `mixed` are the paths with answers that Python takes for equal (1 and True): looked up with their type.
    """

    __slots__ = ("mixed",)

    def __init__(self) -> None:
        super().__init__()
        self.mixed: set[str] = set()

    def __missing__(self, pair: tuple[str, Any]) -> int:
        path, answer = pair
        code = self.get((path, typed(answer)) if path in self.mixed else path)
        if code is None:
            raise AssignmentError(f"{path}: {answer!r} is no answer of this space, which encodes its own alone", path)
        return code


class Columns:
    """Where each answer goes in a row. A code stands for an answer, or for all answers of a number.

    Attributes:
        width: the number of columns.
        complete: whether these are all decisions; a grammar has no end of them.
        asked: by code, the column that says that the decision is asked.
        column: by code, the column of the answer.
        value: by code, what stands there; nan where it is computed.
        scale: by code of a computed answer, its decision.
    """

    def __init__(self, compiler: Compiler) -> None:
        import numpy as np

        decisions, self.complete = list_decisions(compiler, MAX_PATHS)
        self.compiler = compiler
        self.codes = Codes()
        self.scale: dict[int, IntegerRange | RealRange] = {}
        self.width = 0
        table: list[tuple[int, int, float]] = []
        for listed in decisions if self.complete else ():
            path, decision, start = listed.path, listed.decision, self.width
            self.width += width_of(decision)
            options = decision.options
            if not isinstance(decision, Options) and (options is None or len(options) > MAX_TABULATED):
                self.codes[path] = len(table)
                self.scale[len(table)] = decision
                table.append((start, start + 1, math.nan))
                continue
            assert options is not None
            if len(set(options)) < len(options):
                self.codes.mixed.add(path)
            for i, answer in enumerate(options):
                self.codes[path, typed(answer) if path in self.codes.mixed else answer] = len(table)
                if decision.ordered:
                    table.append((start, start + 1, i / max(1, decision.size - 1)))
                else:
                    table.append((start, start + 1 + i, 1.0))
        self.asked = np.array([row[0] for row in table], dtype=np.intp)
        self.column = np.array([row[1] for row in table], dtype=np.intp)
        self.value = np.array([row[2] for row in table], dtype=float)

    def rows(self, archs: Sequence[Architecture]) -> np.ndarray[Any, Any]:
        """One row an architecture."""
        import numpy as np

        rows = np.zeros((len(archs), self.width))
        answers = [arch.answers for arch in archs]
        lengths = np.fromiter(map(len, answers), np.intp, len(answers))
        pairs = itertools.chain.from_iterable(map(dict.items, answers))
        codes = np.fromiter(map(self.codes.__getitem__, pairs), np.intp, int(lengths.sum()))
        starts = np.repeat(np.arange(len(archs)) * self.width, lengths)
        flat = rows.reshape(-1)
        values = self.value[codes]
        if self.scale:
            every = list(itertools.chain.from_iterable(map(dict.values, answers)))
            for i in np.flatnonzero(np.isnan(values)).tolist():
                values[i] = within(self.scale[int(codes[i])], every[i])
        flat[starts + self.asked[codes]] = 1.0
        flat[starts + self.column[codes]] = values
        return rows


def within(decision: IntegerRange | RealRange, answer: float) -> float:
    """Where a number stands between its bounds, from 0 to 1."""
    low, high = float(decision.low), float(decision.high)
    if isinstance(decision, RealRange) and decision.log:
        low, high, answer = math.log(low), math.log(high), math.log(answer)
    return (answer - low) / (high - low)


def encode(columns: Columns, archs: Iterable[Architecture], width: int) -> np.ndarray[Any, Any]:
    """One row an architecture: a fixed block of columns per path where the paths are finite, else hashed.

    A block is [asked, value in 0..1] for numbers and [asked, one-hot...] for labels, all 0 where the decision
    is not asked. Where a grammar has no end of paths, (path, answer) pairs are hashed into `width` columns.

    Raises:
        AssignmentError: an architecture is not of this space.
    """
    archs = list(archs)
    return columns.rows(archs) if columns.complete else hashed(archs, width)


def hashed(archs: Sequence[Architecture], width: int) -> np.ndarray[Any, Any]:
    """How many (path, answer) pairs of an architecture fall into each of `width` columns."""
    import numpy as np

    rows = np.zeros((len(archs), width))
    for row, arch in zip(rows, archs, strict=True):
        for path, answer in arch.answers.items():
            digest = hashlib.blake2b(repr((path, typed(answer))).encode(), digest_size=8).digest()
            row[int.from_bytes(digest, "big") % width] += 1.0
    return rows
