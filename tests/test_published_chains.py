"""Published spaces that are chains: Once-for-All's MobileNetV3, AutoFormer, Llama. Counts and parameters as published,
and the same networks written by hand."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest
import torch
from chains_by_hand import (
    autoformer_by_hand,
    autoformer_flops,
    autoformer_parameters,
    llama_by_hand,
    llama_flops,
    llama_parameters,
    ofa_by_hand,
    ofa_parameters,
    relative_by_hand,
)
from torch.nn import functional

from archsearch.errors import SpaceError
from archsearch.spaces import autoformer, llama, ofa_mobilenetv3
from archsearch.spaces.architecture import Architecture
from archsearch.spaces.autoformer_layers import RelativePositions
from archsearch.spaces.decisions import Decision
from archsearch.spaces.ofa_mobilenetv3_layers import divisible
from archsearch.spaces.space import Space


def small_ofa(**options: Any) -> Space:
    return ofa_mobilenetv3.space(10, **{"resolutions": (64,), "widths": (8, 8, 16, 16, 24, 24, 48, 64), **options})


def small_autoformer(**options: Any) -> Space:
    sizes = {"embeds": (24, 32), "heads": (1, 2), "ratios": (1.5, 2.0), "depths": (1, 2), "head_dim": 8}
    return autoformer.space(**{**sizes, "classes": 10, "image": 32, "patch": 8, **options})


def small_llama(**options: Any) -> Space:
    sizes = {"widths": (16, 32), "depths": (1, 2), "heads": (2, 4), "groups": (1, 2), "ratios": (1.5, 2.0)}
    return llama.space(**{**sizes, "vocabulary": 50, "context": 12, "head_dim": 8, **options})


SMALL = {"ofa": small_ofa, "autoformer": small_autoformer, "llama": small_llama}


def extreme(space: Space, index: int) -> Architecture:
    """The architecture of every first (0) or last (-1) option."""

    def pick(decision: Decision, path: str) -> Any:
        assert decision.options is not None
        return decision.options[index]

    return space.architecture(space.walk(pick))


def inputs_of(space: Space, batch: int = 4) -> torch.Tensor:
    (tensor,) = space.inputs.values()
    torch.manual_seed(0)
    if tensor.below is not None:
        return torch.randint(0, tensor.below, (batch, *tensor.shape))
    return torch.randn(batch, *tensor.shape)


def shaken(arch: Architecture, x: torch.Tensor) -> torch.nn.Module:
    """A model in evaluation mode in which no weight is zero or one, so that none can be left out unnoticed.

    Its normalisations know `x`, so that no signal dies on its way.
    """
    model = arch.build(seed=0)
    generator = torch.Generator().manual_seed(1)
    for value in model.parameters():
        value.data += torch.randn(value.shape, generator=generator) * 0.1
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 0.9
    model(x)
    return model.eval()


@pytest.mark.parametrize(
    ("space", "size", "formula"),
    [
        (ofa_mobilenetv3.space(), 21_758_655_492_572_485_851, (9**2 + 9**3 + 9**4) ** 5),
        (autoformer.space(), 1_056_964_608, 3 * (4**12 + 4**13 + 4**14)),
        (autoformer.small(), 77_103_263_459_313, 3 * (9**12 + 9**13 + 9**14)),
        (autoformer.base(), 6_245_364_340_204_353, 3 * (9**14 + 9**15 + 9**16)),
        (llama.space(), 239_299_779_515_370_709_196_889, 3 * (27**8 + 27**12 + 27**16)),
    ],
    ids=["ofa", "autoformer", "autoformer small", "autoformer base", "llama"],
)
def test_counts(space: Space, size: int, formula: int) -> None:
    assert space.size() == size == formula


def test_each_network_of_once_for_all_runs_at_any_of_25_resolutions() -> None:
    assert ofa_mobilenetv3.space(resolutions=ofa_mobilenetv3.RESOLUTIONS).size() == 25 * 7371**5


@pytest.mark.parametrize(
    ("space", "size"),
    [
        (small_ofa(depths=(2,), kernels=(3, 5), expansions=(3,)), 2**10),
        (small_ofa(depths=(1, 2), kernels=(3,), expansions=(3,), resolutions=(32, 64, 96)), 3 * 2**5),
        (small_autoformer(), 2 * (4 + 4**2)),
        (small_llama(), 2 * (8 + 8**2)),
    ],
)
def test_counts_are_what_can_be_listed(space: Space, size: int) -> None:
    assert space.size() == size == len({arch.id for arch in space.enumerate()})


def test_the_largest_network_of_once_for_all_has_its_published_parameters() -> None:
    """The paper stores all sub-networks in 7.7M parameters; to the digit as the authors' code builds it."""
    assert extreme(ofa_mobilenetv3.space(), -1).parameters == 7_664_760
    assert extreme(ofa_mobilenetv3.space(), 0).parameters == 3_410_792


@pytest.mark.parametrize(
    ("space", "embed", "heads", "ratios", "parameters", "published"),
    [
        (autoformer.small(), 384, "6657555667767", "6767888888878", 22_891_432, 22.9),
        (autoformer.base(), 576, "99999A99A9A99A", "77878776886867", 53_691_688, 53.7),
    ],
)
def test_networks_that_autoformer_found_have_their_published_parameters(
    space: Space, embed: int, heads: str, ratios: str, parameters: int, published: float
) -> None:
    """The found networks of the authors' code, a digit for each layer; ratios in halves."""
    answers: dict[str, Any] = {"embed": embed, "depth": len(heads)}
    for i, (number, halves) in enumerate(zip(heads, ratios, strict=True)):
        answers |= {f"layers[{i}].heads": int(number, 16), f"layers[{i}].ratio": int(halves) / 2}
    arch = space.architecture(answers)
    assert arch.parameters == parameters
    assert round(arch.parameters / 1e6, 1) == published


@pytest.mark.parametrize(
    ("vocabulary", "depth", "width", "heads", "group", "hidden", "head_dim", "tied", "parameters"),
    [
        (32_000, 32, 4096, 32, 1, 11_008, 128, False, 6_738_415_616),
        (128_256, 32, 4096, 32, 4, 14_336, 128, False, 8_030_261_248),
        (128_256, 16, 2048, 32, 4, 8_192, 64, True, 1_235_814_400),
        (32_000, 22, 2048, 32, 8, 5_632, 64, False, 1_100_048_384),
    ],
    ids=["Llama 2 7B", "Llama 3 8B", "Llama 3.2 1B", "TinyLlama 1.1B"],
)
def test_published_models_have_their_published_parameters(
    vocabulary: int,
    depth: int,
    width: int,
    heads: int,
    group: int,
    hidden: int,
    head_dim: int,
    tied: bool,
    parameters: int,
) -> None:
    space = llama.space(
        vocabulary, 8, [width], [depth], [heads], [group], [hidden / width], head_dim=head_dim, tied=tied
    )
    assert space.size() == 1
    assert space.architecture({}).parameters == parameters


@pytest.mark.parametrize("seed", range(6))
def test_parameters_and_flops_are_those_of_the_closed_form(seed: int) -> None:
    rng = random.Random(seed)
    arch = ofa_mobilenetv3.space().sample(rng)
    assert arch.parameters == ofa_parameters(arch.assignment, 1000)
    for space in (autoformer.space(), autoformer.base()):
        arch = space.sample(rng)
        assert arch.parameters == autoformer_parameters(arch.assignment, 1000)
        assert arch.flops == autoformer_flops(arch.assignment, 1000)
    arch = llama.space(context=256).sample(rng)
    assert arch.parameters == llama_parameters(arch.assignment, 32_000)
    assert arch.flops == llama_flops(arch.assignment, 32_000, 256)


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("seed", range(2))
def test_a_sample_trains_for_one_step(name: str, seed: int) -> None:
    space = SMALL[name]()
    arch = space.sample(random.Random(seed))
    model = arch.build(seed=seed)
    before = {k: v.detach().clone() for k, v in model.named_parameters()}
    assert sum(v.numel() for v in before.values()) == arch.parameters
    output = model(inputs_of(space))
    assert output.shape == ((4, 12, 50) if name == "llama" else (4, 10))
    classes = output.shape[-1]
    loss = functional.cross_entropy(output.reshape(-1, classes), torch.arange(output.numel() // classes) % classes)
    assert math.isfinite(loss.item())
    loss.backward()
    torch.optim.SGD(model.parameters(), lr=1.0).step()
    after = dict(model.named_parameters())
    assert [k for k, v in before.items() if torch.equal(v, after[k])] == []
    assert all(bool(v.isfinite().all()) for v in after.values())


@pytest.mark.parametrize(("grid", "reach"), [(1, 2), (3, 1), (4, 2), (3, 14)])
def test_relative_positions(grid: int, reach: int) -> None:
    module = RelativePositions(grid, 5, reach)
    torch.testing.assert_close(module(), relative_by_hand(module.state_dict(), "", grid, reach), rtol=0, atol=0)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("space", "by_hand"),
    [
        (small_ofa(), ofa_by_hand),
        (small_autoformer(), autoformer_by_hand),
        (small_llama(), llama_by_hand),
        (small_llama(tied=True), llama_by_hand),
    ],
    ids=["ofa", "autoformer", "llama", "tied llama"],
)
def test_the_model_is_the_one_written_by_hand(space: Space, by_hand: Any, seed: int) -> None:
    arch = space.sample(random.Random(seed))
    x = inputs_of(space)
    with torch.no_grad():
        model = shaken(arch, x)
        expected = by_hand(dict(model.state_dict()), arch.assignment, x)
        torch.testing.assert_close(model(x), expected, rtol=1e-4, atol=1e-4)


def test_a_resolution_is_part_of_the_model() -> None:
    space = small_ofa(resolutions=(32, 48, 64))
    arch = extreme(space, 0)
    answers = {**arch.assignment, "resolution": 64}
    whole = space.architecture(answers)
    assert arch["resolution"] == 32
    assert arch.parameters == whole.parameters
    assert 3 < whole.flops / arch.flops < 4.1
    x = inputs_of(space)
    resized = functional.interpolate(x, size=32, mode="bilinear", antialias=True)
    with torch.no_grad():
        model = shaken(arch, x)
        expected = ofa_by_hand(dict(model.state_dict()), arch.assignment, resized)
        torch.testing.assert_close(model(x), expected, rtol=1e-4, atol=1e-4)


def test_tied_weights_are_one() -> None:
    model = extreme(small_llama(tied=True), -1).build(seed=0)
    assert [name for name, _ in model.named_parameters() if "embed" in name] == ["embed.weight"]
    assert model.get_parameter("embed.weight") is model.get_parameter("head.embedding.weight")


def test_names_say_where_a_weight_stands() -> None:
    names = list(extreme(small_llama(), 0).build(seed=0).state_dict())
    assert names == [
        "embed.weight",
        "layers.0.attention.0.norm.weight",
        *[f"layers.0.attention.0.mix.{w}.weight" for w in ("q", "k", "v", "out")],
        "layers.0.mlp.0.norm.weight",
        "layers.0.mlp.0.wide.gate.proj.weight",
        "layers.0.mlp.0.wide.up.weight",
        "layers.0.mlp.0.down.weight",
        "norm.weight",
        "head.weight",
    ]


def test_groups_divide_heads() -> None:
    with pytest.raises(SpaceError, match="8 heads in groups of 3"):
        llama.space(heads=(6, 8), groups=(1, 3))


def test_widths_are_eight() -> None:
    with pytest.raises(SpaceError, match="8 widths, but got 7"):
        ofa_mobilenetv3.space(widths=(16, 24, 40, 80, 112, 160, 960))


def test_divisible() -> None:
    for channels in range(1, 400):
        multiples = [n for n in range(8, 500, 8) if n >= 0.9 * channels]
        assert divisible(channels) == min(multiples, key=lambda n: (abs(n - channels), -n))
