"""Architectures as rows of small numbers: which are near each other, and what leads to which."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from archsearch.spaces.decisions import Decision, Options, RealRange, narrowed, typed
from archsearch.spaces.steps import Answers

Rows = npt.NDArray[np.intp]

# A decision that is not asked, and an answer that no member gives.
ABSENT, UNKNOWN = -1, -2


class Members:
    """The answers of some architectures of one space.

    Attributes:
        columns: of each path, the column of its answers.
        answers: by column, the answer that each code stands for.
        codes: shape (members, paths).
    """

    def __init__(self, answers: Sequence[Answers]) -> None:
        self.columns: dict[str, int] = {}
        self.answers: list[list[Any]] = []
        self.known: list[dict[Any, int]] = []
        columns: list[int] = []
        codes: list[int] = []
        for member in answers:
            for path, answer in member.items():
                column = self.columns.setdefault(path, len(self.answers))
                if column == len(self.answers):
                    self.answers.append([])
                    self.known.append({})
                code = self.known[column].setdefault(typed(answer), len(self.answers[column]))
                if code == len(self.answers[column]):
                    self.answers[column].append(answer)
                columns.append(column)
                codes.append(code)
        most = max([len(given) for given in self.answers], default=0)
        kind = np.int8 if most < 1 << 7 else np.int16 if most < 1 << 15 else np.int32
        self.codes = np.full((len(answers), len(self.columns)), ABSENT, dtype=kind)
        rows = np.repeat(np.arange(len(answers)), [len(member) for member in answers])
        self.codes[rows, columns] = codes
        # What is compared at once lies together.
        self.by_path = np.ascontiguousarray(self.codes.T)
        self.asked = self.by_path != ABSENT
        self.num_asked = self.asked.sum(axis=0)
        self.always = self.asked.all(axis=1)

    def shares(self, answers: Mapping[str, Any]) -> npt.NDArray[np.float64]:
        """Of each member, the share of the decisions, of one or the other, in which it differs from these answers.

        A decision that only one of them has counts as one that differs.
        """
        given = np.full(len(self.columns), UNKNOWN, dtype=self.codes.dtype)
        asked = np.zeros(len(self.columns), dtype=bool)
        for path, answer in answers.items():
            column = self.columns.get(path)
            if column is not None:
                given[column] = self.known[column].get(typed(answer), UNKNOWN)
                asked[column] = True
        alike = np.add.reduce(self.by_path == given[:, None], axis=0, dtype=np.int32)
        sometimes = np.add.reduce(self.asked[asked & ~self.always], axis=0, dtype=np.int32)
        both = (asked & self.always).sum() + sometimes
        shares: npt.NDArray[np.float64] = 1 - alike / np.maximum(self.num_asked + len(answers) - both, 1)
        return shares

    def blocks(self, shares: npt.NDArray[np.float64], rows: Rows, size: int) -> Iterator[Rows]:
        """The nearest `size` of some members with those as near as the last of these, then the next, and so on."""
        while len(rows):
            far = shares[rows]
            farthest = np.partition(far, size - 1)[size - 1] if size < len(rows) else far.max()
            yield rows[far <= farthest]
            rows = rows[far > farthest]


class Branch:
    """The members whose answers begin alike; what the next decision leaves of them.

    Args:
        rows: which members.
    """

    __slots__ = ("branches", "decision", "members", "rows")

    def __init__(self, members: Members, rows: Rows) -> None:
        self.members = members
        self.rows = rows
        self.decision: Options | None = None
        self.branches: dict[Any, Branch] = {}

    def narrow(self, declared: Decision, path: str) -> Options:
        """The next decision, at `path`, with the answers that a member gives."""
        if self.decision is None:
            column = self.members.columns[path]
            codes = self.members.codes[self.rows, column]
            answers = self.members.answers[column]
            kept = {int(code): answers[code] for code in np.unique(codes)}
            for code, answer in kept.items():
                rows = self.rows if len(kept) == 1 else self.rows[codes == code]
                self.branches[typed(answer)] = Branch(self.members, rows)
            if isinstance(declared, RealRange):
                self.decision = Options(tuple(sorted(kept.values())), declared.kind)
            else:
                self.decision = narrowed(declared, sorted(kept.values(), key=declared.position))
        return self.decision

    def after(self, answer: Any) -> Branch:
        """The members that give this answer to the next decision, once that is narrowed."""
        return self.branches[typed(answer)]
