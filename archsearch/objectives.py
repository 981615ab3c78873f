"""What a study is for: the objectives, the metrics that `evaluate` gives, and which trials are better."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar, cast

from archsearch.errors import StudyError, did_you_mean
from archsearch.searchers.contract import Direction

FREE_METRICS = ("parameters", "flops")
"""Metrics that an architecture has without being evaluated: attributes of `Architecture`."""

Objectives = dict[str, Direction]
T = TypeVar("T")


class NotFinite(Exception):
    """An objective's value is nan or infinite.

    Attributes:
        metrics: what `evaluate` gave.
    """

    def __init__(self, message: str, metrics: dict[str, Any]) -> None:
        super().__init__(message)
        self.metrics = metrics


def parse_objectives(objective: str | Mapping[str, str]) -> Objectives:
    """Objectives from `"accuracy"` (maximised) or `{"accuracy": "maximize", "parameters": "minimize"}`.

    Raises:
        StudyError: there is none, or a direction is neither "maximize" nor "minimize".
    """
    if isinstance(objective, str):
        objective = {objective: "maximize"}
    if not isinstance(objective, Mapping) or not objective:
        raise StudyError(
            f'objective must be a metric\'s name or a dict such as {{"loss": "minimize"}}, but got {objective!r}'
        )
    for name, direction in objective.items():
        if not isinstance(name, str) or not name or '"' in name:
            raise StudyError(f"objective: a metric's name is a string without quotes, but got {name!r}")
        if direction not in ("maximize", "minimize"):
            hint = did_you_mean(str(direction), ["maximize", "minimize"])
            raise StudyError(f'objective {name!r} must be "maximize" or "minimize", but got {direction!r}{hint}')
    return cast(Objectives, dict(objective))


def plain(value: Any) -> Any:
    """A metric as JSON holds it: scalars of numpy and torch become Python's; nan and infinities become None.

    Raises:
        TypeError: it is nothing that JSON can hold.
    """
    if type(value) is float:
        return value if math.isfinite(value) else None
    if value is None or type(value) in (int, bool, str):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if callable(getattr(value, "item", None)) and getattr(value, "ndim", 0) == 0:
        return plain(value.item())
    if isinstance(value, int | float | str):
        kind = next(kind for kind in (int, float, str) if isinstance(value, kind))
        return plain(kind(value))
    raise TypeError(f"expected a number, or what JSON can hold, but got a {type(value).__name__}")


def plain_metrics(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Metrics as JSON holds them.

    Raises:
        TypeError: one of them is nothing that JSON can hold; the message names it.
    """
    result = {}
    for name, value in metrics.items():
        try:
            result[str(name)] = plain(value)
        except TypeError as error:
            raise TypeError(f"metric {name!r}: {error}") from None
    return result


def read_metrics(returned: Any, objectives: Mapping[str, Direction], latest: Mapping[str, Any]) -> dict[str, Any]:
    """The metrics that `evaluate` means by what it returned, free ones left out.

    Args:
        returned: a number (the one objective's value), a dict of metrics, or None: then the latest report counts.
        objectives: of the study.
        latest: the metrics of the latest report.

    Raises:
        TypeError: it is something else.
    """
    if returned is None:
        return dict(latest)
    if isinstance(returned, Mapping):
        return dict(returned)
    measured = [name for name in objectives if name not in FREE_METRICS] or list(objectives)
    number = returned.item() if callable(getattr(returned, "item", None)) else returned
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise TypeError(f"evaluate must return a number or a dict of metrics, but returned {returned!r:.100}")
    if len(measured) > 1:
        raise TypeError(
            f"evaluate returned the number {returned!r}, but there are {len(measured)} objectives to measure: "
            f"return a dict with {', '.join(map(repr, measured))}"
        )
    return {measured[0]: number}


def check_metrics(metrics: dict[str, Any], objectives: Mapping[str, Direction]) -> dict[str, Any]:
    """Metrics as the record keeps them, every objective a finite number.

    Raises:
        TypeError: an objective is missing or no number.
        NotFinite: an objective is nan or infinite.
    """
    kept = plain_metrics(metrics)
    for name in objectives:
        if name not in kept:
            given = f"only {', '.join(map(repr, kept))}" if kept else "no metrics"
            raise TypeError(f"evaluate gave no {name!r}, which is an objective: {given}{did_you_mean(name, kept)}")
        value = kept[name]
        if value is None and metrics[name] is not None:
            raise NotFinite(f"the objective {name!r} is {float(metrics[name])}", kept)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise TypeError(f"the objective {name!r} must be a number, but is {value!r}")
    return kept


def signed(values: Mapping[str, Any], objectives: Mapping[str, Direction]) -> tuple[float, ...]:
    """The objectives' values in their order, turned so that larger is better."""
    return tuple([values[name] if direction == "maximize" else -values[name] for name, direction in objectives.items()])


def dominates(a: Sequence[float], b: Sequence[float]) -> bool:
    """Whether `a` is as good as `b` in everything and better in something; larger is better.

    >>> dominates((1, 2), (1, 1)), dominates((1, 1), (1, 1)), dominates((2, 0), (1, 1))
    (True, False, False)
    """
    return all([x >= y for x, y in zip(a, b, strict=True)]) and tuple(a) != tuple(b)


def nondominated(items: Iterable[tuple[tuple[float, ...], T]]) -> list[T]:
    """The items whose point no other item's point dominates, best first in the first objective; larger is better.

    A sweep in lexicographic order: whatever dominates a point comes before it.
    """
    front: list[tuple[tuple[float, ...], T]] = []
    for point, item in sorted(items, key=lambda pair: pair[0], reverse=True):
        if not any([dominates(other, point) for other, _ in front]):
            front.append((point, item))
    return [item for _, item in front]
