"""Architectures as files: run without archsearch, they are the same model to the last bit."""

from __future__ import annotations

import functools
import importlib
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import random_graphs
import torch
import user_layers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_networks import FAMILIES, at, moved, networks
from source_checks import Worker, X, check, leaf, linear, running
from torch.nn import functional

import archsearch as A
from archsearch import nn
from archsearch.errors import BuildError, ShapeError
from archsearch.spaces.resolved import Branches, Chain, Dag, Joint, Leaf, Link, Once, Part, Skip
from archsearch.spaces.settle import settle
from archsearch.spaces.source import source
from archsearch.spaces.tensor import Tensor


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    yield from running(tmp_path_factory.mktemp("files"))


# The smallest of each, so that a check takes no longer than it must.
READY_MADE: dict[str, dict[str, Any]] = {
    "deeparchitect": {"name": "logging_tutorial"},
    "nasbench_macro": {},
    "convnet": {},
    "transformer": {"length": 16, "vocabulary": 50},
    "llama": {"vocabulary": 60, "context": 12, "widths": (32, 48), "depths": (2, 3), "heads": (2, 4), "groups": (1, 2)},
    "ofa_mobilenetv3": {"classes": 10, "resolutions": (64,)},
    "nasbench201": {"channels": 4, "cells": 2},
    "nasbench101": {"channels": 8, "cells": 2},
    "nasnet": {"channels": 4, "cells": 1},
    "hierarchical": {"channels": 4},
    "darts": {"channels": 4, "cells": 3, "auxiliary": True},
    "genetic_cnn": {"channels": (4, 8, 16), "features": 32},
    "autoformer": {"image": 64, "embeds": (48, 64), "depths": (2, 3), "heads": (2,)},
}


@pytest.mark.parametrize("name", READY_MADE)
def test_ready_made_spaces(name: str, worker: Worker) -> None:
    space = importlib.import_module(f"archsearch.spaces.{name}").space(**READY_MADE[name])
    for seed in range(3):
        arch = space.sample(random.Random(seed))
        text = check(arch.settled, worker, arch.source(), list(space.inputs.values()))
        assert all([f"    {path} = {answer!r}\n" in text for path, answer in arch.assignment.items()])
        assert f"{arch.parameters:,} parameters" in text
        assert "torch alone" in text


def check_random(draw: Callable[[st.DataObject], tuple[Part, list[Tensor]]], worker: Worker, least: int = 20) -> None:
    """Check random networks, of which `least` must fit together."""
    checked = 0

    @settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def run(data: st.DataObject) -> None:
        nonlocal checked
        part, inputs = draw(data)
        try:
            settled = settle(part, inputs)
        except (ShapeError, BuildError):
            return
        check(settled, worker)
        checked += 1

    run()
    assert checked >= least


@pytest.mark.parametrize("family", FAMILIES)
def test_random_networks(worker: Worker, family: str) -> None:
    layers, tensor = FAMILIES[family]
    check_random(lambda data: (data.draw(networks(layers)), [tensor]), worker)


@pytest.mark.parametrize("family", FAMILIES)
def test_random_networks_that_repeat(worker: Worker, family: str) -> None:
    layers, tensor = FAMILIES[family]

    def draw(data: st.DataObject) -> tuple[Part, list[Tensor]]:
        kinds = [data.draw(networks(layers, "[0]", 2)) or linear("[0]", 8) for _ in range(2)]
        times = data.draw(st.integers(2, 6))
        copies = [moved(data.draw(st.sampled_from(kinds)), "[0]", f"[{i}]") for i in range(times)]
        return Chain("", tuple(copies)), [tensor]

    check_random(draw, worker, least=10)


@pytest.mark.parametrize("family", random_graphs.FAMILIES)
def test_random_graphs(worker: Worker, family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    layers, tensor = random_graphs.FAMILIES[family]
    # From where no archsearch is needed.
    monkeypatch.setattr(random_graphs, "Constant", user_layers.Constant)
    monkeypatch.setattr(random_graphs, "mean", user_layers.mean)

    def draw(data: st.DataObject) -> tuple[Part, list[Tensor]]:
        number = data.draw(st.integers(1, 2))
        named = data.draw(st.booleans())
        return data.draw(random_graphs.dags(layers, tensor.shape, "", number, 2, named)), [tensor] * number

    check_random(draw, worker)


NETWORKS: dict[str, tuple[Part, list[Tensor]]] = {
    "nothing": (None, [X]),
    "no part": (Chain("", ()), [X]),
    "an activation": (at("", nn.ReLU()), [X]),
    "a layer": (linear("", 3), [X]),
    "a function": (leaf("", user_layers.scale, by=2.5), [X]),
    "one shared": (Once("k", linear("[0]", 3)), [X]),
    "several inputs": (
        Chain("", (leaf("[0]", user_layers.joined, by=2.0), linear("[1]", 3), linear("head", 2))),
        [X, Tensor(5)],
    ),
    "several inputs by name": (
        Chain("", (leaf("join", user_layers.joined, by=2.0), linear("body", 3), linear("head", 2))),
        [X, Tensor(5)],
    ),
    "a merge of several inputs": (
        Branches("", (linear("a", 3), linear("b", 5)), Chain("merge", (at("merge[0]", nn.Bilinear(2)), None))),
        [X],
    ),
    "a merge that passes on": (Branches("", (linear("[0]", 3),), None), [X]),
    "one branch": (Branches("", (linear("[0]", 3),), "add"), [X]),
    "identities": (Branches("", (None, linear("[1]", 4), None, Chain("[3]", ())), "mul"), [X]),
    "items": (
        Branches(
            "", (linear("[0]", 4), Chain("[1]", (linear("[1][0]", 4), None, linear("[1][2]", 4)), items=True)), "add"
        ),
        [X],
    ),
    "items by name": (
        Branches(
            "",
            (
                Chain(
                    "[0]",
                    (Chain("[0].a", (linear("[0].a.present", 4),)), Chain("[0].b", (linear("[0].b.present", 4),))),
                    items=True,
                ),
                linear("[1]", 4),
            ),
            "mul",
        ),
        [X],
    ),
    "items of a merge": (
        Branches(
            "", (Chain("[0]", (linear("[0][0]", 4), linear("[0][1]", 4)), items=True),), leaf("merge", user_layers.mean)
        ),
        [X],
    ),
    "no items among branches": (Branches("", (Chain("[0]", (), items=True), linear("[1]", 4)), "concat"), [X]),
    "a projection of another name": (
        Skip("", Chain("[0]", (linear("[0](3,0.5)", 5),)), Chain("project", (linear("project(1)", 5),))),
        [X],
    ),
    "gaps and orders": (
        Chain(
            "",
            (
                Chain("[0]", (linear("[0][1]", 4), linear("[0][3]", 4))),
                Chain("[1]", (linear("[1][2]", 4), linear("[1][0]", 4))),
                Chain("[2]", (linear("[2][90]", 4),)),
                Chain("[3]", (linear("[3].lambda", 4), linear("[3].head", 4))),
            ),
        ),
        [X],
    ),
    "a tied head": (
        Chain(
            "",
            (
                Once("embed", at("embed", nn.Embedding(50, 8))),
                linear("body", 8),
                leaf("head", user_layers.tied, embedding=Once("embed", at("head.embedding", nn.Embedding(50, 8)))),
            ),
        ),
        [Tensor(6, dtype="int64", below=50)],
    ),
    "one block many times": (
        Chain(
            "",
            tuple(
                [
                    Skip(
                        f"[{i}]",
                        Chain(
                            f"[{i}][0]",
                            (
                                at(f"[{i}][0].norm", nn.LayerNorm()),
                                Once("mix", linear(f"[{i}][0].mix", 4)),
                                linear(f"[{i}][0].own", 4),
                            ),
                        ),
                    )
                    for i in range(6)
                ]
            ),
        ),
        [X],
    ),
    "shared inside shared": (
        Chain(
            "",
            (
                linear("[0]", 4),
                Once("outer", Chain("[1]", (linear("[1][0]", 4), Once("inner", linear("[1][1]", 4))))),
                Once("inner", linear("[2]", 4)),
                Once("outer", Chain("[3]", (linear("[3][0]", 4), Once("inner", linear("[3][1]", 4))))),
            ),
        ),
        [X],
    ),
    "first met as an argument": (
        Chain(
            "",
            (
                leaf("[0]", user_layers.Wrap, first=Once("k", linear("[0].first", 4))),
                Once("k", linear("[1]", 4)),
                leaf(
                    "[2]",
                    user_layers.keep,
                    function=Once("k", linear("[2].function", 4)),
                    arguments=linear("[2].arguments", 4),
                ),
            ),
        ),
        [X],
    ),
    "modules in arguments": (
        leaf(
            "",
            user_layers.Wrap,
            others=[linear("others[0]", 4), at("others[1]", nn.ReLU())],
            by_name={"one": linear("by_name.one", 4), "two": Chain("by_name.two", (linear("by_name.two[0]", 4), None))},
            first=at("first", nn.PReLU()),
        ),
        [X],
    ),
    "values of all kinds": (
        Leaf(
            "",
            user_layers.Everything,
            {
                "mode": user_layers.Mode.TWICE,
                "activation": functional.gelu,
                "dtype": torch.float32,
                "device": torch.device("cpu"),
                "text": "both \"quotes\" and 'these' and \\",
                "numbers": [1, -2.5, 1e-5, float("inf"), float("-inf"), True, None, 10**20],
                "pair": (3, (4,)),
                "sizes": torch.Size([1, 2]),
                "empty": [(), [], {}, set(), frozenset()],
                "table": {"a": [1, 2], 3: (None, ...)},
                "some": {"x", "y"},
                "frozen": frozenset({2, 1}),
                "made": functools.partial(user_layers.scale, by=2),
                "kind": torch.nn.LayerNorm,
                "format": torch.channels_last,
                "span": slice(None, 2),
                "steps": range(3),
                "raw": b"\x00a",
                "builtin": max,
                "lambda": 1,
                "long": list(range(60)),
            },
            {"in_features": "features"},
        ),
        [X],
    ),
    "classes of classes": (Chain("", (at("[0]", A.module(user_layers.Outer.Inner)), linear("[1]", 3))), [X]),
    "a class of a name that files use": (
        Chain("", (at("[0]", A.module(user_layers.Residual)), Skip("[1]", linear("[1][0]", 4)))),
        [X],
    ),
    "another dtype": (
        leaf("", "torch.nn:Linear", in_features=4, out_features=3, dtype=torch.float64),
        [Tensor(4, dtype="float64")],
    ),
    "our own layers": (
        Chain("", (at("rnn", nn.LSTM(6)), at("attend", nn.MultiheadAttention(2)), at("zero", nn.Zero()))),
        [Tensor(5, 4)],
    ),
    "dropout": (
        Skip("", Branches("[0]", (at("[0][0]", nn.Dropout(0.5)), at("[0][1]", nn.Dropout(0.5))), "add")),
        [X],
    ),
    "a parameter that could hide a function": (
        Chain(
            "",
            tuple(
                [
                    Chain(
                        f"[{i}]",
                        (
                            leaf(f"[{i}].first", user_layers.scale, by=2.0),
                            at(f"[{i}].scale", nn.Tanh() if i % 2 else nn.Sigmoid()),
                            linear(f"[{i}].last", 4),
                        ),
                    )
                    for i in range(6)
                ]
            ),
        ),
        [X],
    ),
    "writing over values": (
        Dag(
            "",
            ("x",),
            (Joint("a", "a", (Link("x", None),), "add", None, linear("a.op", 4)),),
            (
                Joint(
                    "",
                    "outputs",
                    (
                        Link("a", None),
                        Link("x", linear("outputs.x", 4)),
                        Link("a", at("outputs.a", nn.ReLU(inplace=True))),
                    ),
                    "add",
                    None,
                ),
            ),
        ),
        [X],
    ),
}


@pytest.mark.filterwarnings("ignore:The tensor attribute")
@pytest.mark.parametrize("name", NETWORKS)
def test_every_kind_of_part(name: str, worker: Worker) -> None:
    part, inputs = NETWORKS[name]
    text = check(settle(part, inputs), worker, inputs=inputs)
    assert ("torch and user_layers" if "user_layers" in text else "torch alone") in text


def test_inputs_keep_their_names_where_python_allows(worker: Worker) -> None:
    part = Chain("", (leaf("join", user_layers.joined, by=2.0), linear("head", 2)))
    inputs = {"Image": X, "lambda": Tensor(5)}
    settled = settle(part, list(inputs.values()))
    text = check(settled, worker, source(settled, inputs, {}))
    assert "def forward(self, image: Tensor, lambda_: Tensor) -> Tensor:\n        x = self.join(image, lambda_)" in text
    assert "Takes image (batch, 4) float32, lambda_ (batch, 5) float32." in text
