"""A given list of architectures of a space, searched like a space: a table of measured ones, or a short list."""

from __future__ import annotations

import hashlib
import math
import random as random_module
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, overload

from archsearch.errors import ArchsearchError, AssignmentError, SingleArchitecture, SpaceError
from archsearch.spaces.architecture import Architecture, answers_id
from archsearch.spaces.assignment import read_assignment
from archsearch.spaces.decisions import Decision, is_answer
from archsearch.spaces.moves import cross_of
from archsearch.spaces.program import Compiler
from archsearch.spaces.sampling import first_allowed
from archsearch.spaces.space import Space
from archsearch.spaces.steps import Answers
from archsearch.spaces.uniform import Uniform, check_uniform
from archsearch.spaces.walk import Decide
from archsearch.spaces.wiring import Refused

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from archsearch.spaces.members import Branch, Members

# A mutation goes to one of at most so many nearest members.
NEAREST = 16
MAX_SHOWN = 3


class Pool(Space):
    """Some architectures of a space, as a space of their own.

    `Pool(space, [{"depth": 3, "width": 64}, ...])` holds what a table of results has, so that every searcher proposes
    from it alone. Two members are as far apart as the share of their decisions that differ (a decision of only one of
    them differs). The order of the list does not count, and of equal architectures one is kept.

    Args:
        space: its `require` must allow every member; its `where` filters as it does in the space.
        architectures: architectures of the space, or assignments.

    Raises:
        SpaceError: there is none, or one is not of the space.
    """

    def __init__(
        self, space: Space, architectures: Iterable[Architecture | Mapping[str, Any] | Iterable[tuple[str, Any]]]
    ) -> None:
        if not isinstance(space, Space):
            raise SpaceError(f"Pool takes a space and architectures of it, but got {space!r} as the space")
        if isinstance(architectures, Mapping | str) or not isinstance(architectures, Iterable):
            raise SpaceError(f"Pool takes a list of architectures or assignments, but got {architectures!r}")
        answers = [member_of(space, given, i) for i, given in enumerate(architectures)]
        if not answers:
            raise SpaceError("Pool needs at least one architecture, but got none")
        super().__init__(
            space.root,
            inputs=space.inputs,
            require=space.require,
            where=space.where,
            max_decisions=space.max_decisions,
        )
        self.base = space
        self._hold(answers)

    def _hold(self, answers: list[Answers]) -> None:
        by_id = {answers_id(member): member for member in answers}
        self.ids = sorted(by_id)
        self.answers = [by_id[identity] for identity in self.ids]
        self.row_of = {identity: row for row, identity in enumerate(self.ids)}
        self._allowed: dict[int, bool] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "base": self.base, "answers": self.answers}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__({name: value for name, value in state.items() if name not in ("base", "answers")})
        self.base = state["base"]
        self._hold(state["answers"])

    def parameters_of(self, arch: Architecture) -> int:
        """As the space counts them."""
        return self.base.parameters_of(arch)

    def flops_of(self, arch: Architecture) -> int:
        """As the space counts them."""
        return self.base.flops_of(arch)

    @property
    def compiler(self) -> Compiler:
        """The programs of the space."""
        return self.base.compiler

    @cached_property
    def members(self) -> Members:
        """The answers of the members as numbers."""
        from archsearch.spaces.members import Members

        return Members(self.answers)

    @cached_property
    def start(self) -> Branch:
        """All members, before anything is answered."""
        import numpy as np

        from archsearch.spaces.members import Branch

        return Branch(self.members, np.arange(len(self.answers)))

    def member(self, row: int) -> Architecture:
        """The member in a row, in the order of the ids."""
        arch = Architecture(self, self.answers[row])
        arch._id = self.ids[row]
        return arch

    def allows(self, row: int) -> bool:
        """Whether `where` allows the member in a row."""
        if not self.where:
            return True
        known = self._allowed.get(row)
        if known is None:
            known = self._allowed[row] = self.allowed(self.member(row))
        return known

    def size(self) -> int:
        """How many members there are; `where` does not count, as in a space."""
        return len(self.answers)

    def estimate_size(self, draws: int = 10_000, seed: int = 0) -> tuple[float, float]:
        """The size, which is known: no error."""
        return float(len(self.answers)), 0.0

    def enumerate(self) -> Iterator[Architecture]:
        """Every member that `where` allows, in the order of the ids."""
        return (self.member(row) for row in range(len(self.answers)) if self.allows(row))

    @overload
    def sample(self, rng: random_module.Random, *, uniform: Uniform = ...) -> Architecture: ...

    @overload
    def sample(self, rng: random_module.Random, n: int, *, uniform: Uniform = ...) -> list[Architecture]: ...

    def sample(
        self, rng: random_module.Random, n: int | None = None, *, uniform: Uniform = "architectures"
    ) -> Architecture | list[Architecture]:
        """Draw a member, or a list of `n`; each member is as likely as any other.

        Args:
            uniform: both words of `Space.sample` are taken, and mean this: a draw over the decisions one by one, or by
                their priors, has no meaning where most answers lead to no member.

        Raises:
            Infeasible: `where` refuses everything that was drawn.
        """
        check_uniform(uniform, "sample")
        if n is not None and (type(n) is not int or n < 0):
            raise SpaceError(f"sample(rng, n): expected how many architectures to draw, but got {n!r}")
        if n is not None:
            return [self.sample(rng) for _ in range(n)]
        size = len(self.answers)
        if not self.where:
            return self.member(int(rng.random() * size))
        return first_allowed(self, lambda: self.answers[int(rng.random() * size)])

    def replay(self, given: Answers) -> Answers:
        """The answers in the order of the walk, checked as answers of the space, members or not."""
        return self.base.replay(given)

    def architecture(self, assignment: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> Architecture:
        """The member of these answers.

        Raises:
            AssignmentError: they are no architecture of the space, or none of the pool's; names the nearest member.
        """
        given = read_assignment(assignment)
        row = self.row_of.get(answers_id(given)) if is_plain(given) else None
        if row is None:
            answers = self.base.replay(given)
            row = self.row_of.get(answers_id(answers))
            if row is None:
                raise AssignmentError(self.not_a_member(answers))
        if not self.allows(row):
            self.check_where(self.member(row))
        return self.member(row)

    def not_a_member(self, answers: Answers) -> str:
        nearest = self.answers[int(self.members.shares(answers).argmin())]
        paths = [*answers, *[path for path in nearest if path not in answers]]
        absent = "not asked"
        differ = [
            f"{path}: {answers.get(path, absent)!r}, there {nearest.get(path, absent)!r}"
            for path in paths
            if repr(answers.get(path, absent)) != repr(nearest.get(path, absent))
        ]
        more = f"; and {len(differ) - MAX_SHOWN} more" if len(differ) > MAX_SHOWN else ""
        return (
            f"this architecture is none of the {len(self.answers)} of the pool; the nearest, "
            f"{answers_id(nearest)}, differs in {'; '.join(differ[:MAX_SHOWN])}{more}"
        )

    def walk(self, decide: Decide) -> Answers:
        """The answers, in the order of the walk, that `decide(decision, path)` gives: those of a member.

        Each decision is narrowed to the answers that a member still has before it is asked, and not asked where that
        is one.
        """
        return self._walk_members(
            lambda decision, path: decision.options[0] if decision.size == 1 else decide(decision, path)  # type: ignore[index]
        )

    def free_walk(self, decide: Decide) -> Answers:
        """Like `walk`, but asks as well where only one answer is left."""
        return self._walk_members(decide)

    def _walk_members(self, decide: Decide) -> Answers:
        branch = self.start

        def ask(declared: Decision, path: str) -> Any:
            nonlocal branch
            decision = branch.narrow(declared, path)
            try:
                answer = decision.parse(decide(decision, path))
            except ValueError as error:
                raise AssignmentError(f"{path}: {error}, as the pool's members go on from here", path) from None
            branch = branch.after(answer)
            return answer

        return self.base.free_walk(ask)

    def nearest(self, shares: npt.NDArray[np.float64], but: Iterable[Architecture], size: int) -> Iterator[list[int]]:
        """The members with the least shares, in blocks of `size` (and those as near as its last), without `but`."""
        import numpy as np

        left = np.ones(len(self.answers), dtype=bool)
        left[[self.row_of[arch.id] for arch in but if arch.id in self.row_of]] = False
        for block in self.members.blocks(shares, np.flatnonzero(left), size):
            yield block.tolist()

    def draw_allowed(self, blocks: Iterable[list[int]], rng: random_module.Random) -> Architecture | None:
        """One of the first block that `where` allows, each as likely; of the next where it allows none."""
        for block in blocks:
            while block:
                row = block.pop(int(rng.random() * len(block)))
                if self.allows(row):
                    return self.member(row)
        return None

    def mutate(self, arch: Architecture, rng: random_module.Random) -> Architecture:
        """One of the nearest other members, each as likely: of 16 (of the square root of their number where that is
        less), and of those as near as the last of these.

        Where the pool is all of a space they are the architectures that differ in one decision.

        Raises:
            SingleArchitecture: there is no other that `where` allows.
        """
        return self.neighbor(self.members.shares(arch.answers), arch, rng)

    def neighbor(self, shares: npt.NDArray[np.float64], arch: Architecture, rng: random_module.Random) -> Architecture:
        """What `mutate` gives, with the shares by which members differ from the architecture."""
        size = max(1, min(NEAREST, math.isqrt(len(self.answers) - 1)))
        other = self.draw_allowed(self.nearest(shares, [arch], size), rng)
        if other is None:
            raise SingleArchitecture(f"the pool of {len(self.answers)} holds no other architecture to mutate to")
        return other

    def mutations(self, arch: Architecture, n: int, rng: random_module.Random) -> list[Architecture]:
        """As many mutations of one member.

        Raises:
            SingleArchitecture: there is no other that `where` allows.
        """
        shares = self.members.shares(arch.answers)
        return [self.neighbor(shares, arch, rng) for _ in range(n)]

    def crossover(self, a: Architecture, b: Architecture, rng: random_module.Random) -> Architecture:
        """The member nearest to a cross of two, which takes every decision from one of them, by path; one of the two
        only where there is no other."""
        try:
            answers = self.base.free_walk(cross_of(a, b, rng))
        except Refused:
            answers = a.answers
        other = self.draw_allowed(self.nearest(self.members.shares(answers), [a, b], 1), rng)
        return other or (a if rng.random() < 0.5 else b)

    def neighbors(
        self, arch: Architecture, limit: int = 64, rng: random_module.Random | None = None
    ) -> Iterator[Architecture]:
        """The nearest other members, nearest first, of equally near ones in the order of their ids; at most `limit`."""
        shares = self.members.shares(arch.answers)
        found = 0
        for block in self.nearest(shares, [arch], max(1, limit)):
            for row in sorted(block, key=shares.__getitem__):
                if found == limit:
                    return
                if self.allows(row):
                    found += 1
                    yield self.member(row)

    def describe(self) -> dict[str, Any]:
        """The description of the space, and which members there are: a study goes on with the same ones only."""
        digest = hashlib.blake2b(" ".join(self.ids).encode("ascii"), digest_size=10).hexdigest()
        return {**self.base.describe(), **super().describe(), "pool": {"size": len(self.ids), "ids": digest}}

    def __str__(self) -> str:
        return f"Pool of {len(self.answers)} architectures\n{super().__str__()}"

    def __repr__(self) -> str:
        return f"Pool({super().__repr__()}, {len(self.answers)} architectures)"


def member_of(space: Space, given: Any, index: int) -> Answers:
    """The answers of what was given as a member.

    Raises:
        SpaceError: it is not of the space.
    """
    if isinstance(given, Architecture):
        if given.space is space:
            return given.answers
        given = given.answers
    try:
        return space.replay(read_assignment(given))
    except ArchsearchError as error:
        raise SpaceError(f"Pool: member {index} is no architecture of the space: {error}") from error


def is_plain(given: Answers) -> bool:
    """Whether answers can be hashed as they are: what is not JSON, the space refuses by path."""
    return all([is_answer(answer) for answer in given.values()])
