"""The model families whose axes are known; what is not among them is looked into (`archsearch.elastic.discover`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from archsearch.elastic import own_families
from archsearch.elastic.axes import Axes
from archsearch.elastic.decoders import gpt2, llama, phi3
from archsearch.elastic.encoders import bert, vit
from archsearch.elastic.pretrained import image, tokens
from archsearch.elastic.transformer import TransformerConfig, ViTConfig
from archsearch.errors import ElasticError
from archsearch.spaces.tensor import Tensor


@dataclass(frozen=True)
class Family:
    """How the models of a class are cut.

    Attributes:
        name: as in `config.model_type`, where there is a configuration.
        axes: of a model: groups `ffn`, `heads`, `width` and `layers`.
        inputs: what a model takes, without the batch.
    """

    name: str
    axes: Callable[[nn.Module], Axes]
    inputs: Callable[[nn.Module], dict[str, Tensor]]


FAMILIES = {
    TransformerConfig.model_type: Family(TransformerConfig.model_type, own_families.own, own_families.tokens),
    ViTConfig.model_type: Family(ViTConfig.model_type, own_families.own, own_families.image),
    **{name: Family(name, llama, tokens) for name in ("llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2")},
    "phi3": Family("phi3", phi3, tokens),
    "gpt2": Family("gpt2", gpt2, tokens),
    "bert": Family("bert", bert, tokens),
    "vit": Family("vit", vit, image),
}


def family_of(model: nn.Module) -> Family:
    """The family of a model.

    Raises:
        ElasticError: it is not known; says which are, and what to do.
    """
    name = getattr(getattr(model, "config", None), "model_type", None)
    if name not in FAMILIES:
        raise ElasticError(
            f"the axes of {type(model).__name__} are not known (known families: {', '.join(FAMILIES)}); declare them "
            "with archsearch.elastic.axis and give axes=[...]"
        )
    return FAMILIES[name]
