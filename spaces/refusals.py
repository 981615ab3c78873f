"""How many refusals of constraints are paid for."""

from __future__ import annotations

from archsearch.errors import Infeasible


class Refusals:
    """Counts what constraints refuse, up to a limit, over as many draws and moves as it is given to.

    They are repeated until constraints allow what comes out. Where little is allowed, and a look takes time, as
    counting the parameters of a network does, whoever makes hundreds of them has to bound what all of them cost. The
    bound is a number and not a time, so that the same study makes the same draws on any machine.

    Args:
        limit: the refusal that is one too many.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.number = 0

    @property
    def spent(self) -> bool:
        return self.number >= self.limit

    def count(self) -> None:
        """Count one.

        Raises:
            Infeasible: it is one too many.
        """
        self.number += 1
        if self.spent:
            raise Infeasible(f"constraints refused {self.number} architectures, which is as many as are paid for")
