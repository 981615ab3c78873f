"""What a drawing of an architecture shows: the network that it is, with arguments and shapes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from archsearch.errors import BuildError, ShapeError
from archsearch.spaces.draw_show import argument_text, counted, leaf_text, shape_text, show
from archsearch.spaces.node import deep_recursion
from archsearch.spaces.picture import (
    IN,
    MERGES,
    OUT,
    Arrow,
    Block,
    Box,
    Diagram,
    Flow,
    Line,
    Shown,
    chained,
)
from archsearch.spaces.resolve import PARTS
from archsearch.spaces.resolved import Branches, Chain, Dag, Joint, Leaf, Once, Part, Skip
from archsearch.spaces.sites import join
from archsearch.spaces.targets import label
from archsearch.spaces.tensor import Tensor

if TYPE_CHECKING:
    from archsearch.spaces.architecture import Architecture
    from archsearch.spaces.settled import Settled

SAID = {"add": "sum", "mul": "product", "concat": "concat"}

# Steps of places that say how a part came to stand there, not what it is.
PLUMBING = frozenset(["present", "op", "merge", "project"])


def architecture_diagram(arch: Architecture) -> Diagram:
    """The whole network, nothing folded.

    Sizes are left out where the space says no input shape or they do not settle; the heading says why.
    """
    from archsearch.spaces.architecture import model_of

    with deep_recursion():
        title = [Line(f"Architecture {arch.id}", "title")]
        values = arch.values
        sizes = Sizes()
        try:
            model = model_of(values)
        except BuildError:
            model = None
        if model is not None and arch.space.inputs:
            try:
                sizes.read(arch.settled)
                title.append(Line(f"{counted(arch.parameters)} parameters, {counted(arch.flops)} FLOPs", "note"))
            except (ShapeError, BuildError) as error:
                title.append(Line(f"sizes do not settle: {error}", "note"))
        network = Network(sizes)
        beside: list[Shown] = []
        flow = Flow()
        entries = values.items() if isinstance(values, Mapping) else [("", values)]
        for key, value in entries:
            if isinstance(value, PARTS):
                shown = network.whole(value, arch.space.inputs if value is model else {})
                if value is model:
                    flow = shown
                else:
                    beside.append(Block(network.fresh(f"part:{key}"), "part", (Line(str(key), "title"),), shown))
            elif value is not None or key:
                beside.append(value_box(key or "root", value))
        return Diagram(tuple(title), flow, tuple(beside))


def value_box(key: str, value: Any) -> Box:
    """A value of the space's dict."""
    if isinstance(value, Mapping):
        lines = [Line(key, "title"), *[Line(f"{name} = {show(inside)}") for name, inside in leaves_of(value)]]
    else:
        lines = [Line(f"{key} = {show(value)}")]
    return Box(key, "value", tuple(lines), facts={"value": value})


def leaves_of(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, inside in value.items():
            yield from leaves_of(inside, join(name, f".{key}"))
    else:
        yield name, value


class Sizes:
    """Shapes by kind and place, where they are settled."""

    def __init__(self) -> None:
        self.settled: dict[tuple[type, str], Settled] = {}
        self.joints: dict[str, str] = {}

    def read(self, settled: Settled) -> None:
        self.settled[type(settled.part), settled.place] = settled
        if isinstance(settled.part, Dag):
            for joint, sized in settled.joints():
                if isinstance(sized.output, tuple):
                    self.joints[joint.place] = shape_text(Tensor(*sized.output[0], dtype=sized.output[1]))
        for child in settled.children:
            self.read(child)

    def of(self, part: Part, place: str) -> Settled | None:
        return self.settled.get((type(part), place))

    def output(self, part: Part, place: str) -> tuple[Line, ...]:
        """A line that says what leaves a part, where it is another shape than what reaches it."""
        settled = self.of(part, place)
        if settled is None:
            return ()
        after = shape_text(settled.output)
        changes = len(settled.inputs) != 1 or after != shape_text(settled.inputs[0])
        return (Line(after, "shape"),) if changes else ()


class Ids:
    """Ids of the nodes of a diagram."""

    def __init__(self) -> None:
        self.taken: set[str] = set()

    def fresh(self, id: str) -> str:
        """An id that nothing has yet, as near to `id` as can be."""
        id = id or "root"
        while id in self.taken:
            id += "'"
        self.taken.add(id)
        return id


class Network(Ids):
    """Makes the nodes of a network's drawing."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.once: set[str] = set()

    def whole(self, part: Part, inputs: Mapping[str, Tensor]) -> Flow:
        """A network from its inputs to its output."""
        node = self.node(part, getattr(part, "place", ""))
        settled = self.sizes.of(part, getattr(part, "place", ""))
        after = (Line(shape_text(settled.output), "shape"),) if settled is not None else ()
        sources = input_boxes(self, inputs)
        end = Box(self.fresh("output"), "output", (Line("output", "title"), *after))
        body = chained([*([node] if node else []), end], None, None)
        arrows = [Arrow(source.id, body.nodes[0].id) for source in sources]
        return Flow((*sources, *body.nodes), (*arrows, *body.arrows))

    def node(self, part: Part, parent: str = "", in_items: bool = False) -> Shown | None:
        """The node of a part; none for the identity.

        Args:
            parent: the place around it.
            in_items: whether it is one of several items (of a Repeat, Permute or Subset).
        """
        match part:
            case Leaf():
                return self.leaf(part)
            case Chain():
                inside = self.several(part.parts, part.place, part.items and len(part.parts) > 1)
                if len(inside) < 2:
                    return inside[0] if inside else None
                block = self.block("part", part.place, parent, chained(inside))
                return replace(block, facts={**block.facts, "item": True}) if in_items else block
            case Skip():
                return self.residual(part)
            case Branches():
                return self.branches(part, parent)
            case Once():
                return self.shared(part, parent)
            case Dag():
                return self.graph(part, parent)
        return None

    def several(self, parts: Iterable[Part], place: str, items: bool = False) -> list[Shown]:
        """The nodes of parts at a place, identities left out."""
        found = [self.node(part, place, items) for part in parts]
        return [node for node in found if node is not None]

    def block(self, kind: str, place: str, parent: str, flow: Flow) -> Block:
        """A block, called by the last step of its place."""
        name = step_name(place, parent)
        heading = (Line(name, "title"),) if name else ()
        return Block(self.fresh(f"{kind}:{place}"), kind, heading, flow, facts={"place": place})

    def leaf(self, leaf: Leaf) -> Box:
        settled = self.sizes.of(leaf, leaf.place)
        given = leaf.arguments
        facts: dict[str, Any] = {"place": leaf.place}
        if settled is not None:
            given = {name: settled.arguments.get(name, value) for name, value in given.items()}
            facts |= {"parameters": settled.parameters, "flops": settled.flops}
            facts |= {"inputs": settled.inputs, "output": settled.output}
        facts["module"] = leaf_text(leaf, given)
        arguments = argument_text(given)
        lines = [Line(label(leaf.target), "title"), *([Line(arguments)] if arguments else [])]
        return Box(self.fresh(leaf.place), "module", (*lines, *self.sizes.output(leaf, leaf.place)), facts=facts)

    def identity(self, place: str) -> Box:
        return Box(self.fresh(join(place, ".identity")), "note", (Line("identity", "note"),), facts={"place": place})

    def merge(self, id: str, how: str, place: str, *after: Line) -> Box:
        lines = (Line(MERGES[how], "title"), *after)
        return Box(self.fresh(id), "merge", lines, facts={"place": place, "merge": how})

    def residual(self, skip: Skip) -> Block:
        body = self.node(skip.body, skip.place) or self.identity(skip.place)
        settled = self.sizes.of(skip, skip.place)
        project: Shown | None = None
        if settled is not None:
            project = self.node(settled.project, skip.place)
        elif not isinstance(skip.project, str):
            project = self.node(skip.project, skip.place)
        plus = self.merge(join(skip.place, ".add"), "add", skip.place)
        flow = joined([[body], [project] if project else []], plus)
        return Block(self.fresh(f"residual:{skip.place}"), "residual", (), flow, facts={"place": skip.place})

    def branches(self, branches: Branches, parent: str) -> Block:
        ways = [self.several([part], branches.place) for part in split(branches.parts)]
        at = join(branches.place, ".merge")
        if isinstance(branches.merge, str):
            end: Shown = self.merge(at, branches.merge, branches.place, *self.sizes.output(branches, branches.place))
        else:
            end = self.node(branches.merge, branches.place) or self.identity(at)
        return self.block("branches", branches.place, parent, joined(ways, end))

    def shared(self, once: Once, parent: str) -> Shown | None:
        """One module at several places: said at each."""
        node = self.node(once.part, parent)
        said = Line(f"the same weights as {once.key} above" if once.key in self.once else f"weights: {once.key}", "use")
        self.once.add(once.key)
        return (
            None if node is None else replace(node, lines=(*node.lines, said), facts={**node.facts, "once": once.key})
        )

    def graph(self, dag: Dag, parent: str) -> Block:
        drawn = Joints()
        for source in dag.inputs:
            drawn.ends[source] = IN
            if len(dag.inputs) > 1:
                pill = Box(self.fresh(join(dag.place, f".{source}")), "input", (Line(source, "title"),))
                drawn.add(pill, [IN])
                drawn.ends[source] = pill.id
        for joint in dag.vertices:
            drawn.ends[joint.name] = self.joint(joint, drawn)
        for joint in dag.outputs:
            drawn.arrows.append(Arrow(self.joint(joint, drawn, is_output=True), OUT))
        return self.block("graph", dag.place, parent, Flow(tuple(drawn.nodes), tuple(drawn.arrows)))

    def joint(self, joint: Joint, drawn: Joints, is_output: bool = False) -> str:
        """Add a vertex or an output with its edges; the id of the node that its value leaves."""
        sources = [self.edge(joint, i, drawn) for i in range(len(joint.links))]
        if is_output and not joint.name and len(sources) == 1:
            return sources[0]
        word = joint.merge if len(sources) > 1 and isinstance(joint.merge, str) else None
        merge = None if isinstance(joint.merge, str) or not sources else self.node(joint.merge, joint.place)
        op = self.node(joint.op, joint.place)
        facts = {"place": joint.place, "vertex": joint.name, "merge": word}
        own: list[Shown]
        if merge is not None:
            own = [named(merge, joint.name, None), *([op] if op else [])]
        elif op is not None and not (word and isinstance(op, Block)):
            own = [named(op, joint.name, word)]
        else:
            kind = "output" if is_output and joint.name else "vertex" if joint.name else "merge"
            lines = [Line(joint.name, "title")] if joint.name else []
            lines.extend([Line(MERGES[word], "text" if lines else "title")] if word else [])
            if op is None and joint.place in self.sizes.joints and word == "concat":
                lines.append(Line(self.sizes.joints[joint.place], "shape"))
            own = [Box(self.fresh(joint.place), kind, tuple(lines), facts=facts), *([op] if op else [])]
        drawn.add(own[0], sources)
        for node in own[1:]:
            drawn.add(node, [drawn.nodes[-1].id])
        return own[-1].id

    def edge(self, joint: Joint, i: int, drawn: Joints) -> str:
        """Add what is on the way of an edge; the id of what reaches the reader."""
        link = joint.links[i]
        way = self.node(link.part, joint.place)
        if way is None:
            return drawn.ends[link.source]
        if isinstance(way, Box) or way.kind == "part":
            lines = [line for line in way.lines if line != Line(link.source, "title")]
            way = replace(way, kind="edge", lines=tuple(lines))
        drawn.add(way, [drawn.ends[link.source]])
        return way.id


class Joints:
    """The nodes and arrows of a graph so far; `ends` are the nodes that inputs and vertices leave from, by name."""

    def __init__(self) -> None:
        self.nodes: list[Shown] = []
        self.arrows: list[Arrow] = []
        self.ends: dict[str, str] = {}

    def add(self, node: Shown, sources: Iterable[str]) -> None:
        self.nodes.append(node)
        self.arrows.extend([Arrow(source, node.id) for source in sources])


def input_boxes(ids: Ids, inputs: Mapping[str, Tensor]) -> list[Box]:
    """What reaches a network."""
    if not inputs:
        return [Box(ids.fresh("input"), "input", (Line("input", "title"),))]
    return [
        Box(
            ids.fresh(name), "input", (Line(name, "title"), Line(shape_text(tensor), "shape")), facts={"output": tensor}
        )
        for name, tensor in inputs.items()
    ]


def named(node: Shown, name: str, word: str | None) -> Shown:
    """The operation of a vertex, with the vertex's name, and how what reaches it is merged."""
    facts = {**node.facts, "vertex": name, "merge": word}
    if isinstance(node, Block):
        return replace(node, lines=(Line(name, "title"), *node.lines), facts=facts)
    said = Line(f"{name}: {SAID[word]} of its inputs" if word else name, "note")
    return replace(node, lines=(said, *node.lines), facts=facts)


def joined(ways: list[list[Shown]], end: Shown) -> Flow:
    """Branches from one input, each a chain, that come together."""
    nodes: list[Shown] = []
    arrows: list[Arrow] = []
    for way in ways:
        nodes.extend(way)
        arrows.extend(chained(way, IN, end.id).arrows)
    return Flow((*nodes, end), (*arrows, Arrow(end.id, OUT)))


def split(parts: Iterable[Part]) -> list[Part]:
    """Items count as so many branches."""
    found: list[Part] = []
    for part in parts:
        found.extend(split(part.parts) if isinstance(part, Chain) and part.items else [part])
    return found


def step_name(place: str, parent: str) -> str:
    """The name in the last step of a place; empty for an index and for steps that say nothing.

    >>> step_name("body[2].conv", "body[2]"), step_name("body[2]", "body"), step_name("a.present", "a")
    ('conv', '', '')
    """
    steps = [step for step in re.findall(r"\w+|\[[^]]*\]|\([^)]*\)", place.removeprefix(parent)) if step[0] not in "[("]
    return "" if not steps or steps[-1] in PLUMBING else steps[-1]
