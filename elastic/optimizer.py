"""AdamW for super-networks: what it does to units that a step did not use is said, not left to chance.

A gradient that is zero still moves a unit under AdamW: the momentum goes on and the decay acts. And a unit that is used
in a share q of the steps sees q of the gradients, but its update is sqrt(q) of what it would be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, cast

import numpy as np
import torch
from torch.optim.adamw import adamw

from archsearch.elastic.cells import Block, Bounds, blocks_of, split, union
from archsearch.elastic.cut import Cut
from archsearch.elastic.network import Elastic, SubNetwork
from archsearch.errors import ElasticError

Idle: TypeAlias = Literal["decay", "freeze", "scale"]

# Of the two counts of a cell, updates and uses, the second.
USED = np.array([0, 1], np.float32)

# With a choice in every layer there is no end of what a step can use.
MAX_BLOCKS = 65_536


class AdamW(torch.optim.AdamW):
    """AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101) on the weights of a super-network.

    What becomes of units that no sub-network of a step uses is `idle`:

    - "decay": torch's AdamW with gradients of zero, as the official implementations have it; those of layers that were
      left out are zero too;
    - "freeze": nothing: weights and moments stay, and the bias correction counts each unit's own steps. A step costs
      what the units that it uses cost;
    - "scale": as "decay", with the learning rate of every unit divided by sqrt(q), where q is the share of the steps so
      far that used it; the decay of weights is not scaled.

    With "freeze" and "scale" say what was used: `loss.backward(); optimizer.step(used=arch)`. `train` does.

    Args:
        net: the super-network.
        lr: learning rate.
        params: parameters or groups of them, as torch's optimisers take them; by default all of `net`. Those that are
            not of `net.model` count as used in every step.
        betas: decay of the first and second moments.
        eps: added to the denominator.
        weight_decay: of each step, times the learning rate.
        idle: see above.

    The state of a parameter is torch's under "decay". Otherwise its units fall into cells, between the `bounds` of each
    dimension (see `archsearch.elastic.cells`); `step` has the updates that each took and the steps that used it.
    """

    def __init__(
        self,
        net: Elastic,
        lr: float = 1e-3,
        *,
        params: Iterable[Any] | None = None,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        idle: Idle = "decay",
    ) -> None:
        if idle not in ("decay", "freeze", "scale"):
            raise ElasticError(f'idle: expected "decay", "freeze" or "scale", but got {idle!r}')
        super().__init__(net.parameters() if params is None else params, lr, betas, eps, weight_decay)
        self.net = net
        self.idle: Idle = idle
        for group in self.param_groups:
            group["idle"] = idle
        self._names = {id(parameter): name for name, parameter in net.model.named_parameters()}
        # What steps use of parameters, by the sub-networks: found once, as it changes only when new bounds come.
        self._blocks: dict[Any, list[Block]] = {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up a state.

        Raises:
            ElasticError: it is of an optimiser that treats idle units otherwise.
        """
        found = {group.get("idle") for group in state_dict["param_groups"]}
        if found != {self.idle}:
            raise ElasticError(f"this state is of an optimiser with idle={found}, but this one has {self.idle!r}")
        super().load_state_dict(state_dict)
        self._blocks.clear()

    @torch.no_grad()
    def step(
        self,
        closure: Callable[[], Any] | None = None,
        *,
        used: SubNetwork | Sequence[SubNetwork] = (),
        parts: Mapping[int, torch.Tensor] | None = None,
    ) -> Any:
        """Update the weights.

        Args:
            closure: as torch's: runs the model again and returns the loss.
            used: the sub-network that the gradients come from, or all of them.
            parts: for a single sub-network, by `id` of the parameter: the gradient of the part that it has of it, where
                it is not in `.grad`.

        Raises:
            ElasticError: nothing says what was used, and idle units are to be treated differently.
        """
        result = None
        if closure is not None:
            with torch.enable_grad():
                result = closure()
        subs = cast("Sequence[SubNetwork]", used if isinstance(used, list | tuple) else [used])
        cuts = [self.net.cut(sub) for sub in subs]
        if not cuts and self.idle != "decay":
            raise ElasticError(f"idle={self.idle!r}: say which sub-networks were used, as in step(used=arch)")
        if self.idle != "freeze":
            self._zero_left_out(cuts)
        if self.idle == "decay":
            super().step()
        else:
            for group in self.param_groups:
                self._step_blocks(group, cuts, parts or {})
        return result

    def _zero_left_out(self, cuts: Sequence[Cut]) -> None:
        """Give the parameters of layers that were left out the gradient that those of other idle units have."""
        for group in self.param_groups:
            for parameter in group["params"]:
                name = self._names.get(id(parameter))
                if parameter.grad is None and name and cuts and all(cut.name(name) is None for cut in cuts):
                    parameter.grad = torch.zeros_like(parameter)

    def _step_blocks(self, group: dict[str, Any], cuts: Sequence[Cut], parts: Mapping[int, torch.Tensor]) -> None:
        """One step on the parts of every parameter that move."""
        keys = tuple(cut.key for cut in cuts)
        alike = Alike()
        known: dict[Any, Scales] = {}
        for parameter in group["params"]:
            part = parts.get(id(parameter))
            grad = parameter.grad if part is None else part
            if grad is None:
                continue
            blocks = self._used(parameter, cuts, keys)
            state = self.state[parameter]
            bounds, counts = state["bounds"], state["step"].numpy()  # it shares the numbers, and is quicker when small
            for block in blocks:
                counts[block.cells] += 1 if self.idle == "freeze" else USED
            if self.idle == "scale":
                counts[..., 0] += 1
                blocks = list(blocks_of(bounds, (None,) * parameter.ndim))
            for block in blocks:
                weights, first, second = map(block.of, (parameter, state["exp_avg"], state["exp_avg_sq"]))
                mine = block.of(grad) if part is None else grad[block.in_part]
                numbers = counts[block.cells]
                if (numbers == numbers.flat[0]).all():
                    alike.add(weights, mine, first, second, torch.tensor(numbers.flat[0] - 1))
                    continue
                # Most parameters share their bounds and counts with others.
                ends = tuple(tuple(side[c.start : c.stop + 1]) for side, c in zip(bounds, block.cells, strict=True))
                key = (ends, numbers.tobytes(), parameter.dtype, parameter.device)
                if key not in known:
                    found = Scales.of(torch.from_numpy(numbers), group, self.idle)
                    known[key] = found.spread(block, bounds, parameter)
                known[key].step(weights, mine, first, second, group)
        alike.step(group)

    def _used(self, parameter: torch.Tensor, cuts: Sequence[Cut], keys: tuple[Any, ...]) -> list[Block]:
        """What a step uses of a parameter; its cells are split where they must be."""
        key = (id(parameter), keys)
        if key not in self._blocks:
            name = self._names.get(id(parameter))
            stay = [cut for cut in cuts if name is not None and cut.name(name) is not None]
            areas = [cut.segments(str(name), parameter.shape) for cut in stay]
            if name is None:
                areas = [(None,) * parameter.ndim]
            state = self._state(parameter)
            before = sum(map(len, state["bounds"]))
            for area in areas:
                state["step"] = split(state["bounds"], state["step"], area)
            if sum(map(len, state["bounds"])) > before or len(self._blocks) >= MAX_BLOCKS:
                self._blocks.clear()
            self._blocks[key] = union(state["bounds"], areas)
        return self._blocks[key]

    def _state(self, parameter: torch.Tensor) -> dict[str, Any]:
        """The state of a parameter: in the beginning it is one cell."""
        state = cast("dict[str, Any]", self.state[parameter])
        if not state:
            state["exp_avg"] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
            state["exp_avg_sq"] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
            state["bounds"] = [[0, size] for size in parameter.shape]
            state["step"] = torch.zeros(*(1 for _ in parameter.shape), 2)
        return state


class Alike:
    """Parts of parameters whose units all have the same counts: torch's own AdamW takes them, bit for bit."""

    def __init__(self) -> None:
        self.lists: tuple[list[torch.Tensor], ...] = ([], [], [], [], [])

    def add(self, *items: torch.Tensor) -> None:
        """Add weights, gradient, first and second moment, and the updates before this one."""
        for found, item in zip(self.lists, items, strict=True):
            found.append(item)

    def step(self, group: Mapping[str, Any]) -> None:
        params, grads, exp_avgs, exp_avg_sqs, steps = self.lists
        if not params:
            return
        adamw(
            params,
            grads,
            exp_avgs,
            exp_avg_sqs,
            [],
            steps,
            foreach=group["foreach"],
            amsgrad=False,
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            maximize=False,
        )


@dataclass(frozen=True)
class Scales:
    """What differs in the update of units with different counts, m / (s sqrt(v) + e): a factor and an epsilon of each.

    With n updates of a unit, of which u used it: s = (1 - beta_1^n) / sqrt(1 - beta_2^n) and e = eps (1 - beta_1^n),
    both divided by sqrt(n / u) where the learning rate is scaled.
    """

    factor: torch.Tensor
    epsilon: torch.Tensor

    @classmethod
    def of(cls, counts: torch.Tensor, group: Mapping[str, Any], idle: Idle) -> Scales:
        """Of cells.

        Args:
            counts: the updates and the uses of each, in the last dimension.
        """
        updates, uses = counts.double().unbind(-1)
        first, second = (1 - beta**updates for beta in group["betas"])
        factor, epsilon = first / second.sqrt(), group["eps"] * first
        if idle == "scale":
            share = torch.where(uses > 0, uses / updates, 1.0).sqrt()  # what was never used has nothing to scale
            factor, epsilon = factor * share, epsilon * share
        return cls(factor, epsilon)

    def spread(self, block: Block, bounds: Bounds, parameter: torch.Tensor) -> Scales:
        """For the numbers of a block of a parameter, on its device."""
        exact = torch.promote_types(parameter.dtype, torch.float32)
        factor, epsilon = (
            block.spread(value, bounds).to(parameter.device, exact) for value in (self.factor, self.epsilon)
        )
        return Scales(factor, epsilon)

    def step(
        self,
        weights: torch.Tensor,
        grad: torch.Tensor,
        exp_avg: torch.Tensor,
        exp_avg_sq: torch.Tensor,
        group: Mapping[str, Any],
    ) -> None:
        """AdamW's update."""
        beta1, beta2 = group["betas"]
        weights.mul_(1 - group["lr"] * group["weight_decay"])
        exp_avg.lerp_(grad, 1 - beta1)
        exp_avg_sq.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
        weights.addcdiv_(exp_avg, exp_avg_sq.sqrt().mul_(self.factor).add_(self.epsilon), value=-group["lr"])
