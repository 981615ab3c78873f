"""The tree of decisions: a node stands for answers given so far, and knows the trials that begin with them.

An ordered decision takes several levels, one a halving (see `bisection`). A node gets branches when a second trial
comes to it, so trials have nodes as far down as they have beginnings in common, and one further.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

from archsearch.searchers.bisection import Cell, Scale, part_of
from archsearch.searchers.tally import Tally


class Step(NamedTuple):
    """An answer of a trial.

    Attributes:
        path: of the decision.
        scale: of the answers that were offered.
        position: of the one that was given.
    """

    path: str
    scale: Scale
    position: float


class Node:
    """Answers given so far, the last perhaps narrowed to a cell only.

    Attributes:
        path, scale: the decision that is asked next, once a second trial has come.
        parts: the cells that its branches stand for.
        children: the number of the node behind each; None before a trial came there.
        resting: the one trial that came, until there are branches.
        closed: whether everything below was tried.
    """

    __slots__ = ("children", "closed", "parts", "path", "resting", "scale")

    def __init__(self) -> None:
        self.path = ""
        self.scale: Scale | None = None
        self.parts: tuple[Cell, ...] = ()
        self.children: list[int | None] = []
        self.resting: int | None = None
        self.closed = False


class Place(NamedTuple):
    """Where a trial is on its way down: at which node, at which of its steps, in which cell of that (None: all)."""

    node: int
    step: int
    cell: Cell | None


ROOT = Place(0, 0, None)

# A node's number, and the index of one of its parts.
Branch: TypeAlias = tuple[int, int]


class Way(NamedTuple):
    """Where answers lead in the tree.

    Attributes:
        branches: from the root on; behind the last there may be no node yet.
        others: whether other answers can come behind the last one, too.
    """

    branches: Sequence[Branch]
    others: bool


class Tree:
    """Nodes by number, the root first; a node's slot in the tally is its number."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.tally = Tally()
        self.new_node()

    @property
    def closed(self) -> bool:
        """Whether everything was tried."""
        return self.nodes[0].closed

    def new_node(self) -> int:
        self.nodes.append(Node())
        return self.tally.new_slot()

    def add(self, trial: int, steps_of: Callable[[int], Sequence[Step]]) -> None:
        """A trial has ended: it goes down as far as trials have parted, and one level further.

        Args:
            trial: its index, the next after those of the trials before.
            steps_of: the steps of a trial by its index.
        """
        steps = steps_of(trial)
        place = ROOT
        trail = [place.node]
        while not self.rests(trial, steps, place):
            if not self.nodes[place.node].parts:
                self.expand(place, steps, steps_of)
            place = self.child(steps, place)
            trail.append(place.node)
        self.backup(trial, trail)

    def rests(self, trial: int, steps: Sequence[Step], place: Place) -> bool:
        """Whether a trial stays at a node: it has no answers left, or is the first to come."""
        node = self.nodes[place.node]
        if place.step == len(steps):
            # Of a Real a cell is all that nodes know, and there are always more numbers in it.
            node.closed = all([step.scale.decision.options is not None for step in steps])
        elif not node.parts and node.resting is None:
            node.resting = trial
        else:
            return False
        return True

    def expand(self, place: Place, steps: Sequence[Step], steps_of: Callable[[int], Sequence[Step]]) -> None:
        """Give a node branches, for the next step of a trial, and send the trial that rests there down its own."""
        node = self.nodes[place.node]
        step = steps[place.step]
        node.path, node.scale = step.path, step.scale
        node.parts = step.scale.split(place.cell or step.scale.whole)
        node.children = [None] * len(node.parts)
        trial, node.resting = node.resting, None
        assert trial is not None
        before = steps_of(trial)
        below = self.child(before, place)
        self.rests(trial, before, below)
        self.backup(trial, [below.node])

    def child(self, steps: Sequence[Step], place: Place) -> Place:
        """Where the next answer of a trial leads."""
        node = self.nodes[place.node]
        step = steps[place.step]
        i = part_of(step.position, node.parts)
        child = node.children[i]
        if child is None:
            child = node.children[i] = self.new_node()
        cell = node.parts[i]
        return Place(child, place.step, cell) if step.scale.split(cell) else Place(child, place.step + 1, None)

    def backup(self, trial: int, trail: Sequence[int]) -> None:
        """Count a trial in each node of its way, and close those below which nothing is left."""
        for number in reversed(trail):
            self.tally.add(number, trial)
            node = self.nodes[number]
            if node.parts and all([child is not None and self.nodes[child].closed for child in node.children]):
                node.closed = True

    def way(self, steps: Sequence[Step]) -> Way:
        """Where these answers lead, without changing the tree."""
        number = step = 0
        branches: list[Branch] = []
        while (node := self.nodes[number]).parts and step < len(steps):
            i = part_of(steps[step].position, node.parts)
            divided = bool(steps[step].scale.split(node.parts[i]))
            step += not divided
            branches.append((number, i))
            child = node.children[i]
            if child is None:
                others = divided or any([left.scale.split(left.scale.whole) for left in steps[step:]])
                return Way(branches, others)
            number = child
        return Way(branches, True)

    def is_open(self, branch: Branch) -> bool:
        """Whether something behind a branch is left to try."""
        number, i = branch
        child = self.nodes[number].children[i]
        return child is None or not self.nodes[child].closed
