"""Sorting units by importance: it changes no output, and puts first what matters."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import elastic_models
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from archsearch.elastic.axes import Axis, Layers, Run
from archsearch.elastic.batches import call
from archsearch.elastic.declare import axis, shapes_of, tensors_of
from archsearch.elastic.families import family_of
from archsearch.elastic.importance import Scores, by_activation, by_gradient, by_magnitude, by_removal
from archsearch.elastic.network import Elastic
from archsearch.elastic.sortednet import SortedNet
from archsearch.elastic.sorting import inverse, permute, sort
from archsearch.elastic.transformer import Transformer, TransformerConfig, ViT, ViTConfig, build
from archsearch.errors import ElasticError

OWN: dict[str, TransformerConfig | ViTConfig] = {
    "archsearch transformer": TransformerConfig(
        vocabulary=29, context=9, width=12, layers=3, heads=[4, 2, 4], groups=2, head_dim=4, hidden=[8, 12, 4]
    ),
    "archsearch transformer, gated": TransformerConfig(
        vocabulary=29, context=9, width=12, layers=2, heads=2, head_dim=4, hidden=8, gated=True, norm="layer", bias=True
    ),
    "archsearch vit": ViTConfig(image=8, channels=2, classes=5, width=12, layers=2, heads=2, head_dim=3, hidden=8),
}


def network(name: str, dtype: torch.dtype = torch.float64) -> tuple[Elastic, Any]:
    """A super-network with random weights, and what it takes."""
    if name in OWN:
        torch.manual_seed(0)
        model: nn.Module = build(OWN[name].to_dict()).to(dtype).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.normal_(0.0, 0.3)
        x: Any = torch.randn(2, 2, 8, 8, dtype=dtype) if "vit" in name else torch.randint(29, (2, 9))
    else:
        model = elastic_models.model_of(name, dtype=dtype)
        x = elastic_models.inputs_of(model)
    return Elastic(model, family_of(model).axes(model), []), x


# How many of a model's outputs are channels, which come in their new order: base models have no head that reads them.
CHANNELS = {"llama base": 1, "mistral base": 1, "phi3 base": 1, "gpt2 base": 1, "bert base": 2, "vit base": 1}


def assert_same(
    name: str, net: Elastic, x: Any, expected: list[torch.Tensor], order: Mapping[str, Sequence[int]]
) -> None:
    """The outputs are those expected.

    RMSNorm of transformers squares in float32, whatever it is given, so a sum over channels in another order is as
    exact as that; all else is done in float64.
    """
    rounds = "width" in order and any(type(m).__name__.endswith("RMSNorm") for m in net.skeleton(None).modules())
    tolerance = 1e-4 if rounds and hasattr(net.model.config, "rms_norm_eps") else 1e-12
    for i, (one, other) in enumerate(zip(elastic_models.outputs_of(net(x)), expected, strict=True)):
        right = other[..., list(order["width"])] if "width" in order and i < CHANNELS.get(name, 0) else other
        torch.testing.assert_close(one, right, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", [*OWN, *elastic_models.FAMILIES, *elastic_models.OTHERS])
def test_a_permutation_changes_no_output(name: str) -> None:
    """Property P8, for all axes; and the inverse brings every weight back, to the last bit."""
    net, x = network(name)
    before = elastic_models.outputs_of(net(x))
    weights = copy.deepcopy(net.model.state_dict())
    generator = torch.Generator().manual_seed(1)
    order = {a.name: torch.randperm(a.units, generator=generator).tolist() for a in net.axes if a.runs}
    inner = {axis_: units for axis_, units in order.items() if axis_ != "width"}
    permute(net, inner)
    assert_same(name, net, x, before, inner)
    permute(net, {axis_: units for axis_, units in order.items() if axis_ == "width"})
    assert_same(name, net, x, before, order)
    for axis_, units in order.items():
        tensors = {run.tensor for run in net.axes.by_name[axis_].runs}
        if units != sorted(units):
            assert all(not torch.equal(tensors_of(net.model)[t], weights[t]) for t in tensors if t in weights)
    permute(net, inverse(order))
    assert all(torch.equal(tensor, weights[key]) for key, tensor in net.model.state_dict().items())


@given(st.data())
@settings(max_examples=30, deadline=None)
def test_a_cut_after_sorting_keeps_the_units_that_were_first(data: st.DataObject) -> None:
    """Keeping the first m of sorted units is keeping the m that matter of unsorted ones, as a function."""
    net, x = network(data.draw(st.sampled_from(list(OWN))))
    order = {
        a.name: data.draw(st.permutations(range(a.units))) for a in net.axes if a.runs and data.draw(st.booleans())
    }
    number = {name: data.draw(st.integers(1, len(units))) for name, units in order.items()}
    expected = net(x, {name: sorted(units[: number[name]]) for name, units in order.items()})
    permute(net, order)
    torch.testing.assert_close(net(x, number), expected, rtol=1e-10, atol=1e-12)


def test_blocks_of_a_fused_matrix_move_together() -> None:
    """Indices by hand: units of two numbers in the second dimension, in two blocks with others between them."""
    model = nn.Module()
    model.register_parameter("w", nn.Parameter(torch.arange(13.0).expand(2, 13).clone()))
    net = Elastic(model, [Axis("a", "a", 3, runs=(Run("w", 1, 2, 0), Run("w", -1, 1, 8)))], [])
    permute(net, {"a": [2, 0, 1]})
    assert tensors_of(model)["w"][1].tolist() == [4, 5, 0, 1, 2, 3, 6, 7, 10, 8, 9, 11, 12]


def test_scores_decide_and_ties_keep_their_order() -> None:
    net, _ = network("archsearch transformer")
    order = sort(net, {"ffn.2": [0.0, 2.0, 1.0, 2.0], "layers": torch.tensor([1, 3, 2])})
    assert order == {"ffn.2": (1, 3, 2, 0), "layers": (1, 2, 0)}
    assert net.axes.layers is not None
    assert net.axes.layers.kept(2) == (1, 2)
    assert net.cut({"layers": 1}).layers == (1,)


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ({"ffn.2": [1.0, 2.0]}, r"ffn.2: expected a score for each of its 4 units, but got \[1.0, 2.0\]"),
        ({"ffn.2": [1.0, 2.0, math.nan, 0.0]}, "ffn.2: expected a score for each of its 4 units"),
        ({"ffn.2": [4.0, 3.0, 2.0, 5.0], "ffn.9": [1.0]}, "no axis 'ffn.9'"),
    ],
)
def test_wrong_scores_change_nothing(scores: Any, message: str) -> None:
    net, _ = network("archsearch transformer")
    weights = copy.deepcopy(net.model.state_dict())
    with pytest.raises(ElasticError, match=message):
        sort(net, scores)
    assert all(torch.equal(tensor, weights[key]) for key, tensor in net.model.state_dict().items())


def test_wrong_orders() -> None:
    net, _ = network("archsearch transformer")
    with pytest.raises(ElasticError, match=r"ffn.2: expected each of its 4 units once, but got \[0, 1, 2, 2\]"):
        permute(net, {"ffn.2": [0, 1, 2, 2]})
    with pytest.raises(ElasticError, match="no axis 'ffn'"):
        permute(net, {"ffn": [0]})


def batches_of(net: Elastic, number: int = 3) -> list[Any]:
    model = net.model
    assert isinstance(model, Transformer | ViT)
    dtype = next(model.parameters()).dtype
    if isinstance(model, Transformer):
        return [torch.randint(29, (2, 9)) for _ in range(number)]
    return [(torch.randn(2, 2, 8, 8, dtype=dtype), torch.randint(5, (2,))) for _ in range(number)]


MEASURES: dict[str, Callable[[Elastic], Scores]] = {
    "magnitude": by_magnitude,
    "activation": lambda net: by_activation(net, batches_of(net)),
    "gradient": lambda net: by_gradient(net, batches_of(net)),
}


def without_reading(net: Elastic, name: str, units: list[int]) -> None:
    """Have nothing made of some units of an axis: what writes them, biases too, is zero."""
    tensors = tensors_of(net.model)
    with torch.no_grad():
        for run in net.axes.by_name[name].runs:
            if not run.tensor.endswith(("down.weight", "out.weight")):
                for u in units:
                    tensors[run.tensor].narrow(run.dim, run.offset + u * run.size, run.size).zero_()


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("name", OWN)
def test_dead_units_go_last(name: str, measure: str) -> None:
    """A model of which some hidden units and heads do nothing keeps its function when it is sorted and cut to the
    others, and loses it when it is cut as it stands."""
    net, x = network(name)
    dead = {a.name: list(range(a.units // 2)) for a in net.axes if a.group in ("ffn", "heads")}
    for axis_, units in dead.items():
        without_reading(net, axis_, units)
    expected = net(x)
    cut = {axis_: net.axes.by_name[axis_].units - len(units) for axis_, units in dead.items()}
    assert not torch.allclose(net(x, cut), expected, atol=1e-3)
    scores = MEASURES[measure](net)
    assert set(scores) == {a.name for a in net.axes if a.runs}
    sort(net, scores)
    torch.testing.assert_close(net(x, cut), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("measure", MEASURES)
def test_dead_channels_go_last(measure: str) -> None:
    """Channels that nobody writes and nobody reads."""
    net, x = network("archsearch transformer")
    tensors = tensors_of(net.model)
    runs = net.axes.by_name["width"].runs
    with torch.no_grad():
        for run in runs:
            tensors[run.tensor].narrow(run.dim, 0, 6).zero_()
    expected = net(x)
    sort(net, MEASURES[measure](net))
    assert all(not tensors[run.tensor].narrow(run.dim, 6, 6).any() for run in runs)
    # RMSNorm over the live half divides by a mean square that is twice as large.
    with torch.no_grad():
        for run in runs:
            if "norm" in run.tensor:
                tensors[run.tensor].mul_(math.sqrt(2))
    torch.testing.assert_close(net(x, {"width": 6}), expected, rtol=1e-4, atol=1e-4)


def test_activation_by_hand() -> None:
    """The mean of |x| over batches and positions at what reads it: of one reader of several, once."""
    net, _ = network("archsearch transformer, gated")
    batches = batches_of(net)
    model = net.model
    assert isinstance(model, Transformer)
    seen: dict[str, list[torch.Tensor]] = {"ffn.0": [], "heads.1": [], "width": []}

    def record(name: str) -> Callable[..., None]:
        return lambda module, args, out: seen[name].append(out if name == "width" else args[0])

    hooks = [
        model.get_submodule("layers.0.ffn.down").register_forward_hook(record("ffn.0")),
        model.get_submodule("layers.1.attention.out").register_forward_hook(record("heads.1")),
    ]
    # Every reader of channels stands behind a norm, and every norm before readers.
    hooks += [
        module.register_forward_hook(record("width")) for module in model.modules() if type(module) is nn.LayerNorm
    ]
    scores = by_activation(net, batches)
    for hook in hooks:
        hook.remove()
    ffn = torch.cat(seen["ffn.0"]).abs().mean((0, 1))
    heads = torch.cat(seen["heads.1"]).abs().unflatten(-1, (2, 4)).mean((0, 1, 3))
    width = torch.stack(seen["width"]).abs().mean((1, 2)).sum(0) / len(batches)
    for name, expected in (("ffn.0", ffn), ("heads.1", heads), ("width", width)):
        torch.testing.assert_close(scores[name], expected.detach())
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_gradient_by_hand() -> None:
    net, _ = network("archsearch transformer, gated")
    model = net.model
    assert isinstance(model, Transformer)
    (ids,) = batches_of(net, 1)
    scores = by_gradient(net, [ids])
    assert all(p.grad is None for p in model.parameters())
    F.cross_entropy(model(ids)[:, :-1].flatten(0, 1), ids[:, 1:].flatten()).backward()

    def product(p: torch.Tensor) -> torch.Tensor:
        assert p.grad is not None
        return (p * p.grad).detach()

    ffn: Any = model.layers[0].ffn
    expected = product(ffn.down.weight).sum(0).abs()
    for writer in (ffn.gate, ffn.up):
        expected = expected + (product(writer.weight).sum(1) + product(writer.bias)).abs()
    torch.testing.assert_close(scores["ffn.0"], expected)
    # What follows from the loss when a unit is faded out: the derivative by a factor on what is read of it.
    fade = torch.ones(8, dtype=torch.float64, requires_grad=True)
    hook = ffn.down.register_forward_pre_hook(lambda module, args: (args[0] * fade,))
    F.cross_entropy(model(ids)[:, :-1].flatten(0, 1), ids[:, 1:].flatten()).backward()
    hook.remove()
    assert fade.grad is not None
    torch.testing.assert_close(product_of_readers(model, ids, ffn.down.weight), fade.grad.abs())


def product_of_readers(model: nn.Module, ids: torch.Tensor, weight: nn.Parameter) -> torch.Tensor:
    model.zero_grad()
    F.cross_entropy(model(ids)[:, :-1].flatten(0, 1), ids[:, 1:].flatten()).backward()
    assert weight.grad is not None
    return (weight * weight.grad).sum(0).abs().detach()


def test_magnitude_by_hand() -> None:
    """It is the same however a unit's scale is shared between what makes and what reads it."""
    net, _ = network("archsearch transformer")
    model = net.model
    assert isinstance(model, Transformer)
    ffn: Any = model.layers[0].ffn
    expected = (ffn.up.weight.norm(dim=1) * ffn.down.weight.norm(dim=0)).detach()
    scores = by_magnitude(net)
    torch.testing.assert_close(scores["ffn.0"], expected)
    tied = model.embedding.weight.square().sum(0)  # made by the embedding, read by the head
    written, read = tied.clone(), tied.clone()
    for name, p in model.named_parameters():
        if name.endswith(("out.weight", "down.weight")):
            written += p.square().sum(1)
        elif name.endswith(("q.weight", "k.weight", "v.weight", "up.weight")):
            read += p.square().sum(0)
        elif "norm" in name:
            written += p.square()
    torch.testing.assert_close(scores["width"], (written.sqrt() * read.sqrt()).detach())


def layers_that(net: Elastic, does: Callable[[int], float]) -> None:
    """Scale what every layer adds."""
    with torch.no_grad():
        for name, parameter in net.model.named_parameters():
            if "out." in name or "down." in name:
                parameter.mul_(does(int(name.split(".")[1])))


@pytest.mark.parametrize("by_loss", [False, True])
def test_layers_that_do_nothing_go_first(by_loss: bool) -> None:
    net, x = network("archsearch transformer")
    layers_that(net, lambda i: 0.0 if i == 0 else 1.0)
    expected = net(x)
    assert not torch.allclose(net(x, {"layers": 2}), expected, atol=1e-3)
    scores = by_removal(net, [x], (lambda output, batch: F.mse_loss(output, expected)) if by_loss else None)
    sort(net, scores)
    assert scores["layers"].tolist()[0] == 0
    assert torch.equal(net(x, {"layers": 2}), expected)
    assert torch.equal(net.extract({"layers": 2})(x), expected)


def test_of_two_layers_that_do_the_same_one_is_spared() -> None:
    """Layers that add 3, 3, 1.5 and 1, up to at most 4.5: either 3 can go, and where one has gone the other matters
    most."""

    class Adds(nn.Module):
        def __init__(self, value: float) -> None:
            super().__init__()
            self.value = nn.Parameter(torch.tensor([value]))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + self.value

    class Chain(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList(Adds(v) for v in (3.0, 3.0, 1.5, 1.0))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for layer in self.layers:
                x = layer(x)
            return x.clamp(max=4.5)

    net = Elastic(Chain(), [Layers("layers", "layers", 4, path="layers")], [])
    scores = by_removal(net, [torch.zeros(1, 1)])
    # Of all, any can go and the first goes; then what is left of 5.5 is 4.5 without the last, and 3 without the third.
    assert scores["layers"].tolist() == [0, 3, 2, 1]


def test_what_cannot_be_measured() -> None:
    net, x = network("archsearch transformer")
    for measure in (by_activation, by_gradient, by_removal):
        with pytest.raises(ElasticError, match="measured on batches, but there are none"):
            measure(net, [])
    alone = Elastic(net.model, [axis(net.model, "ffn.0", 8, outputs=["layers.0.ffn.up"])], [])
    with pytest.raises(ElasticError, match="nothing could be measured"):
        by_activation(alone, [x])
    with pytest.raises(ElasticError, match="none that are elastic"):
        by_removal(alone, [x])


@pytest.mark.parametrize("name", [*elastic_models.FAMILIES, "llama classes", "bert base"])
def test_every_family_is_measured(name: str) -> None:
    """All axes get scores by all measures, and sorting by them is one function still, in evaluation and training."""
    net, x = network(name)
    before = [t.detach() for t in elastic_models.outputs_of(net(x))]
    net.train()

    def loss(output: Any, batch: Any) -> torch.Tensor:
        return elastic_models.outputs_of(output)[0].square().mean()

    names = {a.name for a in net.axes if a.runs}
    whole: dict[str, tuple[int, ...]] = {}
    ranks = by_removal(net, [x], loss)["layers"].tolist()
    assert sorted(ranks) == list(range(len(ranks)))
    for scores in (by_magnitude(net), by_activation(net, [x]), by_gradient(net, [x], loss)):
        assert set(scores) == names
        assert all(s.shape == (net.axes.by_name[n].units,) and bool((s > 0).any()) for n, s in scores.items())
        order = sort(net, scores)
        whole = {n: tuple(whole[n][u] for u in units) if whole else units for n, units in order.items()}
    assert net.training
    net.eval()
    assert_same(name, net, x, before, whole)


@pytest.mark.parametrize("name", ["archsearch transformer", "archsearch vit", *elastic_models.FAMILIES])
def test_the_layers_that_matter_are_what_is_extracted(name: str) -> None:
    """With an order of the layers: what runs, is counted, extracted, and cut further are the same layers."""
    if name in OWN:
        net, x = network(name, torch.float32)
        model = net.model
    else:
        model = elastic_models.model_of(name, elastic_models.Sizes(layers=4))
        x = elastic_models.inputs_of(model)
    layers = family_of(model).axes(model).layers
    assert layers is not None
    net = SortedNet(model, layers=[1 / 2, 1] if layers.units == 2 else [2, layers.units])
    before = net.space()
    order = tuple(reversed(range(layers.units)))
    sort(net, {"layers": [float(i) for i in range(layers.units)]})
    with pytest.raises(ElasticError, match="another space"):
        net(x, next(before.enumerate()))
    for arch in net.space().enumerate():
        small, cut = net.extract(arch), net.cut(arch)
        assert cut.layers == tuple(sorted(order[: len(cut.layers or ())]))
        assert sum(p.numel() for p in small.parameters()) == arch.parameters
        outputs = elastic_models.outputs_of(call(small, x))
        for one, other in zip(elastic_models.outputs_of(net(x, arch)), outputs, strict=True):
            assert torch.equal(one, other)
        inner = Elastic(small, cut.rest(shapes_of(model)), [])
        for number in range(1, len(order[: len(cut.layers or ())]) + 1):
            twice, once = inner.extract({"layers": number}), net.extract({"layers": number})
            assert all(
                torch.equal(a, b) for a, b in zip(twice.state_dict().values(), once.state_dict().values(), strict=True)
            )
            assert twice.config.to_dict() == once.config.to_dict()  # type: ignore[union-attr, operator]
