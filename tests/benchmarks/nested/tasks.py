"""Real data and the small models that are trained on it; each with batches by number and a fixed validation part."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from benchmarks.regret.data import NoData, folder
from torch import nn

from archsearch.elastic.transformer import Transformer, TransformerConfig, ViT, ViTConfig

HIDDEN = 256
CONTEXT = 64


@dataclass(frozen=True)
class Task:
    """A data set and the recipe on it.

    Attributes:
        name: of the data set.
        model: makes a model of a feed-forward width.
        batch: a training batch, of a number and a seed, as `archsearch.elastic.training.train` takes it.
        validation: batches that are not trained on.
        learning_rate: of AdamW at its peak.
    """

    name: str
    model: Callable[[int], nn.Module]
    batch: Callable[[int, int], object]
    validation: list[object]
    learning_rate: float


def read_text(*names: str) -> list[torch.Tensor]:
    found = []
    for name in names:
        path = folder() / name
        if not path.exists():
            raise NoData(f"{path} is missing: put the data there, or set ARCHSEARCH_DATA to their folder")
        found.append(torch.from_numpy(np.frombuffer(gzip.decompress(path.read_bytes()), dtype=np.uint8).copy()).long())
    return found


def text_task(name: str, train: torch.Tensor, valid: torch.Tensor) -> Task:
    """A language model of bytes: width 64, 4 layers, 4 heads, 64 bytes of context, batches of 16."""

    def windows(data: torch.Tensor, starts: torch.Tensor) -> torch.Tensor:
        return data[starts[:, None] + torch.arange(CONTEXT + 1)[None]]

    def batch(number: int, seed: int) -> torch.Tensor:
        rng = np.random.default_rng((seed, number))
        return windows(train, torch.from_numpy(rng.integers(0, len(train) - CONTEXT, 16)))

    starts = torch.arange(0, len(valid) - CONTEXT - 1, CONTEXT)
    starts = starts[:: max(1, len(starts) // 1024)][:1024]

    def model(hidden: int) -> nn.Module:
        return Transformer(TransformerConfig(width=64, layers=4, heads=4, hidden=hidden, context=CONTEXT + 1))

    return Task(name, model, batch, [windows(valid, part) for part in starts.split(128)], 2e-3)


@cache
def shakespeare() -> Task:
    """Tiny Shakespeare; the last tenth is validation."""
    (data,) = read_text("tinyshakespeare.txt.gz")
    cut = len(data) * 9 // 10
    return text_task("shakespeare", data[:cut], data[cut:])


@cache
def wikitext() -> Task:
    """WikiText-2, trained on its validation part (the training part is not at hand), evaluated on its test part."""
    return text_task("wikitext", *read_text("wikitext2_valid.txt.gz", "wikitext2_test.txt.gz"))


@cache
def fashion() -> Task:
    """Fashion-MNIST: a ViT of width 64, 4 layers, 4 heads, patches of 7 by 7, batches of 64; no augmentation."""
    path = folder() / "fashion_mnist.npz"
    if not path.exists():
        raise NoData(f"{path} is missing: put the data there, or set ARCHSEARCH_DATA to their folder")
    with np.load(path) as data:
        x, y, x_test, y_test = (torch.from_numpy(data[key]) for key in ("x_train", "y_train", "x_test", "y_test"))

    def images(pixels: torch.Tensor) -> torch.Tensor:
        return (pixels[:, None].float() / 255 - 0.286) / 0.353

    def batch(number: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        rows = torch.from_numpy(np.random.default_rng((seed, number)).integers(0, len(x), 64))
        return images(x[rows]), y[rows].long()

    def model(hidden: int) -> nn.Module:
        return ViT(ViTConfig(width=64, layers=4, heads=4, hidden=hidden, patch=7))

    pairs = zip(x_test.split(500), y_test.split(500), strict=True)
    return Task("fashion", model, batch, [(images(a), b.long()) for a, b in pairs], 2e-3)


TASKS: dict[str, Callable[[], Task]] = {"shakespeare": shakespeare, "wikitext": wikitext, "fashion": fashion}
