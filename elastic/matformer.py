"""MatFormer: nested feed-forward layers (Devvrit et al. 2023, "MatFormer: Nested Transformer for Elastic Inference",
arXiv:2310.07707).

In every layer granularity i uses the first m_i hidden units, so that the small models stand inside the large one. What
is trained are the g granularities that all layers share; at inference every layer may have its own (Mix'n'Match, 3.3).
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
from archsearch.spaces.tensor import Tensor

# Hidden widths of d/2, d, 2d, 4d where the whole one is 4d (section 4.1): S, M, L and XL.
GRANULARITIES = (Fraction(1, 8), Fraction(1, 4), Fraction(1, 2), Fraction(1))


class MatFormer(Elastic):
    """A model with nested feed-forward layers.

    Args:
        model: of a family that is known, or any with `axes`.
        granularities: shares of the hidden units, or numbers of them.
        heads: shares of the attention heads that are nested too (appendix F.2), by whole groups of those that share
            keys and values; by default heads stay whole.
        axes: of the model, with the groups `ffn` and, for `heads`, `heads`; by default those of its family.
        inputs: what the model takes, without the batch, for FLOPs and `--verify`, such as
            `{"ids": archsearch.Tensor(128, dtype="int64", below=256)}`; by default as the family says.

    Raises:
        ElasticError: a granularity is no whole number of units, or the model's axes are not known.
    """

    def __init__(
        self,
        model: nn.Module,
        granularities: Iterable[float | Fraction] = GRANULARITIES,
        *,
        heads: Iterable[float | Fraction] | None = None,
        axes: Axes | Iterable[Axis] | None = None,
        inputs: Mapping[str, Tensor] | None = None,
    ) -> None:
        if axes is None:
            family = family_of(model, inputs)
            axes, inputs = family.axes(model), inputs or family.inputs(model)
        found = axes if isinstance(axes, Axes) else axes_of(model, axes)
        decisions = [Decision.of(found, "ffn", granularities, per_layer=True)]
        if heads is not None:
            decisions.append(Decision.of(found, "heads", heads, per_layer=True))
        super().__init__(model, found, decisions, inputs)
