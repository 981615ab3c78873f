"""AdamW for super-networks: what it does to units that a step did not use is said, not left to chance.

A gradient that is zero still moves a unit under AdamW: the momentum goes on and the decay acts. And a unit that is used
in a share q of the steps sees q of the gradients, but its update is sqrt(q) of what it would be.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal, TypeAlias, cast

import torch
from torch.optim.adamw import adamw

from archsearch.elastic.axes import Segments
from archsearch.elastic.cut import Cut
from archsearch.elastic.network import Elastic, SubNetwork
from archsearch.errors import ElasticError

Idle: TypeAlias = Literal["decay", "freeze", "scale"]

# What stays of a tensor: ranges in each dimension, None for all.
Area: TypeAlias = tuple[Segments | None, ...]

# With a choice in every layer there is no end of what a step can use.
MAX_CELLS = 65_536


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
    dimension; `step` holds for each cell the updates that it took and the steps that used it.
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
        self._cells: dict[Any, list[Cell]] = {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up a state.

        Raises:
            ElasticError: it is of an optimiser that treats idle units otherwise.
        """
        found = {group.get("idle") for group in state_dict["param_groups"]}
        if found != {self.idle}:
            raise ElasticError(f"this state is of an optimiser with idle={found}, but this one has {self.idle!r}")
        super().load_state_dict(state_dict)
        self._cells.clear()

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
                self._step_cells(group, cuts, parts or {})
        return result

    def _zero_left_out(self, cuts: Sequence[Cut]) -> None:
        """Give the parameters of layers that were left out the gradient that those of other idle units have."""
        for group in self.param_groups:
            for parameter in group["params"]:
                name = self._names.get(id(parameter))
                if parameter.grad is None and name and cuts and all(cut.name(name) is None for cut in cuts):
                    parameter.grad = torch.zeros_like(parameter)

    def _step_cells(self, group: dict[str, Any], cuts: Sequence[Cut], parts: Mapping[int, torch.Tensor]) -> None:
        """One step of AdamW, each cell with its own count of steps, and its own learning rate where it is scaled."""
        by_factor: dict[float, list[list[torch.Tensor]]] = {}
        for parameter in group["params"]:
            part = parts.get(id(parameter))
            grad = parameter.grad if part is None else part
            if grad is None:
                continue
            cells = self._used(parameter, cuts)
            state = self.state[parameter]
            counts = state["step"]
            for cell in cells:
                counts[cell.index][1] += 1
            if self.idle == "scale":
                cells = all_cells(state["bounds"])
            for cell in cells:
                updates, uses = counts[cell.index]
                factor = 1.0
                if self.idle == "scale" and uses > 0:
                    factor = ((float(updates) + 1) / float(uses)) ** 0.5
                lists = by_factor.setdefault(factor, [[], [], [], [], []])
                whole = (parameter, state["exp_avg"], state["exp_avg_sq"])
                weights, first, second = (tensor[cell.where] for tensor in whole)
                mine = grad[cell.where if part is None else cell.in_part]
                for items, item in zip(lists, (weights, mine, first, second, updates), strict=True):
                    items.append(item)
        beta1, beta2 = group["betas"]
        for factor, (params, grads, exp_avgs, exp_avg_sqs, steps) in by_factor.items():
            adamw(
                params,
                grads,
                exp_avgs,
                exp_avg_sqs,
                [],
                steps,
                foreach=group["foreach"],
                amsgrad=False,
                beta1=beta1,
                beta2=beta2,
                lr=group["lr"] * factor,
                weight_decay=group["weight_decay"] / factor,
                eps=group["eps"],
                maximize=False,
            )

    def _used(self, parameter: torch.Tensor, cuts: Sequence[Cut]) -> list[Cell]:
        """The cells of a parameter that a step uses; they are made where they are not there yet."""
        key = (id(parameter), tuple(cut.key for cut in cuts))
        if key not in self._cells:
            name = self._names.get(id(parameter))
            whole = (None,) * parameter.ndim
            stay = [cut for cut in cuts if name is not None and cut.name(name) is not None]
            areas = [whole] if name is None else [cut.segments(name, parameter.shape) for cut in stay]
            state = self._state(parameter)
            for area in areas:
                if split(state, area):
                    self._cells.clear()
            found = {cell.index: cell for area in areas for cell in cells_in(state["bounds"], area)}
            if len(self._cells) >= MAX_CELLS:
                self._cells.clear()
            self._cells[key] = list(found.values())
        return self._cells[key]

    def _state(self, parameter: torch.Tensor) -> dict[str, Any]:
        """The state of a parameter: in the beginning it is one cell."""
        state = cast("dict[str, Any]", self.state[parameter])
        if not state:
            state["exp_avg"] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
            state["exp_avg_sq"] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
            state["bounds"] = [[0, size] for size in parameter.shape]
            state["step"] = torch.zeros(*(1 for _ in parameter.shape), 2)
        return state


@dataclass(frozen=True)
class Cell:
    """A block of a parameter whose units are used together.

    Attributes:
        index: its number in each dimension.
        where: it is in the parameter.
        in_part: where it is in what the sub-network has of the parameter.
    """

    index: tuple[int, ...]
    where: tuple[slice, ...]
    in_part: tuple[slice, ...]


def split(state: dict[str, Any], area: Area) -> bool:
    """Split cells at the ends of an area; both halves have the counts. Returns whether any was split."""
    any_split = False
    for dim, segments in enumerate(area):
        side = state["bounds"][dim]
        for bound in (end for segment in segments or () for end in segment):
            at = bisect_left(side, bound)
            if side[at] != bound:
                side.insert(at, bound)
                copies = torch.ones(len(side) - 2, dtype=torch.long)
                copies[at - 1] = 2
                state["step"] = state["step"].repeat_interleave(copies, dim)
                any_split = True
    return any_split


def cells_in(bounds: Sequence[Sequence[int]], area: Area) -> Iterator[Cell]:
    """The cells of an area whose ends are bounds of cells."""
    sides = []
    for side, segments in zip(bounds, area, strict=True):
        gap, cells = 0, []  # how many indices before this one do not stay
        position = 0
        for start, stop in segments or ((0, side[-1]),):
            gap += start - position
            position = stop
            for i in range(bisect_left(side, start), bisect_left(side, stop)):
                cells.append((i, slice(side[i], side[i + 1]), slice(side[i] - gap, side[i + 1] - gap)))
        sides.append(cells)
    for cell in product(*sides):
        yield Cell(tuple(i for i, _, _ in cell), tuple(s for _, s, _ in cell), tuple(s for _, _, s in cell))


def all_cells(bounds: Sequence[Sequence[int]]) -> list[Cell]:
    return list(cells_in(bounds, (None,) * len(bounds)))
