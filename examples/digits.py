"""Find a network that reads handwritten digits (scikit-learn's 1,797 real ones, no download).

    python examples/digits.py                                      # search, train the best, test it
    archsearch run examples/digits.py --trials 20 --workers 2      # the search alone; add --set EPOCHS=10

The search trains on one part of the images and compares on another; the test part is read once, at the end.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor
from torch.nn import functional

import archsearch as A
from archsearch import nn

EPOCHS = 6  # in each trial
FINAL_EPOCHS = 24  # of the network that was found

activation = A.Choice({"relu": nn.ReLU(), "silu": nn.SiLU()}, name="activation")  # named: decided once


def convolution(channels: A.Choice | A.Derived) -> A.Sequential:
    """A convolution whose kernel is decided wherever it stands."""
    kernel = nn.Conv2d(channels, A.Choice([3, 5]), padding="same")
    return A.Sequential(conv=kernel, norm=nn.BatchNorm2d(), activation=activation)


width = A.Choice([12, 24, 32], name="width")
model = A.Sequential(
    stem=convolution(width),
    body=A.Repeat(A.Residual(convolution(width)), A.Integer(1, 2)),
    pool=nn.MaxPool2d(2),
    top=convolution(2 * width),
    mean=A.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    dropout=A.Optional(nn.Dropout(A.Choice([0.1, 0.3]))),
    classify=nn.Linear(10),
)
space = A.Space({"model": model, "lr": A.Real(1e-3, 3e-2, log=True)}, input_shape=(1, 8, 8))
objective = "accuracy"

Part = tuple[Tensor, Tensor]


def digits() -> tuple[Part, Part, Part]:
    """Images of shape (n, 1, 8, 8) and labels, for training, validation and the final test."""
    images, labels = load_digits(return_X_y=True)
    rest, test = train_test_split(range(len(labels)), test_size=450, stratify=labels, random_state=0)
    train, validation = train_test_split(rest, test_size=300, stratify=labels[rest], random_state=0)

    def part(rows: list[int]) -> Part:
        pixels = torch.tensor(images[rows] / 16, dtype=torch.float32)
        return pixels.reshape(-1, 1, 8, 8), torch.tensor(labels[rows])

    return part(train), part(validation), part(test)


def distorted(images: Tensor) -> Tensor:
    """Every image turned, stretched and shifted a little, each in its own way."""
    change = torch.tensor([[0.08, 0.08, 0.1], [0.08, 0.08, 0.1]]) * torch.randn(len(images), 2, 3)
    grid = functional.affine_grid(torch.eye(2, 3) + change, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, align_corners=False)


def fit(network: torch.nn.Module, data: Part, lr: float, epochs: int) -> None:
    """Train on distorted images with smoothed labels, under a one-cycle learning rate."""
    torch.set_num_threads(1)  # the workers share the cores, and such a small network gains nothing from more
    torch.manual_seed(0)  # the order of the images, their distortions, dropout
    images, labels = data
    optimizer = torch.optim.AdamW(network.parameters(), lr=lr, weight_decay=0.01)
    steps = epochs * len(labels[::64])
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=lr, total_steps=steps)
    network.train()
    for _ in range(epochs):
        for rows in torch.randperm(len(labels)).split(64):
            outputs = network(distorted(images[rows]))
            optimizer.zero_grad()
            functional.cross_entropy(outputs, labels[rows], label_smoothing=0.1).backward()
            optimizer.step()
            schedule.step()


def accuracy(network: torch.nn.Module, data: Part) -> float:
    images, labels = data
    network.eval()
    with torch.no_grad():
        return float((network(images).argmax(dim=1) == labels).float().mean())


def evaluate(trial: A.Trial) -> dict[str, float]:
    """One trial, on a worker."""
    train, validation, _ = digits()
    network = trial.build()
    fit(network, train, trial["lr"], EPOCHS)
    return {"accuracy": accuracy(network, validation)}


if __name__ == "__main__":
    study = A.Study(space, evaluate, objective=objective, searcher="random", store="runs.db", name="digits", seed=0)
    study.run(trials=20, workers=2)
    found = study.best.arch
    print(found)
    train, validation, test = digits()
    network = found.build(seed=0)
    fit(
        network, (torch.cat([train[0], validation[0]]), torch.cat([train[1], validation[1]])), found["lr"], FINAL_EPOCHS
    )
    print(f"test accuracy: {accuracy(network, test):.2%}")
