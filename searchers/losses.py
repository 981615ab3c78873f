"""What one ask of a tree search takes for lost: what is under way, and what its own simulations came to in vain."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from archsearch.searchers.tree import Branch, Step, Tree


class Losses:
    """Counts such architectures as trials that came out worst, and closes for this ask what nothing else is behind.

    (Chaslot, Winands and van den Herik, 2008, "Parallel Monte-Carlo Tree Search".) Without the closing, a worker that
    hangs would draw every later ask to the last architecture of a good branch, until enough losses outweigh it.
    """

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.counts: Counter[Branch] = Counter()
        self.closed: set[Branch] = set()

    def add(self, steps: Sequence[Step]) -> None:
        """An architecture, by its answers."""
        branches, others = self.tree.way(steps)
        self.counts.update(branches)
        if others:
            return
        for number, i in reversed(branches):
            child = self.tree.nodes[number].children[i]
            if child is not None and any([self.is_open((child, j)) for j in range(len(self.tree.nodes[child].parts))]):
                break
            self.closed.add((number, i))

    def is_open(self, branch: Branch) -> bool:
        """Whether something behind a branch is left for this ask."""
        return branch not in self.closed and self.tree.is_open(branch)

    def at(self, number: int) -> int:
        """How many came through a node that has branches."""
        return sum([self.counts[number, i] for i in range(len(self.tree.nodes[number].parts))])
