"""Published spaces that are cells: NASNet, DARTS, the hierarchical and the flat space. Counts and parameters as
published, and the same networks written by hand."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from cells_by_hand import (
    cells_over_motifs,
    darts_by_hand,
    genotype,
    hierarchical_by_hand,
    nasnet_by_hand,
    nasnet_parameters,
    read_inputs,
)
from torch.nn import functional

from archsearch.errors import AssignmentError, ShapeError, SpaceError
from archsearch.spaces import darts, hierarchical, nasnet
from archsearch.spaces.architecture import Architecture
from archsearch.spaces.cell_layers import FactorizedReduce, ScheduledDropPath
from archsearch.spaces.nodes import Shared
from archsearch.spaces.space import Space

# Published genotypes: the second-order result of DARTS, of P-DARTS (Chen et al. 2019, arXiv:1904.12760) and of PC-DARTS
# (Xu et al. 2020, arXiv:1907.05737), each for CIFAR-10.
DARTS_V2 = (
    [
        *[("sep_conv_3x3", 0), ("sep_conv_3x3", 1), ("sep_conv_3x3", 0), ("sep_conv_3x3", 1)],
        *[("sep_conv_3x3", 1), ("skip_connect", 0), ("skip_connect", 0), ("dil_conv_3x3", 2)],
    ],
    [
        *[("max_pool_3x3", 0), ("max_pool_3x3", 1), ("skip_connect", 2), ("max_pool_3x3", 1)],
        *[("max_pool_3x3", 0), ("skip_connect", 2), ("skip_connect", 2), ("max_pool_3x3", 1)],
    ],
)
P_DARTS = (
    [
        *[("skip_connect", 0), ("dil_conv_3x3", 1), ("skip_connect", 0), ("sep_conv_3x3", 1)],
        *[("sep_conv_3x3", 1), ("sep_conv_3x3", 3), ("sep_conv_3x3", 0), ("dil_conv_5x5", 4)],
    ],
    [
        *[("avg_pool_3x3", 0), ("sep_conv_5x5", 1), ("sep_conv_3x3", 0), ("dil_conv_5x5", 2)],
        *[("max_pool_3x3", 0), ("dil_conv_3x3", 1), ("dil_conv_3x3", 1), ("dil_conv_5x5", 3)],
    ],
)
PC_DARTS = (
    [
        *[("sep_conv_3x3", 1), ("skip_connect", 0), ("sep_conv_3x3", 0), ("dil_conv_3x3", 1)],
        *[("sep_conv_5x5", 0), ("sep_conv_3x3", 1), ("avg_pool_3x3", 0), ("dil_conv_3x3", 1)],
    ],
    [
        *[("sep_conv_5x5", 1), ("max_pool_3x3", 0), ("sep_conv_5x5", 1), ("sep_conv_5x5", 2)],
        *[("sep_conv_3x3", 0), ("sep_conv_3x3", 3), ("sep_conv_3x3", 1), ("sep_conv_3x3", 2)],
    ],
)

# NASNet-A: of each block the two states and the two operations.
NASNET_A = {
    "normal": [
        *[("h1", "sep5", "h0", "sep3"), ("h0", "sep5", "h0", "sep3"), ("h1", "avg3", "h0", "identity")],
        *[("h0", "avg3", "h0", "avg3"), ("h1", "sep3", "h1", "identity")],
    ],
    "reduction": [
        *[("h1", "sep5", "h0", "sep7"), ("h1", "max3", "h0", "sep7"), ("h1", "avg3", "h0", "sep5")],
        *[("b1", "identity", "b0", "avg3"), ("b0", "sep3", "h1", "max3")],
    ],
}


def small_nasnet(**options: Any) -> Space:
    return nasnet.space(**{"size": 12, "channels": 4, "cells": 1, **options})


def small_darts(**options: Any) -> Space:
    return darts.space(**{"size": 12, "channels": 4, "cells": 5, **options})


def small_hierarchical(**options: Any) -> Space:
    return hierarchical.space(**{"size": 12, "channels": 4, **options})


def small_flat(**options: Any) -> Space:
    return hierarchical.flat(**{"size": 12, "channels": 4, **options})


SMALL = {"nasnet": small_nasnet, "darts": small_darts, "hierarchical": small_hierarchical, "flat": small_flat}
FULL = {
    "nasnet": nasnet.space,
    "nasnet with progress": lambda: nasnet.space(auxiliary=True, drop_path=0.4),
    "darts": darts.space,
    "hierarchical": hierarchical.space,
    "flat": hierarchical.flat,
}


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Threads that wait for each other cost more than these small tensors gain by them."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def connected(space: Space, seed: int) -> Architecture:
    """A sample that reads both inputs of each of its cells, so that all of it is used."""
    rng = random.Random(seed)
    while True:
        arch = space.sample(rng)
        if not any(path.startswith("normal.b") for path in arch.assignment) or len(read_inputs(arch.assignment)) == 4:
            return arch


def inputs_of(space: Space, dtype: torch.dtype = torch.float32, batch: int = 4) -> list[torch.Tensor]:
    torch.manual_seed(0)
    shapes = [(batch, *tensor.shape) for tensor in space.inputs.values()]
    return [torch.randn(shape, dtype=dtype) if len(shape) > 1 else torch.rand(shape, dtype=dtype) for shape in shapes]


def shaken(arch: Architecture, inputs: list[torch.Tensor]) -> torch.nn.Module:
    """A model in evaluation mode in which no weight is zero or one, so that none can be left out unnoticed.

    Its normalisations know the inputs, so that no signal dies on its way; in double precision, as it may be 200 deep.
    """
    model = arch.build(seed=0).double()
    generator = torch.Generator().manual_seed(1)
    for value in model.parameters():
        value.data += torch.randn(value.shape, generator=generator) * 0.1
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    model(*inputs)
    return model.eval()


@pytest.mark.parametrize(
    ("name", "size", "formula"),
    [
        ("nasnet", 81_509_880_379_785_425_253_826_560_000, math.factorial(6) ** 4 * 8**10 * 7**10),
        ("darts", 1_076_746_950_455_072_400, (1 * 3 * 6 * 10 * 7**8) ** 2),
        ("hierarchical", 5135621915573830461745964413262886912, cells_over_motifs(5, 6, 6**3 * 7**3)),
        ("flat", 6470298316092457238179310777784515845190188032, 6**10 * 7**45),
    ],
)
def test_counts(name: str, size: int, formula: int) -> None:
    assert FULL[name]().size() == size == formula


def test_counts_of_the_cells_of_nasnet() -> None:
    assert Space(nasnet.cell(4, 8, reduces=False)).size() == 556_627_761_561_600
    assert Space(nasnet.cell(4, 8, reduces=True)).size() == 146_435_169_081_600


@pytest.mark.parametrize(("nodes", "motifs", "inside"), [(2, 2, 3), (3, 2, 2), (3, 3, 3), (4, 2, 2)])
def test_counts_of_hierarchies_are_what_can_be_listed(nodes: int, motifs: int, inside: int) -> None:
    """Motifs of one edge each: `inside` of its primitives."""
    low = dict(list(hierarchical.primitives(4).items())[:inside])
    high = {f"motif{i}": Shared(hierarchical.motif(2, low, 4), f"motif{i}") for i in range(motifs)}
    space = Space(Shared(hierarchical.motif(nodes, high, 4), "cell"))
    assert space.size() == cells_over_motifs(nodes, motifs, inside) == len({arch.id for arch in space.enumerate()})


@pytest.mark.parametrize(
    ("found", "millions"), [(DARTS_V2, 3.3), (P_DARTS, 3.4), (PC_DARTS, 3.6)], ids=["DARTS", "P-DARTS", "PC-DARTS"]
)
def test_published_genotypes_have_their_published_parameters(found: tuple[Any, Any], millions: float) -> None:
    assert round(darts.from_genotype(darts.space(), *found).parameters / 1e6, 1) == millions


def test_the_network_that_darts_found_to_the_digit() -> None:
    """As the authors' code counts it, without the auxiliary classifier; later papers give 528M multiply-adds."""
    arch = darts.from_genotype(darts.space(), *DARTS_V2)
    assert arch.parameters == 3_349_342
    assert arch.flops // 2_000_000 == 528
    assert (genotype(arch.assignment, "normal"), genotype(arch.assignment, "reduction")) == tuple(
        [[edge for i in range(0, 8, 2) for edge in sorted(edges[i : i + 2], key=lambda e: e[1])] for edges in DARTS_V2]
    )


def nasnet_a() -> dict[str, Any]:
    answers = {}
    for kind, blocks in NASNET_A.items():
        for b, block in enumerate(blocks):
            for j in range(2):
                at = f"{kind}.b{b}.inputs[{j}]"
                answers[at], answers[f"{at}.op"] = block[2 * j : 2 * j + 2]
    return answers


def test_nasnet_a_has_its_published_parameters() -> None:
    """3.3M for 6 @ 768. Its authors concatenate more than what nothing reads: 6 and 4 states instead of 5 and 3."""
    arch = nasnet.space().architecture(nasnet_a())
    assert arch.parameters == nasnet_parameters(arch.assignment, 32, 6, 10)
    assert round(nasnet_parameters(arch.assignment, 32, 6, 10, joined=(6, 4)) / 1e6, 1) == 3.3


@pytest.mark.parametrize("seed", range(6))
def test_parameters_of_nasnet_are_those_of_the_closed_form(seed: int) -> None:
    arch = nasnet.space(classes=100).sample(random.Random(seed))
    assert arch.parameters == nasnet_parameters(arch.assignment, 32, 6, 100)


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("seed", range(3))
def test_a_sample_trains_for_one_step(name: str, seed: int) -> None:
    space = SMALL[name]()
    train_one_step(space, connected(space, seed))


@pytest.mark.parametrize("seed", range(2))
def test_two_outputs_and_progress_train_for_one_step(seed: int) -> None:
    for space in (small_nasnet(size=20, auxiliary=True, drop_path=0.4), small_darts(size=32, auxiliary=True)):
        outputs = train_one_step(space, connected(space, seed))
        assert list(outputs) == ["logits", "aux"]


def train_one_step(space: Space, arch: Architecture) -> dict[str, torch.Tensor]:
    model = arch.build(seed=0)
    before = {k: v.detach().clone() for k, v in model.named_parameters()}
    assert sum(v.numel() for v in before.values()) == arch.parameters
    output = model(*inputs_of(space))
    outputs = output if isinstance(output, dict) else {"logits": output}
    loss = torch.zeros(())
    for logits in outputs.values():
        assert logits.shape == (4, 10)
        loss = loss + functional.cross_entropy(logits, torch.arange(4))
    assert math.isfinite(loss.item())
    loss.backward()
    torch.optim.SGD(model.parameters(), lr=1.0).step()
    after = dict(model.named_parameters())
    assert [k for k, v in before.items() if torch.equal(v, after[k])] == []
    assert all(bool(v.isfinite().all()) for v in after.values())
    return outputs


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "options",
    [{}, {"size": 9, "cells": 2}, {"size": 32, "auxiliary": True, "drop_path": 0.5}],
    ids=["small", "odd", "progress"],
)
def test_nasnet_is_the_one_written_by_hand(options: dict[str, Any], seed: int) -> None:
    space = small_nasnet(**options)
    arch = space.sample(random.Random(seed))
    inputs = inputs_of(space, torch.float64)
    with torch.no_grad():
        model = shaken(arch, inputs)
        by_hand = nasnet_by_hand(dict(model.state_dict()), arch.assignment, inputs[0], options.get("cells", 1))
        same(model(*inputs), by_hand)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "options", [{}, {"size": 9, "cells": 7}, {"size": 32, "auxiliary": True}], ids=["small", "odd", "auxiliary"]
)
def test_darts_is_the_one_written_by_hand(options: dict[str, Any], seed: int) -> None:
    space = small_darts(**options)
    arch = space.sample(random.Random(seed))
    inputs = inputs_of(space, torch.float64)
    normal, reduction = genotype(arch.assignment, "normal"), genotype(arch.assignment, "reduction")
    assert darts.from_genotype(space, normal, reduction) == arch
    with torch.no_grad():
        model = shaken(arch, inputs)
        by_hand = darts_by_hand(dict(model.state_dict()), normal, reduction, inputs[0], options.get("cells", 5))
        same(model(*inputs), by_hand)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("cells", [1, 2])
@pytest.mark.parametrize("flat", [False, True])
def test_hierarchies_are_the_ones_written_by_hand(flat: bool, cells: int, seed: int) -> None:
    space = (small_flat if flat else small_hierarchical)(cells=cells)
    arch = space.sample(random.Random(seed))
    (x,) = inputs_of(space, torch.float64)
    with torch.no_grad():
        model = shaken(arch, [x])
        by_hand = hierarchical_by_hand(dict(model.state_dict()), arch.assignment, x, cells, flat)
        same(model(x), {"logits": by_hand})


def same(output: torch.Tensor | dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    found = output if isinstance(output, dict) else {"logits": output}
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)
    assert found["logits"].std(0).mean() > 1e-2


@pytest.mark.parametrize("name", SMALL)
def test_mutants_are_of_the_space_and_run(name: str) -> None:
    space = SMALL[name]()
    rng = random.Random(0)
    arch = space.sample(rng)
    for _ in range(30):
        mutant = space.mutate(arch, rng)
        assert mutant.id != arch.id
        assert space.architecture(mutant.assignment) == mutant
        arch = mutant
    model = arch.build(seed=0)
    assert sum(v.numel() for v in model.parameters()) == arch.parameters
    assert model(*inputs_of(space)).shape == (4, 10)


def test_cells_are_decided_once() -> None:
    arch = nasnet.space().sample(random.Random(0))
    assert {path.split(".")[0] for path in arch.assignment} == {"normal", "reduction"}
    assert len(arch.assignment) == 40
    assert {path.split(".")[0] for path in darts.space().sample(random.Random(0)).assignment} == {"normal", "reduction"}


def test_motifs_that_the_cell_does_not_use_are_not_decided() -> None:
    space = hierarchical.space()
    rng = random.Random(0)
    for arch in space.sample(rng, 200):
        used = {v for p, v in arch.assignment.items() if p.startswith("cell.")} - {"none"}
        assert {path.split(".")[0] for path in arch.assignment} == {"cell", *used}
        assert len(arch.assignment) == 10 + 6 * len(used)


def test_progress_drops_paths() -> None:
    space = small_nasnet(drop_path=0.5)
    (image, _), arch = inputs_of(space), space.sample(random.Random(0))
    model = arch.build(seed=0)
    rates = [module.rate for module in model.modules() if isinstance(module, ScheduledDropPath)]
    assert rates == [0.5 * i / 5 for i in range(1, 6) for _ in range(5)]
    start = model(image, torch.zeros(4))
    torch.testing.assert_close(model(image, torch.zeros(4)), start)
    assert not torch.allclose(model(image, torch.ones(4)), start)
    model.eval()
    torch.testing.assert_close(model(image, torch.zeros(4)), model(image, torch.ones(4)))


def test_each_path_is_dropped_for_itself_and_keeps_its_mean() -> None:
    drop = ScheduledDropPath(0.4)
    progress = torch.tensor([0.0, 0.5, 1.0]).repeat(4000)
    a, b = torch.full((12000, 2, 2, 2), 1.0), torch.full((12000, 2, 2, 2), 3.0)
    torch.manual_seed(0)
    output = drop(a, b, progress)
    assert torch.equal(output, output[:, :1, :1, :1].expand_as(output))
    for i, keep in enumerate((1.0, 0.8, 0.6)):
        found = (output[i::3, 0, 0, 0] * keep).round(decimals=4)
        values = [0.0, 1.0, 3.0, 4.0]
        assert set(found.tolist()) <= set(values)
        chances = [(1 - keep) ** 2, keep * (1 - keep), keep * (1 - keep), keep**2]
        for value, chance in zip(values, chances, strict=True):
            share = (found == value).float().mean().item()
            assert abs(share - chance) <= 5 * math.sqrt(chance * (1 - chance) / 4000)
    assert torch.equal(drop.eval()(a, b, progress), a + b)


@pytest.mark.parametrize("size", [(6, 6), (5, 7), (1, 1)])
@pytest.mark.parametrize("channels", [4, 5])
def test_a_factorized_reduction_reads_two_of_four_pixels(size: tuple[int, int], channels: int) -> None:
    module = FactorizedReduce(2, channels).eval()
    x = torch.rand(1, 2, *size, requires_grad=True)
    output = module(x)
    assert output.shape == (1, channels, (size[0] + 1) // 2, (size[1] + 1) // 2)
    output.square().sum().backward()
    on_diagonals = [i % 2 == j % 2 for i in range(size[0]) for j in range(size[1])]
    assert x.grad is not None
    assert (x.grad[0, 0].flatten() != 0).tolist() == on_diagonals


@pytest.mark.parametrize("rate", [-0.1, 1.0])
def test_a_drop_path_is_a_probability_below_one(rate: float) -> None:
    with pytest.raises(SpaceError, match=f"drop_path is a probability below 1, but got {rate}"):
        nasnet.space(drop_path=rate)


def test_a_genotype_has_eight_edges() -> None:
    normal, reduction = DARTS_V2
    with pytest.raises(AssignmentError, match="reduction: expected four nodes, each of two edges from two states"):
        darts.from_genotype(darts.space(), normal, reduction[:6])
    with pytest.raises(AssignmentError, match="normal: expected four nodes, each of two edges from two states"):
        darts.from_genotype(darts.space(), [*normal[:6], ("skip_connect", 2), ("dil_conv_3x3", 2)], reduction)


def test_an_image_too_small_for_the_auxiliary_classifier_is_an_error_with_its_place() -> None:
    with pytest.raises(ShapeError, match=r"^auxiliary\.op\[1\]: "):
        _ = small_darts(auxiliary=True).sample(random.Random(0)).parameters
