"""SortedNet: sub-networks over several dimensions at once (Valipour et al. 2023, "SortedNet: A Scalable and Generalized
Framework for Training Modular Deep Neural Networks", arXiv:2309.00255).

A sub-network keeps the first units along every dimension, alike in all layers; all of them share their weights and are
trained together. No importance is computed: training makes the first units the important ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction

from torch import nn

from archsearch.elastic.axes import Axes, Axis
from archsearch.elastic.declare import axes as axes_of
from archsearch.elastic.families import family_of
from archsearch.elastic.network import Elastic
from archsearch.elastic.space import Decision
from archsearch.errors import ElasticError
from archsearch.spaces.tensor import Tensor


class SortedNet(Elastic):
    """A model with sub-networks in several dimensions.

    Args:
        model: of a family that is known, or any with `axes`.
        axes: of the model; by default those of its family.
        inputs: what the model takes, without the batch, for FLOPs and `--verify`, such as
            `{"ids": archsearch.Tensor(128, dtype="int64", below=256)}`; by default as the family says.
        granularities: by group of axes, the shares or numbers of units: `width=[1/2, 1], layers=[2, 4, 6]`,
            `ffn=`, `heads=`. What is not named stays whole.

    Raises:
        ElasticError: nothing is named, a granularity is no whole number of units, or the axes are not known.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        axes: Axes | Iterable[Axis] | None = None,
        inputs: Mapping[str, Tensor] | None = None,
        **granularities: Iterable[float | Fraction],
    ) -> None:
        if not granularities:
            raise ElasticError("SortedNet: say which dimensions are elastic, such as width=[1/2, 1], layers=[2, 4, 6]")
        if axes is None:
            family = family_of(model, inputs)
            axes, inputs = family.axes(model), inputs or family.inputs(model)
        found = axes if isinstance(axes, Axes) else axes_of(model, axes)
        super().__init__(model, found, [Decision.of(found, group, of) for group, of in granularities.items()], inputs)
