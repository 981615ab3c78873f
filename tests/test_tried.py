"""The compact set of ids is a set."""

from __future__ import annotations

import copy
import random

from hypothesis import given
from hypothesis import strategies as st

from archsearch.searchers import tried
from archsearch.searchers.tried import Tried


@given(st.lists(st.integers(0, 40), max_size=200), st.integers(1, 9))
def test_it_is_a_set(numbers: list[int], most: int) -> None:
    """With few or many of them in the sorted array."""
    ids = [random.Random(number).randbytes(10).hex() for number in range(41)]
    before, tried.MAX_RECENT = tried.MAX_RECENT, most
    try:
        ours, theirs = Tried(), set()
        for number in numbers:
            ours.add(ids[number])
            theirs.add(ids[number])
            assert len(ours) == len(theirs)
        assert [id in ours for id in ids] == [id in theirs for id in ids]
        assert len(copy.deepcopy(ours)) == len(ours)
    finally:
        tried.MAX_RECENT = before


def test_it_holds_many_in_eight_bytes_each() -> None:
    rng = random.Random(0)
    ids = [rng.randbytes(10).hex() for _ in range(100_000)]
    ours = Tried()
    for id in ids:
        ours.add(id)
    assert all([id in ours for id in ids])
    assert not any([rng.randbytes(10).hex() in ours for _ in range(1_000)])
    assert len(ours.sorted) == 98_304
    assert ours.sorted.itemsize == 8
