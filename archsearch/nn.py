"""The layers of torch.nn as descriptions: `from archsearch import nn`, `nn.Conv2d(16, 3)`."""

from archsearch.spaces import nn as layers
from archsearch.spaces.nn import *  # noqa: F403

__all__: list[str] = []
__all__ += layers.__all__
