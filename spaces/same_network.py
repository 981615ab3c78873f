"""Whether two architectures are one network, as far as an evaluation could tell."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from archsearch.spaces.architecture import Architecture
from archsearch.spaces.facts import children
from archsearch.spaces.node import is_scalar
from archsearch.spaces.nodes import Choice, Derived, Integer, Real
from archsearch.spaces.values import is_module

if TYPE_CHECKING:
    from archsearch.spaces.space import Space


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


def labels_meant(assignment: Mapping[str, Any], labels: frozenset[str]) -> list[tuple[str, str]]:
    """The answers that count beside the network, by path; `labels` are those of `value_labels`."""
    return sorted([(p, a) for p, a in assignment.items() if type(a) is str and a in labels]) if labels else []


def network_id(arch: Architecture, labels: frozenset[str]) -> str:
    """Equal for architectures of which one evaluation tells all; an architecture's own id where nothing can be told."""
    network = network_of(arch.space, arch.answers)
    if network is None:
        return arch.id
    meant = labels_meant(arch.answers, labels)
    return hashlib.blake2b(repr((network, meant)).encode(), digest_size=10).hexdigest() if meant else network
