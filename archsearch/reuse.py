"""Which trials are one evaluation: those of one network, with one budget and from the weights of one parent."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from archsearch.job import Metrics
from archsearch.spaces.same_network import labels_meant
from archsearch.spaces.space import Space


def evaluation_id(
    canonical_id: str, parent: int | None, budget: float | None, assignment: Mapping[str, Any], labels: frozenset[str]
) -> bytes:
    """What is evaluated, in 80 bits: trials with equal ones have one outcome.

    Args:
        canonical_id: of the network.
        parent: the trial whose weights it continues from.
        budget: how much training it gets.
        assignment: the answers by path.
        labels: those answers that count beside the network; see `value_labels`.
    """
    meant = labels_meant(assignment, labels)
    units = None if budget is None else float(budget)  # as it comes from the record
    return hashlib.blake2b(repr((canonical_id, parent, units, meant)).encode(), digest_size=10).digest()


def carried_over(
    space: Space, metrics: Metrics, source: Mapping[str, Any], assignment: Mapping[str, Any], free: Iterable[str]
) -> Metrics | None:
    """The metrics of an evaluation for another trial of the same network.

    A free metric is that of the trial's own architecture, since what no output needs is not in the network and
    yet counts among the parameters of what is built; one that `evaluate` gave a value of its own is kept.

    Args:
        space: of both.
        metrics: what was measured.
        source: the assignment that was evaluated.
        assignment: that of the other trial.
        free: the objectives that follow from an architecture.

    Returns:
        None where `assignment` is no architecture of the space, or has no such metric, for which its evaluation will
        say why; and where it is another network after all.
    """
    try:
        arch, evaluated = space.architecture(assignment), space.architecture(source)
        # An id may stand on where an object lies, for want of a better name: now that both are there, it is certain.
        if arch.canonical_id != evaluated.canonical_id:
            return None
        own = {name: getattr(arch, name) for name in free if metrics[name] == getattr(evaluated, name)}
    except Exception:  # as the evaluation of this trial will raise it, where the record has a place for it
        return None
    return {**metrics, **own}
