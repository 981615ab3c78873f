"""From parts to their forms; see `canonical`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

from archsearch.spaces.graph_form import Form, Graph, keep, pattern, shown, wired
from archsearch.spaces.object_text import key_text, object_text, target_text
from archsearch.spaces.resolved import Branches, Chain, Dag, Formula, Joint, Leaf, Once, Part, Skip
from archsearch.spaces.sized import PARTS
from archsearch.spaces.value_graph import ZERO, Entries, Row

known_parts: dict[int, tuple[Part, Form]] = {}


class Forms:
    """Finds the forms of parts.

    Args:
        shared: the keys of `Once` that stand for one module in several places; None for all.
        names: numbers of such keys; the others are not told apart.

    Attributes:
        uses: how often each key was met, what is inside of another key once.
        met: how often any was.
    """

    def __init__(self, shared: Collection[str] | None = None, names: Mapping[str, int] | None = None) -> None:
        self.shared = shared
        self.names = names or {}
        self.uses: Counter[str] = Counter()
        self.met = 0
        self.contents: dict[str, Form] = {}

    def text(self, value: Any) -> str:
        """A value or part as a text: of other values and parts it is another."""
        match value:
            case None | bool() | int() | float() | str():
                return repr(value)
            case Formula(key=key):
                return f"formula({id(value) if key is None else key_text(key)})"
            case Mapping():
                return f"dict({', '.join([f'{self.text(k)}: {self.text(inside)}' for k, inside in value.items()])})"
            case list() | tuple():
                return f"{type(value).__name__}({', '.join([self.text(inside) for inside in value])})"
        return shown(self.part(value)) if isinstance(value, PARTS) else object_text(value)

    def part(self, part: Any) -> Form:
        if part is None:
            return ()
        if isinstance(part, Chain) and len(part.parts) == 1:
            return self.part(part.parts[0])
        known = known_parts.get(id(part))
        if known is not None:
            return known[1]
        if not isinstance(part, PARTS):
            # A Graph of labels is a wiring, from which a function makes modules.
            return (f"label({self.text(part)})",)
        met = self.met
        form = self.find(part)
        # Parts in which nothing is open are the same objects in all architectures of a space.
        if isinstance(part, Leaf | Chain) and self.met == met:
            keep(known_parts, id(part), (part, form), 20_000)
        return form

    def find(self, part: Any) -> Form:
        match part:
            case Leaf():
                return self.leaf(part)
            case Chain():
                return chained([self.part(inside) for inside in part.parts])
            case Once():
                return self.once(part)
            case Skip():
                return self.skip(part)
            case Branches():
                return self.branches(part)
        return self.dag(part)

    def leaf(self, leaf: Leaf) -> Form:
        name = target_text(leaf.target)
        if name == "torch.nn:Identity":
            return ()
        if name == "archsearch.spaces.layers:Zero":
            return (ZERO,)
        arguments = sorted([f"{key}={self.text(value)}" for key, value in leaf.arguments.items()])
        inferred = sorted([f"{key}~{self.text(rule)}" for key, rule in leaf.infer.items()])
        return (f"{name}({', '.join([*arguments, *inferred])})",)

    def once(self, once: Once) -> Form:
        key = once.key
        self.uses[key] += 1
        self.met += 1
        form = self.contents.get(key)
        if form is None:
            form = self.contents[key] = self.part(once.part)
        if form in ((), (ZERO,)) or (self.shared is not None and key not in self.shared):
            return form
        return (f"once[{self.names.get(key, '?')}]({shown(form)})",)

    def skip(self, skip: Skip) -> Form:
        if skip.project is None:
            return self.branches(Branches(skip.place, (None, skip.body), "add"))
        body = self.part(skip.body)
        if body == (ZERO,):
            return ()
        project = skip.project if isinstance(skip.project, str) else shown(self.part(skip.project))
        return (f"skip({shown(body)}, {project})",)

    def branches(self, branches: Branches) -> Form:
        runs: list[tuple[str, ...]] = []
        links = tuple([((0,), self.take(part, runs)) for part in split(branches.parts)])
        row = Row(links, self.merge(branches, runs), (), "")
        return wired(1, (row,), runs)

    def dag(self, dag: Dag) -> Form:
        runs: list[tuple[str, ...]] = []
        index = {name: i for i, name in enumerate(dag.inputs)}
        rows = [self.row(joint, index, runs, None) for joint in dag.vertices]
        rows.extend([self.row(joint, index, runs, joint.name) for joint in dag.outputs])
        return wired(len(dag.inputs), tuple(rows), runs)

    def row(self, joint: Joint, index: dict[str, int], runs: list[tuple[str, ...]], name: str | None) -> Row:
        links = tuple([((index[link.source],), self.take(link.part, runs)) for link in joint.links])
        row = Row(links, self.merge(joint, runs) if links else "add", self.take(joint.op, runs), name)
        if name is None:
            index[joint.name] = len(index)
        return row

    def take(self, part: Part, runs: list[tuple[str, ...]]) -> Entries:
        if part is None:
            return ()
        entries, more = pattern(self.part(part))
        runs.extend(more)
        return entries

    def merge(self, at: Joint | Branches, runs: list[tuple[str, ...]]) -> str | Entries:
        if at.merge == "concat":
            # Where the dimension may be left out, it is the first after the batch.
            return f"concat{1 if at.dim is None else at.dim}"
        return at.merge if isinstance(at.merge, str) else self.take(at.merge, runs)


def chained(forms: list[Form]) -> Form:
    """Forms one after the other; zeros of zeros are zeros."""
    segments: list[str | Graph] = []
    for form in forms:
        segments.extend(form[1:] if segments and segments[-1] == ZERO and form[:1] == (ZERO,) else form)
    return tuple(segments)


def split(parts: tuple[Any, ...]) -> list[Any]:
    """Items count as so many branches."""
    found: list[Any] = []
    for part in parts:
        found.extend(split(part.parts) if isinstance(part, Chain) and part.items else [part])
    return found
