"""Building: plain torch modules, named by their places, that behave like any others."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from random_networks import FAMILIES, networks
from torch import nn

from archsearch.errors import BuildError, ShapeError
from archsearch.spaces.build import build
from archsearch.spaces.resolved import Branches, Chain, Leaf, Once, Part, Skip
from archsearch.spaces.settle import settle
from archsearch.spaces.settled import Settled
from archsearch.spaces.tensor import Tensor


def linear(place: str, out_features: int, **arguments: Any) -> Leaf:
    rest = {} if "in_features" in arguments else {"in_features": "features"}
    return Leaf(place, "torch.nn:Linear", {"out_features": out_features, **arguments}, rest)


def relu(place: str) -> Leaf:
    return Leaf(place, "torch.nn:ReLU", {}, {})


def scale(x: torch.Tensor, by: float) -> torch.Tensor:
    return x * by


def through(x: torch.Tensor, inner: nn.Module) -> torch.Tensor:
    result: torch.Tensor = inner(x)
    return result


class Wrap(nn.Module):
    """Holds a module that it is given."""

    def __init__(self, inner: nn.Module, size: int) -> None:
        super().__init__()
        self.inner = inner
        self.head = nn.Linear(size, size)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.head(self.inner(x))
        return result


def everything() -> Settled:
    """A network with every kind of part, over 16 features."""
    part = Chain(
        "model",
        (
            Once("tie", linear("model[0]", 16)),
            relu("model[1]"),
            Once("tie", linear("model[2]", 16)),
            Skip("model[3]", Chain("model[3][0]", (linear("model[3][0][0]", 32),), items=True)),
            Branches(
                "model.branches",
                (
                    Chain(
                        "model.branches[0]",
                        (linear("model.branches[0][0]", 4), linear("model.branches[0][1]", 4)),
                        items=True,
                    ),
                    None,
                    Leaf("model.branches[2](3,0.5)", scale, {"by": 2.0}, {}),
                ),
            ),
            Leaf("model.wrap", Wrap, {"inner": linear("model.wrap.inner", 8), "size": 8}, {}),
            Chain("model.none", ()),
        ),
    )
    return settle(part, [Tensor(16)])


def names(module: nn.Module) -> list[str]:
    return list(module.state_dict())


def test_names_follow_places_below_the_root() -> None:
    assert names(build(everything())) == [
        "0.weight",
        "0.bias",
        "3.0.0.weight",
        "3.0.0.bias",
        "3.project.weight",
        "branches.0.0.weight",
        "branches.0.0.bias",
        "branches.0.1.weight",
        "branches.0.1.bias",
        "wrap.inner.weight",
        "wrap.inner.bias",
        "wrap.head.weight",
        "wrap.head.bias",
    ]


def test_labels_lazy_values_and_indices_in_a_name() -> None:
    conv = Leaf(
        "body[2](3,0.5).op.conv", "torch.nn:Conv2d", {"out_channels": 4, "kernel_size": 1}, {"in_channels": "channels"}
    )
    place = ("body[2](3,0.5).op", "body[2](3,0.5)", "body[2]", "body", "")
    part: Part = conv
    for outer in place:
        part = Chain(outer, (part,))
    assert names(build(settle(part, [Tensor(3, 8, 8)]))) == [
        "body.2(3,0_5).op.conv.weight",
        "body.2(3,0_5).op.conv.bias",
    ]
    module = build(settle(Chain("body", (Chain("body[2](3,0.5)", (relu("body[2](3,0.5)[0]"),)),)), [Tensor(3)]))
    assert [name for name, _ in module.named_modules()] == ["", "2(3,0_5)", "2(3,0_5).0"]


def test_a_chain_is_torchs_own_and_an_empty_one_the_identity() -> None:
    module = build(settle(Chain("", (linear("a", 3), relu("b"))), [Tensor(2)]))
    assert type(module) is nn.Sequential
    assert [type(child) for child in module] == [nn.Linear, nn.ReLU]
    x = torch.randn(5, 2)
    for nothing in (None, Chain("", ()), Chain("", (None, Chain("[1]", ())))):
        assert torch.equal(build(settle(nothing, [Tensor(2)]))(x), x)


@pytest.mark.parametrize("again", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=["deepcopy", "pickle"])
def test_copies_keep_what_is_tied(again: Callable[[nn.Module], nn.Module]) -> None:
    module = build(everything(), seed=0)
    x = torch.randn(3, 16)
    expected = module(x)
    other = again(module)
    assert torch.equal(other(x), expected)
    assert len(list(other.parameters())) == len(list(module.parameters()))
    # The second place follows the copy's first place, and the original is left alone.
    with torch.no_grad():
        other.get_parameter("0.weight").zero_()
        other.get_parameter("0.bias").zero_()
    seen = other.get_submodule("2")(x)
    assert torch.equal(seen, torch.zeros_like(seen))
    assert torch.equal(module(x), expected)


def test_export_and_compile() -> None:
    module = build(everything(), seed=0).eval()
    x = torch.randn(3, 16)
    expected = module(x)
    batch = torch.export.Dim("batch", min=2)
    exported = torch.export.export(module, (x,), dynamic_shapes=({0: batch},))
    assert set(names(module)) <= set(exported.state_dict)
    torch.testing.assert_close(exported.module()(x), expected)
    y = torch.randn(7, 16)
    torch.testing.assert_close(exported.module()(y), module(y))
    compiled = torch.compile(module, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), expected)


# Exporting torch's own RNNs warns.
@pytest.mark.filterwarnings("ignore:The tensor attribute")
@settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.data(), st.sampled_from(list(FAMILIES.values())))
def test_random_networks_are_plain_torch(data: st.DataObject, family: Any) -> None:
    layers, tensor = family
    part = data.draw(networks(layers))
    try:
        settled = settle(part, [tensor])
    except (ShapeError, BuildError):
        assume(False)
    module = build(settled, seed=0).eval()
    x = torch.randn(2, *tensor.shape)
    expected = module(x)
    assert torch.equal(copy.deepcopy(module)(x), expected)
    assert torch.equal(pickle.loads(pickle.dumps(module))(x), expected)
    other = build(settled, seed=1).eval()
    other.load_state_dict(module.state_dict())
    assert torch.equal(other(x), expected)
    exported = torch.export.export(module, (x,))
    assert set(exported.state_dict) <= set(names(module))
    torch.testing.assert_close(exported.module()(x), expected)


def test_weights_survive_a_state_dict() -> None:
    first, second = build(everything(), seed=1), build(everything(), seed=2)
    x = torch.randn(3, 16)
    assert not torch.equal(first(x), second(x))
    second.load_state_dict(first.state_dict())
    assert torch.equal(first(x), second(x))


def test_a_seed_means_the_same_weights_and_leaves_the_global_generator() -> None:
    settled = everything()
    torch.manual_seed(7)
    expected = torch.randn(4)
    torch.manual_seed(7)
    first = build(settled, seed=5)
    assert torch.equal(torch.randn(4), expected)
    second = build(settled, seed=5)
    third = build(settled, seed=6)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert not torch.equal(first.get_parameter("0.weight"), third.get_parameter("0.weight"))
    torch.manual_seed(7)
    unseeded = build(settled)
    torch.manual_seed(7)
    assert torch.equal(unseeded.get_parameter("0.weight"), build(settled).get_parameter("0.weight"))


def test_build_on_meta_holds_no_numbers() -> None:
    module = build(everything(), device="meta")
    assert {p.device.type for p in module.parameters()} == {"meta"}
    assert module(torch.empty(2, 16, device="meta")).shape == (2, 8)


def test_two_builds_share_nothing() -> None:
    settled = everything()
    first, second = build(settled, seed=0), build(settled, seed=0)
    assert not {id(p) for p in first.parameters()} & {id(p) for p in second.parameters()}
    assert not {id(m) for m in first.modules()} & {id(m) for m in second.modules()}


def test_training_mode_dtype_and_gradients_reach_tied_weights() -> None:
    dropout = Leaf("[1]", "torch.nn:Dropout", {"p": 0.5}, {})
    tied = Chain("", (Once("k", linear("[0]", 4)), dropout, Once("k", linear("[2]", 4))))
    module = build(settle(tied, [Tensor(4)]), seed=0).double().eval()
    x = torch.randn(2, 4, dtype=torch.float64)
    weight = module.get_parameter("0.weight")
    expected = torch.nn.functional.linear(torch.nn.functional.linear(x, weight, module.get_parameter("0.bias")), weight)
    torch.testing.assert_close(module(x) - module.get_parameter("0.bias"), expected)
    module(x).sum().backward()
    assert weight.grad is not None
    assert len(list(module.parameters())) == 2


def test_a_tied_module_that_is_first_met_as_an_argument() -> None:
    tied = Chain(
        "",
        (
            Leaf("[0]", through, {"inner": Once("k", linear("[0].inner", 4))}, {}),
            Once("k", linear("[1]", 4)),
            Leaf("[2]", Wrap, {"inner": Once("k", linear("[2].inner", 4)), "size": 4}, {}),
        ),
    )
    settled = settle(tied, [Tensor(4)])
    module = build(settled, seed=0)
    assert settled.parameters == sum(p.numel() for p in module.parameters()) == 2 * (16 + 4)
    x = torch.randn(2, 4)
    one = module.get_submodule("0.inner")
    head = module.get_submodule("2.head")
    torch.testing.assert_close(module(x), head(one(one(one(x)))))


def test_a_merge_that_is_a_module_of_many_inputs() -> None:
    part = Branches("", (linear("a", 3), linear("b", 5)), Leaf("merge", "torch.nn:Bilinear", {"out_features": 2}, {}))
    settled = settle(part, [Tensor(4)])
    module = build(settled, seed=0)
    x = torch.randn(6, 4)
    a, b, merge = (module.get_submodule(name) for name in ("a", "b", "merge"))
    assert isinstance(merge, nn.Bilinear)
    assert (merge.in1_features, merge.in2_features) == (3, 5)
    torch.testing.assert_close(module(x), merge(a(x), b(x)))


@pytest.mark.parametrize("merge", ["add", "mul", "concat"])
def test_items_count_as_so_many_branches(merge: str) -> None:
    def branch(i: int) -> Leaf:
        return linear(f"[{i}]", 4)

    nested = Chain(
        "[0]", (linear("[0][0]", 4), Chain("[0][1]", (linear("[0][1][0]", 4), None), items=True)), items=True
    )
    settled = settle(Branches("", (nested, branch(1)), merge), [Tensor(4)])
    module = build(settled, seed=0)
    x = torch.randn(3, 4)
    outputs = [module.get_submodule(name)(x) for name in ("0.0", "0.1.0")] + [x, module.get_submodule("1")(x)]
    total = torch.stack(outputs)
    expected = {"add": total.sum(0), "mul": total.prod(0), "concat": torch.cat(outputs, 1)}[merge]
    torch.testing.assert_close(module(x), expected)


def test_several_inputs_reach_the_first_module_of_a_chain() -> None:
    def joined(x: torch.Tensor, y: torch.Tensor, by: float) -> torch.Tensor:
        return torch.cat([x, by * y], 1)

    settled = settle(Chain("", (Leaf("[0]", joined, {"by": 2.0}, {}), linear("[1]", 3))), [Tensor(4), Tensor(5)])
    module = build(settled, seed=0)
    x, y = torch.randn(2, 4), torch.randn(2, 5)
    torch.testing.assert_close(module(x, y), module.get_submodule("1")(torch.cat([x, 2 * y], 1)))
    assert names(module) == ["1.weight", "1.bias"]


def test_a_thousand_deep() -> None:
    part: Part = linear("[0]" * 1000, 2)
    for depth in range(999, -1, -1):
        part = Chain("[0]" * depth, (part,))
    settled = settle(part, [Tensor(2)])
    assert settled.parameters == 6
    # Torch's own walks recurse and cannot go as deep as a description, so this one does not.
    module = build(settled)
    for _ in range(1000):
        module = next(module.children())
    assert isinstance(module, nn.Linear)


def test_what_is_no_module() -> None:
    class Plain:
        pass

    with pytest.raises(BuildError, match=r"body\[1\].*Plain is no torch.nn.Module"):
        settle(Leaf("body[1]", Plain, {}, {}), [Tensor(2)])


def keep(x: torch.Tensor, function: nn.Module, arguments: nn.Module) -> torch.Tensor:
    result: torch.Tensor = function(x) + arguments(x)
    return result


def test_names_that_our_own_layers_might_use() -> None:
    function = Leaf("f", keep, {"function": linear("f.function", 4), "arguments": linear("f.arguments", 4)}, {})
    branches = Branches("b", (linear("b.merge_by", 4), linear("b.shared", 4)), "add")
    module = build(settle(Chain("", (function, branches)), [Tensor(4)]), seed=0)
    assert [n for n in names(module) if n.endswith("weight")] == [
        "f.function.weight",
        "f.arguments.weight",
        "b.merge_by.weight",
        "b.shared.weight",
    ]
    assert module(torch.zeros(2, 4)).shape == (2, 4)


def test_what_torch_warns_of_it_warns_of_when_building_only() -> None:
    lstm = Leaf(
        "",
        "archsearch.spaces.layers:LSTM",
        {"hidden_size": 3, "dropout": 0.5, "batch_first": True},
        {"input_size": "features"},
    )
    settled = settle(lstm, [Tensor(5, 4)])
    with pytest.warns(UserWarning, match="dropout"):
        build(settled)
