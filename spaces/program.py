"""A space as steps: what is asked, in the order of the walk.

Structure that asks nothing vanishes after the first visit: between two branchings a program is a flat
tuple of steps, and what an answer opens is another program, made when it is first reached. All walks
(sampling, replay, enumeration, search) run on these.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from archsearch.errors import SpaceError
from archsearch.spaces.decisions import BOOLEAN, Decision, Options
from archsearch.spaces.facts import FactTable
from archsearch.spaces.graph import Graph
from archsearch.spaces.graph_program import compile_graph
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
    Real,
    Repeat,
    Residual,
    Scope,
    Sequential,
    Shared,
    Subset,
    check_count,
)
from archsearch.spaces.prior import agree, rounded
from archsearch.spaces.require import Constraint
from archsearch.spaces.resolve import expand_lazy, lazy_suffix, resolve
from archsearch.spaces.sites import Frame, Site, join
from archsearch.spaces.skeleton import skeleton
from archsearch.spaces.steps import ASK, ENTER, TURN, Answers, Program, Programs, Step
from archsearch.spaces.wiring import Plan

# Nested structure is compiled this deep at once; what is deeper becomes a step of its own, so that no
# nesting is too deep for the stack.
MAX_NESTING = 64
# A grammar can have endlessly many places: past this many the remembered sites are dropped.
MAX_SITES = 1_000_000


class Compiler:
    """Programs of one space: its sites, what is known of its paths, and its constraints by path."""

    def __init__(self, root: Any, facts: FactTable) -> None:
        self.facts = facts
        self.root = Site(root, "", "", Frame(priors=facts.of(root).priors), "", facts)
        self.paths: dict[str, tuple[str, str, Any]] = {}
        # By path, the decisions that have a prior.
        self.priors: dict[str, Options] = {}
        self.skeletons: dict[str, tuple[Any, Any]] = {}
        self.constraints: dict[str, list[Constraint]] = {}
        # By path, the plans of the Graphs whose edges a decision settles.
        self.wired: dict[str, list[Plan]] = {}
        self.num_programs = 0

    def program(self, site: Site) -> Program:
        """The program of a site."""
        if site.program is None:
            steps: list[Step] = []
            self.compile(site, steps, 0)
            site.program = self.pack(steps)
        return site.program  # type: ignore[no-any-return]

    def pack(self, steps: list[Step]) -> Program:
        self.num_programs += 1 + len(steps)
        return tuple([step.entry() for step in steps])

    def wire(self, path: str, plan: Plan) -> None:
        """Note that the decision at `path` settles which edges a Graph has."""
        plans = self.wired.setdefault(path, [])
        if plan not in plans:
            plans.append(plan)

    def register(self, path: str, kind: str, place: str, decision: Any) -> None:
        """One path, one definition (LANGUAGE.md section 3)."""
        known = self.paths.get(path)
        signature = decision.signature
        if known is None:
            self.paths[path] = (kind, place, signature)
        elif known[0] != kind:
            raise SpaceError(
                f"two definitions of the path {path!r}: {self.say(known[0], known[1])} and {self.say(kind, place)}; "
                "choose another name"
            )
        elif known[2] != signature:
            raise SpaceError(
                f"uses of the name {path!r} disagree: {say_signature(known[2])} at {known[1] or 'root'}, "
                f"{say_signature(signature)} at {place or 'root'}; same options, or another name"
            )
        elif not same_prior(self.priors.get(path), decision):
            raise SpaceError(
                f"uses of the name {path!r} disagree in the prior: {say_prior(self.priors.get(path))} at "
                f"{known[1] or 'root'}, {say_prior(decision)} at {place or 'root'}; where a Lazy gives one of them, "
                "both must state it"
            )
        if getattr(decision, "prior", None) is not None:
            self.priors[path] = decision

    def say(self, kind: str, place: str) -> str:
        if kind == "name":
            return f"a name (used at {place or 'root'})"
        return f"the decision at place {place or 'root'}" + (f" inside Shared {kind!r}" if kind else "")

    def ask(
        self, site: Site, decision: Decision, name: str | None, programs: Programs | None, path: str | None = None
    ) -> Step:
        if name is not None and path is None:
            path = site.frame.path(name, site.place)
            decision = with_prior(decision, site.frame.priors.get(name))
        elif path is None:
            path = site.path or "root"
        self.register(path, "name" if name is not None else site.owner, site.place, decision)
        return Step(ASK, site, path, decision, name is not None, programs)

    def compile(self, site: Site, steps: list[Step], level: int) -> None:
        """Append the steps of a site."""
        node = site.node
        if not has_node(node) or not self.facts.of(node).open:
            return
        if level > MAX_NESTING:
            steps.append(Step(TURN, site, site.path, programs=Programs(lambda _: self.program(site)), key=no_key))
            return
        level += 1
        match node:
            case Choice():
                self.compile_choice(site, node, steps, level)
            case Integer() | Real():
                if node.decision.size > 1:
                    steps.append(self.ask(site, node.decision, node.name, None))
            case Derived():
                for step, child in node.children():
                    self.compile(site.child(step, child), steps, level)
            case Module():
                self.compile_arguments(site, node, steps, level)
            case Lazy():
                self.compile_lazy(site, node, steps, level, self.program)
            case Sequential() | Parallel():
                for step, child in node.members.items():
                    self.compile(site.child(step, child), steps, level)
                if isinstance(node, Parallel):
                    self.compile(site.child(".merge", node.merge), steps, level)
            case Optional():
                inside = site.child(".present", node.node)
                programs = Programs(lambda present: self.program(inside) if present else ())
                steps.append(
                    self.ask(site, node.decision, node.name, programs if self.facts.of(node.node).open else None)
                )
            case Residual():
                self.compile(site.child("[0]", node.node), steps, level)
                self.compile(site.child(".project", node.project), steps, level)
            case Repeat():
                self.compile_repeat(site, node, steps, level)
            case Permute():
                if node.decision.size > 1:
                    steps.append(self.ask(site, node.decision, node.name, None))
                for step, child in node.members.items():
                    self.compile(site.child(step, child), steps, level)
            case Subset():
                self.compile_subset(site, node, steps)
            case Scope():
                self.compile_scope(site, node, steps, level)
            case Shared():
                self.compile_shared(site, node, steps)
            case Graph():
                compile_graph(self, site, steps, level)
            case Mapping():
                for key, child in node.items():
                    self.compile(site.child(f".{key}", child), steps, level)
            case list() | tuple():
                for i, child in enumerate(node):
                    self.compile(site.child(f"[{i}]", child), steps, level)

    def compile_choice(self, site: Site, node: Choice, steps: list[Step], level: int) -> None:
        branches = node.branches
        if node.decision.size == 1:
            if branches is not None:
                (label,) = branches
                self.compile(site.child(f".{label}", branches[label]), steps, level)
            return
        programs = None
        if branches is not None and any([self.facts.of(branch).open for branch in branches.values()]):
            programs = Programs(lambda label: self.program(site.child(f".{label}", branches[label])))
        steps.append(self.ask(site, node.decision, node.name, programs))

    def compile_repeat(self, site: Site, node: Repeat, steps: list[Step], level: int) -> None:
        times = node.times
        copies = Programs(lambda count: self.copies(site, node, count))
        if isinstance(times, Choice | Integer) and getattr(times, "branches", None) is None:
            if times.decision.size > 1:
                steps.append(self.ask(site, times.decision, times.name, copies))
                return
            times = times.decision.options[0]
        if isinstance(times, Node):
            before = len(steps)
            source = site.child(".times", times)
            self.compile(source, steps, level)
            reads = tuple([step.path for step in steps[before:] if step.kind == ASK])
            steps.append(Step(TURN, site, site.path, programs=copies, key=lambda a: count_of(source, a), reads=reads))
            return
        for copy in copy_sites(site, node, times):
            self.compile(copy, steps, level)

    def copies(self, site: Site, node: Repeat, count: int) -> Program:
        steps: list[Step] = []
        for copy in copy_sites(site, node, count):
            self.compile(copy, steps, 1)
        return self.pack(steps)

    def compile_arguments(self, site: Site, node: Module | Lazy, steps: list[Step], level: int) -> None:
        for name, argument in node.arguments.items():
            self.compile(site.child(f".{name}", argument), steps, level)

    def compile_lazy(
        self,
        site: Site,
        node: Lazy,
        steps: list[Step],
        level: int,
        follow: Callable[[Site], Program],
        asked: bool = False,
    ) -> None:
        """Append the steps of a Lazy; `follow` gives those of an expansion, `asked`: its arguments are known."""
        arguments: list[Step] = []
        self.compile_arguments(site, node, arguments, level)
        reads = tuple([step.path for step in arguments if step.kind == ASK])
        if not asked:
            steps.extend(arguments)
        values: dict[str, dict[str, Any]] = {}

        def key(answers: Answers) -> str:
            suffix, arguments = lazy_suffix(site, node, answers)
            values.setdefault(suffix, arguments)
            return suffix

        programs = Programs(lambda suffix: follow(expand_lazy(site, node, suffix, values[suffix])))
        steps.append(Step(TURN, site, site.path, programs=programs, key=key, reads=reads))

    def compile_subset(
        self,
        site: Site,
        node: Subset,
        steps: list[Step],
        compile_member: Callable[[int, Site, list[Step]], None] | None = None,
    ) -> None:
        """Append the steps of a Subset; `compile_member(i, site, steps)` those inside of a chosen member."""
        base = site.path if node.name is None else site.frame.path(node.name, site.place)
        members = list(node.members.items())
        if node.name is not None:
            bounds = Options((len(members), node.minimum, node.maximum), "subset")
            self.register(base, "name", site.place, bounds)
        made: dict[tuple[int, int], list[Step]] = {}

        def compile_inside(i: int, inside: Site, steps: list[Step]) -> None:
            if compile_member is None:
                self.compile(inside, steps, 1)
            else:
                compile_member(i, inside, steps)

        def rest(i: int, chosen: int) -> list[Step]:
            """Steps from member i on, with `chosen` in already."""
            if (i, chosen) in made:
                return made[i, chosen]
            steps: list[Step] = []
            made[i, chosen] = steps
            while i < len(members):
                step, member = members[i]
                inside = site.child(step, None).child(".present", member)
                with_it = num_subsets(len(members) - i - 1, node.minimum - chosen - 1, node.maximum - chosen - 1)
                without = num_subsets(len(members) - i - 1, node.minimum - chosen, node.maximum - chosen)
                i += 1
                if not with_it:
                    continue
                if not without:
                    compile_inside(i - 1, inside, steps)
                    chosen += 1
                    continue
                decision = Options(BOOLEAN.options, "boolean", with_it / (with_it + without))
                programs = Programs(follow(inside, i, chosen))
                steps.append(self.ask(inside, decision, node.name, programs, join(base, step)))
                break
            return steps

        def follow(inside: Site, i: int, chosen: int) -> Callable[[bool], Program]:
            def after(present: bool) -> Program:
                if not present:
                    return self.pack(rest(i, chosen))
                steps: list[Step] = []
                compile_inside(i - 1, inside, steps)
                return self.pack(steps + rest(i, chosen + 1))

            return after

        steps.extend(rest(0, 0))

    def compile_scope(self, site: Site, node: Scope, steps: list[Step], level: int) -> None:
        inside = site.scoped()
        frame = inside.frame
        for require in node.require:
            self.add_constraint(Constraint(require, tuple([frame.path(n, site.place) for n in require.names])))
        self.compile(inside, steps, level)

    def add_constraint(self, constraint: Constraint) -> None:
        for path in constraint.paths:
            self.constraints.setdefault(path, []).append(constraint)

    def compile_shared(self, site: Site, node: Shared, steps: list[Step]) -> None:
        inside = shared_site(site, node)
        shape = skeleton(node.node)
        known = self.skeletons.setdefault(inside.path, (shape, site.place))
        if known[0] != shape:
            raise SpaceError(
                f"uses of Shared {inside.path!r} differ in what they decide: at {known[1] or 'root'} "
                f"{known[0]}, at {site.place or 'root'} {shape}"
            )
        steps.append(Step(ENTER, site, inside.path, programs=Programs(lambda _: self.program(inside))))


def no_key(answers: Answers) -> None:
    return None


def say_signature(signature: Any) -> str:
    if signature[0] == "options":
        return "[" + ", ".join([say_typed(option) for option in signature[1]]) + "]"
    return f"{signature[0]} from {signature[1]} to {signature[2]}" + (" (log)" if signature[3] else "")


def with_prior(decision: Decision, stated: Any) -> Decision:
    """A use of a name, with the prior that another use of it states; `register` refuses two that differ."""
    if stated is None or not isinstance(decision, Options) or decision.prior is not None:
        return decision
    prior: Options = stated.decision
    return replace(decision, prior=prior.prior) if prior.signature == decision.signature else decision


def same_prior(known: Options | None, decision: Any) -> bool:
    prior = getattr(decision, "prior", None)
    if known is None or prior is None:
        return known is None and prior is None
    assert known.prior is not None
    return agree(known.prior, prior)


def say_prior(decision: Any) -> str:
    prior = getattr(decision, "prior", None)
    return "none" if prior is None else str(rounded(prior))


def say_typed(key: Any) -> str:
    return "(" + ", ".join([say_typed(item) for item in key[1:]]) + ")" if key[0] is tuple else repr(key[1])


def num_subsets(n: int, minimum: int, maximum: int) -> int:
    """How many subsets of n members have from `minimum` to `maximum` of them."""
    return sum(math.comb(n, k) for k in range(max(0, minimum), min(n, maximum) + 1))


def count_of(source: Site, answers: Mapping[str, Any]) -> int:
    count = resolve(source, answers)
    try:
        check_count(count)
    except SpaceError as error:
        raise SpaceError(f"{source.place}: {error}") from None
    return int(count)


def copy_sites(site: Site, node: Repeat, count: int) -> list[Site]:
    """The sites of the copies that decide: all, or the first where they are tied."""
    if node.tied:
        return [site.child("[0]", node.node, "[*]")] if count else []
    return [site.children.get(f"[{i}]") or site.child(f"[{i}]", node.copy(i)) for i in range(count)]


def shared_site(site: Site, node: Shared) -> Site:
    path = site.frame.path(node.name, site.place)
    return site.inside(node.node, site.frame.shared(), path, path)
