"""Constraints of a study: bounds on metrics, as they are given, as they are stored, and what is outside of them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from archsearch.errors import BuildError, ShapeError, StudyError
from archsearch.evaluation import FREE_METRICS
from archsearch.searchers.contract import Limit
from archsearch.spaces.space import Architecture, Space
from archsearch.trial import TrialRecord

Bounds: TypeAlias = Mapping[str, Mapping[str, float]]
"""The bound of each comparison by metric, as the record holds them: {"latency_ms": {"<=": 20.0}}."""

Given: TypeAlias = Mapping[str, str | Sequence[str]]

EXPECTED = 'expected "<= NUMBER" or ">= NUMBER"'


def parsed(given: Given | None) -> dict[str, dict[str, float]]:
    """Bounds from what a user writes, ordered by metric.

    >>> parsed({"parameters": "<= 2e6", "latency_ms": [">= 1", "<= 20"]})
    {'latency_ms': {'<=': 20.0, '>=': 1.0}, 'parameters': {'<=': 2000000.0}}

    Raises:
        StudyError: a constraint is something else, or allows nothing.
    """
    if given is not None and not isinstance(given, Mapping):
        raise StudyError(f'constraints: expected {{metric: "<= NUMBER"}}, but got {given!r}')
    found: dict[str, dict[str, float]] = {}
    for metric, texts in sorted((given or {}).items(), key=lambda item: str(item[0])):
        if not isinstance(metric, str) or not metric:
            raise StudyError(f"constraints: expected the name of a metric, but got {metric!r}")
        bounds: dict[str, float] = {}
        for text in [texts] if isinstance(texts, str) or not isinstance(texts, Sequence) else texts:
            comparison, value = bound(metric, text)
            if comparison in bounds:
                raise StudyError(f"constraint on {metric!r}: {comparison} is given twice")
            bounds[comparison] = value
        if not bounds:
            raise StudyError(f"constraint on {metric!r}: {EXPECTED}, but got {texts!r}")
        if bounds.get(">=", -math.inf) > bounds.get("<=", math.inf):
            raise StudyError(f"constraint on {metric!r}: no number satisfies {words({metric: bounds})}")
        found[metric] = {comparison: bounds[comparison] for comparison in ("<=", ">=") if comparison in bounds}
    return found


def bound(metric: str, text: Any) -> tuple[str, float]:
    """A comparison and its number."""
    match = re.fullmatch(r"\s*(<=|>=)\s*(\S+)\s*", text) if isinstance(text, str) else None
    try:
        value = float(match[2]) if match else math.nan
    except ValueError:
        value = math.nan
    if match is None or not math.isfinite(value):
        raise StudyError(f"constraint on {metric!r}: {EXPECTED}, but got {text!r}{hint(text)}")
    return match[1], value


def hint(text: Any) -> str:
    """The comparison that is meant where another one is given."""
    other = re.match(r"\s*([<>=!≤≥]+)", text) if isinstance(text, str) else None
    meant = {"<": "<=", "=<": "<=", "≤": "<=", ">": ">=", "=>": ">=", "≥": ">="}
    return f"; did you mean {meant[other[1]]!r}?" if other and other[1] in meant else ""


def by_metric(texts: Iterable[str]) -> dict[str, list[str]]:
    """Constraints that are each written in one text: "latency_ms <= 20".

    Raises:
        StudyError: one has no metric or no comparison.
    """
    found: dict[str, list[str]] = {}
    for text in texts:
        match = re.fullmatch(r"\s*([^<>=!≤≥\s][^<>=!≤≥]*?)\s*([<>=!≤≥].*)", text)
        if match is None:
            raise StudyError(f'expected a constraint such as "latency_ms <= 20", but got {text!r}')
        found.setdefault(match[1], []).append(match[2])
    return found


def written(bounds: Bounds) -> dict[str, list[str]]:
    """Bounds as a user writes them."""
    return {
        metric: [f"{comparison} {number(value)}" for comparison, value in some.items()]
        for metric, some in bounds.items()
    }


def words(bounds: Bounds) -> str:
    """All constraints in a line; nothing where there are none.

    >>> words({"latency_ms": {"<=": 20.0, ">=": 0.5}})
    'latency_ms <= 20, latency_ms >= 0.5'
    """
    return ", ".join([f"{metric} {text}" for metric, texts in written(bounds).items() for text in texts])


def number(value: float) -> str:
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


def limit(bounds: Mapping[str, float]) -> Limit:
    return Limit(bounds.get(">=", -math.inf), bounds.get("<=", math.inf))


def limits(bounds: Bounds) -> dict[str, Limit]:
    """What an evaluation must measure: the metrics that do not follow from the architecture."""
    return {metric: limit(some) for metric, some in bounds.items() if metric not in FREE_METRICS}


def violation(bounds: Bounds, metrics: Mapping[str, float | None]) -> float:
    """By how much measured metrics are outside the bounds, summed; 0 inside."""
    return math.fsum([some.violation(metrics.get(metric)) for metric, some in limits(bounds).items()])


def nearest(bounds: Bounds, trials: Iterable[TrialRecord]) -> str:
    """That no trial is within the bounds, and which of those that are done comes nearest; nothing where one is."""
    done = [trial for trial in trials if trial.state == "done"]
    order = sorted(done, key=lambda trial: (violation(bounds, trial.metrics), trial.number))
    if not order or violation(bounds, order[0].metrics) == 0:
        return ""
    values = ", ".join([f"{metric}={order[0].metrics.get(metric)}" for metric in limits(bounds)])
    measured = words({metric: bounds[metric] for metric in limits(bounds)})
    return f"no trial satisfies {measured}; trial {order[0].number} comes nearest, with {values}"


@dataclass(frozen=True, repr=False)
class Free:
    """A constraint on what follows from an architecture, as a filter of a space (`Space(where=...)`).

    What has a module that cannot take what reaches it is no network, so it has no size that could satisfy one.
    """

    metric: str
    limit: Limit

    def __call__(self, arch: Architecture) -> bool:
        try:
            value = getattr(arch, self.metric)
        except ShapeError:
            return False
        except BuildError as error:
            raise BuildError(f"the constraint {self!r} cannot be checked: {error}") from error
        return self.limit.violation(value) == 0

    def __repr__(self) -> str:
        bounds = {"<=": self.limit.maximum, ">=": self.limit.minimum}
        return words({self.metric: {how: value for how, value in bounds.items() if math.isfinite(value)}})


def constrained(space: Space, bounds: Bounds) -> Space:
    """The space with the constraints on free metrics among its filters, in place of those that it had from a study."""
    free = [Free(metric, limit(some)) for metric, some in bounds.items() if metric in FREE_METRICS]
    where = (*[allows for allows in space.where if not isinstance(allows, Free)], *free)
    if where == space.where:
        return space
    made = object.__new__(type(space))
    made.__setstate__({**space.__getstate__(), "where": where})
    return made
