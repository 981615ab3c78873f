"""archsearch's searchers as methods: plain ask and tell, no study, no database."""

from __future__ import annotations

import ast
import dataclasses
import hashlib
import json
import sys
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.regret.tasks import Assignment, NotForThis, Run, Task

import archsearch.searchers
from archsearch.errors import UsageError
from archsearch.searchers.auto import Auto
from archsearch.searchers.contract import Problem, Searcher, Told


@dataclass(frozen=True)
class Ours:
    """A searcher of ours.

    Attributes:
        name: `smbo`, or with settings `smbo:surrogate=forest+start=5`.
        searcher: the searcher.
    """

    name: str
    searcher: Searcher

    @property
    def version(self) -> str:
        """Of the code: a digest of the searcher's file and of all searchers' files that it imports."""
        return f"archsearch {digest(type(self.searcher).__module__)}"

    @property
    def settings(self) -> dict[str, Any]:
        return settings_of(self.name)

    def run(self, task: Task, seed: int, budget: int) -> Run:
        problem = Problem(task.space, task.objectives, seed=seed, constraints=task.constraints)
        try:
            search = self.searcher.start(problem)
        except UsageError as error:
            raise NotForThis(str(error)) from error
        assignments: list[Assignment] = []
        seconds: list[float] = []
        for number in range(budget):
            start = time.process_time()
            proposal = search.ask(number, ())
            asked = time.process_time() - start
            if proposal is None:
                break
            metrics = task.evaluate(proposal.assignment)
            failed = task.failed(metrics)
            objectives = {} if failed else {name: metrics[name] for name in task.objectives}
            heard = {} if failed else {name: value for name, value in metrics.items() if name != "report"}
            told = Told(number, proposal.assignment, "failed" if failed else "done", objectives, heard, 0.0)
            start = time.process_time()
            search.tell(told)
            assignments.append(proposal.assignment)
            seconds.append(asked + time.process_time() - start)
        return Run(assignments, seconds)


def settings_of(name: str) -> dict[str, Any]:
    """The settings in a name.

    >>> settings_of("smbo:surrogate=forest+start=5")
    {'surrogate': 'forest', 'start': 5}
    """
    settings = {}
    for setting in filter(None, name.partition(":")[2].split("+")):
        key, _, value = setting.partition("=")
        try:
            settings[key] = json.loads(value)
        except json.JSONDecodeError:  # a plain word
            settings[key] = value
    return settings


def method(name: str) -> Ours:
    """The searcher of this name, perhaps with settings.

    Raises:
        UsageError: there is none, or it has no such settings.
    """
    searcher: Any = archsearch.searchers.by_name(name.partition(":")[0])
    fields = {field.name for field in dataclasses.fields(searcher)}
    if wrong := settings_of(name).keys() - fields:
        raise UsageError(f"{name}: {', '.join(wrong)} is no setting of it; there is {', '.join(sorted(fields))}")
    return Ours(name, dataclasses.replace(searcher, **settings_of(name)))


def behind_auto(task: Task) -> str | None:
    """The searcher that `auto` leaves a task to, which makes the same proposals; None where several take turns."""
    searchers, _ = Auto().choose(Problem(task.space, task.objectives, constraints=task.constraints))
    names = [name for name in archsearch.searchers.NAMES if archsearch.searchers.by_name(name) == searchers[0]]
    return names[0] if len(searchers) == 1 else None


@cache
def digest(module: str) -> str:
    """Ten digits that change with the code (not the comments) of a searcher's module, or of one that it imports."""
    texts: dict[str, str] = {}
    todo = [module]
    while todo:
        name = todo.pop()
        path = getattr(sys.modules.get(name), "__file__", None)
        if name in texts or path is None:
            continue
        tree = ast.parse(Path(path).read_text("utf-8"))
        texts[name] = ast.unparse(tree)
        imports = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module]
        todo += [name for name in imports if name.startswith("archsearch.searchers.")]
    return hashlib.sha256("\n".join([texts[name] for name in sorted(texts)]).encode()).hexdigest()[:10]
