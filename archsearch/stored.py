"""What the columns of a trial hold, checked: anybody with an SQLite tool can have put something else there."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from archsearch.errors import StoreError
from archsearch.job import Metrics


def as_mapping(text: str) -> dict[str, Any]:
    given = json.loads(text)
    if not isinstance(given, dict):
        raise ValueError("a JSON object was expected")
    return given


def as_metrics(text: str) -> dict[str, float | None]:
    given = as_mapping(text)
    for name, value in given.items():
        if value is not None and not isinstance(value, int | float):
            raise ValueError(f"{name} is no number")
    return given


def as_numbers(text: str) -> tuple[int, ...]:
    given = json.loads(text)
    if not isinstance(given, list) or not all([type(number) is int for number in given]):
        raise ValueError("a JSON list of whole numbers was expected")
    return tuple(given)


def objective_values(number: int, metrics: Metrics, objectives: Iterable[str]) -> dict[str, float]:
    """The objectives of a trial that is done.

    Raises:
        StoreError: one is not there, so the record is not as archsearch wrote it.
    """
    values: dict[str, float] = {}
    for name in objectives:
        value = metrics.get(name)
        if value is None:
            raise StoreError(
                f"trial {number} is recorded as done, but has no number for the objective {name!r}, which archsearch "
                "would not write"
            )
        values[name] = value
    return values
