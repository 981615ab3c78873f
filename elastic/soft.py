"""All depths from one forward pass (SoFT: Valipour et al. 2023, "Sorted LLaMA", arXiv:2309.08968, section 3).

A sub-network of n layers is the first n layers, the final norm and the head. What enters its norm is what the n-th
layer of the whole network gives, so that one pass has the outputs of all depths, and they are the truncated networks'
bit for bit: the same kernels see the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, cast

import torch
from torch import nn

from archsearch.elastic.axes import Axes
from archsearch.elastic.declare import submodule
from archsearch.errors import ElasticError

# What follows the layers: the names of modules, one after the other, or a function of the model and the hidden state.
Tail: TypeAlias = Sequence[str] | Callable[[Any, torch.Tensor], torch.Tensor]

# By `config.model_type`; the last module is the head, in the place of which an exit can have its own.
TAILS: Mapping[str, Tail] = {
    "llama": ("model.norm", "lm_head"),
    "mistral": ("model.norm", "lm_head"),
    "qwen2": ("model.norm", "lm_head"),
    "qwen3": ("model.norm", "lm_head"),
    "gemma": ("model.norm", "lm_head"),
    "phi3": ("model.norm", "lm_head"),
    "gpt2": ("transformer.ln_f", "lm_head"),
    "archsearch-transformer": ("norm", "head"),
    "archsearch-vit": lambda model, x: model.read(x),
}


class Exits(nn.Module):
    """A model that gives the outputs of several depths.

    Args:
        model: of a sub-network that has all layers.
        axes: of the super-network.
        depths: after how many layers, ascending.
        heads: by depth as a string (an `nn.ModuleDict`), in the place of the model's own head.
        tail: what follows the layers; by default as the family says.

    Raises:
        ElasticError: the model has no axis of layers, or not as many, or its tail is not known.
    """

    def __init__(
        self,
        model: nn.Module,
        axes: Axes,
        depths: Sequence[int],
        *,
        heads: nn.ModuleDict | None = None,
        tail: Tail | None = None,
    ) -> None:
        super().__init__()
        if axes.layers is None:
            raise ElasticError("exits: the model has no axis of layers; declare one with archsearch.elastic.layers")
        kind = getattr(getattr(model, "config", None), "model_type", None)
        if tail is None and kind not in TAILS:
            raise ElasticError(
                f"exits: what follows the layers of {type(model).__name__} is not known (it is for "
                f'{", ".join(TAILS)}); give SoFT(tail=["norm", "head"]), the names of its '
                "modules, or a function of the model and what the layers give"
            )
        if axes.layers.order not in ((), tuple(range(axes.layers.units))):
            raise ElasticError(
                f"exits: the layers are kept in the order {list(axes.layers.order)}, so that the first ones are no "
                "sub-network; sort the other axes alone"
            )
        check_depths(depths, axes.layers.units)
        self.model = model
        self.depths = tuple(depths)
        self.heads = heads
        self.tail: Tail = TAILS[str(kind)] if tail is None else tail
        if heads is not None and callable(self.tail):
            raise ElasticError("exits: heads take the place of the last module of a tail, but this tail is a function")
        found = cast("Sequence[nn.Module]", submodule(model, axes.layers.path))
        if len(found) != axes.layers.units:
            raise ElasticError(f"exits: the model has {len(found)} of the {axes.layers.units} layers; expected all")
        # A plain dictionary: the layers are modules of `model` already.
        self._layers = {depth: found[depth - 1] for depth in depths}
        self._is_last = {depth: depth == axes.layers.units for depth in depths}

    def forward(self, *args: Any, **kwargs: Any) -> list[Any]:
        """The outputs at each depth: logits; of the whole model, where it is one of them, what it gives by itself."""
        hidden: dict[int, torch.Tensor] = {}

        def keep(depth: int) -> Callable[[nn.Module, Any, Any], None]:
            def hook(module: nn.Module, args: Any, output: Any) -> None:
                hidden[depth] = output if isinstance(output, torch.Tensor) else output[0]

            return hook

        hooks = [layer.register_forward_hook(keep(depth)) for depth, layer in self._layers.items()]
        try:
            output = self.model(*args, **kwargs)
        finally:
            for hook in hooks:
                hook.remove()
        return [output if self._is_models_own(depth) else self._read(depth, hidden[depth]) for depth in self.depths]

    def _is_models_own(self, depth: int) -> bool:
        return self._is_last[depth] and (self.heads is None or str(depth) not in self.heads)

    def _read(self, depth: int, x: torch.Tensor) -> torch.Tensor:
        if callable(self.tail):
            return self.tail(self.model, x)
        *before, head = self.tail
        for name in before:
            x = submodule(self.model, name)(x)
        own = self.heads is not None and str(depth) in self.heads
        last = cast("nn.ModuleDict", self.heads)[str(depth)] if own else submodule(self.model, head)
        logits: torch.Tensor = last(x)
        return logits


def check_depths(depths: Sequence[int], layers: int) -> None:
    if not depths or sorted(set(depths)) != list(depths) or depths[0] < 1 or depths[-1] > layers:
        raise ElasticError(f"exits: expected depths from 1 to {layers}, ascending, each once, but got {list(depths)}")
