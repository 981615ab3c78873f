"""Sub-networks that are evaluated together: bit for bit as one by one, with as few visits to layers as there can be."""

from __future__ import annotations

import random
from math import comb

import pytest
import torch
from elastic_models import FAMILIES, inputs_of, model_of, outputs_of
from test_elastic_evaluate import batches
from test_elastic_space import matformer_of, sortednet_of, stages
from torch import Tensor, nn

from archsearch.elastic.declare import axis
from archsearch.elastic.evaluate import Evaluate
from archsearch.elastic.matformer import MatFormer
from archsearch.elastic.mixnmatch import least_slope
from archsearch.elastic.network import Elastic
from archsearch.elastic.table import measured
from archsearch.elastic.trie import Trie
from archsearch.errors import ElasticError
from archsearch.spaces.space import Architecture


def check(net: Elastic, archs: list[Architecture], x: Tensor) -> int:
    """Compare outputs; how many layers ran."""
    net.eval()
    trie = Trie(net, archs)
    found = dict(trie.outputs(x))
    assert sorted(found) == list(range(len(archs)))
    with torch.no_grad():
        assert all(torch.equal(found[i], net(x, arch)) for i, arch in enumerate(archs))
    return trie.visits


def test_all_choices_in_layers() -> None:
    net = matformer_of(num_layers=4)
    archs = list(net.space().enumerate())
    random.Random(0).shuffle(archs)
    assert check(net, archs, batches()[1]) == 4 + 16 + 64 + 256


def test_choices_that_do_not_fall_with_depth() -> None:
    net = matformer_of(num_layers=4)
    archs = [arch for arch in net.space().enumerate() if arch["ffn"] == sorted(arch["ffn"])]
    assert len(archs) == comb(7, 3)
    assert check(net, archs, batches()[1]) == comb(8, 4) - 1


def test_least_slope_and_one_alone() -> None:
    net = matformer_of(num_layers=3)
    check(net, least_slope(net), batches()[1])
    assert check(net, least_slope(net)[4:5], batches()[1]) == 3


def test_width_depth_and_heads_too() -> None:
    net = sortednet_of(width=[1 / 2, 1], layers=[1 / 3, 2, 3], ffn=[1 / 4, 1], heads=[1 / 2, 1])
    check(net, list(net.space().enumerate()), batches()[1])


def test_an_axis_over_two_layers() -> None:
    net = stages()
    check(net, list(net.space().enumerate()), torch.randn(2, 6))


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family(name: str) -> None:
    net = MatFormer(model_of(name), [1 / 4, 1 / 2, 1]).eval()
    archs = net.space().sample(random.Random(0), 6)
    x = inputs_of(net.model)
    for number, output in Trie(net, archs).outputs(x):
        with torch.no_grad():
            expected = outputs_of(net(x, archs[number]))
        assert all(torch.equal(a, b) for a, b in zip(outputs_of(output), expected, strict=True))


def test_evaluate_and_tables_use_it() -> None:
    net = matformer_of([1 / 4, 1 / 2, 1])
    evaluate = Evaluate(net, batches())
    archs = list(net.space().enumerate())
    assert evaluate.many(archs) == [evaluate.of(arch) for arch in archs]
    table = measured(net, evaluate)
    assert [row.metrics["loss"] for row in table.rows] == [evaluate.of(row.arch)["loss"] for row in table.rows]


class Odd(nn.Module):
    """Layers that do not follow one another, in one of several ways."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way
        self.layers = nn.ModuleList(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 4)) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        one, other = self.layers
        match self.way:
            case "backwards":
                y = one(other(x))
            case "twice":
                y = other(one(one(x)))
            case "not at all":
                y = one(x)
            case _:
                y = other(one(x).add_(1)).add_(1)
        assert isinstance(y, Tensor)
        return y


@pytest.mark.parametrize(
    ("way", "message"),
    [
        ("backwards", "layer 1 ran as number 0"),
        ("twice", "layer 0 ran as number 1"),
        ("not at all", "1 of 2 layers ran"),
        ("in place", "layer 0 gave was changed in place"),
    ],
)
def test_layers_that_do_not_follow_one_another_are_refused(way: str, message: str) -> None:
    model = Odd(way)
    axes = [
        axis(model, f"ffn.{i}", 8, outputs=[f"layers.{i}.0"], inputs=[f"layers.{i}.2"], layer=f"layers.{i}")
        for i in range(2)
    ]
    net = MatFormer(model, [1 / 2, 1], axes=axes)
    with pytest.raises(ElasticError, match=message):
        list(Trie(net, net.space().enumerate()).outputs(torch.randn(2, 4)))
