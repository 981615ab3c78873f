"""Variation that does not come back to what was tried."""

from __future__ import annotations

import random
from collections.abc import Callable

from archsearch.errors import EndlessSpace, SingleArchitecture
from archsearch.spaces.architecture import Architecture

# So many mutations of mutations that were all tried before: then an architecture at random is as good.
MAX_REPEATS = 100


def mutated(arch: Architecture, known: Callable[[str], bool], rng: random.Random) -> Architecture | None:
    """An architecture that is one mutation away, or more where that was tried before: the search leaves what it knows.

    Args:
        arch: where to start.
        known: whether an id was tried, or is under way.
        rng: of the ask.

    Returns:
        None where nothing new was found.
    """
    for _ in range(MAX_REPEATS):
        try:
            arch = arch.space.mutate(arch, rng)
        except (SingleArchitecture, EndlessSpace):
            return None
        if not known(arch.id):
            return arch
    return None
