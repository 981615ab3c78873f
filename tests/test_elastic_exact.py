"""A sub-network run on the shared weights is the one that is extracted: to the last bit, but for odd sizes."""

from __future__ import annotations

import copy
import itertools
from typing import Any

import pytest
import torch
from elastic_models import FAMILIES, OTHERS, Sizes, inputs_of, model_of, outputs_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from archsearch.elastic.axes import Axes, Kept, Layers
from archsearch.elastic.cut import Cut
from archsearch.elastic.declare import shapes_of, tensors_of
from archsearch.elastic.families import family_of
from archsearch.elastic.network import Elastic

few = settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def some_sizes(draw: st.DrawFn) -> Sizes:
    groups, per_group = draw(st.integers(1, 3)), draw(st.integers(1, 2))
    return Sizes(
        layers=draw(st.integers(1, 3)),
        groups=groups,
        per_group=per_group,
        head_dim=draw(st.sampled_from([2, 4, 8])),
        ffn=draw(st.integers(1, 13)),
        width=groups * per_group * draw(st.integers(1, 3)),  # transformers takes multiples of the heads only
        tied=draw(st.booleans()),
    )


sizes = some_sizes()
dtypes = st.sampled_from([torch.float32, torch.bfloat16, torch.float64])


def network(model: nn.Module) -> Elastic:
    return Elastic(model, family_of(model).axes(model), [])


@st.composite
def kept_units(draw: st.DrawFn, axes: Axes) -> dict[str, int | list[int]]:
    """So many units, or these, of some of the axes of layers that stay."""

    def units(n: int) -> int | list[int]:
        if draw(st.booleans()):
            return draw(st.integers(1, n))
        return sorted(draw(st.sets(st.integers(0, n - 1), min_size=1)))

    kept: dict[str, int | list[int]] = {}
    if axes.layers is not None and draw(st.booleans()):
        kept[axes.layers.name] = units(axes.layers.units)
    dropped = axes.dropped(kept)
    for axis in axes:
        if not isinstance(axis, Layers) and axis.layer not in dropped and draw(st.booleans()):
            kept[axis.name] = units(axis.units)
    return kept


def equal(one: Any, other: Any) -> bool:
    """Bit for bit."""
    pairs = list(zip(outputs_of(one), outputs_of(other), strict=True))
    return bool(pairs) and all(torch.equal(a, b) for a, b in pairs)


ROUNDING = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 2e-2}


def near(one: Any, other: Any) -> bool:
    """But for rounding: of a view with odd sizes BLAS adds in another order now and then, as its rows do not begin
    where those of a copy do (20 of 8,862 random cuts in float32), and a LayerNorm of few channels makes more of it."""
    pairs = list(zip(outputs_of(one), outputs_of(other), strict=True))
    return bool(pairs) and all(
        torch.allclose(a, b, rtol=ROUNDING[a.dtype], atol=ROUNDING[a.dtype] * float(a.abs().max())) for a, b in pairs
    )


def run(network: nn.Module, *args: Any, **kwargs: Any) -> Any:
    with torch.no_grad():
        return network(*args, **kwargs)


def numbers(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in tensors_of(model).items()}


def same_numbers(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def config_of(model: nn.Module) -> dict[str, Any]:
    config: Any = model.config
    return copy.deepcopy(dict(config.to_dict()))


def parameters_of(model: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(p.shape) for name, p in model.named_parameters(remove_duplicate=False)}


@pytest.mark.parametrize("name", FAMILIES)
@given(data=st.data(), sizes=sizes, dtype=dtypes, seed=st.integers(0, 9))
@few
def test_what_runs_is_what_is_extracted(
    name: str, data: st.DataObject, sizes: Sizes, dtype: torch.dtype, seed: int
) -> None:
    model = model_of(name, sizes, seed, dtype)
    net = network(model)
    kept = data.draw(kept_units(net.axes))
    given_inputs = inputs_of(model, seed)
    before, config = numbers(model), config_of(model)

    part = net.extract(kept)
    assert near(run(net, given_inputs, kept), run(part, **given_inputs))

    assert type(part) is type(model)
    assert not part.training
    assert same_numbers(before, numbers(model))
    assert config_of(model) == config
    assert net.cut(kept).numel(parameters_of(model)) == sum(p.numel() for p in part.parameters())

    # It stands alone: whole, contiguous tensors that share nothing with the super-network, tied where they were.
    theirs = tensors_of(part)
    shared = {tensor.untyped_storage().data_ptr() for tensor in tensors_of(model).values()}
    for tensor in theirs.values():
        assert tensor.is_contiguous()
        assert tensor.untyped_storage().data_ptr() not in shared
        assert tensor.untyped_storage().nbytes() == tensor.numel() * tensor.itemsize
    if name not in ("bert", "vit"):  # BERT's biases of words are tied in any case, a ViT has none
        assert bool(net.axes.tied) == sizes.tied
    for other, first in net.axes.tied.items():
        new, new_first = net.cut(kept).name(other), net.cut(kept).name(first)
        assert new is not None
        assert new_first is not None
        assert theirs[new] is theirs[new_first]
    assert {name: t.requires_grad for name, t in theirs.items()} == {
        new: tensor.requires_grad for old, tensor in tensors_of(model).items() if (new := net.cut(kept).name(old))
    }


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("name", FAMILIES)
def test_it_is_so_bit_for_bit_in_sizes_that_are_used(name: str, dtype: torch.dtype) -> None:
    model = model_of(name, Sizes(layers=3, head_dim=8, ffn=64, width=64), dtype=dtype)
    net = network(model)
    given_inputs = inputs_of(model)
    cuts: list[Kept] = [{"ffn": 32}, {"ffn.0": 16, "ffn.2": 48}, {"layers": (0, 2), "ffn": 16}, {"heads": 1}]
    if "width" in net.axes.groups():
        cuts.append({"width": net.axes.by_name["width"].units // 2, "ffn": 32})
    for kept in cuts:
        assert equal(run(net, given_inputs, kept), run(net.extract(kept), **given_inputs)), kept


@pytest.mark.parametrize("name", OTHERS)
def test_base_models_and_other_heads_are_cut_alike(name: str) -> None:
    model = model_of(name, Sizes(layers=3, tied=True))
    net = network(model)
    assert list(net.axes.groups()) in (["layers", "ffn", "heads", "width"], ["layers", "ffn", "width", "heads"]) or (
        name.startswith("phi3")
    )
    given_inputs = inputs_of(model)
    whole = run(net, given_inputs)
    cuts: list[Kept] = [
        {"ffn": 5, "heads": 1, "width": 4, "layers": 2},
        {"layers": (0, 2), "ffn.0": (1, 4, 7), "ffn.2": 3},
        {"width": (1, 2, 6)},
    ]
    for kept in cuts:
        part = net.extract(kept)
        assert equal(run(net, given_inputs, kept), run(part, **given_inputs))
        assert not equal(whole, run(part, **given_inputs))
        assert net.cut(kept).numel(parameters_of(model)) == sum(p.numel() for p in part.parameters())


@pytest.mark.parametrize("name", FAMILIES)
@given(data=st.data(), sizes=sizes, seed=st.integers(0, 9))
@few
def test_a_cut_of_a_cut_is_a_cut(name: str, data: st.DataObject, sizes: Sizes, seed: int) -> None:
    model = model_of(name, sizes, seed)
    net = network(model)
    first = net.axes.settle(data.draw(kept_units(net.axes)))
    part = net.extract(first)
    rest = Elastic(part, Cut(net.axes, first).rest(shapes_of(model)), [])
    second = rest.axes.settle(data.draw(kept_units(rest.axes)))

    # Unit j of those that stayed is unit first[j] of all; axes of layers have the number of the layer in their name.
    stayed = first["layers"]
    again = second["layers"]
    both: dict[str, tuple[int, ...]] = {}
    for axis, units in first.items():
        group, _, layer = axis.partition(".")
        now = f"{group}.{stayed.index(int(layer))}" if layer else axis
        if not layer or stayed.index(int(layer)) in again:
            both[axis] = tuple(units[j] for j in second[now])

    at_once = net.extract(both)
    twice = rest.extract(second)
    assert same_numbers(numbers(at_once), numbers(twice))
    assert config_of(at_once) == config_of(twice)
    given_inputs = inputs_of(model, seed)
    assert near(run(at_once, **given_inputs), run(twice, **given_inputs))
    assert near(run(net, given_inputs, both), run(rest, given_inputs, second))


def test_a_configuration_that_cannot_say_all_sizes_says_the_largest() -> None:
    model = model_of("gpt2", Sizes(layers=2))
    net = network(model)
    part = net.extract({"ffn": 6})
    twice = Elastic(part, net.cut({"ffn": 6}).rest(shapes_of(model)), []).extract({"ffn.1": 2})
    at_once = net.extract({"ffn.0": 6, "ffn.1": 2})
    assert config_of(twice) == config_of(at_once)
    assert config_of(at_once)["n_inner"] == 6


@pytest.mark.parametrize("name", FAMILIES)
def test_the_whole_cut_is_the_model(name: str) -> None:
    model = model_of(name, Sizes(layers=3))
    net = network(model)
    given_inputs = inputs_of(model)
    for kept in (None, {}, {axis.name: axis.units for axis in net.axes}, {"layers": (0, 1, 2)}):
        part = net.extract(kept)
        assert same_numbers(numbers(part), numbers(model))
        assert equal(run(net, given_inputs, kept), run(model, **given_inputs))
        assert equal(run(part, **given_inputs), run(model, **given_inputs))
        assert {**config_of(part), "n_inner": None} == {**config_of(model), "n_inner": None}


def blocks(name: str, tensor: str, weight: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """The blocks of a fused matrix, each of which has all units."""
    if name == "phi3" and "gate_up_proj" in tensor:
        return weight.chunk(2, 0)
    if name == "gpt2" and ".c_attn." in tensor:
        return weight.chunk(3, -1)
    return (weight,)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_granularity_is_a_prefix_of_the_next(name: str) -> None:
    model = model_of(name, Sizes(ffn=16, groups=4, head_dim=4, width=16))
    net = network(model)
    groups = [
        group
        for group in ("ffn", "heads", "width")
        if group in net.axes.groups() and (name, group) != ("phi3", "heads")
    ]
    states = [
        net.tensors({group: net.axes.groups()[group][0].units * i // 4 for group in groups}) for i in (1, 2, 3, 4)
    ]
    for small, large in itertools.pairwise(states):
        assert small.keys() == large.keys()
        assert any(small[tensor].shape != large[tensor].shape for tensor in small)
        for tensor in small:
            for piece, whole in zip(
                blocks(name, tensor, small[tensor]), blocks(name, tensor, large[tensor]), strict=True
            ):
                assert torch.equal(piece, whole[tuple(slice(n) for n in piece.shape)])
    assert all(torch.equal(tensor, tensors_of(model)[key]) for key, tensor in states[-1].items())


def test_views_of_the_shared_weights_are_run_and_not_copies() -> None:
    model = model_of("llama")
    net = network(model)
    shared = {tensor.untyped_storage().data_ptr() for tensor in tensors_of(model).values()}
    for tensor in net.tensors({"ffn": 5, "heads": 1, "width": 7, "layers": (1,)}).values():
        assert tensor.untyped_storage().data_ptr() in shared
    with torch.no_grad():
        model.model.embed_tokens.weight.zero_()  # type: ignore[union-attr, operator]
        assert run(net, inputs_of(model), {"ffn": 5}).logits.std() < 1.0


@pytest.mark.parametrize("name", ["gpt2", "bert"])
def test_training_mode_with_dropout_is_the_same_too(name: str) -> None:
    model = model_of(name, Sizes(layers=3, width=16))
    net = network(model)
    kept: Kept = {"ffn.1": 5, "heads": 1, "layers": (1, 2)}
    given_inputs = inputs_of(model)
    evaluated = run(net, given_inputs, kept)
    net.train()
    part = net.extract(kept)
    assert part.training
    torch.manual_seed(3)
    one = run(net, given_inputs, kept)
    torch.manual_seed(3)
    assert equal(one, run(part, **given_inputs))
    assert not equal(one, evaluated)
    net.eval()
    assert equal(run(net, given_inputs, kept), evaluated)


def test_gradients_are_those_of_the_extracted_model_in_their_places() -> None:
    model = model_of("llama", dtype=torch.float64)
    net = network(model)
    kept: Kept = {"ffn.0": (1, 4, 5), "heads.1": 1, "width": 9}
    given_inputs = inputs_of(model)
    part = net.extract(kept)
    net(given_inputs, kept).logits.square().mean().backward()
    part(**given_inputs).logits.square().mean().backward()
    cut = net.cut(kept)
    for tensor, parameter in model.named_parameters():
        assert parameter.grad is not None
        expected = torch.zeros_like(parameter)
        where = torch.ones_like(parameter, dtype=torch.bool)
        for dim, segments in enumerate(cut.segments(tensor, parameter.shape)):
            if segments is not None:
                stay = torch.zeros(parameter.shape[dim], dtype=torch.bool)
                for start, stop in segments:
                    stay[start:stop] = True
                where &= stay.view([-1 if d == dim else 1 for d in range(parameter.ndim)])
        theirs = dict(part.named_parameters())[tensor].grad
        assert theirs is not None
        expected[where] = theirs.flatten()
        torch.testing.assert_close(parameter.grad, expected, rtol=1e-12, atol=1e-14)
        assert not parameter.grad[~where].any()
