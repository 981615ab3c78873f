"""Ready-made spaces: published counts, and models that take a training step."""

from __future__ import annotations

import random

import pytest
import torch

from archsearch.errors import SpaceError
from archsearch.spaces import convnet, deeparchitect, matformer, nasbench_macro, sortednet, transformer
from archsearch.spaces.space import Space


@pytest.mark.parametrize(("step", "size"), list(enumerate([64, 32, 8, 16, 48, 48])))
def test_ladder(step: int, size: int) -> None:
    space = deeparchitect.ladder(step)
    assert space.size() == size == len({arch.id for arch in space.enumerate()})


@pytest.mark.parametrize(
    ("space", "size"),
    [
        (deeparchitect.keras_mlp(), 41_784),
        (deeparchitect.keras_mlp((1, 2)), 312),
        (deeparchitect.dnn(), 5_400),
        (deeparchitect.dnn(starter=True), 618_240),
        (deeparchitect.logging_tutorial(), 755_460),
        (deeparchitect.logging_tutorial((1,)), 540),
        (deeparchitect.tfref(), 2_025),
        (deeparchitect.deepconv(), 60_466_176),
        (deeparchitect.deepconv(with_training=True), 247_669_456_896),
        (nasbench_macro.space(), 6_561),
        (convnet.space(), 203_041_559_250),
        (transformer.space(), 108_038_772),
        (matformer.space(), 4_294_967_296),
        (matformer.space(6, heads=(0.5, 1)), 262_144),
        (sortednet.space(), 8),
        (sortednet.space(range(1, 9), width=[i / 20 for i in range(1, 21)]), 160),
    ],
)
def test_published_counts(space: Space, size: int) -> None:
    assert space.size() == size
    if size <= 10_000:
        assert len({arch.id for arch in space.enumerate()}) == size


@pytest.mark.parametrize(
    "space",
    [deeparchitect.ladder(3), deeparchitect.dnn(), deeparchitect.tfref(), nasbench_macro.space(), convnet.space()],
)
def test_a_sample_trains_for_one_step(space: Space) -> None:
    arch = space.sample(random.Random(0))
    model = arch.build(seed=0)
    assert sum(p.numel() for p in model.parameters()) == arch.parameters
    (tensor,) = space.inputs.values()
    output = model(torch.randn(4, *tensor.shape))
    assert output.shape == (4, 10)
    output.square().mean().backward()
    assert all(p.grad is not None for p in model.parameters())


def test_the_transformer_is_causal() -> None:
    arch = transformer.space(length=16).sample(random.Random(0))
    model = arch.build(seed=0).eval()
    assert sum(p.numel() for p in model.parameters()) == arch.parameters
    ids = torch.randint(0, 256, (2, 16))
    changed = ids.clone()
    changed[:, -1] = (changed[:, -1] + 1) % 256
    before, after = model(ids), model(changed)
    assert before.shape == (2, 16, 256)
    torch.testing.assert_close(before[:, :-1], after[:, :-1])
    assert not torch.equal(before[:, -1], after[:, -1])


def test_distinct_networks_of_deeparchitect() -> None:
    assert deeparchitect.dnn().distinct() == 3_900
    assert deeparchitect.logging_tutorial((1,)).distinct() == 315
    assert deeparchitect.ladder(5).distinct() == 48


@pytest.mark.slow
@pytest.mark.timeout(1_800)
def test_distinct_networks_of_larger_spaces() -> None:
    assert deeparchitect.dnn(starter=True).distinct() == 461_715
    assert deeparchitect.logging_tutorial().distinct() == 502_245


def test_an_unknown_name_names_the_nearest() -> None:
    with pytest.raises(SpaceError, match="did you mean 'deepconv'"):
        deeparchitect.space("deepcon")
