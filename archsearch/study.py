"""Study: a search over a space, on a durable record."""

from __future__ import annotations

import math
import os
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

from archsearch.constraints import constrained, limits, nearest, parsed, violation
from archsearch.definition import MAX_SEED, Definition, directions, searcher_of
from archsearch.driver import Driver
from archsearch.enqueued import enqueue
from archsearch.errors import AssignmentError, StudyError, did_you_mean
from archsearch.evaluation import FREE_METRICS, Evaluator, measured
from archsearch.executor import Executor, InlineExecutor
from archsearch.interrupts import Interrupts
from archsearch.job import Report
from archsearch.loop import go_on
from archsearch.record import Record
from archsearch.reports import loss
from archsearch.searchers.contract import Searcher
from archsearch.searchers.pareto import undominated
from archsearch.snapshot import Snapshot
from archsearch.spaces.space import Architecture, Space
from archsearch.store import Store
from archsearch.trial import Trial, TrialRecord
from archsearch.verify import verify

if TYPE_CHECKING:
    import pandas


# So many proposals in a row that need no evaluation are taken to mean that nothing new is left to ask for.
MAX_KNOWN = 1_000


class Study:
    """A search over a space. Nothing is opened before it runs or is asked.

    A network is evaluated once. A trial whose architecture means the network of one that is done (equal
    `canonical_id`, budget and parent) is not evaluated: it is recorded as done with the metrics of that one, says so
    (`reused_from`), takes no worker, and counts as a trial. Where that network is being evaluated, the trial waits
    for the outcome. Failed evaluations answer nothing: whether they would fail again cannot be known, so the next trial
    of that network is evaluated. What `evaluate` gives is taken to depend on the network, the values and the labels
    of values alone; where it is noisy and should be repeated, or has been changed since, give `reuse=False`.

    Args:
        space: what could be.
        evaluate: `evaluate(trial)` returns the objective's value, or a dict of metrics; it runs on a worker.
        objective: the metric to maximise, or direction by metric: `{"accuracy": "maximize", "parameters": "minimize"}`.
            `parameters` and `flops` follow from the architecture and need not be returned.
        searcher: the search algorithm, or its name: "auto" chooses one that fits.
        store: the SQLite file of the record.
        name: the study's name in it.
        seed: of everything that the search draws.
        storage: the folder of the trials' files; `STORE.files` beside the store where it is not given.
        reuse: False evaluates every trial. It is no part of the record, and may change from run to run.
        constraints: bounds by metric: `{"latency_ms": "<= 20", "parameters": [">= 1e5", "<= 2e6"]}`. What does not
            satisfy one on `parameters` or `flops` is not proposed; every other metric must be returned by `evaluate`,
            and searchers learn from it. `best` and `pareto` are of the trials that satisfy all.

    Raises:
        StudyError: an argument is something else.
    """

    def __init__(
        self,
        space: Space,
        evaluate: Callable[[Trial], Any] | None = None,
        objective: str | Mapping[str, str] = "accuracy",
        searcher: str | Searcher = "random",
        store: str | Path = "runs.db",
        name: str = "study",
        seed: int = 0,
        storage: str | Path | None = None,
        reuse: bool = True,
        constraints: Mapping[str, str | Sequence[str]] | None = None,
    ) -> None:
        if not isinstance(space, Space):
            raise StudyError(f"Study(space): expected a Space, but got {space!r}")
        if evaluate is not None and not callable(evaluate):
            raise StudyError(f"Study(evaluate): expected a function of a trial, but got {evaluate!r}")
        if not isinstance(name, str) or not name:
            raise StudyError(f"Study(name): expected a name, but got {name!r}")
        if type(seed) is not int or not -MAX_SEED - 1 <= seed <= MAX_SEED:
            raise StudyError(f"Study(seed): expected an integer of at most 64 bits, but got {seed!r}")
        if not isinstance(store, str | os.PathLike):
            raise StudyError(f"Study(store): expected the path of a file, but got {store!r}")
        if storage is not None and not isinstance(storage, str | os.PathLike):
            raise StudyError(f"Study(storage): expected a folder, but got {storage!r}")
        if storage is not None and "://" in str(storage):
            raise StudyError(f"Study(storage): expected a folder, but got the URL {str(storage)!r}")
        if type(reuse) is not bool:
            raise StudyError(f"Study(reuse): expected True or False, but got {reuse!r}")
        self.constraints = parsed(constraints)
        self.space = constrained(space, self.constraints)
        self.evaluate = evaluate
        self.objectives = directions(objective)
        self.searcher = searcher_of(searcher)
        self.store = Path(store)
        self.name = name
        self.seed = seed
        self.storage = storage
        self.reuse = reuse
        self._driver: Driver | None = None

    @property
    def definition(self) -> Definition:
        """What makes this study that study."""
        free = tuple([name for name in self.objectives if name in FREE_METRICS])
        return Definition(self.name, self.space, self.objectives, self.searcher, self.seed, free, self.constraints)

    def evaluator(self, evaluate: Callable[[Trial], Any]) -> Evaluator:
        return Evaluator(self.space, evaluate, self.objectives, tuple(limits(self.constraints)))

    def run(
        self,
        trials: int,
        workers: int = 1,
        gpus_per_worker: float = 0,
        timeout: float | str | None = None,
        executor: Literal["ray", "inline"] | None = None,
        address: str | None = None,
        progress: Callable[[Snapshot], None] | None = None,
        lockstep: bool = False,
    ) -> None:
        """Go on until the study has `trials` trials in all, or nothing is left to propose.

        Args:
            trials: how many it is to have, with those that it has and those that need no evaluation.
            workers: how many trials run at a time.
            gpus_per_worker: GPUs of each worker; 0.5 lets two share one.
            timeout: how long one trial may take: seconds, or "90s", "30m", "2h".
            executor: "inline" evaluates in this process; "ray" on Ray's workers. Ray is the default for several
                workers, for GPUs and for a cluster.
            address: of a running Ray cluster, "auto" for the one on this machine; otherwise Ray is started.
            progress: is called whenever something has changed, and every second or so.
            lockstep: trial n is proposed knowing the outcomes of the trials 0 to n-`workers`, whichever finish first.
                So a study with several workers is the same when it is run again, or stopped and gone on with, where
                `evaluate` is deterministic; the price is waiting for the slowest. It is part of the record: a study
                goes on in lockstep with the same number of workers, or is refused.

        Raises:
            StudyError: it cannot run, or cannot go on.
        """
        if type(trials) is not int or trials < 0:
            raise StudyError(f"trials: expected how many trials the study is to have, but got {trials!r}")
        if type(workers) is not int or workers < 1:
            raise StudyError(f"workers: expected how many trials run at a time, but got {workers!r}")
        if self.evaluate is None:
            raise StudyError("this study has no evaluate function: give Study(evaluate=...) one, or use ask and tell")
        if type(gpus_per_worker) not in (int, float) or not 0 <= gpus_per_worker < math.inf:
            raise StudyError(
                f"gpus_per_worker: expected a number of GPUs, such as 1 or 0.5, but got {gpus_per_worker!r}"
            )
        if type(lockstep) is not bool:
            raise StudyError(f"lockstep: expected True or False, but got {lockstep!r}")
        limit = seconds(timeout)
        several = workers > 1 or gpus_per_worker > 0 or address is not None
        chosen = executor or ("ray" if several else "inline")
        if chosen not in ("ray", "inline"):
            known = ("ray", "inline")
            raise StudyError(
                f"executor: expected 'ray' or 'inline', but got {chosen!r}{did_you_mean(str(chosen), known)}"
            )
        if chosen == "inline" and several:
            raise StudyError(
                "executor='inline' runs one trial at a time, in this process: workers= needs executor='ray'"
            )
        evaluator = self.evaluator(self.evaluate)
        was_open = self._driver is not None
        turns = workers if lockstep else None
        driver = self.driver(turns)
        if driver.lockstep != turns:
            raise StudyError(f"study {self.name!r} is open for ask and tell, which know no lockstep: close() it first")
        to_do = max(0, trials - driver.num_trials) + len(driver.orphans)
        try:
            if to_do:
                with Interrupts() as interrupts:
                    hands: Executor
                    if chosen == "inline":
                        hands = InlineExecutor(evaluator, limit, driver.deliver, interrupts)
                    else:
                        from archsearch.ray_executor import RayExecutor

                        count = min(workers, to_do)
                        hands = RayExecutor(
                            evaluator, count, gpus_per_worker, limit, address, driver.deliver, interrupts
                        )
                    try:
                        go_on(driver, trials, hands, progress)
                    finally:
                        hands.close()
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                driver.record.event("interrupted", f"{driver.num_finished} trials had finished")
            self.close()  # what was under way stays in the record as running, for whoever goes on
            raise
        if not was_open:
            self.close()

    def ask(self) -> Trial | None:
        """The next trial to evaluate, for those who do that in a loop of their own; None where nothing is left.

        One that an earlier process was given and did not tell of comes first. Trials that need no evaluation, as their
        network was evaluated before or is being evaluated, are recorded and passed over, so the numbers of what is
        given may have gaps; after 1,000 of them in a row nothing is taken to be left. Where the evaluation that a
        trial waited for is told to have failed, the trial is given next. The study is held until `close`.
        """
        driver = self.driver()

        def send(report: Report) -> None:
            driver.deliver([report])

        for _ in range(MAX_KNOWN):
            before = driver.num_trials
            jobs = driver.adopt(1) or driver.propose(1)
            if jobs:
                return self.evaluator(no_evaluation).trial(jobs[0], send)
            if driver.num_trials == before:
                return None
        driver.record.event("nothing new", f"{MAX_KNOWN} proposals in a row needed no evaluation")
        return None

    def enqueue(self, *architectures: Architecture | Mapping[str, Any]) -> int:
        """Have architectures tried first, before the searcher is asked, in this order.

        They wait in the record, so they are tried by whoever runs the study next, in this process or another, or by
        the process that runs it now. Their trials say so (`trial.note`), count like any other, and the searcher hears
        of their outcomes. One that a trial of the study has already tried, whatever came of it, or that waits
        already, is passed over, so that a program that enqueues and runs can be started again and goes on; with
        `reuse=False` it is tried again.

        Args:
            architectures: architectures, or their answers by path.

        Returns:
            how many were not passed over.

        Raises:
            AssignmentError: one is no architecture of the space, or does not satisfy the constraints; none is enqueued.
                Of several it says which, counted from 0.
            StudyError: the record has another study of this name.
        """
        archs = []
        for i, given in enumerate(architectures):
            try:
                archs.append(self.space.architecture(given.assignment if isinstance(given, Architecture) else given))
            except AssignmentError as error:
                which = f"architecture {i}: " if len(architectures) > 1 else ""
                raise AssignmentError(f"{which}{error}", error.path) from error
        if self._driver is not None:
            record = self._driver.record
            with record.store.transaction() as db:
                return enqueue(db, record.study, archs, again=not self.reuse)
        with Store(self.store) as store:
            study = self.definition.begin(store)
            with store.transaction() as db:
                return enqueue(db, study, archs, again=not self.reuse)

    def tell(self, trial: Trial, metrics: float | Mapping[str, Any] | Exception) -> None:
        """How a trial that was asked for ended.

        Args:
            trial: from `ask`.
            metrics: what `evaluate` would return; an exception where it failed.

        Raises:
            StudyError: the trial is not running, or an objective is missing.
        """
        if not isinstance(trial, Trial):
            raise StudyError(f"tell(trial): expected a trial that ask gave, but got {trial!r}")
        driver = self.driver()
        if trial.number not in driver.running:
            raise StudyError(f"trial {trial.number} of study {self.name!r} is not running; was it told before?")
        if not isinstance(metrics, Exception):
            measured(metrics, trial.arch, self.objectives, limits(self.constraints))

        def give(trial: Trial) -> Any:
            if isinstance(metrics, Exception):
                raise metrics
            return metrics

        outcome = self.evaluator(give).run(driver.job(trial.number), lambda report: None)
        driver.finish([replace(outcome, seconds=time.monotonic() - driver.running[trial.number].started)])

    def driver(self, lockstep: int | None = None) -> Driver:
        """The driver, which holds the study until `close`.

        Args:
            lockstep: where it is not there yet, the number of workers of a study in lockstep; otherwise None.
        """
        if self._driver is None:
            store = Store(self.store)
            try:
                record = self.definition.open(store, lockstep)
            except BaseException:
                store.close()
                raise
            try:
                self._driver = Driver(self.definition, record, self.folder(store), self.reuse, lockstep)
            except BaseException:
                record.close()
                raise
            self._finalizer = weakref.finalize(self, self._driver.close)
        return self._driver

    def folder(self, store: Store) -> Path:
        """Where the trials' files go."""
        root = store.path.with_name(store.path.name + ".files") if self.storage is None else Path(self.storage)
        return root.absolute() / quote(self.name, safe=" ")

    def close(self) -> None:
        """Let go of the record. Another driver may go on with the study."""
        if self._driver is not None:
            self._driver = None
            self._finalizer()

    @contextmanager
    def record(self) -> Iterator[Record | None]:
        """The study's rows for reading; None where it has none."""
        if self._driver is not None:
            yield self._driver.record
        elif not self.store.exists():
            yield None
        else:
            with Store(self.store) as store:
                study = self.definition.find(store)
                yield None if study is None else Record(store, study, self.space)

    @property
    def reason(self) -> str:
        """What the searcher "auto" chose, and why; empty before the first trial, and where nothing is chosen."""
        with self.record() as record:
            return "" if record is None else record.reason()

    @property
    def trials(self) -> list[TrialRecord]:
        """Every trial, in the order of the numbers."""
        with self.record() as record:
            return [] if record is None else record.trials()

    @property
    def best(self) -> TrialRecord:
        """The trial with the best objective among those that satisfy the constraints; of equals the first.

        Raises:
            StudyError: there are several objectives, no trial is done, or none of those satisfies the constraints;
                the message then says which comes nearest.
        """
        if len(self.objectives) > 1:
            names = ", ".join(self.objectives)
            raise StudyError(f"study {self.name!r} has several objectives ({names}), so use study.pareto")
        (objective,) = self.objectives
        with self.record() as record:
            best = None if record is None else record.best(objective)
        if best is None:
            trials = self.trials
            near = nearest(self.constraints, trials)
            if near:
                raise StudyError(f"study {self.name!r} in {self.store}: {near}")
            failed = [trial for trial in trials if trial.state == "failed"]
            why = f": {len(failed)} of {len(trials)} failed, the last with {failed[-1].message}" if failed else ""
            raise StudyError(f"no trial of study {self.name!r} in {self.store} is done{why}")
        return best

    @property
    def pareto(self) -> list[TrialRecord]:
        """The trials that no other beats, as good in every objective and better in one, of those in the constraints."""
        done = [t for t in self.trials if t.state == "done" and violation(self.constraints, t.metrics) == 0]
        losses = [loss(trial, self.objectives) for trial in done]
        return [trial for trial, kept in zip(done, undominated(losses), strict=True) if kept]

    def frame(self) -> pandas.DataFrame:
        """The trials as a table: number, state, kind, seconds, reused_from, note, metrics, answers. Needs pandas."""
        try:
            import pandas
        except ImportError as error:
            raise StudyError("study.frame() needs pandas: pip install pandas") from error
        return pandas.DataFrame(
            [
                {
                    "number": t.number,
                    "state": t.state,
                    "kind": t.kind,
                    "seconds": t.seconds,
                    "reused_from": t.reused_from,
                    "note": dict(t.note),
                    **t.metrics,
                    **t.assignment,
                }
                for t in self.trials
            ]
        )

    def verify(self) -> int:
        """Compute every proposal of the record anew, from what the search had heard when it made it.

        And compare every trial that was not evaluated with the one whose metrics it has.

        Returns:
            how many there are.

        Raises:
            StudyError: one differs.
        """
        with self.record() as record:
            return 0 if record is None else verify(self.definition, record)


def seconds(timeout: float | str | None) -> float | None:
    if timeout is None:
        return None
    from archsearch.config import seconds as parse  # pydantic is loaded only where a duration is given

    return parse(timeout)


def no_evaluation(trial: Trial) -> None:
    raise AssertionError("a trial that was asked for is evaluated by whoever asked")
