"""Which answers leave a completion that the constraints allow.

Rejection alone is hopeless on tight constraints (12 non-decreasing widths are 455 of 16.7 million), so a
constrained decision is only offered the answers after which the rest can still be completed: a depth-first
search over what the constraints read, which remembers the states with and without a completion.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from archsearch.errors import Infeasible
from archsearch.spaces.decisions import Decision, narrowed
from archsearch.spaces.facts import FactTable
from archsearch.spaces.graph_guide import GraphGuide
from archsearch.spaces.program import Compiler
from archsearch.spaces.require import Constraint
from archsearch.spaces.steps import Answers, Step
from archsearch.spaces.walk import open_step
from archsearch.spaces.wiring import Plan, Refused

# Past this many states the search gives up, and walks redraw instead.
MAX_STATES = 200_000


class TooManyStates(Exception):
    """The search for a completion went past its limit."""


class Feasibility:
    """The guide of a space with `require`, or with graphs that refuse some answers.

    Args:
        compiler: the programs of the space, with its constraints by path.
        names: every name that a constraint reads anywhere in the space.
    """

    def __init__(self, compiler: Compiler, names: frozenset[str], facts: FactTable) -> None:
        self.compiler = compiler
        self.names = names
        self.facts = facts
        self.hopeless: set[Any] = set()
        self.hopeful: set[Any] = set()
        self.numbers: dict[Any, int] = {}
        self.relevance: dict[int, tuple[Step, bool]] = {}
        self.reads: set[str] = set()
        self.gave_up = False
        self.graphs: dict[int, tuple[Plan, GraphGuide]] = {}

    def narrow(self, decision: Decision, step: Step, rest: Any, answers: Answers, entered: set[str]) -> Decision:
        """The decision with only the answers that leave a completion."""
        for plan in self.compiler.wired.get(step.path, ()):
            if not plan.infallible and not plan.entangled:
                return self.graph_guide(plan).narrow(decision, step.path, answers)
        if self.gave_up or decision.options is None or not self.relevant(step):
            return decision
        while True:
            size = len(self.reads)
            try:
                return self.kept(decision, step, rest, answers, entered)
            except TooManyStates:
                self.gave_up = True
                return decision
            except KeyError:
                # Something is computed from a decision that the search had passed over as irrelevant.
                if len(self.reads) == size:
                    raise
                self.relevance.clear()
                self.hopeless.clear()
                self.hopeful.clear()

    def graph_guide(self, plan: Plan) -> GraphGuide:
        known = self.graphs.get(id(plan))
        if known is None:
            known = self.graphs[id(plan)] = (plan, GraphGuide(plan))
        return known[1]

    def kept(self, decision: Decision, step: Step, rest: Any, answers: Answers, entered: set[str]) -> Decision:
        assert decision.options is not None
        kept = []
        try:
            for answer in decision.options:
                answers[step.path] = answer
                if self.allowed(step.path, answers):
                    inner = step.programs[answer] if step.programs is not None else ()
                    after = (inner, 0, rest) if inner else rest
                    if self.completes(after, answers, entered):
                        kept.append(answer)
        finally:
            answers.pop(step.path, None)
        return decision if len(kept) == decision.size else narrowed(decision, kept)

    def allowed(self, path: str, answers: Answers) -> bool:
        return all([constraint.allows(answers) for constraint in self.compiler.constraints.get(path, ())])

    def completes(self, rest: Any, answers: Answers, entered: set[str]) -> bool:
        """Whether the walk from here on has a completion. An explicit stack: spaces may be deep."""
        answers = dict(answers)
        entered = set(entered)
        trail: list[tuple[Any, ...]] = []
        while True:
            try:
                state, step, options, rest = self.advance(rest, answers, entered)
                refused = False
            except Refused:
                refused = True
            if not refused and (step is None or state in self.hopeful):
                if len(self.hopeful) > MAX_STATES:
                    self.hopeful.clear()
                self.hopeful.update([passed[0] for passed in trail])
                return True
            if not refused and state not in self.hopeless:
                trail.append((state, step, options, rest, list(answers), frozenset(entered)))
            if not trail:
                return False
            while trail:
                state, step, options, after, before, was_entered = trail[-1]
                keep = set(before)
                for path in [path for path in answers if path not in keep]:
                    del answers[path]
                entered.clear()
                entered.update(was_entered)
                moved = False
                for answer in options:
                    answers[step.path] = answer
                    if self.allowed(step.path, answers):
                        inner = step.programs[answer] if step.programs is not None else ()
                        rest = (inner, 0, after) if inner else after
                        moved = True
                        break
                    del answers[step.path]
                if moved:
                    break
                self.hopeless.add(state)
                if len(self.hopeless) > MAX_STATES:
                    raise TooManyStates
                trail.pop()
            else:
                return False

    def advance(self, rest: Any, answers: Answers, entered: set[str]) -> tuple[Any, Step | None, Any, Any]:
        """Go on to the next decision that matters and is open; None as step at the end."""
        while rest is not None:
            program, i, outer = rest
            if i == len(program):
                rest = outer
                continue
            here = rest
            step: Step = program[i][4]
            rest = (program, i + 1, outer)
            if not self.relevant(step):
                continue
            if step.decision is None:
                if step.site.plan is not None and not self.reads.issuperset(self.read_by(step)):
                    # A graph takes a member of a Subset that was not asked for one that is not there.
                    self.reads.update(self.read_by(step))
                    raise KeyError(step.path)
                try:
                    opened = open_step(step, answers, entered)
                except KeyError:
                    self.reads.update(self.read_by(step))
                    raise
                if opened:
                    rest = (opened, 0, rest)
            elif step.path in answers:
                inner = step.programs[answers[step.path]] if step.programs is not None else ()
                if inner:
                    rest = (inner, 0, rest)
            elif step.decision.options is not None:
                return (
                    (self.number(here), self.live(answers), frozenset(entered)),
                    step,
                    iter(step.decision.options),
                    rest,
                )
        return None, None, None, None

    def number(self, rest: Any) -> int:
        """A number for what is still to come: equal for equal rests."""
        chain = []
        while rest is not None:
            chain.append((id(rest[0]), rest[1]))
            rest = rest[2]
        number = 0
        for link in reversed(chain):
            number = self.numbers.setdefault((link, number), len(self.numbers) + 1)
        return number

    def live(self, answers: Answers) -> frozenset[Any]:
        """The answers that still matter: of constraints not yet checked, and those that something reads."""
        kept = []
        for path, answer in answers.items():
            constraints = self.compiler.constraints.get(path, ())
            if path in self.reads or any([any([p not in answers for p in c.paths]) for c in constraints]):
                kept.append((path, answer))
            elif path in self.names:
                kept.append((path, None))
        return frozenset(kept)

    def relevant(self, step: Step) -> bool:
        """Whether a constraint reads the step, or may read something behind it."""
        known = self.relevance.get(id(step))
        if known is None:
            known = self.relevance[id(step)] = (step, self.find_relevance(step))
        return known[1]

    def read_by(self, step: Step) -> Iterable[str]:
        """The paths that a computed step depends on."""
        if step.reads is not None:
            return step.reads
        return [path for path, plans in self.compiler.wired.items() if step.site.plan in plans]

    def find_relevance(self, step: Step) -> bool:
        if step.decision is not None and step.path in self.compiler.constraints:
            return True
        if step.path in self.reads:
            return True
        plans = self.compiler.wired.get(step.path, ()) if step.decision is not None else ()
        if any([plan.entangled and not plan.infallible for plan in plans]):
            self.reads.add(step.path)
            return True
        if step.programs is None:
            return False
        facts = self.facts.of(step.site.node)
        matters = facts.unknown or facts.entangled or bool(facts.names & self.names)
        if matters and step.shared:
            self.reads.add(step.path)
        return matters


def redraw_path(constraints: list[Constraint], answers: Answers) -> str:
    """The last decision that a refused constraint reads."""
    order = {path: i for i, path in enumerate(answers)}
    return max(
        [path for constraint in constraints for path in constraint.paths if path in order], key=order.__getitem__
    )


def no_completion(path: str, compiler: Compiler) -> Infeasible:
    texts = sorted({c.text() for constraints in compiler.constraints.values() for c in constraints})
    return Infeasible(f"{path}: no answer leaves anything that the constraints allow: {'; '.join(texts)}")
