"""Drawing architectures of a space, again and again until its constraints allow one."""

from __future__ import annotations

import random as random_module
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from archsearch.errors import Infeasible
from archsearch.spaces.architecture import Architecture
from archsearch.spaces.decisions import Decision
from archsearch.spaces.feasible import Feasibility, no_completion, redraw_path
from archsearch.spaces.refusals import count_refusal
from archsearch.spaces.steps import Answers
from archsearch.spaces.uniform import Uniform, check_uniform
from archsearch.spaces.walk import Decide, sample_plain, walk
from archsearch.spaces.wiring import Refused

if TYPE_CHECKING:
    from archsearch.spaces.space import Space

# After this many refusals in a row a filter is taken to refuse everything.
MAX_REFUSALS = 10_000
# After this many draws of one decision in a row, what was decided before it is taken to leave it no answer.
MAX_REDRAWS = 100
# So many plain draws are made between two looks at the memory that a grammar has filled.
BLOCK = 1_000


def sample_freely(space: Space, rng: random_module.Random, n: int) -> list[Architecture]:
    """So many draws over the decisions of a space without constraints."""
    archs: list[Architecture] = []
    while len(archs) < n:
        program = space.plain_program()
        try:
            for _ in range(min(BLOCK, n - len(archs))):
                archs.append(Architecture(space, sample_plain(program, rng.random, space.max_decisions)))
        except Refused:
            archs.append(Architecture(space, draw_again(space, rng)))
    return archs


def draw_again(space: Space, rng: random_module.Random) -> Answers:
    """A draw where a Lazy gave a graph that is dead under the one before it."""
    program = space.plain_program()
    for _ in range(MAX_REFUSALS):
        try:
            return sample_plain(program, rng.random, space.max_decisions)
        except Refused as error:
            reason = str(error)
    raise Infeasible(f"{MAX_REFUSALS} draws in a row were refused; the last: {reason}")


def sample_constrained(space: Space, rng: random_module.Random, uniform: Uniform) -> Architecture:
    """A draw that `require` and `where` allow."""
    random = rng.random
    if uniform == "decisions":
        return first_allowed(space, lambda: space.walk(lambda decision, path: decision.draw(random)))
    check_uniform(uniform, "sample")
    draws = space.uniform_draws()
    return first_allowed(space, lambda: draws.draw(random))


def first_allowed(space: Space, propose: Callable[[], Answers]) -> Architecture:
    """The first proposal that `where` allows; after 10,000 refusals an error with each filter's share."""
    by_filter = [0] * len(space.where)
    for _ in range(MAX_REFUSALS):
        arch = Architecture(space, propose())
        for i, allows in enumerate(space.where):
            if not allows(arch):
                by_filter[i] += 1
                break
        else:
            return arch
        count_refusal()
    shares = [
        f"{getattr(f, '__name__', repr(f))} (where[{i}]) {n / MAX_REFUSALS:.0%}"
        for i, (f, n) in enumerate(zip(space.where, by_filter, strict=True))
    ]
    raise Infeasible(
        f"where= refused {MAX_REFUSALS} architectures in a row: {', '.join(shares)}; allow more, or leave out of "
        "the space what is never allowed"
    )


def walk_constrained(space: Space, guide: Feasibility, decide: Decide) -> Answers:
    """A walk that ends in answers that `require` allows; `decide` is asked where more than one answer is left."""
    compiler = space.compiler

    def ask(decision: Decision, path: str) -> Any:
        if decision.size == 0:
            raise no_completion(path, compiler)
        return decision.options[0] if decision.size == 1 else decide(decision, path)  # type: ignore[index]

    program = compiler.program(compiler.root)
    answer: Decide = ask
    why = ""
    redraws = 0
    for _ in range(MAX_REFUSALS):
        try:
            answers = walk(program, answer, space.max_decisions, guide)
        except Refused as error:
            answer, why, redraws = ask, str(error), 0
            count_refusal()
            continue
        refused = space.refused(answers)
        if not refused:
            return answers
        count_refusal()
        # No table of completions (reals, or too many states): draw the last decision that is read again, and where
        # that does not help, everything.
        redraws = (redraws + 1) % MAX_REDRAWS
        answer = redraw(answers, redraw_path(refused, answers), ask) if redraws else ask
        why = ", ".join([c.text() for c in refused])
    raise Infeasible(
        f"{MAX_REFUSALS} draws in a row were refused by {why}; a constraint over fewer names, or on reals with "
        "narrower bounds, is easier"
    )


def redraw(before: Answers, again: str, ask: Decide) -> Decide:
    """The answers of `before`, but for the decision at `again`."""

    def decide(decision: Decision, path: str) -> Any:
        return before[path] if path in before and path != again else ask(decision, path)

    return decide
