"""Studies, trials and what was found, as text for a person and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from archsearch.objectives import nondominated, signed
from archsearch.searchers.contract import Direction
from archsearch.spaces.architecture import answers_id
StudyRow = Any
from archsearch.trial import TrialRecord


def studies_text(studies: Sequence[tuple[StudyRow, Sequence[TrialRecord]]]) -> str:
    """A table of the studies of a record."""
    rows = [["study", "trials", "done", "failed", "running", "best", "searcher", "seed", "begun (UTC)"]]
    for study, trials in studies:
        states = Counter(trial.state for trial in trials)
        rows.append(
            [
                study.name,
                str(len(trials)),
                str(states["done"] + states["pruned"]),
                str(states["failed"]),
                str(states["running"]),
                best_text(best_trials(trials, study.objectives), study.objectives) or "-",
                searcher_text(study.searcher),
                str(study.seed),
                study.created[:16],
            ]
        )
    return table(rows)


def study_text(study: StudyRow, trials: Sequence[TrialRecord], settings: Mapping[str, Any]) -> str:
    """A study and a line for each of its trials."""
    best = best_trials(trials, study.objectives)
    failures = Counter(trial.kind or "exception" for trial in trials if trial.state == "failed")
    facts = {
        "study": study.name,
        "objective": ", ".join(f"{direction} {name}" for name, direction in study.objectives.items()),
        "searcher": f"{searcher_text(study.searcher)}, seed {study.seed}",
        "begun": f"{study.created[:19]} UTC, archsearch {study.version}",
        "settings": pairs(settings),
        "trials": ", ".join(f"{number} {state}" for state, number in Counter(t.state for t in trials).items())
        or "none",
        "failures": ", ".join(f"{number} {kind}" for kind, number in sorted(failures.items())),
        "best": best_text(best, study.objectives),
    }
    rows = [["trial", "state", *study.objectives, "seconds", ""]]
    marked = {trial.number for trial in best}
    for trial in trials:
        values = [number_text(trial.metrics.get(name)) for name in study.objectives]
        remark = "best" if trial.number in marked else trial.error or ""
        cost = "-" if trial.cost is None else f"{trial.cost:.1f}"
        rows.append([str(trial.number), trial.kind or trial.state, *values, cost, shortened(remark)])
    lines = [f"{name + ':':<11}{value}" for name, value in facts.items() if value]
    return "\n".join(lines) + ("\n\n" + table(rows) if trials else "")


def trial_text(trial: TrialRecord) -> str:
    """A trial in full: its answers, what was measured, and the traceback if it failed."""
    facts = {
        "trial": f"{trial.number} ({trial.state}{f': {trial.kind}' if trial.kind else ''})",
        "id": answers_id(trial.assignment),
        "metrics": pairs(trial.metrics),
        "seconds": "" if trial.cost is None else f"{trial.cost:.1f}",
        "attempts": str(trial.attempts) if trial.attempts and trial.attempts > 1 else "",
        "parent": "" if trial.parent is None else str(trial.parent),
        "error": trial.error or "",
    }
    lines = [f"{name + ':':<11}{value}" for name, value in facts.items() if value]
    text = "\n".join([*lines, "", answers_text(trial.assignment)])
    return f"{text}\n\n{trial.traceback.rstrip()}" if trial.traceback else text


def found_text(trial: TrialRecord) -> str:
    """What a trial found: its metrics, its answers and, where the space is known, the network that they mean."""
    head = f"trial {trial.number}: {pairs(trial.metrics)}"
    if trial.space is None:
        return f"{head}\n\n{answers_text(trial.assignment)}"
    return f"{head}\n\n{trial.arch}\n\n{answers_text(trial.assignment)}"


def found_json(trial: TrialRecord, study: str) -> dict[str, Any]:
    """What a trial found as JSON; `archsearch space FILE show --assignment` reads it back."""
    return {
        "study": study,
        "trial": trial.number,
        "id": answers_id(trial.assignment),
        "metrics": dict(trial.metrics),
        "assignment": dict(trial.assignment),
    }


def best_trials(trials: Sequence[TrialRecord], objectives: Mapping[str, Direction]) -> list[TrialRecord]:
    """The best finished trial, the first of equal ones; with several objectives the Pareto front."""
    done = [(signed(trial.metrics, objectives), trial) for trial in trials if trial.state == "done"]
    if len(objectives) > 1:
        return nondominated(done)
    return [max(done, key=lambda pair: pair[0])[1]] if done else []


def best_text(best: Sequence[TrialRecord], objectives: Mapping[str, Direction]) -> str:
    """The best so far in a few words; nothing before there is one."""
    if not best:
        return ""
    if len(objectives) > 1:
        return f"{len(best)} on the Pareto front"
    return ", ".join(f"{name} {number_text(best[0].metrics[name])} (trial {best[0].number})" for name in objectives)


def answers_text(assignment: Mapping[str, Any]) -> str:
    """Paths and answers in two columns."""
    return table([[path, repr(answer)] for path, answer in assignment.items()]) or "(no decisions)"


def searcher_text(searcher: Mapping[str, Any]) -> str:
    settings = {key: value for key, value in searcher.items() if key not in ("class", "name")}
    name = str(searcher.get("class") or searcher.get("name")).rpartition(":")[2].rpartition(".")[2]
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
