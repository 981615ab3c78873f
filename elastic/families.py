"""The model families whose axes are known; what is not among them is looked into (`archsearch.elastic.discover`)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import nn

from archsearch.elastic import own_families
from archsearch.elastic.axes import Axes
from archsearch.elastic.decoders import gpt2, llama, phi3
from archsearch.elastic.discover import Found, discover
from archsearch.elastic.encoders import bert, vit
from archsearch.elastic.pretrained import image, inputs_of, tokens
from archsearch.elastic.transformer import TransformerConfig, ViTConfig
from archsearch.errors import ElasticError
from archsearch.spaces.tensor import Tensor

logger = logging.getLogger(__name__)


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


def family_of(model: nn.Module, inputs: Mapping[str, Tensor] | None = None) -> Family:
    """The family of a model; of one that is not known what is found in it, and what that is goes to the log.

    Args:
        model: any.
        inputs: what it takes, without the batch, to try on it what was found.

    Raises:
        ElasticError: neither feed-forwards nor heads are found; says what was looked at, and what to do.
    """
    name = getattr(getattr(model, "config", None), "model_type", None)
    if name in FAMILIES:
        return FAMILIES[name]
    found, taken = looked_into(model, inputs)
    if not found.axes:
        raise ElasticError(
            f"the axes of {type(model).__name__} are not known (known families: {', '.join(FAMILIES)}); {found}\n"
            "Declare them with archsearch.elastic.axis and give axes=[...]"
        )
    logger.warning("The family of %s is not known; %s", type(model).__name__, found)
    return Family(str(name or type(model).__name__), lambda _: found.axes, lambda _: taken)


def looked_into(model: nn.Module, inputs: Mapping[str, Tensor] | None) -> tuple[Found, dict[str, Tensor]]:
    """What is found in a model, and the inputs that it was tried on: those given, or those of its configuration."""
    guessed = inputs_of(model) if inputs is None else dict(inputs)
    try:
        return discover(model, guessed), guessed
    except ElasticError:
        if inputs is not None:
            raise
        return discover(model), {}
