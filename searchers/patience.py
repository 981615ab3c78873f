"""How many refusals of constraints a search pays for before it makes do with what it has."""

from __future__ import annotations

from contextlib import AbstractContextManager

from archsearch.spaces.refusals import Refusals, at_most

# For each architecture that is looked for.
PER_ARCHITECTURE = 10
# In an ask, or a look at a space, as a whole.
IN_ALL = 1_000


def patience(number: int) -> AbstractContextManager[Refusals]:
    """Within it, the draws and moves of a space may meet ten refusals for each of so many architectures."""
    return at_most(PER_ARCHITECTURE * number)
