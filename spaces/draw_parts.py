"""The nodes of a space's drawing: one for each part of the language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from archsearch.spaces.decisions import BOOLEAN
from archsearch.spaces.draw_architecture import Ids, joined, step_name
from archsearch.spaces.draw_graph import GraphFlow
from archsearch.spaces.draw_lazy import lazy_node
from archsearch.spaces.draw_options import alike, closed_text, rows
from archsearch.spaces.draw_show import show
from archsearch.spaces.draw_values import (
    Lines,
    Values,
    copy_site,
    formula,
    is_small,
    some_of,
    subset_members,
    subset_text,
)
from archsearch.spaces.graph import Graph
from archsearch.spaces.node import Node, has_node
from archsearch.spaces.nodes import (
    Choice,
    Derived,
    Integer,
    Lazy,
    Module,
    Optional,
    Parallel,
    Permute,
    Repeat,
    Residual,
    Scope,
    Sequential,
    Shared,
    Subset,
)
from archsearch.spaces.picture import (
    ELLIPSIS,
    MERGES,
    TIMES,
    Block,
    Box,
    Flow,
    Line,
    Shown,
    chained,
)
from archsearch.spaces.program import shared_site
from archsearch.spaces.sites import Site, join
from archsearch.spaces.values import is_module

# A drawing of more boxes, or copies that differ by their index, would be no use to a reader.
MOST_BOXES, MOST_COPIES = 1_500, 64

# Characters of the options that may be explained on an edge or a vertex of a graph; more is said apart.
SHORT_LIST = 80

# Options that decide nothing are listed, so many of them, in one box.
MOST_LISTED = 12


class Parts(Ids):
    """Makes the nodes of a space's drawing."""

    def __init__(self) -> None:
        super().__init__()
        self.values = Values()
        self.whole = True
        self.expanding: list[Any] = []
        self.listed: dict[Any, str] = {}
        self.drawn: dict[str, Any] = {}
        self.in_graph = 0
        self.keys: list[Box] = []

    def entry(self, key: str, site: Site) -> Shown:
        """An entry of the space's dict that is no model, or a root that is a value."""
        if is_small(site.node) and not is_module(site.node):
            out = Lines()
            self.values.write(out, site, str(key))
            return Box(self.fresh(site.place), "value", tuple(out.lines), tuple(out.decided), {"place": site.place})
        nodes = self.several([site])
        heading = (Line(str(key), "title"),) if key else ()
        return Block(self.fresh(f"part:{site.place}"), "part", heading, chained(nodes), facts={"place": site.place})

    def several(self, sites: list[Site], parent: str = "") -> list[Shown]:
        """The nodes at sites, identities left out."""
        found = [self.node(site, parent) for site in sites]
        return [node for node in found if node is not None]

    def box(self, site: Site, kind: str, out: Lines) -> Box:
        return Box(self.fresh(site.place), kind, tuple(out.lines), tuple(out.decided), {"place": site.place})

    def block(self, kind: str, site: Site, out: Lines, flow: Flow) -> Block:
        id = self.fresh(f"{kind}:{site.place}")
        return Block(id, kind, tuple(out.lines), flow, tuple(out.decided), {"place": site.place})

    def note(self, site: Site, text: str) -> Box:
        return Box(self.fresh(join(site.place, ".note")), "note", (Line(text, "note"),), facts={"place": site.place})

    def chain(self, site: Site) -> Flow:
        """What stands at a site, between the ends of a block."""
        return chained(self.several([site], site.place) or [self.note(site, "identity")])

    def node(self, site: Site, parent: str) -> Shown | None:
        """The node at a site; None for the identity. `parent` is the place around it."""
        if site.node is None:
            return None
        if len(self.taken) > MOST_BOXES:
            self.whole = False
            return self.note(site, f"{ELLIPSIS} the drawing ends here")
        node = site.node
        out = Lines()
        match node:
            case Module():
                return self.module(site, node)
            case Sequential():
                return self.sequential(site, node, parent)
            case Choice():
                return self.choice(site, node)
            case Optional():
                return self.optional(site, node)
            case Repeat():
                return self.repeat(site, node)
            case Residual():
                return self.residual(site, node)
            case Parallel():
                return self.parallel(site, node, parent)
            case Permute():
                if node.decision.size > 1:
                    self.values.decision(out, "", node.decision, self.values.path_of(site, node.name), "any order, ")
                inside = [site.child(step, member) for step, member in node.members.items()]
                return self.block("permute", site, out, Flow(tuple([self.option(member, "") for member in inside])))
            case Subset():
                return self.subset(site, node)
            case Lazy():
                return lazy_node(self, site, node)
            case Scope():
                return self.scope(site, node)
            case Shared():
                return self.shared(site, node, parent)
            case Graph():
                return self.graph(site, node, parent)
            case Derived() if not is_small(node):
                return self.derived(site, node)
        self.values.write(out, site, step_name(site.place, parent) or "value")
        return self.box(site, "value", out)

    def module(self, site: Site, node: Module) -> Shown:
        out = Lines()
        out.add(node.label, "title")
        large = {name: value for name, value in node.arguments.items() if has_node(value) and not is_small(value)}
        small = {name: value for name, value in node.arguments.items() if name not in large}
        self.values.arguments(out, site, small)
        if not large:
            return self.box(site, "module", out)
        inside = []
        for name, value in large.items():
            argument = site.child(f".{name}", value)
            heading = (Line(name, "title"),)
            id = self.fresh(f"part:{argument.place}")
            inside.append(Block(id, "part", heading, self.argument(argument), facts={"place": argument.place}))
        return self.block("module", site, out, Flow(tuple(inside)))

    def derived(self, site: Site, node: Derived) -> Block:
        """What a function makes of large parts."""
        out = Lines()
        large = [(step, child) for step, child in node.children() if not is_small(child)]
        out.add(formula(site), "text")
        inside = []
        for step, child in large:
            operand = site.child(step, child)
            inside.extend(self.several([operand], operand.place))
        for step, child in node.children():
            if (step, child) not in large and has_node(child):
                self.values.write(out, site.child(step, child), step.lstrip("."))
        return self.block("derived", site, out, Flow(tuple(inside)))

    def argument(self, site: Site) -> Flow:
        """What a large argument holds; a list or dict of modules is no chain."""
        node = site.node
        if isinstance(node, Mapping):
            inside = [site.child(f".{key}", child) for key, child in node.items()]
        elif isinstance(node, list | tuple):
            inside = [site.child(f"[{i}]", child) for i, child in enumerate(node)]
        else:
            return self.chain(site)
        return Flow(tuple(self.several(inside, site.place)))

    def sequential(self, site: Site, node: Sequential, parent: str) -> Shown | None:
        nodes = self.members(site, node.members)
        if len(nodes) < 2:
            return nodes[0] if nodes else None
        out = Lines()
        name = step_name(site.place, parent)
        if name:
            out.add(name, "title")
        return self.block("part", site, out, chained(nodes))

    def members(self, site: Site, members: Mapping[str, Any]) -> list[Shown]:
        """The members of a chain, or the branches; those in a row that are alike once."""
        found: list[Shown] = []
        for steps, member in rows(members):
            if len(steps) < 3:
                found.extend(self.several([site.child(step, member) for step in steps], site.place))
                continue
            copy = site.child(f"{steps[0][:-1]}{ELLIPSIS}{steps[-1][1:]}", member)
            out = Lines()
            out.add(f"{TIMES} {len(steps)}", "title")
            out.add(f"{join(site.place, steps[0])} {ELLIPSIS} {join(site.place, steps[-1])}", "place")
            found.append(self.block("repeat", copy, out, self.chain(copy)))
        return found

    def choice(self, site: Site, node: Choice) -> Shown | None:
        branches = node.branches
        if branches is None:
            out = Lines()
            if node.decision.size > 1:
                self.values.decision(out, "", node.decision, self.values.path_of(site, node.name), "one of ")
            else:
                out.add(show(node.decision.options[0]))
            return self.box(site, "value", out)
        if node.decision.size == 1:
            (label,) = branches
            return self.node(site.child(f".{label}", branches[label]), site.place)
        out = Lines()
        self.values.decision(out, "", node.decision, self.values.path_of(site, node.name), "one of ")
        if not any([site.facts.of(branch).open for branch in branches.values()]):
            texts = {label: closed_text(branch, site.child(f".{label}", branch)) for label, branch in branches.items()}
            if all([text is not None for text in texts.values()]):
                self.list_options(out, tuple(texts.items()))
                return self.box(site, "choice", out)
        options = [self.option(site.child(f".{label}", branch), label) for label, branch in branches.items()]
        return self.block("choice", site, out, Flow(tuple(options)))

    def list_options(self, out: Lines, options: tuple[tuple[str, str | None], ...]) -> None:
        """What the labels mean, where it has not been said."""
        if self.in_graph and sum([len(text or "") for _, text in options]) > SHORT_LIST:
            if options not in self.listed:
                name = self.listed[options] = f"options {len(self.keys) + 1}"
                key = Lines(lines=[Line(f"{name}: {some_of([label for label, _ in options])}", "title")])
                self.list_texts(key, options)
                self.keys.append(Box(self.fresh(name), "value", tuple(key.lines)))
            if self.listed[options]:
                out.add(self.listed[options], "note")
        elif options not in self.listed:
            self.listed[options] = ""
            self.list_texts(out, options)

    def list_texts(self, out: Lines, options: tuple[tuple[str, str | None], ...]) -> None:
        kept = options[: MOST_LISTED if len(options) > MOST_LISTED + 1 else None]
        for label, text in kept:
            out.add(label if text == label else f"{label} = {text}")
        if len(kept) < len(options):
            out.add(f"{ELLIPSIS} {len(options) - len(kept)} more")

    def option(self, site: Site, label: str) -> Shown:
        """One of several: a single box where that is all."""
        heading = [Line(label, "title")] if label else []
        node = self.node(site, site.place)
        if node is None:
            lines = (*heading, Line("identity", "note"))
            return Box(self.fresh(site.place), "option", lines, facts={"place": site.place})
        if isinstance(node, Box) and node.kind == "reference":
            lines = node.lines[1:] if node.lines[0].text == label else node.lines
            return replace(node, lines=(*heading, *lines))
        if isinstance(node, Box) and node.kind in ("module", "value"):
            lines = tuple([replace(line, style="text") if line.style == "title" else line for line in node.lines])
            return replace(node, kind="option", lines=(*heading, *(lines if label else node.lines)))
        out = Lines(lines=heading)
        return self.block("option", site, out, Flow((node,)))

    def optional(self, site: Site, node: Optional) -> Shown:
        inside = site.child(".present", node.node)
        out = Lines()
        path = self.values.path_of(site, node.name)
        if isinstance(node.node, Module) and is_small(node.node):
            out.add(node.node.label, "title")
            self.values.decision(out, "", node.decision, path, "present: ")
            self.values.arguments(out, inside, node.node.arguments)
            return self.box(inside, "optional", out)
        self.values.decision(out, "", node.decision, path, "present: ")
        return self.block("optional", site, out, self.chain(inside))

    def repeat(self, site: Site, node: Repeat) -> Shown:
        out = Lines()
        self.values.times(out, site, node)
        if isinstance(node.node, Node) or has_node(node.node):
            copy = copy_site(site, node)
            if not node.tied:
                out.add(f"copies: {copy.place}", "place")
            return self.block("repeat", site, out, self.chain(copy))
        times = node.times
        most = times
        if isinstance(times, Choice | Integer) and getattr(times, "branches", None) is None:
            most = max(times.decision.options)
        shown = min(most if isinstance(most, int) else 1, MOST_COPIES)
        copies = {f"[{i}]": node.copy(i) for i in range(shown)}
        out.add("copies differ by their index", "note")
        nodes = self.members(site, copies)
        if shown != most:
            self.whole = False
            nodes.append(self.note(site, f"{ELLIPSIS} and so on"))
        return self.block("repeat", site, out, chained(nodes))

    def residual(self, site: Site, node: Residual) -> Block:
        inside = site.child("[0]", node.node)
        body = self.several([inside], site.place) or [self.note(inside, "identity")]
        project: list[Shown] = []
        if isinstance(node.project, Node):
            project = self.several([site.child(".project", node.project)], site.place)
        plus = Box(
            self.fresh(join(site.place, ".add")),
            "merge",
            (Line("+", "title"),),
            facts={"place": site.place, "merge": "add"},
        )
        return self.block("residual", site, Lines(), joined([body, project], plus))

    def parallel(self, site: Site, node: Parallel, parent: str) -> Block:
        ways = [[branch] for branch in self.members(site, node.members)]
        ways.extend([[] for member in node.members.values() if member is None])
        merge = site.child(".merge", node.merge)
        end: Shown | None = None
        if isinstance(node.merge, Node):
            end = self.node(merge, site.place)
        if end is None:
            word = node.merge if isinstance(node.merge, str) else "add"
            facts = {"place": site.place, "merge": word}
            end = Box(self.fresh(merge.place), "merge", (Line(MERGES[word], "title"),), facts=facts)
        out = Lines()
        name = step_name(site.place, parent)
        if name:
            out.add(name, "title")
        return self.block("branches", site, out, joined(ways, end))

    def subset(self, site: Site, node: Subset) -> Block:
        out = Lines()
        out.add(subset_text(node), "title")
        inside: list[Shown] = []
        for step, member, path, asked in subset_members(site, node):
            own = Lines()
            if asked:
                self.values.decision(own, "" if step[0] == "[" else step[1:], BOOLEAN, path, "present: ")
            shown = self.option(member, "")
            lines, made = (*own.lines, *shown.lines), (*own.decided, *shown.decided)
            inside.append(replace(shown, lines=lines, decided=made))
        return self.block("subset", site, out, Flow(tuple(inside)))

    def scope(self, site: Site, node: Scope) -> Shown | None:
        inside = self.node(site.scoped(), site.place)
        if inside is None:
            return None
        required = [Line(f"required: {show(r.function)}({', '.join(r.names)})", "note") for r in node.require]
        said = (Line(f"{', '.join(node.names)} decided here", "note"), *required)
        return replace(inside, lines=(*inside.lines, *said))

    def shared(self, site: Site, node: Shared, parent: str) -> Shown | None:
        inside = shared_site(site, node)
        weights = ", one module" if node.weights else ""
        facts = {"place": site.place, "shared": inside.path}
        if inside.path in self.drawn:
            lines = [Line(inside.path, "title")]
            if not alike(self.drawn[inside.path], node.node):
                lines.append(Line("with other arguments", "note"))
            return Box(self.fresh(site.place), "reference", tuple(lines), facts=facts)
        self.drawn[inside.path] = node.node
        self.values.shared.add(inside.path)
        out = Lines()
        out.add(inside.path, "title")
        out.add(f"decided once{weights}", "note")
        nodes = self.several([inside], site.place)
        if not nodes:
            return None
        return replace(self.block("shared", site, out, chained(nodes)), facts=facts)

    def graph(self, site: Site, node: Graph, parent: str) -> Block:
        out = Lines()
        name = step_name(site.place, parent)
        if name:
            out.add(name, "title")
        if node.max_edges is not None:
            out.add(f"at most {node.max_edges} edges", "note")
        if node.dead == "prune":
            out.add("vertices on no way to an output are dropped", "note")
        self.in_graph += 1
        flow = GraphFlow(self, site).flow()
        self.in_graph -= 1
        return self.block("graph", site, out, flow)
