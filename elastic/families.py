"""The axes of the model families that are known, each in the lines that a user's own model would take."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from torch import nn

from archsearch.elastic import own_families
from archsearch.elastic.axes import Axis
from archsearch.elastic.declare import axis, layers
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
    axes: Callable[[nn.Module], list[Axis]]
    inputs: Callable[[nn.Module], dict[str, Tensor]]


# Tokens of the example that FLOPs are counted for.
TOKENS = 128


def tokens(model: nn.Module) -> dict[str, Tensor]:
    """One sequence of tokens."""
    return {"input_ids": Tensor(TOKENS, dtype="int64", below=model.config.vocab_size)}  # type: ignore[union-attr, arg-type]


def llama(model: nn.Module) -> list[Axis]:
    """Llama and what has its layout (Qwen2): gated feed-forward, grouped-query attention, RMSNorm."""
    config = model.config
    paths = [f"model.layers.{i}" for i in range(config.num_hidden_layers)]  # type: ignore[union-attr, arg-type]

    def found() -> Iterator[Axis]:
        yield layers(model, "model.layers", config=["num_hidden_layers"], lists=["layer_types"])
        for i, layer in enumerate(paths):
            mlp, attention = f"{layer}.mlp", f"{layer}.self_attn"
            yield axis(
                model,
                f"ffn.{i}",
                config.intermediate_size,  # type: ignore[union-attr, arg-type]
                outputs=[f"{mlp}.gate_proj", f"{mlp}.up_proj"],
                inputs=[f"{mlp}.down_proj"],
                counts=[f"{mlp}.intermediate_size"],
                config=["intermediate_size"],
                layer=layer,
            )
            yield axis(
                model,
                f"heads.{i}",
                config.num_key_value_heads,  # type: ignore[union-attr, arg-type]
                outputs=[f"{attention}.q_proj", f"{attention}.k_proj", f"{attention}.v_proj"],
                inputs=[f"{attention}.o_proj"],
                config=["num_attention_heads", "num_key_value_heads"],
                layer=layer,
            )
        readers = [f"{layer}.{name}_proj" for layer in paths for name in ("self_attn.q", "self_attn.k", "self_attn.v")]
        readers += [f"{layer}.mlp.{name}_proj" for layer in paths for name in ("gate", "up")]
        writers = [f"{layer}.{name}" for layer in paths for name in ("self_attn.o_proj", "mlp.down_proj")]
        norms = [f"{layer}.{name}_layernorm" for layer in paths for name in ("input", "post_attention")]
        yield axis(
            model,
            "width",
            config.hidden_size,  # type: ignore[union-attr, arg-type]
            outputs=["model.embed_tokens", *writers, *norms, "model.norm"],
            inputs=[*readers, "lm_head"],
            counts=[f"{layer}.{name}hidden_size" for layer in paths for name in ("", "mlp.")],
            config=["hidden_size"],
        )

    return list(found())


FAMILIES = {
    family.name: family
    for family in (
        Family(TransformerConfig.model_type, own_families.own, own_families.tokens),
        Family(ViTConfig.model_type, own_families.own, own_families.image),
        Family("llama", llama, tokens),
        Family("qwen2", llama, tokens),
    )
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
