"""Drawing uniformly over architectures, by their exact count, instead of over the options of each decision.

The two differ wherever an option opens more than another does: of `Choice({"a": Choice(range(99)), "b": None})`
the decisions give "b" half of the draws, the architectures one in a hundred.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, TypeAlias

from archsearch.errors import Infeasible, SpaceError
from archsearch.spaces.count import Count
from archsearch.spaces.steps import Answers
from archsearch.spaces.ways import Draw, find_endless, number_of

if TYPE_CHECKING:
    from archsearch.spaces.space import Space

Uniform: TypeAlias = Literal["decisions", "architectures"]
KINDS = ("decisions", "architectures")

# Bits that a number has beyond what it is scaled down to: no index is likelier than another by 2 ** -64 of it.
SPARE_BITS = 64
CHUNK_BITS = 53


def check_uniform(uniform: object, what: str) -> None:
    if uniform not in KINDS:
        raise SpaceError(f"{what} takes uniform='decisions' or uniform='architectures', but got {uniform!r}")


class UniformDraws:
    """The architectures of a space by their index; each is drawn as often as any other.

    A Real counts as one answer, and is drawn within its bounds as it draws itself.

    Args:
        space: its `require` is part of the count, its `where` is not.

    Raises:
        SizeTooHard: the count needs more than a million states.
        SpaceError: there is no end of architectures: a grammar without an end, or a constraint on a Real.
        Infeasible: the constraints allow nothing.
    """

    def __init__(self, space: Space) -> None:
        self.space = space
        self.ways = Count(space.root, space.require, draws=True).root_ways()
        total = number_of(self.ways)
        if total == math.inf:
            path, reason = find_endless(self.ways)
            raise SpaceError(
                f"{path}: {reason}, so no draw is uniform over architectures; uniform='decisions' needs no count"
            )
        if not total:
            texts = ", ".join([repr(require) for require in space.require])
            raise Infeasible(f"no architecture is allowed by the constraints {texts or 'of the scopes'}")
        self.total = int(total)

    def draw(self, random: Callable[[], float]) -> Answers:
        """The answers of an architecture, in the order of the walk.

        Args:
            random: uniform in [0, 1) with 53 bits, as `random.Random.random`.
        """
        return self.answers(index_below(self.total, random), random)

    def answers(self, index: int, random: Callable[[], float]) -> Answers:
        """The answers that an index below `total` stands for; `random` draws the Reals."""
        drawn = Draw(random).run(self.ways, index)
        answers = self.space.free_walk(lambda decision, path: drawn[path])
        assert len(answers) == len(drawn), f"{drawn.keys() - answers.keys()} were drawn, but are not asked"
        return answers


def index_below(total: int, random: Callable[[], float]) -> int:
    """A number from 0 to total - 1, uniform to 64 bits beyond those of `total`."""
    num_chunks = -(-(total.bit_length() + SPARE_BITS) // CHUNK_BITS)
    bits = 0
    for _ in range(num_chunks):
        bits = bits << CHUNK_BITS | int(random() * (1 << CHUNK_BITS))
    return bits * total >> num_chunks * CHUNK_BITS
