"""No-op trials a second with the record on, against the peers: `PYTHONPATH=tests python -m benchmarks.peers_trials`.

Needs the `bench` extra, and NePS (`pip install neural-pipeline-search`, which asks for an older networkx than we do,
and is left out where it is not there). Random search everywhere, each peer with what it offers to come back after a
crash. "flat": it draws every decision that could be asked. Wall time, after the first tenth of the trials.
"""

from __future__ import annotations

import importlib.util
import logging
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ray
from benchmarks.compared_spaces import OURS, SPACES
from benchmarks.timing import Rates, picture, show, versions

from archsearch.snapshot import Snapshot
from archsearch.study import Study
from archsearch.trial import Trial

OURS_INLINE, OURS_RAY = "archsearch, in process", "archsearch, 2 Ray workers"
ROUNDS = 3


def nothing(trial: Trial) -> float:
    """Evaluates nothing."""
    return 1.0


def nothing_of(**answers: Any) -> float:
    """Evaluates nothing, for NePS."""
    return 1.0


def after_a_tenth(times: list[float]) -> float:
    """Trials a second from the times at which they finished, the first tenth left out."""
    first = len(times) // 10
    return (len(times) - 1 - first) / (times[-1] - times[first])


def ours(kind: str, trials: int, workers: int, clock: Callable[[], float] = time.perf_counter) -> float:
    times: list[float] = []

    def note(snapshot: Snapshot) -> None:
        times.extend([clock()] * (snapshot.finished - len(times)))

    with tempfile.TemporaryDirectory() as folder:
        study = Study(OURS[kind](), nothing, objective="score", store=Path(folder) / "runs.db", name="noop")
        study.run(trials=trials, workers=workers, progress=note)
    return after_a_tenth(times)


def optuna_rate(kind: str, trials: int, journal: bool) -> float:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    decisions = SPACES[kind]()
    times: list[float] = []

    def objective(trial: Any) -> float:
        answers: dict[str, Any] = {}
        for d in decisions:
            if d.parent is None or answers.get(d.parent) in d.when:
                answers[d.name] = trial.suggest_categorical(d.name, d.options)
        return 1.0

    with tempfile.TemporaryDirectory() as folder:
        storage: Any = f"sqlite:///{folder}/runs.db"
        if journal:
            from optuna.storages import JournalStorage
            from optuna.storages.journal import JournalFileBackend

            storage = JournalStorage(JournalFileBackend(f"{folder}/journal.log"))
        study = optuna.create_study(storage=storage, sampler=optuna.samplers.RandomSampler(seed=0))
        study.optimize(objective, n_trials=trials, callbacks=[lambda study, trial: times.append(time.perf_counter())])
    return after_a_tenth(times)


def tune_rate(kind: str, trials: int) -> float:
    """Ray Tune with a class whose actors are used again, its fastest form, on two of them."""
    from ray import tune

    times: list[float] = []

    class Nothing(tune.Trainable):
        def step(self) -> dict[str, Any]:
            return {"score": 1.0, "done": True}

        def save_checkpoint(self, folder: str) -> None:
            """Nothing to save."""

        def load_checkpoint(self, checkpoint: Any) -> None:
            """Nothing to load."""

        def reset_config(self, config: dict[str, Any]) -> bool:
            return True

    class Note(tune.Callback):
        def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
            times.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as folder:
        tune.Tuner(
            Nothing,
            param_space={d.name: tune.choice(list(d.options)) for d in SPACES[kind]()},
            tune_config=tune.TuneConfig(
                num_samples=trials, reuse_actors=True, max_concurrent_trials=2, metric="score", mode="max"
            ),
            run_config=tune.RunConfig(storage_path=folder, verbose=0, callbacks=[Note()]),
        ).fit()
    return after_a_tenth(times)


def neps_rate(kind: str, trials: int) -> float:
    import neps

    logging.getLogger("neps").setLevel(logging.CRITICAL)
    made = type("Flat", (neps.PipelineSpace,), {d.name: neps.Categorical(d.options) for d in SPACES[kind]()})
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        neps.run(
            evaluate_pipeline=nothing_of,
            pipeline_space=made(),
            root_directory=f"{folder}/neps",
            total_evaluations_to_spend=trials,
            optimizer="random_search",
        )
        return trials / (time.perf_counter() - start)


def measure(kind: str) -> Rates:
    flat = "" if all(d.parent is None for d in SPACES[kind]()) else " (flat)"
    contenders: dict[str, Callable[[], float]] = {
        OURS_INLINE: lambda: ours(kind, 2_000, 1),
        OURS_RAY: lambda: ours(kind, 2_000, 2),
        "optuna journal": lambda: optuna_rate(kind, 200, True),
        "optuna SQLite": lambda: optuna_rate(kind, 40, False),
        f"ray.tune, 2 actors{flat}": lambda: tune_rate(kind, 40),
    }
    if importlib.util.find_spec("neps") is not None:
        contenders[f"neps{flat}"] = lambda: neps_rate(kind, 20)
    rounds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(ROUNDS):
        for name, contender in contenders.items():
            rounds[name].append(contender())
    return Rates(rounds)


def main() -> None:
    names = ["optuna", "ray", *(["neural-pipeline-search"] if importlib.util.find_spec("neps") else [])]
    print(versions(*names))
    ray.init(address="local", log_to_driver=False, include_dashboard=False, num_cpus=2)
    shown: dict[str, dict[str, float]] = {}
    for kind in ("cell", "cnn"):
        rates = measure(kind)
        show(f"{kind}, no-op trials with the record on", rates, OURS_RAY, "trials a second")
        print(f"  {OURS_INLINE}: {ours(kind, 2_000, 1, time.process_time):,.0f} a second of its CPU time")
        shown[kind] = {name: rates.median(name) for name in rates.rounds}
    picture("trials", "No-op trials with the record on", "trials a second", shown)
    ray.shutdown()


if __name__ == "__main__":
    main()
