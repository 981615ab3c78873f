"""The ways in which a surrogate looks at the architectures of a space, as points."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from archsearch.searchers.embedding import Embedding
from archsearch.searchers.graph_labels import DEPTH, Label, graph_parts
from archsearch.searchers.kernel import Array, View
from archsearch.spaces.architecture import Architecture
from archsearch.spaces.space import Space

# With more decisions than this, copies of one decision share a weight: how each goes with all others could not be told
# apart. What each adds by itself can be, so then there is a view of effects.
MAX_WEIGHTS = 128

# So many architectures have the counts of their labels remembered.
MAX_COUNTED = 4_096

Feature = Callable[[Architecture], float]


class Views:
    """What a kernel compares.

    Args:
        space: the space.
        archs: architectures whose decisions get columns, where a grammar has no list of them, and by which
            features are scaled.
        features: numbers that an architecture has, such as its parameters.

    Attributes:
        views: of what the columns of each are.
        effects: which of them is one of effects, if any is.
    """

    def __init__(self, space: Space, archs: Sequence[Architecture], features: Sequence[Feature] = ()) -> None:
        self.space = space
        self.embedding = Embedding(space)
        if not self.embedding.complete:
            self.embedding.learn(archs)
        self.features = features
        layout = self.embedding.layout
        weight, family = layout.path, layout.template
        self.effects = 1 if len(family) > MAX_WEIGHTS else None
        if self.effects is not None:
            weight, family = layout.template[layout.path], np.arange(layout.num_templates)
        if not self.embedding.complete:  # the column of what is unknown
            weight, family = np.append(weight, len(family)), np.append(family, family.max(initial=-1) + 1)
        self.views = [View("decisions", weight, family)]
        if self.effects is not None:
            self.views.append(View("effects", layout.path, np.zeros(len(layout.template), np.intp), effects=True))
            self.middle = self.embedding.rows(archs)[:, : self.embedding.width].mean(axis=0)
        self.has_copies = layout.has_copies
        if self.has_copies:
            self.views.append(View("copies", layout.bag_template, np.zeros(layout.num_templates, np.intp)))
        self.graphs = graph_parts(space)
        if self.graphs:
            self.counted: dict[str, list[tuple[int, int]]] = {}
            self.labels = self.known_labels(archs)
            depth = np.array([depth for _, (depth, _) in self.labels], dtype=np.intp)
            self.views.append(View("graphs", depth, np.zeros(DEPTH + 1, np.intp)))
        if features:
            each = np.arange(len(features))
            self.views.append(View("features", each, np.zeros(len(features), np.intp)))
            self.scale_features(archs)

    def known_labels(self, archs: Sequence[Architecture]) -> dict[tuple[int, Label], int]:
        """The column of each label of each graph; what no other architecture has tells nothing."""
        total: Counter[tuple[int, Label]] = Counter()
        for arch in archs:
            total.update([(i, label) for i, graph in enumerate(self.graphs) for label in graph.labels(arch)])
        return {label: i for i, label in enumerate([label for label, n in total.items() if n > 1])}

    def label_counts(self, archs: Sequence[Architecture]) -> Array:
        rows = np.zeros((len(archs), len(self.labels)))
        for row, arch in zip(rows, archs, strict=True):
            for column, n in self.counts_of(arch):
                row[column] = n
        return rows

    def counts_of(self, arch: Architecture) -> list[tuple[int, int]]:
        """The columns of the labels of an architecture, and how often it has each.

        Remembered for the latest: the neighbours of the best are candidates at every ask.
        """
        counts = self.counted.get(arch.id)
        if counts is None:
            if len(self.counted) >= MAX_COUNTED:
                self.counted.clear()
            counts = self.counted[arch.id] = [
                (self.labels[i, label], n)
                for i, graph in enumerate(self.graphs)
                for label, n in graph.labels(arch).items()
                if (i, label) in self.labels
            ]
        return counts

    def scale_features(self, archs: Sequence[Architecture]) -> None:
        numbers = self.numbers(archs)
        known = ~np.isnan(numbers).all(axis=0)
        numbers = np.where(known, numbers, 0.0)  # a feature that none of them has is left out, by its centre
        # Sizes and scores spread over orders of magnitude: then their logarithms are what is near or far.
        self.logged = np.array([bool(np.nanmin(column) > 0) for column in numbers.T])
        numbers = self.in_logarithms(numbers)
        self.centre = np.where(known, np.nanmean(numbers, axis=0), np.nan)
        spread = np.nanstd(numbers, axis=0)
        self.spread = np.where(spread > 0, spread, 1.0)

    def numbers(self, archs: Sequence[Architecture]) -> Array:
        return np.array([[feature(arch) for feature in self.features] for arch in archs], dtype=float)

    def in_logarithms(self, numbers: Array) -> Array:
        with np.errstate(invalid="ignore", divide="ignore"):
            logged: Array = np.where(self.logged, np.log(np.maximum(numbers, 1e-300)), numbers)
        return logged

    def points(self, archs: Sequence[Architecture]) -> list[Array]:
        """By view, a row for each architecture."""
        rows = self.embedding.rows(archs)
        points = [rows]
        if self.effects is not None:
            points.append(rows[:, : self.embedding.width] - self.middle)
        if self.has_copies:
            points.append(self.embedding.layout.bags(rows[:, : self.embedding.width]))
        if self.graphs:
            points.append(self.label_counts(archs))
        if self.features:
            standard = (self.in_logarithms(self.numbers(archs)) - self.centre) / self.spread
            points.append(np.nan_to_num(standard, nan=0.0))  # what has no such number is taken for average
        return points
