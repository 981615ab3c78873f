"""What the families of `transformers` share: where the base model stands, its configuration, its heads, its inputs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import nn

from archsearch.elastic.declare import attribute_of
from archsearch.errors import ElasticError
from archsearch.spaces.tensor import Tensor

# Tokens of the example that FLOPs are counted for.
TOKENS = 128


class Pretrained:
    """A model of `transformers`, with or without a head on its base model.

    Attributes:
        model: the whole of it.
        config: its configuration.
        base: what the names of the base model's modules begin with: "model." of `LlamaForCausalLM`, "" of `LlamaModel`.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.config: Any = attribute_of(model, "config")
        prefix = str(getattr(model, "base_model_prefix", ""))
        self.base = f"{prefix}." if isinstance(getattr(model, prefix, None), nn.Module) else ""

    def at(self, path: str) -> Any:
        """The module or attribute at a path from the model; None where there is none."""
        return attribute_of(self.model, path)

    def layers(self, path: str) -> list[str]:
        """The path of each layer of a list of the base model."""
        found = self.at(f"{self.base}{path}")
        if not isinstance(found, nn.ModuleList) or not len(found):
            raise ElasticError(
                f"{type(self.model).__name__} is a {getattr(self.config, 'model_type', 'model')} by its configuration, "
                f"whose layers are expected in {self.base}{path}, but they are not there; declare its axes instead"
            )
        return [f"{self.base}{path}.{i}" for i in range(len(found))]

    def present(self, paths: Iterable[str]) -> list[str]:
        """Those of the paths where there is something."""
        return [path for path in paths if self.at(path) is not None]

    def unknown(self, heads: Iterable[str]) -> list[str]:
        """The modules outside of the base model that have weights, without those that are named."""
        known = set(heads)
        return [
            name
            for name, module in self.model.named_modules()
            if self.base
            and not f"{name}.".startswith(self.base)
            and name not in known
            and (module._parameters or module._buffers)
        ]

    def tokens(self) -> dict[str, Tensor]:
        """One sequence of tokens."""
        length = min(TOKENS, getattr(self.config, "max_position_embeddings", TOKENS))
        return {"input_ids": Tensor(length, dtype="int64", below=self.config.vocab_size)}

    def image(self) -> dict[str, Tensor]:
        """One image: channels, height, width."""
        size = self.config.image_size
        height, width = size if isinstance(size, list | tuple) else (size, size)
        return {"pixel_values": Tensor(self.config.num_channels, height, width)}


def tokens(model: nn.Module) -> dict[str, Tensor]:
    """What a model of text takes, without the batch."""
    return Pretrained(model).tokens()


def image(model: nn.Module) -> dict[str, Tensor]:
    """What a model of images takes, without the batch."""
    return Pretrained(model).image()


def inputs_of(model: nn.Module) -> dict[str, Tensor]:
    """What a model takes, as far as its class and its configuration tell; empty where they do not."""
    at = Pretrained(model)
    main = getattr(model, "main_input_name", None)
    if main == "input_ids" and isinstance(getattr(at.config, "vocab_size", None), int):
        return at.tokens()
    if main == "pixel_values" and all(hasattr(at.config, key) for key in ("image_size", "num_channels")):
        return at.image()
    return {}
