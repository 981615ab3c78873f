"""Walking a program: sampling, replay, enumeration.

A walk goes depth first, left to right, and calls `decide(decision, path)` at the first reach of
everything open. What is still to come is a linked list (program, index, rest), so that an enumeration can
go back to any point of it and no nesting is too deep.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

from archsearch.errors import EndlessSpace, SpaceError
from archsearch.spaces.decisions import Decision
from archsearch.spaces.program import Compiler
from archsearch.spaces.steps import TURN, Answers, Program, Step
from archsearch.spaces.wiring import Refused

Decide = Callable[[Decision, str], Any]
Rest = tuple[Program, int, Any]


class Guide(Protocol):
    """Narrows a decision to the answers that leave a completion."""

    def narrow(self, decision: Decision, step: Step, rest: Rest, answers: Answers, entered: set[str]) -> Decision: ...


def endless(path: str, max_decisions: int) -> EndlessSpace:
    return EndlessSpace(
        f"{path or 'root'}: more than {max_decisions} decisions and expansions in one architecture; a grammar that "
        "branches more than it ends? Count a depth down in the arguments of its Lazy, or raise Space(max_decisions=...)"
    )


def sample_plain(program: Program, random: Callable[[], float], max_decisions: int) -> Answers:
    """Draw every decision; for spaces without constraints.

    Raises:
        Refused: a Graph is dead under the answers.

    The inner loop is the fastest form that was measured: entries are tuples, structure is compiled away.
    """
    answers: Answers = {}
    stack: list[Any] = []
    entered: set[str] | None = None
    pushes = 0
    it = iter(program)
    while True:
        for path, options, n, programs, step in it:
            if options is not None:
                answer = options[int(random() * n)]
                answers[path] = answer
                if programs is None:
                    continue
                inner = programs[answer]
            elif step.decision is not None:
                if step.shared and path in answers:
                    answer = answers[path]
                else:
                    answer = answers[path] = step.decision.draw(random)
                if programs is None:
                    continue
                inner = programs[answer]
            elif step.kind == TURN:
                inner = programs[step.key(answers)]
            else:
                if entered is None:
                    entered = set()
                if path in entered:
                    continue
                entered.add(path)
                inner = programs[None]
            pushes += 1
            if pushes + len(answers) > max_decisions:
                raise endless(path, max_decisions)
            if inner:
                stack.append(it)
                it = iter(inner)
                break
        else:
            if not stack:
                return answers
            it = stack.pop()


def walk(program: Program, decide: Decide, max_decisions: int, guide: Guide | None = None) -> Answers:
    """Answer everything open with `decide`; returns the answers in the order of the walk.

    Raises:
        Refused: a Graph is dead under the answers.
    """
    if guide is None:
        return walk_freely(program, decide, max_decisions)
    answers: Answers = {}
    entered: set[str] = set()
    rest: Any = (program, 0, None)
    pushes = 0
    while rest is not None:
        program, i, outer = rest
        if i == len(program):
            rest = outer
            continue
        step: Step = program[i][4]
        rest = (program, i + 1, outer)
        if step.decision is not None:
            if step.shared and step.path in answers:
                answer = answers[step.path]
            else:
                decision = guide.narrow(step.decision, step, rest, answers, entered)
                answer = answers[step.path] = decide(decision, step.path)
            if step.programs is None:
                continue
            inner = step.programs[answer]
        else:
            opened = open_step(step, answers, entered)
            if opened is None:
                continue
            inner = opened
        pushes += 1
        if pushes + len(answers) > max_decisions:
            raise endless(step.path, max_decisions)
        if inner:
            rest = (inner, 0, rest)
    return answers


def walk_freely(program: Program, decide: Decide, max_decisions: int) -> Answers:
    """`walk` without a guide, which needs no account of what is still to come: twice as fast."""
    answers: Answers = {}
    entered: set[str] = set()
    stack: list[Any] = []
    pushes = 0
    it = iter(program)
    while True:
        for path, _, _, programs, step in it:
            if step.decision is not None:
                if step.shared and path in answers:
                    answer = answers[path]
                else:
                    answer = answers[path] = decide(step.decision, path)
                if programs is None:
                    continue
                inner = programs[answer]
            else:
                inner = open_step(step, answers, entered)
                if inner is None:
                    continue
            pushes += 1
            if pushes + len(answers) > max_decisions:
                raise endless(path, max_decisions)
            if inner:
                stack.append(it)
                it = iter(inner)
                break
        else:
            if not stack:
                return answers
            it = stack.pop()


def open_step(step: Step, answers: Answers, entered: set[str]) -> Program | None:
    """The program behind a TURN or an ENTER; None behind a second use."""
    assert step.programs is not None
    if step.kind == TURN:
        assert step.key is not None
        return step.programs[step.key(answers)]
    if step.path in entered:
        return None
    entered.add(step.path)
    return step.programs[None]


def enumerate_answers(compiler: Compiler, max_decisions: int, guide: Guide | None) -> Iterator[Answers]:
    """Every list of answers that a walk can give, in the order of the options."""
    answers: Answers = {}
    entered: set[str] = set()
    trail: list[tuple[Any, ...]] = []
    rest: Any = (compiler.program(compiler.root), 0, None)
    pushes = 0
    while True:
        refused = False
        while rest is not None:
            program, i, outer = rest
            if i == len(program):
                rest = outer
                continue
            step: Step = program[i][4]
            rest = (program, i + 1, outer)
            if step.decision is not None:
                if step.shared and step.path in answers:
                    answer = answers[step.path]
                else:
                    decision = step.decision
                    if guide is not None:
                        decision = guide.narrow(decision, step, rest, answers, entered)
                    if decision.options is None:
                        raise SpaceError(
                            f"{step.path}: a Real ({decision.text()}) has no end of values, so the space cannot be "
                            "enumerated; use Choice or Integer, or sample"
                        )
                    options = iter(decision.options)
                    trail.append((rest, step, options, len(answers), frozenset(entered), pushes))
                    answer = next(options, None)
                    if answer is None and decision.size == 0:
                        refused = True
                        break
                    answers[step.path] = answer
                if step.programs is None:
                    continue
                inner = step.programs[answer]
            else:
                try:
                    opened = open_step(step, answers, entered)
                except Refused:
                    refused = True
                    break
                if opened is None:
                    continue
                inner = opened
            pushes += 1
            if pushes + len(answers) > max_decisions:
                raise endless(step.path, max_decisions)
            if inner:
                rest = (inner, 0, rest)
        if not refused:
            yield dict(answers)
        while trail:
            rest, step, options, num_answers, was_entered, pushes = trail[-1]
            while len(answers) > num_answers:
                answers.popitem()
            entered = set(was_entered)
            try:
                answer = next(options)
            except StopIteration:
                trail.pop()
                continue
            answers[step.path] = answer
            if step.programs is not None and step.programs[answer]:
                rest = (step.programs[answer], 0, rest)
                pushes += 1
            break
        else:
            return
