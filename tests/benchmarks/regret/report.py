"""Tables and pictures of what is on file: `PYTHONPATH=tests python -m benchmarks.regret.report [TASK ...]`.

A table is Markdown: the mean regret after 10, 25, 50, ... evaluations with a 95% confidence interval of the
mean (bootstrap over the runs), in bold the best of ours and the best peer at each. A method with few runs is shown, but
is never the best one. A last table has all tasks.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from benchmarks.regret import ours, results, tasks
from benchmarks.regret.results import Results
from benchmarks.regret.tasks import Task

from archsearch.errors import UsageError
from archsearch.searchers import NAMES

Array = npt.NDArray[np.float64]

PICTURES = Path(__file__).parents[1] / "pictures"
CHECKPOINTS = (10, 25, 50, 100, 200, 500, 1000)
RESAMPLES = 2_000
# With fewer runs a method counts for nothing yet.
MIN_RUNS = 10
# Ours, in the order of their colours; `exhaustive` does not search.
OURS = [name for name in NAMES if name != "exhaustive"]
# A picture has our searchers with their defaults and so many of the best peers.
NUM_PEERS = 6


def regrets(task: Task, found: Results, by: Literal["report", "score"] = "report") -> Array:
    """Regret after every evaluation, shape (runs, evaluations of the shortest).

    With several objectives it is the lacking share of the hypervolume. By score, it is how far the incumbent is from
    the best that the search can see.
    """
    several = len(task.objectives) > 1
    before, unit = (0.0, task.best) if several else (task.worst, task.unit)
    best = task.best_score if by == "score" and task.best_score is not None else task.best
    reached = min([t.budget for t in found.traces.values()])
    values = [t.best_so_far(reached, before, by) for _, t in sorted(found.traces.items())]
    return np.maximum(0.0, (best - np.array(values)) / unit)


def seen(task: Task, all_found: Sequence[Results]) -> list[Results]:
    """Those whose runs say what the search saw, where that is another table than the report's."""
    if task.best_score is None:
        return []
    return [found for found in all_found if found.traces and all([t.score for t in found.traces.values()])]


def interval(values: Array) -> tuple[Array, Array]:
    """95% confidence interval of the mean over the runs, by bootstrap; values: (runs, ...)."""
    picks = np.random.default_rng(0).integers(0, len(values), (RESAMPLES, len(values)))
    weights = np.apply_along_axis(np.bincount, 1, picks, minlength=len(values)) / len(values)
    low, high = np.percentile(weights @ values, (2.5, 97.5), axis=0)
    return low, high


def number(value: float) -> str:
    """Three digits or three decimals, four below .001.

    >>> number(12.345), number(0.1), number(0.00012), number(0.0)
    ('12.3', '.100', '.0001', '0')
    """
    if value < 5e-5:
        return "0"
    if value >= 1:
        return f"{value:.3g}"
    return f"{value:.{3 if value >= 0.0005 else 4}f}".removeprefix("0")


def table(task: Task, all_found: Sequence[Results], by: Literal["report", "score"] = "report") -> str:
    """The table of a task."""
    all_found = [found for found in all_found if found.traces]
    if not all_found:
        return f"{task.name}: nothing on file\n"
    curves = {found.method: regrets(task, found, by) for found in all_found}
    longest = max([values.shape[1] for values in curves.values()])
    at = [n for n in CHECKPOINTS if n <= longest] or [longest]
    # By method, as far as all its runs go.
    means: dict[str, dict[int, float]] = {}
    bands: dict[str, dict[int, tuple[float, float]]] = {}
    for method, values in curves.items():
        reached = [n for n in at if n <= values.shape[1]]
        columns = values[:, [n - 1 for n in reached]]
        means[method] = dict(zip(reached, columns.mean(axis=0).tolist(), strict=True))
        bands[method] = dict(
            zip(reached, zip(*[side.tolist() for side in interval(columns)], strict=True), strict=True)
        )
    best: dict[bool, dict[int, str]] = {True: {}, False: {}}
    for side in (True, False):
        methods = [found.method for found in all_found if found.is_ours == side and len(found.traces) >= MIN_RUNS]
        for n in at:
            if there := [method for method in methods if n in means[method]]:
                best[side][n] = min(there, key=lambda method: means[method][n])
    name = task.name if by == "report" else f"{task.name}, in what is searched by"
    lines = [
        f"| {name} | " + " | ".join(map(str, at)) + " | runs | repeats | failed | ask, ms |",
        "|---" * (len(at) + 5) + "|",
    ]
    # Those that went on for as long stand together, the best at their end first.
    for found in sorted(all_found, key=lambda found: (-len(means[found.method]), [*means[found.method].values()][-1:])):
        cells = []
        for n in at:
            if n not in means[found.method]:
                cells.append("")
                continue
            low, high = bands[found.method][n]
            cell = f"{number(means[found.method][n])} ({number(low)} to {number(high)})"
            cells.append(f"**{cell}**" if best[found.is_ours].get(n) == found.method else cell)
        traces = found.traces.values()
        about = [np.mean([t.repeats for t in traces]), np.mean([t.failed for t in traces])]
        ask = float(np.median([t.ask_ms[1] for t in traces]))
        rest = [str(len(traces)), *[number(float(x)) for x in about], number(ask)]
        lines.append(f"| {found.method} | " + " | ".join(cells + rest) + " |")
    return "\n".join([*lines, *verdict(means.get("auto", {}), bands, best[False])]) + "\n"


def verdict(
    auto: Mapping[int, float], bands: Mapping[str, Mapping[int, tuple[float, float]]], best: Mapping[int, str]
) -> list[str]:
    """Where `auto` stands against the best peer at each number of evaluations."""
    words = []
    for n, mean in auto.items():
        if n in best:
            low, high = bands[best[n]][n]
            word = "better than" if mean < low else "within" if mean <= high else "worse than"
            words.append(f"{n}: {word} {best[n]}")
    return ["", f"auto, by the 95% band of the best peer: {'; '.join(words)}"] if words else []


def with_auto(task: Task, all_found: Sequence[Results]) -> list[Results]:
    """With the runs of `auto`, where they are those of another searcher."""
    name = None if any([found.method == "auto" for found in all_found]) else ours.behind_auto(task)
    return [*all_found, *[replace(found, method="auto") for found in all_found if found.method == name]]


def stale(all_found: Sequence[Results]) -> list[str]:
    """Our methods whose runs on file were made by other code than there is now."""
    names = []
    for found in all_found:
        if found.is_ours:
            try:
                current = found.is_of(ours.method(found.method))
            except UsageError:  # a searcher or a setting that is no more
                current = False
            if not current:
                names.append(found.method)
    return names


def summary(all_found: Sequence[tuple[Task, Sequence[Results]]], at: int) -> str:
    """Mean regret of our searchers with their defaults and of the best peer after so many evaluations, by task."""
    rows = []
    names: list[str] = []
    for task, found in all_found:
        own: dict[str, float] = {}
        peers: dict[str, float] = {}
        for each in found:
            curve = regrets(task, each) if len(each.traces) >= MIN_RUNS else np.zeros((0, 0))
            if curve.shape[1] >= at and not (each.is_ours and ":" in each.method):
                (own if each.is_ours else peers)[each.method] = float(curve[:, at - 1].mean())
        rows.append((task.name, own, peers))
        names += [method for method in own if method not in names]
    lines = [f"| after {at} | {' | '.join([*names, 'best peer'])} |", "|---" * (len(names) + 2) + "|"]
    for task_name, own, peers in rows:
        least = min([*own.values(), *peers.values()], default=0.0)
        shown = {m: f"**{number(v)}**" if v == least else number(v) for m, v in {**own, **peers}.items()}
        cells = [shown.get(method, "") for method in names]
        cells.append(" ".join([f"{shown[m]} {m}" for m in sorted(peers, key=lambda m: peers[m])[:1]]))
        lines.append(f"| {task_name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def picture(task: Task, all_found: Sequence[Results], path: Path) -> None:
    """The mean regret over evaluations, with the band of its confidence interval, into a file: of our searchers with
    their defaults, and of the best peers."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9, 6), layout="constrained")
    curves = {found.method: regrets(task, found) for found in all_found if len(found.traces) >= MIN_RUNS}
    order = sorted(curves, key=lambda method: curves[method].mean(axis=0)[-1])
    all_ours = {found.method for found in all_found if found.is_ours}
    own = [method for method in order if method in all_ours and method in OURS]
    peers = [method for method in order if method not in all_ours][:NUM_PEERS]
    above: list[float] = []
    for side, methods in (("-", own), ("--", peers)):
        for i, method in enumerate(methods):
            mean, (low, high) = curves[method].mean(axis=0), interval(curves[method])
            above += mean[mean > 0].tolist()
            color = pyplot.get_cmap("tab10")(OURS.index(method)) if side == "-" else pyplot.get_cmap("Dark2")(i)
            evaluations = np.arange(1, len(mean) + 1)
            width = 1.8 if side == "-" else 1.2
            axes.plot(evaluations, mean, side, label=method, linewidth=width, color=color)
            axes.fill_between(evaluations, low, high, color=color, alpha=0.12, linewidth=0)
    axes.set_yscale("log")
    if above:
        axes.set_ylim(max(min(above) * 0.8, max(above) * 1e-4), max(above) * 1.2)
    several = len(task.objectives) > 1
    axes.set(
        xlabel="evaluations",
        ylabel="share of the hypervolume that is lacking" if several else "regret",
        title=f"{task.name}: mean of the runs, and its 95% confidence interval",
        xlim=(1, max([values.shape[1] for values in curves.values()], default=task.budget)),
    )
    axes.grid(alpha=0.25, which="both")
    axes.legend(fontsize=8, ncols=2, title="ours solid, the best peers dashed" if peers else None)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=80)
    pyplot.close(figure)


def main() -> None:
    """Print the tables and draw the pictures."""
    parser = argparse.ArgumentParser("benchmarks.regret.report", description=__doc__)
    parser.add_argument("tasks", nargs="*", default=tasks.NAMES)
    parser.add_argument("--results", type=Path, default=results.FOLDER)
    parser.add_argument("--pictures", type=Path, default=PICTURES)
    given = parser.parse_args()
    all_found = [(name, list(results.read_all(given.results, name))) for name in given.tasks]
    known = [(tasks.task(name), found) for name, found in all_found if found]
    for task, found in known:
        print(table(task, with_auto(task, found)))
        if both := seen(task, found):
            print(table(task, with_auto(task, both), "score"))
        if name := ours.behind_auto(task):
            print(f"auto is {name} here: the same runs\n")
        if names := stale(found):
            print(f"made by other code than there is now: {', '.join(names)}\n")
        picture(task, found, given.pictures / f"regret_{task.name}.png")
    for at in CHECKPOINTS[1:]:
        if any([trace.budget >= at for _, found in known for each in found for trace in each.traces.values()]):
            print(summary([(task, with_auto(task, found)) for task, found in known], at))


if __name__ == "__main__":
    main()
