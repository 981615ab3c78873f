"""Lifting classes and functions."""

from __future__ import annotations

import functools
import subprocess
import sys
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from archsearch.errors import BuildError, SpaceError
from archsearch.spaces.build import build
from archsearch.spaces.modules import module
from archsearch.spaces.nodes import Module
from archsearch.spaces.resolved import Leaf
from archsearch.spaces.settle import settle
from archsearch.spaces.tensor import Tensor


class Scale(nn.Module):
    def __init__(self, dim: int, init: float = 1.0, *, bias: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((dim,), init))
        self.bias = nn.Parameter(torch.zeros(dim)) if bias else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.weight if self.bias is None else x * self.weight + self.bias


class PassesOn(Scale):
    def __init__(self, *args: Any, extra: int = 0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)


def blend(a: torch.Tensor, b: torch.Tensor, *, share: float) -> torch.Tensor:
    return a * share + b * (1 - share)


def leaf(node: Module, place: str = "here") -> Leaf:
    return Leaf(place, node.target, node.arguments, node.infer, node.shape)


def test_positional_arguments_go_to_parameters_by_signature() -> None:
    assert module(nn.Conv2d, 3, 16, 5, padding=2).arguments == {
        "in_channels": 3,
        "out_channels": 16,
        "kernel_size": 5,
        "padding": 2,
    }
    assert module(Scale, 8, 0.5).arguments == {"dim": 8, "init": 0.5}


@pytest.mark.parametrize(
    ("target", "given", "rules"),
    [
        (nn.Linear, {"out_features": 3}, {"in_features": "features"}),
        (nn.Linear, {"in_features": 5, "out_features": 3}, {}),
        (nn.Conv1d, {"out_channels": 3, "kernel_size": 1}, {"in_channels": "channels"}),
        (nn.GroupNorm, {"num_groups": 2}, {"num_channels": "channels"}),
        (nn.LayerNorm, {}, {"normalized_shape": "features"}),
        (nn.MultiheadAttention, {"num_heads": 2}, {"embed_dim": "features"}),
        (nn.LSTM, {"hidden_size": 4}, {"input_size": "features"}),
        (nn.TransformerEncoderLayer, {"nhead": 2}, {"d_model": "features"}),
        (nn.PReLU, {}, {}),
    ],
)
def test_sizes_are_inferred_by_torchs_names(target: Any, given: dict[str, Any], rules: dict[str, Any]) -> None:
    node = module(target, **given)
    assert node.arguments == given
    assert node.infer == rules


def test_the_second_input_gives_the_second_size() -> None:
    settled = settle(leaf(module(nn.Bilinear, out_features=4)), [Tensor(5), Tensor(7)])
    assert settled.arguments == {"out_features": 4, "in1_features": 5, "in2_features": 7}
    assert settled.parameters == 4 * 5 * 7 + 4


@pytest.mark.parametrize(("rule", "size"), [("channels", 3), ("features", 6), (lambda shape: shape[0] * shape[1], 15)])
def test_infer_names_further_sizes(rule: Any, size: int) -> None:
    settled = settle(
        leaf(module(nn.Embedding, embedding_dim=2, infer={"num_embeddings": rule})), [Tensor(3, 5, 6, dtype="int64")]
    )
    assert settled.arguments == {"embedding_dim": 2, "num_embeddings": size}
    assert settled.parameters == 2 * size


def test_infer_shape_is_the_whole_shape() -> None:
    settled = settle(leaf(module(nn.LayerNorm, infer={"normalized_shape": "shape"})), [Tensor(3, 5)])
    assert settled.arguments == {"normalized_shape": (3, 5)}
    assert settled.parameters == 30


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: module(nn.Conv2d, 1, 2, 3, striide=2), ["Conv2d", "'striide'", "did you mean 'stride'"]),
        (lambda: module(Scale, dim=3, innit=2.0), ["Scale", "'innit'", "did you mean 'init'"]),
        (lambda: module(nn.Conv2d), ["Conv2d needs out_channels=, kernel_size="]),
        (lambda: module(nn.Linear, 10), ["out_features=", "to have in_features inferred", "by name"]),
        (lambda: module(nn.Linear, 1, 2, out_features=3), ["out_features twice", "2", "3"]),
        (lambda: module(Scale, 1, 0.5, True), ["Scale takes dim, init by position", "True"]),
        (lambda: module(nn.LSTM, 4, 8), ["LSTM", "by name", "(4, 8)"]),
        (lambda: module(F.gelu, "tanh"), ["gelu is a function", "by name", "'tanh'"]),
        (lambda: module(blend, shar=0.5), ["'shar'", "did you mean 'share'"]),
        (lambda: module("timm.layers:DropPath", 0.1), ["timm.layers:DropPath", "by name", "(0.1,)"]),
        (lambda: module("DropPath"), ["'package.mod:Class'", "'DropPath'"]),
        (lambda: module(nn.Linear, out_features=3, infer={"in_features": "feature"}), ["'feature'", "'features'"]),
        (lambda: module(Scale, infer={"dimm": "features"}), ["'dimm'", "did you mean 'dim'"]),
        (lambda: module(Scale, dim=3, infer={"dim": "features"}), ["dim", "3", "keep one"]),
        (lambda: module(nn.Unflatten, dim=1, shape=(3, 4)), ["shape=", "(3, 4)", "by position"]),  # type: ignore[arg-type]
        (lambda: module(3), ["'package.mod:Class'", "3"]),  # type: ignore[arg-type]
        (lambda: module(module(nn.ReLU)), ["takes a class", "ReLU()"]),  # type: ignore[arg-type]
    ],
)
def test_mistakes_are_refused_where_they_are_made(make: Any, words: list[str]) -> None:
    with pytest.raises(SpaceError) as caught:
        make()
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("nowhere_at_all:Layer", {}, ["body[2]", "nowhere_at_all"]),
        ("torch.nn:Liner", {}, ["body[2]", "torch.nn has no 'Liner'", "did you mean 'Linear'"]),
        ("torch.nn:Linear", {"out_feature": 3}, ["body[2]", "'out_feature'", "did you mean 'out_features'"]),
        ("torch.nn:Linear", {}, ["body[2]", "needs out_features="]),
        ("math:pi", {}, ["body[2]", "neither a class nor a function"]),
    ],
)
def test_a_named_class_is_checked_when_it_is_needed(name: str, arguments: dict[str, Any], words: list[str]) -> None:
    node = module(name, **arguments)
    with pytest.raises(BuildError) as caught:
        settle(leaf(node, "body[2]"), [Tensor(8)])
    for word in words:
        assert word in str(caught.value)


def test_a_named_class_is_the_class() -> None:
    by_name = settle(leaf(module("torch.nn:Linear", out_features=3)), [Tensor(8)])
    by_class = settle(leaf(module(nn.Linear, out_features=3)), [Tensor(8)])
    assert by_name.arguments == by_class.arguments == {"out_features": 3, "in_features": 8}
    assert by_name.parameters == by_class.parameters == 27


def test_what_a_class_passes_on_is_checked_when_it_is_made() -> None:
    settled = settle(leaf(module(PassesOn, init=2.0, infer={"dim": "features"})), [Tensor(8)])
    assert settled.parameters == 8
    with pytest.raises(BuildError, match=r"here: PassesOn.*cannot be made.*unexpected keyword argument 'innit'"):
        settle(leaf(module(PassesOn, innit=2.0, infer={"dim": "features"})), [Tensor(8)])


def test_a_function_of_two_inputs() -> None:
    settled = settle(leaf(module(blend, share=0.25)), [Tensor(4), Tensor(4)])
    built = build(settled)
    assert torch.equal(built(torch.ones(2, 4), torch.zeros(2, 4)), torch.full((2, 4), 0.25))
    assert settled.output == Tensor(4)


class Widen(nn.Module):
    def __init__(self, in_features: int, norm: nn.Module) -> None:
        super().__init__()
        self.widen = nn.Linear(in_features, 2 * in_features)
        self.norm = norm

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.as_tensor(self.norm(self.widen(x)))


def test_a_module_as_an_argument_need_not_fit_the_input_itself() -> None:
    norm = Leaf("here.norm", "torch.nn:LayerNorm", {"normalized_shape": 16}, {})
    settled = settle(Leaf("here", Widen, {"norm": norm}, {"in_features": "features"}), [Tensor(8)])
    assert settled.output == Tensor(16)
    assert settled.parameters == 8 * 16 + 16 + 2 * 16
    assert build(settled)(torch.zeros(2, 8)).shape == (2, 16)


def test_describing_loads_no_torch() -> None:
    code = (
        "import sys; from archsearch import nn; from archsearch.spaces.modules import module;"
        "nn.Conv2d(8, 3); module('torch.nn:Linear', out_features=3); import archsearch.spaces.settle;"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("target", "says"),
    [
        (nn.Linear(3, 4), r"lift the class: module\(Linear, \.\.\.\)"),
        (functools.partial(torch.sum, dim=1), "give the function, and its arguments by name"),
    ],
)
def test_what_has_no_name_is_not_lifted(target: Any, says: str) -> None:
    with pytest.raises(SpaceError, match=says):
        module(target)


def test_a_parameter_that_is_called_infer() -> None:
    class Odd(nn.Module):
        def __init__(self, infer: int) -> None:
            super().__init__()

    assert module(Odd, 4).arguments == {"infer": 4}
    with pytest.raises(SpaceError, match="by position"):
        module(Odd, infer=4)  # type: ignore[arg-type]
