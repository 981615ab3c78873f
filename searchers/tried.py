"""What was tried, in eight bytes an architecture: searches of millions of trials have to remember it."""

from __future__ import annotations

from array import array
from bisect import bisect_left

# Ids that are not yet in the sorted array; a set takes some 70 bytes for each.
MAX_RECENT = 32_768


class Tried:
    """A set of ids (`Architecture.id`, `canonical_id`), by their first 64 bits.

    Among n architectures one is taken for another with a chance below n^2 / 2^65: 3e-8 for a million.
    """

    def __init__(self) -> None:
        self.sorted: array[int] = array("Q")
        self.recent: set[int] = set()

    def __contains__(self, id: str) -> bool:
        key = int(id[:16], 16)
        if key in self.recent:
            return True
        i = bisect_left(self.sorted, key)
        return i < len(self.sorted) and self.sorted[i] == key

    def add(self, id: str) -> None:
        """Note an id."""
        if id in self:
            return
        self.recent.add(int(id[:16], 16))
        if len(self.recent) == MAX_RECENT:
            self.merge()

    def merge(self) -> None:
        import numpy as np

        merged = np.concatenate([np.frombuffer(self.sorted, "u8"), np.fromiter(self.recent, "u8", len(self.recent))])
        merged.sort(kind="stable")
        self.sorted = array("Q", merged.tobytes())
        self.recent = set()

    def __len__(self) -> int:
        return len(self.sorted) + len(self.recent)
