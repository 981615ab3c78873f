"""Nested weights: super-networks that are trained once and cut to any size at deploy time.

    import archsearch as A

    net = A.elastic.MatFormer(model, granularities=[1/8, 1/4, 1/2, 1])
    small = net.extract(1/4)
    net.save("net")
    net = A.elastic.load("net")

Every public name stands here and is loaded when it is first used.
"""

import importlib
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from archsearch.elastic.axes import Axes, Axis, Count, Layers, Run
    from archsearch.elastic.consistency import agree_gen, agreement
    from archsearch.elastic.cut import Cut
    from archsearch.elastic.declare import Blocks, axis, layers
    from archsearch.elastic.evaluate import Evaluate, latency_ms
    from archsearch.elastic.export import extract
    from archsearch.elastic.importance import by_activation, by_gradient, by_magnitude, by_removal
    from archsearch.elastic.matformer import MatFormer
    from archsearch.elastic.mixnmatch import least_slope, mix_n_match
    from archsearch.elastic.network import Elastic
    from archsearch.elastic.optimizer import AdamW
    from archsearch.elastic.sampling import Joint, Sampled, Sandwich, SoFT
    from archsearch.elastic.saving import load
    from archsearch.elastic.sortednet import SortedNet
    from archsearch.elastic.sorting import sort
    from archsearch.elastic.space import Decision, SubNetworks
    from archsearch.elastic.table import Table, measured
    from archsearch.elastic.training import cosine, train
    from archsearch.elastic.transformer import Transformer, TransformerConfig, ViT, ViTConfig
    from archsearch.elastic.trie import Trie

__all__ = [
    "AdamW",
    "Axes",
    "Axis",
    "Blocks",
    "Count",
    "Cut",
    "Decision",
    "Elastic",
    "Evaluate",
    "Joint",
    "Layers",
    "MatFormer",
    "Run",
    "Sampled",
    "Sandwich",
    "SoFT",
    "SortedNet",
    "SubNetworks",
    "Table",
    "Transformer",
    "TransformerConfig",
    "Trie",
    "ViT",
    "ViTConfig",
    "agree_gen",
    "agreement",
    "axis",
    "by_activation",
    "by_gradient",
    "by_magnitude",
    "by_removal",
    "cosine",
    "extract",
    "latency_ms",
    "layers",
    "least_slope",
    "load",
    "measured",
    "mix_n_match",
    "sort",
    "train",
]

_ORIGIN = {
    name: f"archsearch.elastic.{module}"
    for module, names in {
        "axes": "Axes Axis Count Layers Run",
        "consistency": "agree_gen agreement",
        "cut": "Cut",
        "declare": "Blocks axis layers",
        "evaluate": "Evaluate latency_ms",
        "export": "extract",
        "importance": "by_activation by_gradient by_magnitude by_removal",
        "matformer": "MatFormer",
        "mixnmatch": "least_slope mix_n_match",
        "network": "Elastic",
        "optimizer": "AdamW",
        "sampling": "Joint Sampled Sandwich SoFT",
        "saving": "load",
        "sortednet": "SortedNet",
        "sorting": "sort",
        "space": "Decision SubNetworks",
        "table": "Table measured",
        "training": "cosine train",
        "transformer": "Transformer TransformerConfig ViT ViTConfig",
        "trie": "Trie",
    }.items()
    for name in names.split()
}


if not TYPE_CHECKING:  # a type checker that saw it would take any name for a public one

    def __getattr__(name: str) -> Any:
        if name not in _ORIGIN:
            raise AttributeError(
                f"module 'archsearch.elastic' has no attribute {name!r}", name=name, obj=sys.modules[__name__]
            )
        value = getattr(importlib.import_module(_ORIGIN[name]), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return __all__
