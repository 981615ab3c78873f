"""A Graph as steps of a walk: first what settles which edges there are, then what is open in what is live.

Where every vertex is live under all answers the second part follows at once; otherwise it is a program for
each set of live vertices.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from archsearch.errors import SpaceError
from archsearch.spaces.edges import may_be_none
from archsearch.spaces.graph_guide import GraphGuide, impossible
from archsearch.spaces.nodes import Choice, Lazy, Optional
from archsearch.spaces.resolve import own_answer, own_path
from archsearch.spaces.sites import Site
from archsearch.spaces.steps import ASK, TURN, Answers, Program, Programs, Step
from archsearch.spaces.wiring import Plan, Refused, Slot, plan_of

if TYPE_CHECKING:
    from archsearch.spaces.program import Compiler

# The indices of the live vertices, and of the slots whose edges have something left to decide.
Live = tuple[tuple[int, ...], tuple[int, ...]]


def compile_graph(compiler: Compiler, site: Site, steps: list[Step], level: int) -> None:
    """Append the steps of a Graph."""
    plan = plan_of(site)
    if not plan.infallible and not GraphGuide(plan).has_completion():
        raise SpaceError(f"{site.place or 'root'}: {impossible(plan.node)}")
    before = len(steps)
    for row in plan.slots:
        for _, together in groupby(row, key=lambda slot: id(slot.group)):
            compile_item(compiler, plan, list(together), steps, level)
    slots = [slot for row in plan.slots for slot in row]
    left = {i: slot for i, slot in enumerate(slots) if slot.node is not None and left_open(compiler, slot.node.node)}
    widest = (tuple(range(plan.num_vertices)), tuple(left))
    if plan.all_live and not any([slot.edge.optional or slot.group for slot in left.values()]):
        compile_live(compiler, plan, widest, steps, level)
        return

    def key(answers: Answers) -> Live:
        try:
            wiring = plan.wiring(answers)
        except Refused as error:
            raise Refused(f"{site.place or 'root'}: {error}") from None
        linked = {id(slot) for row in wiring.links for slot, _ in row}
        return tuple(sorted(wiring.live)), tuple([i for i, slot in left.items() if id(slot) in linked])

    def program(live: Live) -> Program:
        inside: list[Step] = []
        compile_live(compiler, plan, live, inside, 1)
        return compiler.pack(inside)

    own = steps[before:]
    flat = all([step.kind == ASK and step.programs is None for step in own])
    reads = tuple([step.path for step in own]) if flat else None
    steps.append(Step(TURN, site, site.path, programs=Programs(program), key=key, reads=reads, widest=widest))


def compile_item(compiler: Compiler, plan: Plan, slots: list[Slot], steps: list[Step], level: int) -> None:
    """What settles which edges there are: of one, or of those that a Subset chooses from."""
    group = slots[0].group
    if group is None:
        for slot in slots:
            compile_edge(compiler, plan, slot, steps, level)
        return

    def compile_member(i: int, inside: Site, steps: list[Step]) -> None:
        compile_edge(compiler, plan, slots[i], steps, level)

    for slot in slots:
        compiler.wire(slot.member, plan)
    compiler.compile_subset(plan.groups[id(group)], group.subset, steps, compile_member)


def compile_edge(compiler: Compiler, plan: Plan, slot: Slot, steps: list[Step], level: int) -> None:
    before = len(steps)
    if slot.source is not None:
        compiler.compile(slot.source, steps, level)
    if slot.optional:
        assert slot.node is not None
        if slot.source is not None and None in slot.source.node.decision.options:
            compile_after_source(compiler, plan, slot.source, slot.node, steps)
        else:
            compile_presence(compiler, plan, slot.node, steps, level)
    wire(compiler, plan, steps[before:])


def compile_after_source(compiler: Compiler, plan: Plan, source: Site, node: Site, steps: list[Step]) -> None:
    """What settles whether the operation of an edge is None, which without a source there is no need to know."""
    choice = source.node

    def key(answers: Answers) -> bool:
        return own_answer(source, choice, answers) is not None

    def program(is_edge: bool) -> Program:
        opened: list[Step] = []
        if is_edge:
            compile_presence(compiler, plan, node, opened, 1)
            wire(compiler, plan, opened)
        return compiler.pack(opened)

    # A search for completions must not pass over this step: it leads to what it has not met yet.
    compiler.wire(node.path, plan)
    reads = (own_path(source, choice.name),) if choice.decision.size > 1 else ()
    steps.append(Step(TURN, node, node.path, programs=Programs(program), key=key, reads=reads, widest=True))


def wire(compiler: Compiler, plan: Plan, steps: list[Step]) -> None:
    """Note which graph's edges the steps decide on."""
    for step in steps:
        if step.decision is not None:
            compiler.wire(step.path, plan)


def compile_presence(compiler: Compiler, plan: Plan, site: Site, steps: list[Step], level: int) -> None:
    """What settles whether the operation of an edge is None."""
    node = site.node
    if not may_be_none(node) or node is None:
        return

    def follow(inside: Site) -> Program:
        opened: list[Step] = []
        compile_presence(compiler, plan, inside, opened, 1)
        wire(compiler, plan, opened)
        return compiler.pack(opened)

    if isinstance(node, Optional):
        inside = site.child(".present", node.node)
        programs = Programs(lambda present: follow(inside) if present else ()) if may_be_none(node.node) else None
        steps.append(compiler.ask(site, node.decision, node.name, programs))
    elif isinstance(node, Choice):
        branches = node.branches
        assert branches is not None
        if node.decision.size == 1:
            (label,) = branches
            compile_presence(compiler, plan, site.child(f".{label}", branches[label]), steps, level)
            return
        nested = any([may_be_none(branch) and branch is not None for branch in branches.values()])
        programs = Programs(lambda label: follow(site.child(f".{label}", branches[label]))) if nested else None
        steps.append(compiler.ask(site, node.decision, node.name, programs))
    elif isinstance(node, Lazy):
        compiler.compile_lazy(site, node, steps, level, follow)
    else:
        compiler.compile(site, steps, level)


def left_open(compiler: Compiler, node: object) -> bool:
    """Whether the operation of an edge decides more than whether it is there."""
    if not may_be_none(node):
        return compiler.facts.of(node).open
    if isinstance(node, Optional):
        return left_open(compiler, node.node)
    if isinstance(node, Choice) and node.branches is not None:
        return any([left_open(compiler, branch) for branch in node.branches.values()])
    return isinstance(node, Lazy)


def compile_live(compiler: Compiler, plan: Plan, live: Live, steps: list[Step], level: int) -> None:
    """What is left open in the edges and operations of the live vertices, and of the outputs."""
    vertices, linked = set(live[0]), set(live[1])
    number = 0
    for i, ((reader, site), row) in enumerate(zip(plan.readers, plan.slots, strict=True)):
        for slot in row:
            if number in linked and slot.node is not None:
                compile_left(compiler, slot.node, steps, level)
            number += 1
        if i in vertices or i >= plan.num_vertices:
            compiler.compile(site.child(".merge", reader.merge), steps, level)
        # At an output, ".op" is the operation of an edge whose source is decided; it has none of its own.
        if i in vertices:
            compiler.compile(site.child(".op", reader.node), steps, level)


def compile_left(compiler: Compiler, site: Site, steps: list[Step], level: int) -> None:
    """What an edge decides beyond whether it is there; answers that settled that lead to it once more."""
    node = site.node
    if not left_open(compiler, node):
        return
    if not may_be_none(node):
        compiler.compile(site, steps, level)
        return

    def follow(inside: Site) -> Program:
        opened: list[Step] = []
        compile_left(compiler, inside, opened, 1)
        return compiler.pack(opened)

    if isinstance(node, Lazy):
        compiler.compile_lazy(site, node, steps, level, follow, asked=True)
        return
    if isinstance(node, Optional):
        inside = site.child(".present", node.node)
        programs = Programs(lambda present: follow(inside) if present else ())
        again = compiler.ask(site, node.decision, node.name, programs)
    else:
        branches = node.branches
        if node.decision.size == 1:
            (label,) = branches
            compile_left(compiler, site.child(f".{label}", branches[label]), steps, level)
            return
        programs = Programs(lambda label: follow(site.child(f".{label}", branches[label])))
        again = compiler.ask(site, node.decision, node.name, programs)
    again.shared = True
    steps.append(again)
