"""The axes of the project's own Transformer and ViT."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from torch import nn

from archsearch.elastic.axes import Axes, Axis
from archsearch.elastic.declare import axes, axis, layers
from archsearch.elastic.transformer import Transformer, TransformerConfig, ViT, per_layer
from archsearch.spaces.tensor import Tensor

Own: TypeAlias = Transformer | ViT


def own(model: nn.Module) -> Axes:
    """Heads are cut by whole groups that share keys and values."""
    assert isinstance(model, Own)
    config = model.config
    transformer = isinstance(config, TransformerConfig)
    lists = ["heads", "hidden", *(["groups"] if transformer else [])]
    groups = per_layer(config.groups if isinstance(config, TransformerConfig) else config.heads)

    def found() -> Iterator[Axis]:
        yield layers(model, "layers", config=["layers"], lists=lists)
        for i, (units, hidden) in enumerate(zip(groups, per_layer(config.hidden), strict=True)):
            attention, ffn = f"layers.{i}.attention", f"layers.{i}.ffn"
            gate = [f"{ffn}.gate"] if model.layers[i].ffn.gate is not None else []  # type: ignore[union-attr]
            yield axis(
                model,
                f"ffn.{i}",
                hidden,
                outputs=[*gate, f"{ffn}.up"],
                inputs=[f"{ffn}.down"],
                config=[f"hidden.{i}"],
                layer=f"layers.{i}",
            )
            yield axis(
                model,
                f"heads.{i}",
                units,
                outputs=[f"{attention}.q", f"{attention}.k", f"{attention}.v"],
                inputs=[f"{attention}.out"],
                config=[f"{key}.{i}" for key in lists if key != "hidden"],
                layer=f"layers.{i}",
            )
        names = [name for name, _ in model.named_modules()]
        yield axis(
            model,
            "width",
            config.width,
            outputs=[
                *(["embedding"] if transformer else ["patches", "positions"]),
                *(name for name in names if name.endswith((".out", ".down", "norm"))),
            ],
            inputs=["head", *(name for name in names if name.endswith((".q", ".k", ".v", ".gate", ".up")))],
            config=["width"],
        )

    return axes(model, found())


def tokens(model: nn.Module) -> dict[str, Tensor]:
    """One sequence of tokens, as long as they come."""
    assert isinstance(model, Transformer)
    return {"ids": Tensor(model.config.context, dtype="int64", below=model.config.vocabulary)}


def image(model: nn.Module) -> dict[str, Tensor]:
    """One image."""
    assert isinstance(model, ViT)
    return {"images": Tensor(model.config.channels, model.config.image, model.config.image)}
