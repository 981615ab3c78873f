"""What a user believes of a decision before any trial: weights of its options, as probabilities."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from archsearch.errors import SpaceError, did_you_mean
from archsearch.spaces.decisions import is_answer, typed


def probabilities(prior: Any, options: Sequence[Any], what: str) -> tuple[float, ...]:
    """The probability of each option.

    Args:
        prior: a positive weight for each option, in their order; or a dict of weights by option (or label), where
            those not named weigh 1.
        options: the answers.
        what: the class, for errors.

    Raises:
        SpaceError: the prior does not fit the options.
    """
    listed = shown(options)
    if isinstance(prior, Mapping):
        known = {typed(option) for option in options}
        for option in prior:
            if not is_answer(option) or typed(option) not in known:
                same = [o for o in options if str(o) == str(option)]  # of another type
                words = [o for o in options if isinstance(o, str)]
                near = f"; did you mean {same[0]!r}?" if same else did_you_mean(str(option), words)
                raise SpaceError(f"{what}(prior=...) has a weight for {option!r}, but the options are {listed}{near}")
        by_option = {typed(option): weight for option, weight in prior.items()}
        weights = [by_option.get(typed(option), 1) for option in options]
    elif isinstance(prior, Sequence) and not isinstance(prior, str):
        weights = list(prior)
        if len(weights) != len(options):
            raise SpaceError(
                f"{what}(prior=...) takes a weight for each of its {len(options)} options {listed}, but got "
                f"{len(weights)}: {prior!r}; a dict may name some of them"
            )
    else:
        raise SpaceError(
            f"{what}(prior=...) is a list of weights in the order of the options {listed}, or a dict of weights by "
            f"option, but got {prior!r}"
        )
    for option, weight in zip(options, weights, strict=True):
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight < math.inf:
            raise SpaceError(
                f"{what}(prior=...): the weight of {option!r} must be a positive, finite number, but got {weight!r}"
                + ("; leave the option out if it is never wanted" if weight == 0 else "")
            )
    return normalised(weights, options, what)


def normalised(weights: Sequence[float], options: Sequence[Any], what: str) -> tuple[float, ...]:
    largest = max(weights)
    scaled = [weight / largest for weight in weights]
    total = math.fsum(scaled)
    for option, share in zip(options, scaled, strict=True):
        if not share / total > 0:
            raise SpaceError(
                f"{what}(prior=...): the weight of {option!r} is too small beside {largest!r} to be ever drawn"
            )
    return tuple([share / total for share in scaled])


def probability(prior: Any, what: str) -> tuple[float, float]:
    """The probabilities of False and True, of a prior that is the probability of True.

    Raises:
        SpaceError: it is not strictly between 0 and 1.
    """
    if isinstance(prior, bool) or not isinstance(prior, int | float) or not 0 < prior < 1:
        raise SpaceError(
            f"{what}(prior=...) is the probability of {'True' if what == 'Boolean' else 'being present'}, more than 0 "
            f"and less than 1, but got {prior!r}"
        )
    return (1 - prior, float(prior))


def shown(options: Sequence[Any]) -> str:
    few = [repr(option) for option in options[:12]]
    return "[" + ", ".join(few) + (", ..." if len(options) > 12 else "") + "]"


def rounded(prior: Sequence[float]) -> list[float]:
    """Probabilities as they are shown and recorded: what weights they came from does not count."""
    return [float(f"{p:.12g}") for p in prior]


def agree(a: Sequence[float], b: Sequence[float]) -> bool:
    """Whether two priors over the same options are one."""
    return rounded(a) == rounded(b)
