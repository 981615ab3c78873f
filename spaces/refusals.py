"""How many refusals of constraints are paid for.

Draws and moves of a space are repeated until constraints allow what comes out. Where little is allowed, and a look
takes time, as counting the parameters of a network does, whoever makes hundreds of them has to bound what all of them
cost. The bound is a number and not a time, so that the same study makes the same draws on any machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from archsearch.errors import Infeasible


class Refusals:
    """Counts what constraints refuse, up to a limit.

    Args:
        limit: the refusal that is one too many.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.number = 0

    @property
    def spent(self) -> bool:
        return self.number >= self.limit


_BOUND: ContextVar[Refusals | None] = ContextVar("refusals", default=None)


@contextmanager
def at_most(limit: int) -> Iterator[Refusals]:
    """Within it, the draws, walks and moves of spaces together may meet fewer than `limit` refusals.

        with at_most(1_000) as refusals:
            archs = [space.sample(rng) for _ in range(100)]

    The one that is too many raises Infeasible there, but for `Space.mutations`, which gives what it found. Of bounds
    within bounds the innermost counts.
    """
    refusals = Refusals(limit)
    token = _BOUND.set(refusals)
    try:
        yield refusals
    finally:
        _BOUND.reset(token)


def count_refusal() -> None:
    """Count one refusal, where they are bounded.

    Raises:
        Infeasible: it is one too many.
    """
    refusals = _BOUND.get()
    if refusals is None:
        return
    refusals.number += 1
    if refusals.spent:
        raise Infeasible(f"constraints refused {refusals.number} architectures, which is as many as are paid for")


def are_spent() -> bool:
    """Whether refusals are bounded and no more are paid for."""
    refusals = _BOUND.get()
    return refusals is not None and refusals.spent
