"""A model of your own as a super-network: its axes are declared in a few lines, and all else follows.

    python examples/elastic_own_model.py

A residual network of dense layers reads scikit-learn's handwritten digits. Its depth, the width of its residual stream
and the hidden units of its layers are elastic: 5 x 3 x 4 models in one, trained together in half a minute; then the
best of those under 4,000 parameters is cut out.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import nn

import archsearch as A
from archsearch.elastic import Axis, SortedNet

STEPS = 1500
BUDGET = 4_000
DEPTH, WIDTH, HIDDEN = 5, 32, 128


class Reader(nn.Module):
    """Images of 64 numbers to logits of 10 digits."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Linear(64, WIDTH)
        self.layers = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, HIDDEN), nn.GELU(), nn.Linear(HIDDEN, WIDTH))
            for _ in range(DEPTH)
        )
        self.leave = nn.Linear(WIDTH, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.enter(x)
        for layer in self.layers:
            x = x + layer(x)
        logits: torch.Tensor = self.leave(x)
        return logits


def super_network() -> SortedNet:
    """Units come out of some modules (`outputs`) and go into others (`inputs`); sizes follow from the shapes."""
    model = Reader()
    paths = [f"layers.{i}" for i in range(DEPTH)]
    axes: list[Axis] = [A.elastic.layers(model, "layers")]
    for i, path in enumerate(paths):
        axes.append(A.elastic.axis(model, f"ffn.{i}", HIDDEN, outputs=[f"{path}.1"], inputs=[f"{path}.3"], layer=path))
    written = ["enter", *[f"{path}.{part}" for path in paths for part in (0, 3)]]  # norms have a number for each unit
    read = [*[f"{path}.1" for path in paths], "leave"]
    axes.append(A.elastic.axis(model, "width", WIDTH, outputs=written, inputs=read))
    images = {"x": A.Tensor(64)}
    return SortedNet(
        model, axes=axes, inputs=images, layers=[1, 2, 3, 4, 5], width=[8, 16, 32], ffn=[1 / 8, 1 / 4, 1 / 2, 1]
    )


def main() -> None:
    torch.manual_seed(0)
    x, y = load_digits(return_X_y=True)
    order = torch.randperm(len(x))
    images, digits = torch.tensor(x, dtype=torch.float32)[order] / 8 - 1, torch.tensor(y)[order]
    train, valid, test = [(images[part], digits[part]) for part in order_of_parts(len(images))]

    def batch(number: int) -> tuple[torch.Tensor, torch.Tensor]:
        rows = torch.randint(len(train[0]), (64,), generator=torch.Generator().manual_seed(number))
        return train[0][rows], train[1][rows]

    net = super_network()
    A.elastic.train(
        net, batch, steps=STEPS, mode=A.elastic.Sampled(draws=4), schedule=A.elastic.cosine(STEPS, warmup=50)
    )
    space = net.space()
    score = A.elastic.Evaluate(net, [valid])
    best = max((a for a in space.enumerate() if a.parameters <= BUDGET), key=lambda a: score.of(a)["accuracy"])
    final = A.elastic.Evaluate(net, [test])
    print(f"{space.size()} models in one")
    for name, sub in (("the whole", None), (f"the best under {BUDGET:,} parameters", best)):
        model = net.extract(sub)
        number = sum(p.numel() for p in model.parameters())
        print(f"{name}: {number:,} parameters, test accuracy {final.of(sub)['accuracy']:.2%}")


def order_of_parts(number: int) -> list[slice]:
    """Training, validation and test rows of shuffled data: 60%, 20% and 20%."""
    return [slice(0, number * 6 // 10), slice(number * 6 // 10, number * 8 // 10), slice(number * 8 // 10, number)]


if __name__ == "__main__":
    main()
