"""One order for all isomorphic graphs: what two graphs of values have in common however they were declared.

Colours are refined by what a node reads and what reads it; where that leaves nodes alike, each of them is tried
in turn as the first (individualisation and refinement: McKay and Piperno, Practical graph isomorphism II, 2014).
The smallest outcome is the canonical one. Automorphisms that turn up on the way spare the rest of the tries.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

COMMUTATIVE = ("add", "mul")
MAX_WORK = 400_000
"""How often a value may be coloured before the search gives up: about a second."""


class Wiring(NamedTuple):
    """A directed acyclic graph of values.

    Attributes:
        num_inputs: the inputs are the values 0, 1, ...; the nodes' values follow.
        nodes: what kind each is and which values it reads, in the order of computing. The order of what is read
            counts, unless the kind is one of `COMMUTATIVE`.
        outputs: the value of each output, by name.
    """

    num_inputs: int
    nodes: tuple[tuple[str, tuple[int, ...]], ...]
    outputs: tuple[tuple[str, int], ...]


class Labelling(NamedTuple):
    """An order of the nodes.

    Attributes:
        order: the nodes by their new index; one that comes after what it reads.
        automorphisms: generators of all permutations of the nodes that change nothing; `None` where the search
            gave up, and `order` is the one that was given.
    """

    order: tuple[int, ...]
    automorphisms: tuple[tuple[int, ...], ...] | None


def labelling(wiring: Wiring, labels: Sequence[Any]) -> Labelling:
    """The order that all graphs isomorphic to this one share, up to automorphisms.

    Args:
        wiring: the graph; its inputs and its outputs are told apart, its nodes are not.
        labels: of the nodes, sortable; isomorphisms keep them.

    >>> crossed = Wiring(1, (("op", (0,)), ("op", (0,)), ("op", (2,)), ("add", (1, 3))), (("", 4),))
    >>> labelling(crossed, ["a", "b", "c", ""]).order
    (0, 1, 2, 3)
    """
    search = Search(wiring, labels)
    search.descend(search.refine(search.colours), 0)
    if search.best is None or search.work > MAX_WORK:
        return Labelling(tuple(range(len(wiring.nodes))), None)
    return Labelling(search.best_order, tuple(search.automorphisms))


def arranged(wiring: Wiring, order: Sequence[int]) -> Wiring:
    """The graph with its nodes in another order.

    >>> arranged(Wiring(1, (("b", (0,)), ("a", (0,)), ("add", (1, 2))), (("", 3),)), (1, 0, 2))
    Wiring(num_inputs=1, nodes=(('a', (0,)), ('b', (0,)), ('add', (1, 2))), outputs=(('', 3),))
    """
    num_inputs = wiring.num_inputs
    index = list(range(num_inputs + len(order)))
    for new, old in enumerate(order):
        index[num_inputs + old] = num_inputs + new
    nodes = []
    for old in order:
        kind, reads = wiring.nodes[old]
        moved = [index[value] for value in reads]
        nodes.append((kind, tuple(sorted(moved) if kind in COMMUTATIVE else moved)))
    return Wiring(num_inputs, tuple(nodes), tuple([(name, index[value]) for name, value in wiring.outputs]))


def closure(automorphisms: Sequence[tuple[int, ...]], size: int, limit: int) -> list[tuple[int, ...]] | None:
    """All permutations of `size` nodes that these generate; None where there are more than `limit`.

    >>> len(closure([(1, 0, 2), (0, 2, 1)], 3, 6))
    6
    """
    identity = tuple(range(size))
    found = {identity}
    new = [identity]
    while new:
        products = {tuple([g[i] for i in h]) for h in new for g in automorphisms} - found
        found |= products
        if len(found) > limit:
            return None
        new = list(products)
    return sorted(found)


class Search:
    """The search for the smallest arrangement.

    Values are numbered as in the wiring, inputs first. Colours are numbers; nodes of one colour may yet turn out
    to differ. A node's colour is above those of what it reads, so that a finished colouring is an order.
    """

    def __init__(self, wiring: Wiring, labels: Sequence[Any]) -> None:
        self.wiring = wiring
        self.num_inputs = wiring.num_inputs
        self.reads: list[tuple[int, ...]] = [()] * wiring.num_inputs
        self.ordered = [True] * wiring.num_inputs
        self.readers: list[list[tuple[int, int]]] = [[] for _ in range(wiring.num_inputs + len(wiring.nodes))]
        depth = [0] * wiring.num_inputs
        for node, (kind, reads) in enumerate(wiring.nodes, wiring.num_inputs):
            ordered = kind not in COMMUTATIVE
            self.ordered.append(ordered)
            self.reads.append(reads if ordered else tuple(sorted(reads)))
            for position, value in enumerate(reads):
                self.readers[value].append((node, position if ordered else -1))
            depth.append(1 + max([depth[value] for value in reads], default=0))
        ends: list[tuple[str, ...]] = [()] * len(depth)
        for name, value in wiring.outputs:
            ends[value] = (*ends[value], name)
        keys: list[Any] = [(0, str(i).zfill(9), (), ends[i]) for i in range(wiring.num_inputs)]
        keys.extend(
            [
                (depth[v], wiring.nodes[v - wiring.num_inputs][0], (labels[v - wiring.num_inputs],), ends[v])
                for v in range(wiring.num_inputs, len(depth))
            ]
        )
        self.colours = ranks(keys)
        self.work = 0
        self.path: list[int] = []
        self.best: Wiring | None = None
        self.best_order: tuple[int, ...] = ()
        self.best_path: list[int] = []
        self.automorphisms: list[tuple[int, ...]] = []

    def refine(self, colours: list[int]) -> list[int]:
        """Colours split until nodes of one colour read, and are read by, the same colours."""
        count = len(set(colours))
        while True:
            self.work += len(colours)
            keys = []
            for value, colour in enumerate(colours):
                reads = [colours[source] for source in self.reads[value]]
                if not self.ordered[value]:
                    reads.sort()
                keys.append((colour, reads, sorted([(colours[r], at) for r, at in self.readers[value]])))
            colours = ranks([(c, tuple(reads), tuple(readers)) for c, reads, readers in keys])
            finer = len(set(colours))
            if finer == count:
                return colours
            count = finer

    def descend(self, colours: list[int], depth: int) -> int:
        """Try the ways to tell alike nodes apart.

        Returns:
            The depth at which to go on: less than `depth` where the rest here is only what was seen before.
        """
        if self.work > MAX_WORK:
            return depth
        cell = first_cell(colours)
        if not cell:
            return self.leaf(colours, depth)
        if self.interchangeable(cell):
            return self.descend(self.split(colours, cell), depth)
        tried: list[int] = []
        for node in cell:
            if tried and self.is_moved_from(tried, node, depth):
                continue
            tried.append(node)
            first = [2 * colour + 1 for colour in colours]
            first[node] -= 1
            self.path[depth:] = [node]
            back = self.descend(self.refine(ranks(first)), depth + 1)
            if back < depth:
                return back
        return depth

    def leaf(self, colours: list[int], depth: int) -> int:
        order = sorted(range(len(self.wiring.nodes)), key=lambda node: colours[self.num_inputs + node])
        found = arranged(self.wiring, order)
        if self.best is None or found < self.best:
            self.best, self.best_order, self.best_path = found, tuple(order), self.path[:depth]
            return depth
        if found > self.best:
            return depth
        moved = [0] * len(order)
        for before, after in zip(self.best_order, order, strict=True):
            moved[before] = after
        self.automorphisms.append(tuple(moved))
        same = [a == b for a, b in zip(self.best_path, self.path[:depth], strict=False)]
        return same.index(False) if False in same else depth

    def interchangeable(self, cell: list[int]) -> bool:
        """Whether any order of these nodes is as good as any other: they read the same, and the same read them."""
        first = cell[0]
        return all([self.reads[v] == self.reads[first] and self.readers[v] == self.readers[first] for v in cell[1:]])

    def split(self, colours: list[int], cell: list[int]) -> list[int]:
        """The colours with interchangeable nodes told apart, in any order."""
        finer = [len(cell) * colour for colour in colours]
        for i, node in enumerate(cell):
            finer[node] += i
        for one, other in pairwise(cell):
            swapped = list(range(len(self.wiring.nodes)))
            swapped[one - self.num_inputs] = other - self.num_inputs
            swapped[other - self.num_inputs] = one - self.num_inputs
            self.automorphisms.append(tuple(swapped))
        # Told apart, they tell nothing else apart: the colouring is as fine as it was elsewhere.
        return ranks(finer)

    def is_moved_from(self, tried: list[int], node: int, depth: int) -> bool:
        """Whether an automorphism that keeps the nodes on the path takes one that was tried to this one."""
        fixed = [value - self.num_inputs for value in self.path[:depth]]
        generators = [g for g in self.automorphisms if all([g[i] == i for i in fixed])]
        orbit = {value - self.num_inputs for value in tried}
        new = list(orbit)
        while new:
            new = list({g[i] for g in generators for i in new} - orbit)
            orbit.update(new)
        return node - self.num_inputs in orbit


def ranks(keys: Sequence[Hashable]) -> list[int]:
    """Numbers from 0 in the order of the keys, equal for equal ones."""
    rank = {key: i for i, key in enumerate(sorted(set(keys)))}  # type: ignore[type-var]
    return [rank[key] for key in keys]


def first_cell(colours: list[int]) -> list[int]:
    """The values of the smallest colour that more than one has."""
    cells: dict[int, list[int]] = {}
    for value, colour in enumerate(colours):
        cells.setdefault(colour, []).append(value)
    return next((cells[colour] for colour in sorted(cells) if len(cells[colour]) > 1), [])
