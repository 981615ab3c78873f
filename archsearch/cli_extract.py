"""`archsearch extract`: cut a sub-network out of a super-network's folder, by a budget, a granularity or a trial."""

from __future__ import annotations

import argparse
import re
import sys
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archsearch.cli_show import find
from archsearch.errors import ArchsearchError, Infeasible, UsageError
from archsearch.reports import StudyReport
from archsearch.store import Store
from archsearch.trial import TrialRecord

if TYPE_CHECKING:
    from archsearch.elastic.saved import Saved
    from archsearch.elastic.space import SubNetworks
    from archsearch.spaces.space import Architecture

MAGNITUDES = {"": 1, "k": 10**3, "m": 10**6, "b": 10**9, "g": 10**9, "t": 10**12}


def extract(arguments: argparse.Namespace) -> int:
    """Write the sub-network that the flags name, and say what it is."""
    budgets = {"parameters": arguments.max_parameters, "flops": arguments.max_flops}
    given = {cost: amount(text, cost) for cost, text in budgets.items() if text is not None}
    if len(given) > 1:
        raise UsageError("give --max-parameters or --max-flops, not both")
    source = Path(arguments.source)
    if source.is_file() and is_record(source):
        sub, folder = of_study(arguments, given)
    else:
        sub, folder = of_folder(arguments, given), source
    from archsearch.elastic.export import extract as cut_out

    found = cut_out(folder, arguments.out, sub, format=arguments.format, dtype=arguments.dtype, verify=arguments.verify)
    of = "" if found.granularity is None else f" (granularity {found.granularity})"
    print(f"{found.folder}: {found.parameters:,} parameters{of}")
    if found.flops is not None:
        print(f"  {found.flops:,} FLOPs for one example")
    if found.load is not None:
        print(f"  load it with {found.load}")
    if found.difference is not None:
        same = "equal bit for bit" if found.difference == 0 else f"within {found.difference:g}"
        print(f"  verified: outputs {same}")
    return 0


def is_record(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(16) == b"SQLite format 3\0"


def amount(text: str, cost: str) -> float:
    """A number such as 5M, 800k, 2e6 or 1_500_000.

    Raises:
        UsageError: it is something else.
    """
    match = re.fullmatch(r"([\d_]*\.?\d+(?:e\+?\d+)?)\s*([kmbgt]?)", text.strip().lower())
    if not match or not float(match[1]) > 0:
        raise UsageError(f"--max-{cost}: expected a number such as 5M, 800k or 2e6, but got {text!r}")
    return float(match[1]) * MAGNITUDES[match[2]]


def of_folder(arguments: argparse.Namespace, budget: dict[str, float]) -> Any:
    """The sub-network of a super-network's folder that the flags name.

    Raises:
        UsageError: none or several are named.
    """
    for flag in ("trial", "name", "supernet"):
        if getattr(arguments, flag) is not None:
            raise UsageError(f"--{flag} is of a study's record, but {arguments.source} is none")
    if bool(budget) + (arguments.granularity is not None) != 1:
        raise UsageError("say which sub-network: --max-parameters 5M, --max-flops 1G or --granularity 1/2")
    from archsearch.elastic.saved import opened

    saved = opened(arguments.source)
    if arguments.granularity is not None:
        return granularity(arguments.granularity)
    ((cost, most),) = budget.items()
    return within(saved, cost, most)


def within(saved: Saved, cost: str, most: float) -> Architecture:
    """The best measured sub-network within a budget where the folder has a table of them, otherwise the largest."""
    from archsearch.elastic.largest import largest
    from archsearch.elastic.saving import TABLE
    from archsearch.elastic.table import Table

    space = saved.space()
    if (saved.folder / TABLE).exists():
        return Table.load(saved.folder / TABLE, space).select(most, cost=cost)
    return largest(space, most, "flops" if cost == "flops" else "parameters")


def granularity(text: str) -> Fraction | int:
    """A share such as 1/2 or 0.5, or a number of units.

    Raises:
        UsageError: it is something else.
    """
    try:
        value = Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise UsageError(f"--granularity: expected a share such as 1/2, but got {text!r}") from None
    return value if value <= 1 or value.denominator > 1 else int(value)


def of_study(arguments: argparse.Namespace, budget: dict[str, float]) -> tuple[Architecture, Path]:
    """The sub-network of a trial, and the folder of its super-network.

    Raises:
        UsageError: the study or the trial is not there, or the study is not on sub-networks of a saved super-network.
    """
    if arguments.granularity is not None:
        raise UsageError("--granularity is of a super-network's folder; of a study give --trial, or nothing: its best")
    with Store(arguments.source) as store:
        study = find(store, arguments.name)
        (row,) = [row for row in store.studies() if row["name"] == study.name]
    space, folder = space_of(study.name, row["space"], arguments)
    if arguments.trial is not None:
        if budget:
            raise UsageError("give --trial or a budget, not both")
        for trial in study.trials:
            if trial.number == arguments.trial:
                return architecture(space, trial, folder), folder
        raise UsageError(f"study {study.name!r} has no trial {arguments.trial}; it has {len(study.trials)}, from 0")
    return best(study, space, budget, folder), folder


def space_of(study: str, description: dict[str, Any], arguments: argparse.Namespace) -> tuple[SubNetworks, Path]:
    """The space of a study from its description and the folder of its super-network."""
    supernet = description.get("supernet")
    if supernet is None:
        raise UsageError(f"study {study!r} is not on the sub-networks of a super-network: there is nothing to cut")
    known = description.get("saved", {}).get("folder")
    if arguments.supernet is None and known is None:
        raise UsageError(
            f"the super-network of study {study!r} was not saved when it ran: save it with net.save(...), and give "
            "--supernet DIR"
        )
    folder = Path(arguments.supernet or known)
    if not folder.exists():
        raise UsageError(f"the super-network of study {study!r} is not in {folder}; if it moved, give --supernet DIR")
    from archsearch.elastic.saved import opened
    from archsearch.elastic.space import Decision

    saved = opened(folder)
    if saved.manifest.digest != supernet["digest"]:
        raise UsageError(f"{folder} holds another super-network than the one of study {study!r}; give --supernet DIR")
    if known is not None and saved.manifest.weights != description["saved"]["weights"]:
        print(
            f"archsearch: {folder} has other weights than when study {study!r} ran: its metrics are of those",
            file=sys.stderr,
        )
    return saved.space([Decision.from_json(item) for item in supernet["decisions"]], supernet["steps"]), folder


def architecture(space: SubNetworks, trial: TrialRecord, folder: Path) -> Architecture:
    """The architecture of a trial."""
    try:
        return space.architecture(trial.assignment)
    except ArchsearchError as error:
        raise UsageError(f"trial {trial.number} is no sub-network of {folder}: {error}") from error


def best(study: StudyReport, space: SubNetworks, budget: dict[str, float], folder: Path) -> Architecture:
    """The best sub-network that a study found, within a budget where one is given.

    Raises:
        UsageError: nothing is finished, nothing fits, or several are best.
    """
    trials = study.trials
    for cost, most in budget.items():
        done = [trial for trial in trials if trial.state == "done"]
        costs = {trial.number: getattr(architecture(space, trial, folder), cost) for trial in done}
        trials = [trial for trial in done if costs[trial.number] <= most]
        if done and not trials:
            raise Infeasible(
                f"no finished trial of study {study.name!r} fits a budget of {most:g}: the smallest costs "
                f"{min(costs.values()):g} ({cost})"
            )
    found = StudyReport(**{**vars(study), "trials": trials}).best
    if not found:
        raise UsageError(f"study {study.name!r} has no finished trial yet; see `archsearch show {study.name}`")
    if len(found) > 1:
        numbers = ", ".join(str(trial.number) for trial in found)
        raise UsageError(f"study {study.name!r} has several objectives; say which of its front: --trial {numbers}")
    return architecture(space, found[0], folder)
