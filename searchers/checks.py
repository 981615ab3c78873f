"""Checks of a searcher's options, where it is made: the same words for what was given and what is expected."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from archsearch.errors import UsageError, did_you_mean


def wrong(searcher: object, option: str, expected: str) -> UsageError:
    """The error about an option: what is expected, and what it is."""
    got = getattr(searcher, option)
    return UsageError(f"{type(searcher).__name__}({option}=...): expected {expected}, but got {got!r}")


def check_whole(searcher: object, option: str, least: int) -> None:
    """An integer of at least so many.

    Raises:
        UsageError: it is something else; True and 1.0 are.
    """
    value: Any = getattr(searcher, option)
    if type(value) is not int or value < least:
        raise wrong(searcher, option, f"an integer of at least {least}")


def check_number(searcher: object, option: str, most: float = math.inf) -> None:
    """A finite number from 0 to `most`.

    Raises:
        UsageError: it is something else; True is.
    """
    value: Any = getattr(searcher, option)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most or value == math.inf:
        expected = "a finite number of at least 0" if most == math.inf else f"a number from 0 to {most:g}"
        raise wrong(searcher, option, expected)


def check_flag(searcher: object, option: str) -> None:
    """True or False.

    Raises:
        UsageError: it is something else; 1 is.
    """
    if not isinstance(getattr(searcher, option), bool):
        raise wrong(searcher, option, "True or False")


def check_word(searcher: object, option: str, words: Sequence[str]) -> None:
    """One of some words.

    Raises:
        UsageError: it is none of them; says the nearest.
    """
    value: Any = getattr(searcher, option)
    if not isinstance(value, str) or value not in words:
        *most, last = map(repr, words)
        hint = did_you_mean(value, words) if isinstance(value, str) else ""
        raise UsageError(f"{wrong(searcher, option, ', '.join(most) + ' or ' + last)}{hint}")


def check_names(searcher: object, option: str) -> None:
    """A list; one string is none, and neither is a set, which has no order.

    Raises:
        UsageError: it is something else.
    """
    value: Any = getattr(searcher, option)
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise wrong(searcher, option, "a list of names")
