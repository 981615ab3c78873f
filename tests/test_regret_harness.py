"""The harness that measures regret (`tests/benchmarks/regret`): what it computes, and the best values it relies on."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from random import Random
from typing import Any

import pytest
from benchmarks.regret import analytic, harness, hwgpt, ours, report, results, tasks
from benchmarks.regret.tasks import Assignment, NotForThis, Run, Task
from benchmarks.regret.trace import Trace, hypervolume, trace

from archsearch.errors import UsageError
from archsearch.searchers.contract import Limit
from archsearch.spaces.nodes import Choice, Integer
from archsearch.spaces.space import Space

SPACE = Space({"a": Integer(0, 9), "b": Choice(["x", "y"])})


def noisy(assignment: Assignment) -> dict[str, float]:
    """Worth a, but y looks better by 100; 7 fails."""
    if assignment["a"] == 7:
        return {"score": math.nan, "report": math.nan}
    return {"score": assignment["a"] + 100.0 * (assignment["b"] == "y"), "report": assignment["a"]}


def run_of(*pairs: tuple[int, str]) -> Run:
    return Run([{"a": a, "b": b} for a, b in pairs], [0.001 * i for i in range(len(pairs))])


TINY = Task("tiny", SPACE, noisy, best=9.0, worst=-1.0, budget=7, unit=2.0)


def test_regret_is_the_incumbents_by_score() -> None:
    """Report, unit, failures and repeats by hand."""
    found = trace(TINY, 3, 7, run_of((7, "x"), (2, "x"), (5, "x"), (1, "y"), (9, "x"), (4, "y"), (4, "y")))
    assert (found.at, found.report, found.score) == ([2, 3, 4, 6], [2, 5, 1, 4], [2, 5, 101, 104])
    assert (found.seed, found.evaluations, found.repeats, found.failed) == (3, 7, 1, 1)
    assert found.ask_ms == [3.0, 3.0]
    on_file = results.Results("tiny", "m", "1", {}, {3: found})
    assert report.regrets(TINY, on_file).tolist() == [[5.0, 3.5, 2.0, 4.0, 4.0, 2.5, 2.5]]
    searched = replace(TINY, best_score=109.0)
    assert report.regrets(searched, on_file, "score").tolist() == [[55.0, 53.5, 52.0, 4.0, 4.0, 2.5, 2.5]]
    assert report.seen(TINY, [on_file]) == []
    assert report.seen(searched, [on_file]) == [on_file]


def test_limits_and_a_method_that_ends_early() -> None:
    """Only what keeps the limits is an incumbent, and the last one stays."""
    task = Task("tiny", SPACE, noisy, 9.0, worst=0.0, budget=5, constraints={"report": Limit(maximum=4.0)})
    found = trace(task, 0, 5, run_of((8, "y"), (3, "x"), (9, "y")))
    on_file = results.Results("tiny", "m", "1", {}, {0: found})
    assert report.regrets(task, on_file).tolist() == [[9.0, 6.0, 6.0, 6.0, 6.0]]


def test_hypervolume_of_several_objectives() -> None:
    """The share of the best area that is lacking, by hand; what is beyond the reference adds nothing."""

    def evaluate(assignment: Assignment) -> dict[str, float]:
        return {"up": assignment["a"], "down": 1.0 + assignment["a"] ** 2}

    task = Task(
        "tiny", SPACE, evaluate, best=20.0, worst=0.0, budget=3, objectives={"up": "maximize", "down": "minimize"},
        reference={"up": 0.0, "down": 12.0},
    )  # fmt: skip
    found = trace(task, 0, 3, run_of((3, "x"), (9, "x"), (1, "x")))
    on_file = results.Results("tiny", "m", "1", {}, {0: found})
    assert report.regrets(task, on_file)[0] == pytest.approx([1 - 6 / 20, 1 - 6 / 20, 1 - (6 + 8) / 20])


def test_hypervolume_counts_cells() -> None:
    """Against counting the unit squares that some point covers."""
    rng = Random(0)
    for _ in range(50):
        points = [(rng.randrange(8), rng.randrange(8)) for _ in range(6)]
        covered = {(x, y) for x in range(8) for y in range(8) if any([x < a and y < b for a, b in points])}
        assert hypervolume(points) == len(covered)


def test_interval_covers_the_mean() -> None:
    """Of normal samples the 95% interval covers the true mean in about 95 of 100, and shrinks with the root of n."""
    import numpy as np

    rng = np.random.default_rng(0)
    samples = rng.normal(size=(40, 200))
    low, high = report.interval(samples)
    assert 0.88 < float(np.mean((low < 0) & (high > 0))) < 0.98
    assert float(np.mean(high - low)) == pytest.approx(2 * 1.96 / 40**0.5, rel=0.1)


class Counting:
    """A method that knows how often it ran."""

    name = "counting"

    def __init__(self) -> None:
        self.version = "1"
        self.settings: dict[str, Any] = {}
        self.seeds: list[int] = []
        self.shift = 0

    def run(self, task: Task, seed: int, budget: int) -> Run:
        if task.name == "refused":
            raise NotForThis("too large")
        self.seeds.append(seed)
        rng = Random(seed + self.shift)
        return Run([task.space.sample(rng).assignment for _ in range(budget)], [0.0] * budget)


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> Counting:
    made = Counting()
    monkeypatch.setattr(harness, "method", lambda name: made)
    return made


def make(folder: Path, seeds: int, task: Task = TINY, again: bool = False, recheck: bool = False) -> None:
    harness.run_all(list(harness.missing(["counting"], task, seeds, None, folder, again, recheck)), folder, 1)


def test_resumes_without_rerunning(
    tmp_path: Path, counting: Counting, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only what is missing is run, a line cut off by a crash included; another version only when asked to."""
    monkeypatch.setattr(tasks, "task", lambda name: TINY)
    make(tmp_path, 2)
    make(tmp_path, 3)
    assert counting.seeds == [0, 1, 2]
    path = tmp_path / "tiny" / "counting.jsonl"
    whole = path.read_text("utf-8")
    path.write_text(whole[:-5], "utf-8")
    make(tmp_path, 3)
    assert counting.seeds == [0, 1, 2, 2]
    assert path.read_text("utf-8") == whole
    counting.version = "2"
    make(tmp_path, 4)
    assert "kept as it is" in capsys.readouterr().out
    assert path.read_text("utf-8") == whole
    make(tmp_path, 1, again=True)
    found = results.read(path)
    assert found is not None
    assert (found.version, sorted(found.traces)) == ("2", [0])


def test_recheck_keeps_what_comes_out_the_same(
    tmp_path: Path, counting: Counting, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two runs are made again for another version: alike, the file is that version's; not alike, it stays."""
    monkeypatch.setattr(tasks, "task", lambda name: TINY)
    make(tmp_path, 3)
    path = tmp_path / "tiny" / "counting.jsonl"
    before = path.read_text("utf-8")
    counting.version = "2"
    make(tmp_path, 4, recheck=True)
    assert counting.seeds == [0, 1, 2, 0, 1, 3]
    assert path.read_text("utf-8").startswith(before.replace('"version":"1"', '"version":"2"'))
    counting.version, counting.shift = "3", 1
    make(tmp_path, 5, recheck=True)
    assert counting.seeds[6:] == [0]
    assert "3 does other than 2" in capsys.readouterr().out


def test_recheck_begins_no_file(tmp_path: Path, counting: Counting, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is of what is on file: two runs of another method would be in the tables as all of its runs."""
    monkeypatch.setattr(tasks, "task", lambda name: TINY)
    make(tmp_path, 2, recheck=True)
    assert counting.seeds == []
    assert list(tmp_path.rglob("*.jsonl")) == []


def test_refusal_leaves_no_file(tmp_path: Path, counting: Counting, monkeypatch: pytest.MonkeyPatch) -> None:
    """A task that a method cannot do is said, and not on file."""
    refused = Task("refused", SPACE, noisy, 9.0, 0.0)
    monkeypatch.setattr(tasks, "task", lambda name: refused)
    make(tmp_path, 2, refused)
    assert list(tmp_path.rglob("*.jsonl")) == []


def test_one_run_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Ours, driven by ask and tell, into a small file and a table; the curve is that of the assignments."""
    arguments = ["--methods", "evolution:population=5+sample=2", "--tasks", "trap", "--seeds", "2"]
    harness.main([*arguments, "--budget", "30", "--results", str(tmp_path)])
    assert "| evolution:population=5+sample=2 |" in capsys.readouterr().out
    (path,) = tmp_path.rglob("*.jsonl")
    head, *lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert head["settings"] == {"population": 5, "sample": 2}
    assert max(map(len, path.read_text("utf-8").splitlines())) < 1000
    task = tasks.task("trap")
    run = ours.method("evolution:population=5+sample=2").run(task, 1, 30)
    values = [task.evaluate(assignment)["report"] for assignment in run.assignments]
    expected = [max(values[: i + 1]) for i in range(30)]
    assert Trace(**lines[1]).best_so_far(30, 0.0) == pytest.approx(expected)


def test_settings_that_are_none() -> None:
    """A wrong setting names those that there are."""
    with pytest.raises(UsageError, match=r"populatoin.*population, sample"):
        ours.method("evolution:populatoin=5")


def test_who_is_best() -> None:
    """In bold the best of ours and the best peer, which a method of few runs is not; auto against the peer's band."""

    def made(name: str, last: int, runs: int = report.MIN_RUNS) -> results.Results:
        traces = {i: trace(TINY, i, 7, run_of((last - i % 2, "x"))) for i in range(runs)}
        return results.Results("tiny", name, "peer 1" if "peer" in name else "archsearch 1", {}, traces)

    found = [made("auto", 6), made("random", 3), made("peer-a", 5), made("peer-b", 4), made("peer-few", 9, 2)]
    lines = report.table(TINY, found).splitlines()
    bold = [line.split(" | ")[0] for line in lines if "**" in line]
    assert bold == ["| auto", "| peer-a"]
    assert lines[-1].endswith("7: better than peer-a")
    (row,) = report.summary([(TINY, found)], 7).splitlines()[2:]
    assert row == "| tiny | **1.75** | 3.25 | 2.25 peer-a |"


def test_a_method_that_stopped_earlier_takes_no_column_from_others() -> None:
    """It has empty cells from there on, and is the best peer as far as it goes."""

    def made(name: str, budget: int, last: int) -> results.Results:
        runs = {i: trace(TINY, i, budget, run_of(*[(last, "x")] * budget)) for i in range(report.MIN_RUNS)}
        return results.Results("tiny", name, "peer 1" if "peer" in name else "archsearch 1", {}, runs)

    lines = report.table(TINY, [made("peer-a", 20, 8), made("auto", 30, 5), made("peer-b", 30, 2)]).splitlines()
    assert [line.split(" | ")[:3] for line in lines[2:5]] == [
        ["| auto", "**2 (2 to 2)**", "**2 (2 to 2)**"],
        ["| peer-b", "3.5 (3.5 to 3.5)", "**3.5 (3.5 to 3.5)**"],
        ["| peer-a", "**.500 (.500 to .500)**", ""],
    ]
    assert lines[-1].endswith("10: worse than peer-a; 25: better than peer-b")


def test_runs_of_other_code_are_said() -> None:
    """Ours of another version, or of a searcher that is no more; peers never."""
    current = ours.method("random").version
    made = [("random", current), ("evolution", "archsearch old"), ("gone", "archsearch old"), ("peer-a", "peer 1")]
    assert report.stale([results.Results("tiny", *each, {}) for each in made]) == ["evolution", "gone"]


@pytest.mark.parametrize("name", ["trap", "mixed", "order"])
def test_what_auto_leaves_to_another_is_that_ones_run(name: str) -> None:
    task = tasks.task(name)
    other = ours.behind_auto(task)
    assert other == "smbo"
    assert ours.method("auto").run(task, 3, 14).assignments == ours.method(other).run(task, 3, 14).assignments
    found = [results.Results(name, method, "archsearch 1", {}, {}) for method in ("random", "smbo")]
    assert [each.method for each in report.with_auto(task, found)] == ["random", "smbo", "auto"]
    own = [*found, results.Results(name, "auto", "archsearch 1", {}, {})]
    assert report.with_auto(task, own) == own


def test_where_auto_takes_turns_its_runs_are_its_own() -> None:
    task = tasks.task("hierarchy")
    assert ours.behind_auto(task) is None
    assert report.with_auto(task, [results.Results("hierarchy", "smbo", "archsearch 1", {}, {})])[1:] == []


def test_picture_is_drawn(tmp_path: Path) -> None:
    """A picture of two methods, one of which reaches a regret of zero."""
    pytest.importorskip("matplotlib")
    methods = [("random", "archsearch 1"), ("peer-a", "peer 1")]
    runs = [trace(TINY, i, 7, run_of(*[(i % 2 + n, "x") for n in range(6)])) for i in range(report.MIN_RUNS)]
    found = [results.Results("tiny", *each, {}, {t.seed: t for t in runs}) for each in methods]
    report.picture(TINY, found, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"


def climbed(task: Task, seed: int) -> float:
    """The best report that steps to a neighbour, or to a neighbour's neighbour, come to."""
    rng = Random(seed)
    arch = task.space.sample(rng)
    value = task.evaluate(arch.assignment)["report"]
    stuck = 0
    while stuck < 1_500:
        other = task.space.mutate(arch, rng)
        if rng.random() < 0.5:
            other = task.space.mutate(other, rng)
        found = task.evaluate(other.assignment)["report"]
        stuck = 0 if found > value else stuck + 1
        if found >= value:
            arch, value = other, found
    return value


@pytest.mark.parametrize("name", tasks.ANALYTIC)
def test_no_sample_is_better_than_the_best(name: str) -> None:
    """20,000 random architectures stay below the stated best."""
    task = tasks.task(name)
    reports = [task.evaluate(arch.assignment)["report"] for arch in task.space.sample(Random(1), 20_000)]
    assert max(reports) <= task.best + 1e-9


def test_the_best_can_be_reached() -> None:
    """What was found part by part is what climbing finds, too."""
    task = tasks.task("order")
    assert max([climbed(task, seed) for seed in (0, 1)]) == pytest.approx(task.best, abs=1e-9)


def test_the_best_of_a_small_tree() -> None:
    """Of at most two layers, all architectures."""
    task = analytic.tree("tree", most=2)
    values = [task.evaluate(arch.assignment)["report"] for arch in task.space.enumerate()]
    assert task.best == pytest.approx(max(values), abs=1e-9)


def test_chosen_parts() -> None:
    """The members of a subset, forced ones as well, as the space itself says them."""
    space = tasks.task("order").space
    for arch in space.sample(Random(0), 500):
        assert [f"p{i}" for i in analytic.chosen_parts(arch.assignment)] == arch["parts"]


def test_the_best_of_small_grammars() -> None:
    """A shallow grammar's best by dynamic programming is the best of all its expressions."""
    for depth in (1, 2):
        task = analytic.grammar("grammar", depth)
        values = [task.evaluate(arch.assignment)["report"] for arch in task.space.enumerate()]
        assert task.best == pytest.approx(max(values), abs=1e-9)


def test_the_best_of_a_small_hierarchy() -> None:
    """Of one stage and of two, every combination of the answers that matter."""
    for stages in (1, 2):
        task = analytic.hierarchy("hierarchy", stages)
        options: dict[str, Sequence[Any]] = {}
        for i in range(stages):
            options |= {f"s{i}": analytic.BLOCKS, f"s{i}[0].op": analytic.OPS}
            options |= {f"s{i}[1].width": analytic.SIZES, f"s{i}[2].kernel": analytic.SIZES}
        everything = [dict(zip(options, answers, strict=True)) for answers in product(*options.values())]
        assert task.best == pytest.approx(max([task.evaluate(a)["report"] for a in everything]), abs=1e-9)


def test_the_best_of_numbers_and_traps() -> None:
    """By hand: where every cost of a number is nil, and the four triples."""
    task = tasks.task("mixed")
    shapes = [(w, d) for w in range(8, 513) for d in range(1, 13)]
    base = {"optimiser": "sgd", "optimiser.sgd.momentum": 0.9, "optimiser.sgd.nesterov": True, "warmup": True}
    base |= {"warmup.present": 158, "dropout": True, "dropout.present.rate": 0.3, "dropout.present.place": "hidden"}
    best = -math.inf
    for w, d in shapes:
        lr = 10 ** (-1.5 - 0.1 * (math.log2(w) - 7.0))
        best = max(best, task.evaluate(base | {"width": w, "depth": d, "lr": lr})["report"])
    assert best == pytest.approx(task.best, abs=1e-9)
    trap = tasks.task("trap")
    triples = list(product([0, 1, 2, 3], repeat=3))
    groups = [max([trap.evaluate(at(i, t))["report"] for t in triples]) for i in range(4)]
    assert groups == pytest.approx([1 + 3 * 0.7] * 4)
    assert trap.best == 4.0


def at(group: int, answers: Sequence[int]) -> dict[str, int]:
    """A trap's answers: these in one group, 0 in all others."""
    return {f"g{i}[{j}]": answers[j] if i == group else 0 for i in range(4) for j in range(3)}


def test_front_of_sums() -> None:
    """Against all sums, for six decisions of three options with two metrics."""
    import numpy as np

    effects = np.random.default_rng(0).normal(size=(7, 3, 2))
    effects[-1] = effects[-1, 0]
    sums = [
        np.exp(effects[-1, 0] + sum([effects[i, c] for i, c in enumerate(picked)]))
        for picked in product(range(3), repeat=6)
    ]
    front = sorted([tuple(p) for p in sums if not any([(q <= p).all() and (q < p).any() for q in sums])])
    found = sorted(map(tuple, hwgpt.front_of_sums(effects)))
    assert np.array(found) == pytest.approx(np.array(front))
