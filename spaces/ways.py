"""Ways to answer: plain numbers where only the size is asked, a forest where architectures are drawn.

A forest remembers what its number is made of: sums over alternatives, products of parts, places, answers. So
an index below the number stands for exactly one list of answers, and drawing uniformly is drawing an index
(the recursive method of Nijenhuis and Wilf, 1978, "Combinatorial Algorithms", chapter 13). A forest says where
it stands only by the steps from its node, so that equal parts of a space are one forest.

What counts combines ways with `add`, `multiply`, `power` and `inside`, which take numbers and forests alike;
1 is the one way to answer nothing.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate
from typing import Any, NamedTuple, TypeAlias

from archsearch.spaces.decisions import Decision
from archsearch.spaces.sites import Frame, join

Number = int | float
Env = frozenset[Any]


class Place(NamedTuple):
    """Where a forest stands while it is drawn: the path so far, and what names mean there."""

    path: str
    frame: Frame

    def child(self, step: str) -> Place:
        return Place(join(self.path, step), self.frame)

    def decision(self, name: str | None, step: str = "") -> str:
        """The path of a decision here."""
        base = self.path if name is None else self.frame.path(name, self.path)
        return join(base, step) or "root"


class Draw:
    """A draw under way.

    Attributes:
        random: draws what has no end of answers (a Real).
        answers: by path, in no particular order.
        todo: what is still to be drawn: ways, the index below their number, the place.
    """

    __slots__ = ("answers", "random", "todo")

    def __init__(self, random: Callable[[], float]) -> None:
        self.random = random
        self.answers: dict[str, Any] = {}
        self.todo: list[tuple[Ways, int, Place]] = []

    def run(self, ways: Ways, index: int) -> dict[str, Any]:
        """The answers that `index` stands for among `ways` of a root."""
        todo = self.todo
        todo.append((ways, index, Place("", Frame())))
        while todo:
            ways, index, place = todo.pop()
            if isinstance(ways, Forest):
                ways.draw(index, place, self)
        return self.answers


class Forest:
    """Ways that say what their number is made of."""

    __slots__ = ("number",)
    number: Number

    def draw(self, index: int, place: Place, draw: Draw) -> None:
        """Answer what this forest answers itself, and put its parts on `draw.todo`."""
        raise NotImplementedError

    def parts(self, place: Place) -> Iterator[tuple[Ways, Place]]:
        """The parts with their places."""
        yield from ()


Ways: TypeAlias = int | float | Forest
Table: TypeAlias = dict[Env, Ways]


class Sum(Forest):
    """One of several alternatives: those of `before`, or `last`."""

    __slots__ = ("before", "ends", "last", "options")

    def __init__(self, before: Ways, last: Ways) -> None:
        self.number = number_of(before) + number_of(last)
        self.before = before
        self.last = last
        self.options: list[Ways] = []
        self.ends: list[Number] = []

    def flatten(self) -> None:
        """List the alternatives, with the index at which each ends: wide sums are built one by one."""
        options = []
        ways: Ways = self
        while isinstance(ways, Sum):
            options.append(ways.last)
            ways = ways.before
        options.append(ways)
        options.reverse()
        self.options = options
        self.ends = list(accumulate([number_of(option) for option in options]))

    def draw(self, index: int, place: Place, draw: Draw) -> None:
        if not self.options:
            self.flatten()
        i = bisect_right(self.ends, index)
        draw.todo.append((self.options[i], index - int(self.ends[i - 1]) if i else index, place))

    def parts(self, place: Place) -> Iterator[tuple[Ways, Place]]:
        yield self.before, place
        yield self.last, place


class Product(Forest):
    """Both parts, each in every way."""

    __slots__ = ("first", "second")

    def __init__(self, first: Ways, second: Ways) -> None:
        for part in (first, second):
            assert isinstance(part, Forest), f"the number {part} says nothing of the answers that it counts"
        self.number = finite_product(number_of(first), number_of(second))
        self.first = first
        self.second = second

    def draw(self, index: int, place: Place, draw: Draw) -> None:
        index, rest = divmod(index, int(number_of(self.second)))
        draw.todo.append((self.second, rest, place))
        draw.todo.append((self.first, index, place))

    def parts(self, place: Place) -> Iterator[tuple[Ways, Place]]:
        yield self.first, place
        yield self.second, place


class Copies(Forest):
    """`count` independent copies, at ``[0]``, ``[1]``, ..."""

    __slots__ = ("count", "each")

    def __init__(self, each: Forest, count: int) -> None:
        self.number = each.number if each.number == math.inf else each.number**count
        self.each = each
        self.count = count

    def draw(self, index: int, place: Place, draw: Draw) -> None:
        number = int(self.each.number)
        for i in range(self.count):
            index, own = divmod(index, number)
            draw.todo.append((self.each, own, place.child(f"[{i}]")))

    def parts(self, place: Place) -> Iterator[tuple[Ways, Place]]:
        yield self.each, place.child("[0]")


class Inside(Forest):
    """A part that stands some steps further in."""

    __slots__ = ("node", "step")

    def __init__(self, step: str, node: Forest) -> None:
        self.number = node.number
        self.step = step
        self.node = node

    def draw(self, index: int, place: Place, draw: Draw) -> None:
        draw.todo.append((self.node, index, place.child(self.step)))

    def parts(self, place: Place) -> Iterator[tuple[Ways, Place]]:
        yield self.node, place.child(self.step)


class InScope(Forest):
    """What a Scope holds."""

    __slots__ = ("names", "node")

    def __init__(self, names: tuple[str, ...], node: Forest) -> None:
        self.number = node.number
        self.names = names
        self.node = node

    def place(self, place: Place) -> Place:
        return Place(place.path, place.frame.scope(place.path, self.names))

    def draw(self, index: int, place: Place, draw: Draw) -> None:
        draw.todo.append((self.node, index, self.place(place)))

    def parts(self, place: Place) -> Iterator[tuple[Ways, Place]]:
        yield self.node, self.place(place)


class InShared(Forest):
    """What a Shared holds, where it is decided."""

    __slots__ = ("name", "node")

    def __init__(self, name: str, node: Forest) -> None:
        self.number = node.number
        self.name = name
        self.node = node

    def place(self, place: Place) -> Place:
        return Place(place.frame.path(self.name, place.path), place.frame.shared())

    def draw(self, index: int, place: Place, draw: Draw) -> None:
        draw.todo.append((self.node, index, self.place(place)))

    def parts(self, place: Place) -> Iterator[tuple[Ways, Place]]:
        yield self.node, self.place(place)


class Answer(Forest):
    """One answer of a decision; `step` leads from it to what is asked (the members of a Subset)."""

    __slots__ = ("answer", "name", "step")

    def __init__(self, name: str | None, answer: Any, step: str = "") -> None:
        self.number = 1
        self.name = name
        self.answer = answer
        self.step = step

    def draw(self, index: int, place: Place, draw: Draw) -> None:
        draw.answers[place.decision(self.name, self.step)] = self.answer


class AnyAnswer(Forest):
    """Every answer of a decision on which nothing depends. A Real counts as one, and is drawn as it draws."""

    __slots__ = ("decision", "name")

    def __init__(self, name: str | None, decision: Decision) -> None:
        self.number = 1 if decision.options is None else decision.size
        self.name = name
        self.decision = decision

    def draw(self, index: int, place: Place, draw: Draw) -> None:
        options = self.decision.options
        answer = self.decision.draw(draw.random) if options is None else options[index]
        draw.answers[place.decision(self.name)] = answer


class Answers(Forest):
    """Answers by path, relative to the place."""

    __slots__ = ("answers",)

    def __init__(self, answers: Mapping[str, Any]) -> None:
        self.number = 1
        self.answers = answers

    def draw(self, index: int, place: Place, draw: Draw) -> None:
        for path, answer in self.answers.items():
            step = "" if path == "root" else path if path[0] in "[(" else f".{path}"
            draw.answers[place.decision(None, step)] = answer


class Endless(Forest):
    """No end of ways; `reason` says why."""

    __slots__ = ("reason",)

    def __init__(self, reason: str) -> None:
        self.number = math.inf
        self.reason = reason


def number_of(ways: Ways) -> Number:
    return ways.number if isinstance(ways, Forest) else ways


def finite_product(a: Number, b: Number) -> Number:
    return math.inf if a == math.inf or b == math.inf else a * b


def multiply(a: Ways, b: Ways) -> Ways:
    """The ways to answer both."""
    if isinstance(a, Forest) or isinstance(b, Forest):
        return b if a == 1 else a if b == 1 else Product(a, b)
    return finite_product(a, b)


def plus(a: Ways, b: Ways) -> Ways:
    """The ways to answer one or the other."""
    if isinstance(a, Forest) or isinstance(b, Forest):
        return Sum(a, b)
    return math.inf if math.inf in (a, b) else a + b


def add(table: Table, env: Env, ways: Ways) -> None:
    """Add alternatives that lead to `env`."""
    if ways:
        before = table.get(env)
        table[env] = ways if before is None else plus(before, ways)


def power(ways: Ways, count: int) -> Ways:
    """The ways to answer `count` independent copies, at ``[i]``."""
    if isinstance(ways, Forest):
        return Copies(ways, count) if count else 1
    return ways if ways == math.inf else ways**count


def inside(step: str, ways: Ways) -> Ways:
    """The ways of a part that stands `step` further in."""
    if not step or not isinstance(ways, Forest):
        return ways
    return Inside(step + ways.step, ways.node) if isinstance(ways, Inside) else Inside(step, ways)


def find_endless(ways: Ways) -> tuple[str, str]:
    """The path at which ways without end have none, and the reason."""
    place = Place("", Frame())
    while not isinstance(ways, Endless):
        assert isinstance(ways, Forest)
        ways, place = next((w, p) for w, p in ways.parts(place) if number_of(w) == math.inf)
    return place.path or "root", ways.reason
