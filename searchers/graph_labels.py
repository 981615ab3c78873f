"""What a Graph of a space looks like from each of its vertices, for comparing architectures by their wiring.

A vertex is labelled by its operation and how it merges, then by the labels of what it reads and through which
operation, then by those of that (Weisfeiler and Lehman, 1968; Shervashidze et al., 2011, for kernels; Ru et al., 2021,
arXiv:2006.07556, for architectures). Two graphs are alike where many of those labels are: however their vertices are
called, and in whatever order they stand.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from archsearch.spaces.architecture import Architecture
from archsearch.spaces.facts import children
from archsearch.spaces.forms import Forms
from archsearch.spaces.graph import Graph
from archsearch.spaces.resolved import Dag, Joint
from archsearch.spaces.space import Space
from archsearch.spaces.text import list_decisions

# How far a label sees.
DEPTH = 2

Label = tuple[int, str]


def graphs_of(root: Any) -> Iterator[Graph]:
    """Every Graph with decisions in a space's tree, once."""
    seen: set[int] = set()
    left = [root]
    while left:
        node = left.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, Graph):
            yield node
        left.extend(children(node))


class GraphPart:
    """A Graph as a space of its own, whose decisions a larger space asks at one place.

    Attributes:
        prefix: what the larger space's paths have in front.
    """

    def __init__(self, graph: Graph, prefix: str) -> None:
        self.space = Space(graph)
        self.prefix = prefix

    def labels(self, arch: Architecture) -> Counter[Label]:
        """How often each label, with how far it sees, is in an architecture; none where the graph is not asked."""
        n = len(self.prefix)
        answers = {path[n:]: answer for path, answer in arch.answers.items() if path.startswith(self.prefix)}
        try:
            dag = Architecture(self.space, answers).values
        except KeyError:
            return Counter()
        return labels_of(dag) if isinstance(dag, Dag) else Counter()


def graph_parts(space: Space) -> list[GraphPart]:
    """The graphs of a space that stand, or are decided, in one place."""
    listed, complete = list_decisions(space.compiler)
    paths = {item.path: None for item in listed}
    found: dict[str, GraphPart] = {}
    for graph in graphs_of(space.root):
        own = [item.path for item in list_decisions(Space(graph).compiler)[0]]
        if not complete or not own:
            continue
        prefixes = {path[: len(path) - len(own[0])] for path in paths if path.endswith(own[0])}
        if len(prefixes) == 1:
            (prefix,) = prefixes
            # A cell that is shared between stages of other widths is one graph.
            if prefix not in found and all([prefix + path in paths for path in own]):
                found[prefix] = GraphPart(graph, prefix)
    return list(found.values())


def labels_of(dag: Dag) -> Counter[Label]:
    """How often each label is in a graph."""
    forms = Forms()
    counts: Counter[Label] = Counter()
    label = {name: f"input {i}" for i, name in enumerate(dag.inputs)}
    joints = [(joint, own_label(joint, forms)) for joint in (*dag.vertices, *dag.outputs)]
    label.update({joint.name: own for joint, own in joints if joint.name})
    counts.update([(0, own) for _, own in joints])
    edges = {
        (id(joint), i): "" if link.part is None else forms.text(link.part)
        for joint, _ in joints
        for i, link in enumerate(joint.links)
    }
    counts.update([(0, edge) for edge in edges.values() if edge])
    for depth in range(1, DEPTH + 1):
        following = dict(label)
        for joint, own in joints:
            read = sorted([f"{edges[id(joint), i]}<{label[link.source]}>" for i, link in enumerate(joint.links)])
            seen = f"{own}({', '.join(read)})"
            counts[depth, seen] += 1
            if joint.name:
                following[joint.name] = seen
        label = following
    return counts


def own_label(joint: Joint, forms: Forms) -> str:
    """The operation of a vertex, and how it merges several values; of an output the merge."""
    how = forms.text(joint.merge) if len(joint.links) > 1 else ""
    what = (
        "output" if joint.place.rpartition(".")[2] == "outputs" or "outputs." in joint.place else forms.text(joint.op)
    )
    return f"{what} {how}"
