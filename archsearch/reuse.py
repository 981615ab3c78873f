"""Which trials are one evaluation: those of one network, with one budget and from the weights of one parent."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from archsearch.job import Metrics
from archsearch.spaces.architecture import Architecture
from archsearch.spaces.facts import children
from archsearch.spaces.node import is_scalar
from archsearch.spaces.nodes import Choice, Derived, Integer, Real
from archsearch.spaces.space import Space
from archsearch.spaces.values import is_module


def network_of(space: Space, assignment: Mapping[str, Any]) -> str | None:
    """The canonical id of the network that an assignment means; None where that cannot be told."""
    try:
        return Architecture(space, dict(assignment)).canonical_id
    except Exception:  # a function of the space raises: what it says belongs to the trial, if its evaluation meets it
        return None


def value_labels(root: Any) -> frozenset[str]:
    """The labels of a space's choices between values that do not say themselves which they are.

    In `Choice({"adam": None, "lion": None})` both values are None and no canonical id tells them apart, but an
    evaluation does, by its answer: the label is what is meant. Modules are what they are, whatever their label.
    """
    labels: set[str] = set()
    seen: dict[int, Any] = {}
    left = [root]
    while left:
        node = left.pop()
        if id(node) in seen:
            continue
        seen[id(node)] = node
        if isinstance(node, Choice) and node.branches and not is_module(node):
            labels.update([] if all([is_scalar_value(branch) for branch in node.branches.values()]) else node.branches)
        left.extend(children(node))
    return frozenset(labels)


def is_scalar_value(branch: object) -> bool:
    if isinstance(branch, Choice):
        return not branch.branches
    return isinstance(branch, Integer | Real | Derived) or (branch is not None and is_scalar(branch))


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
    meant = sorted([(p, a) for p, a in assignment.items() if type(a) is str and a in labels]) if labels else []
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
