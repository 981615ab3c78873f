"""Studies, trials and what was found, as text for a person and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from archsearch.constraints import Bounds, limits, nearest, violation, words
from archsearch.searchers.contract import Direction
from archsearch.searchers.pareto import undominated
from archsearch.spaces.architecture import Architecture, answers_id
from archsearch.stored import objective_values
from archsearch.trial import TrialRecord


@dataclass(frozen=True)
class StudyReport:
    """A study as the record has it.

    Attributes:
        constraints: bounds by metric.
        settings: of its study file in the latest run.
        trials: by number.
        reason: what the searcher chose, and why; empty where it said nothing.
    """

    name: str
    created: str
    objectives: Mapping[str, Direction]
    constraints: Bounds
    searcher: Mapping[str, Any]
    seed: int
    settings: Mapping[str, Any]
    trials: Sequence[TrialRecord]
    reason: str = ""

    @property
    def best(self) -> list[TrialRecord]:
        """The best finished trial, the first of equal ones; with several objectives the Pareto front by number.

        Of those that satisfy the constraints.
        """
        done = [t for t in self.trials if t.state == "done" and violation(self.constraints, t.metrics) == 0]
        losses = [loss(trial, self.objectives) for trial in done]
        if len(self.objectives) > 1:
            return [trial for trial, kept in zip(done, undominated(losses), strict=True) if kept]
        return [done[losses.index(min(losses))]] if done else []

    def count(self, state: str) -> int:
        return sum(trial.state == state for trial in self.trials)

    @property
    def num_reused(self) -> int:
        return sum(trial.reused_from is not None for trial in self.trials)

    def best_text(self) -> str:
        """The best so far in a few words; nothing before there is one."""
        best = self.best
        if not best:
            return nearest(self.constraints, self.trials)
        if len(self.objectives) > 1:
            return f"{len(best)} on the Pareto front"
        (name,) = self.objectives
        return f"{name} {number_text(best[0].metrics[name])} (trial {best[0].number})"


def loss(trial: TrialRecord, objectives: Mapping[str, Direction]) -> tuple[float, ...]:
    """The objectives of a finished trial, smaller is better."""
    values = objective_values(trial.number, trial.metrics, objectives)
    return tuple([-values[name] if direction == "maximize" else values[name] for name, direction in objectives.items()])


def studies_text(studies: Sequence[StudyReport]) -> str:
    """A table of the studies of a record."""
    rows = [["study", "trials", "done", "reused", "failed", "running", "best", "searcher", "seed", "begun (UTC)"]]
    for study in studies:
        counts = [str(study.count("done")), str(study.num_reused)]
        counts += [str(study.count(state)) for state in ("failed", "running")]
        begun = study.created[:16].replace("T", " ")
        searcher = searcher_text(study.searcher)
        best = study.best_text() if study.best else "-"
        rows.append([study.name, str(len(study.trials)), *counts, best, searcher, str(study.seed), begun])
    return table(rows)


def study_text(study: StudyReport) -> str:
    """A study and a line for each of its trials."""
    states = Counter(trial.state for trial in study.trials)
    failures = Counter(trial.kind for trial in study.trials if trial.state == "failed")
    facts = {
        "study": study.name,
        "objective": ", ".join(f"{direction} {name}" for name, direction in study.objectives.items()),
        "within": words(study.constraints),
        "searcher": f"{searcher_text(study.searcher)}, seed {study.seed}",
        "chose": study.reason,
        "begun": f"{study.created[:19].replace('T', ' ')} UTC",
        "settings": pairs(study.settings),
        "trials": ", ".join(f"{number} {state}" for state, number in states.items()) or "none",
        "reused": f"{study.num_reused} of the done ones have the metrics of an earlier trial, of the same network"
        if study.num_reused
        else "",
        "failures": ", ".join(f"{number} {kind}" for kind, number in failures.items()),
        "best": study.best_text(),
    }
    metrics = [*study.objectives, *[name for name in limits(study.constraints) if name not in study.objectives]]
    rows = [["trial", "state", *metrics, "seconds", ""]]
    best = {trial.number for trial in study.best}
    for trial in study.trials:
        values = [number_text(trial.metrics.get(name)) for name in metrics]
        outside = trial.state == "done" and violation(study.constraints, trial.metrics) > 0
        reused = "" if trial.reused_from is None else f"network of trial {trial.reused_from}"
        place = "best" if trial.number in best else "outside the constraints" if outside else ""
        remark = ", ".join([word for word in (place, reused) if word])
        seconds = "-" if trial.seconds is None else f"{trial.seconds:.1f}"
        rows.append([str(trial.number), state_text(trial), *values, seconds, shortened(remark or trial.message or "")])
    return facts_text(facts) + ("\n\n" + table(rows) if study.trials else "")


def state_text(trial: TrialRecord) -> str:
    """How a trial failed, whether it waits for one that evaluates its network, or its state."""
    if trial.state == "running" and not trial.attempts:
        return "waiting"
    return trial.kind if trial.state == "failed" and trial.kind else trial.state


def trial_text(trial: TrialRecord) -> str:
    """A trial in full: its answers, what was measured, and the traceback if it failed."""
    facts = {
        "trial": f"{trial.number} ({trial.state}{f': {trial.kind}' if trial.kind else ''})",
        "id": answers_id(trial.assignment),
        "metrics": pairs(trial.metrics),
        "reused": "" if trial.reused_from is None else f"metrics of trial {trial.reused_from}, of the same network",
        "seconds": "" if trial.seconds is None else f"{trial.seconds:.1f}",
        "attempts": str(trial.attempts) if trial.attempts > 1 else "",
        "parent": "" if trial.parent is None else str(trial.parent),
        "note": pairs(trial.note),
        "error": trial.message or "",
    }
    text = f"{facts_text(facts)}\n\n{answers_text(trial.assignment)}"
    return f"{text}\n\n{trial.traceback.rstrip()}" if trial.traceback else text


def found_text(trial: TrialRecord, arch: Architecture | None) -> str:
    """What a trial found: its metrics, its answers and, where it is at hand, the network that they mean."""
    shown = [f"trial {trial.number}: {pairs(trial.metrics)}", answers_text(trial.assignment)]
    return "\n\n".join(shown if arch is None else [*shown, str(arch)])


def found_json(trial: TrialRecord, study: str) -> dict[str, Any]:
    """What a trial found as JSON; `archsearch space FILE show --assignment` reads it back."""
    return {
        "study": study,
        "trial": trial.number,
        "id": answers_id(trial.assignment),
        "metrics": dict(trial.metrics),
        "assignment": dict(trial.assignment),
    }


def facts_text(facts: Mapping[str, str]) -> str:
    """Facts by name, a line each; those that are empty are left out."""
    return "\n".join(f"{name + ':':<11}{value}" for name, value in facts.items() if value)


def answers_text(assignment: Mapping[str, Any]) -> str:
    """Paths and answers in two columns."""
    return table([[path, repr(answer)] for path, answer in assignment.items()]) or "(no decisions)"


def searcher_text(searcher: Mapping[str, Any]) -> str:
    """A searcher's class and its settings, from the description that the record holds."""
    settings = {key: value for key, value in searcher.items() if key != "class"}
    name = searcher["class"].rpartition(":")[2]
    return f"{name}({pairs(settings)})" if settings else name


def pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={number_text(value)}" for key, value in values.items())


def number_text(value: object) -> str:
    """A metric with five significant digits; whole numbers in full.

    >>> number_text(0.98333333), number_text(175546), number_text(None)
    ('0.98333', '175546', '-')
    """
    return "-" if value is None else f"{value:.5g}" if isinstance(value, float) else str(value)


def shortened(text: str, limit: int = 80) -> str:
    first = text.partition("\n")[0]
    return first if len(first) <= limit else first[: limit - 1] + "…"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows of words in columns, numbers to the right; whole words, whatever the width of the terminal."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))] if rows else []
    numeric = [all(is_number(row[i]) for row in rows[1:]) for i in range(len(widths))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=True)
        ).rstrip()
        for row in rows
    )


def is_number(text: str) -> bool:
    return text == "-" or text.replace(".", "", 1).replace("-", "", 1).replace("e", "", 1).isdigit()
