"""The space of a super-network's sub-networks: what is decided and counted, and that it is a space like any other."""

from __future__ import annotations

import json
import pickle
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from elastic_models import FAMILIES, model_of
from torch import Tensor, nn

from archsearch.constraints import constrained
from archsearch.elastic.cut import Cut
from archsearch.elastic.declare import axis
from archsearch.elastic.matformer import MatFormer
from archsearch.elastic.network import Elastic
from archsearch.elastic.own_families import own, tokens
from archsearch.elastic.sortednet import SortedNet
from archsearch.elastic.space import Blueprint, Decision, SubNetworks
from archsearch.elastic.transformer import Transformer, TransformerConfig
from archsearch.errors import BuildError, ElasticError
from archsearch.spaces import matformer, sortednet
from archsearch.spaces.describe import without_functions
from archsearch.spaces.pool import Pool
from archsearch.spaces.space import Space
from archsearch.spaces.tensor import Tensor as Input


def transformer(num_layers: int = 3) -> Transformer:
    return Transformer(
        TransformerConfig(
            width=8, layers=num_layers, heads=4, groups=2, head_dim=2, hidden=16, vocabulary=20, context=6
        )
    )


def matformer_of(
    granularities: Sequence[float] = (1 / 8, 1 / 4, 1 / 2, 1), num_layers: int = 3, **heads: Sequence[float]
) -> MatFormer:
    model = transformer(num_layers)
    return MatFormer(model, granularities, axes=own(model), inputs=tokens(model), **heads)


def sortednet_of(**granularities: Sequence[float]) -> SortedNet:
    model = transformer()
    return SortedNet(model, axes=own(model), inputs=tokens(model), **granularities)


class Stages(nn.Module):
    """Two stages in a list: what the first gives, `between`, is what the second takes."""

    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.ModuleList(
            nn.Sequential(nn.Linear(a, 8), nn.ReLU(), nn.Linear(8, b)) for a, b in ((6, 12), (12, 6))
        )
        self.head = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        for stage in self.stages:
            x = stage(x)
        logits: Tensor = self.head(x)
        return logits


def stages() -> Elastic:
    model = Stages()
    axes = [
        axis(model, "inner.0", 8, outputs=["stages.0.0"], inputs=["stages.0.2"], layer="stages.0"),
        axis(model, "inner.1", 8, outputs=["stages.1.0"], inputs=["stages.1.2"], layer="stages.1"),
        # Declared as the first stage's, although the second reads it.
        axis(model, "between", 12, outputs=["stages.0.2"], inputs=["stages.1.0"], layer="stages.0"),
    ]
    net = SortedNet(model, axes=axes, inner=[1 / 4, 1 / 2, 1], between=[1 / 3, 1], inputs={"x": Input(6)})
    per_layer = Decision(net.decisions[0].group, net.decisions[0].granularities, per_layer=True)
    return Elastic(model, net.axes, [per_layer, net.decisions[1]], net.inputs)


NETS: dict[str, Callable[[], Elastic]] = {
    "matformer": lambda: matformer_of(heads=[1 / 2, 1]),
    "sortednet": lambda: sortednet_of(width=[1 / 2, 1], layers=[1 / 3, 2, 3], ffn=[1 / 4, 1], heads=[1 / 2, 1]),
    "an axis over two layers": stages,
}


@pytest.mark.parametrize("name", NETS)
def test_counts_are_those_of_the_extracted_model_and_of_one_pass(name: str) -> None:
    """However they were put together before: the sums are filled in a random order."""
    net = NETS[name]()
    space = net.space()
    archs = space.sample(random.Random(0), 8)
    assert len({arch.flops for arch in archs}) > 2
    for arch in archs:
        assert arch.parameters == sum(p.numel() for p in net.extract(arch).parameters())
        assert arch.flops == space.blueprint.flops(space.cut(arch))


@pytest.mark.parametrize("name", FAMILIES)
def test_counts_of_every_family(name: str) -> None:
    model = model_of(name)
    nets: list[Elastic] = [MatFormer(model, [1 / 4, 1 / 2, 1])]
    groups = nets[0].axes.groups()
    halves: dict[str, Any] = {group: [1 / 2, 1] for group in groups if groups[group][0].units % 2 == 0}
    nets.append(SortedNet(model, **halves))
    for net in nets:
        space = net.space()
        for arch in space.sample(random.Random(0), 4):
            assert arch.parameters == sum(p.numel() for p in net.extract(arch).parameters())
            assert arch.flops == space.blueprint.flops(space.cut(arch)) > 0


def test_sizes_between_the_granularities_count_too() -> None:
    net = sortednet_of(ffn=[1 / 4, 1], layers=[2, 3])
    space = net.space(steps={"ffn": 2})
    assert space.size() == 2 * 7
    for arch in space.enumerate():
        assert arch.parameters == sum(p.numel() for p in net.extract(arch).parameters())
        assert arch.flops == space.blueprint.flops(space.cut(arch))


def test_one_unit_is_not_all_of_them() -> None:
    """1.0 is a share and 1 a number; they are equal as keys."""
    net = sortednet_of(ffn=[1 / 16, 1])
    least = {arch["ffn"]: arch.parameters for arch in net.space(steps={"ffn": 1}).enumerate()}
    shares = {arch["ffn"]: arch.parameters for arch in net.space().enumerate()}
    assert least[1] == shares[1 / 16] < shares[1.0] == least[16]


def test_a_layer_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[Cut] = []
    direct = Blueprint.flops_by_layer

    def noted(self: Blueprint, cut: Cut) -> dict[str, int]:
        counted.append(cut)
        return direct(self, cut)

    monkeypatch.setattr(Blueprint, "flops_by_layer", noted)
    space = matformer_of().space()
    for share in (0.125, 0.25, 0.5, 1.0):
        assert space.architecture({f"ffn[{i}]": share for i in range(3)}).flops
    assert len({arch.flops for arch in space.enumerate()}) > 4
    assert len(counted) == 4


@pytest.mark.parametrize("given", [[], 0.5])
def test_granularities_are_several(given: Any) -> None:
    with pytest.raises(ElasticError, match=r"expected granularities, such as \[1/4, 1/2, 1\], but got (none|0\.5)"):
        MatFormer(transformer(), given)


def test_flops_need_inputs() -> None:
    net = stages()
    net.inputs = {}
    with pytest.raises(BuildError, match="give inputs="):
        _ = net.space().sample(random.Random(0)).flops


def test_ready_made_spaces_decide_the_same() -> None:
    net = matformer_of(heads=[1 / 2, 1])
    assert told(net.space()) == told(matformer.space(3, heads=[1 / 2, 1]))
    small = sortednet_of(layers=[2, 3], width=[1 / 2, 1], ffn=[1 / 4, 1 / 2, 1])
    assert told(small.space()) == told(sortednet.space([2, 3], width=[1 / 2, 1], ffn=[1 / 4, 1 / 2, 1]))
    assert told(sortednet_of(heads=[1 / 2, 1]).space()) == told(sortednet.space(None, heads=[1 / 2, 1]))


def told(space: Space) -> object:
    """What a space decides, whose super-network it is apart."""
    described = {key: value for key, value in space.describe().items() if key not in ("supernet", "saved")}
    return without_functions(described)


@pytest.mark.parametrize("name", NETS)
def test_it_is_a_space_like_any_other(name: str) -> None:
    net = NETS[name]()
    space, rng = net.space(), random.Random(0)
    copy = pickle.loads(pickle.dumps(space))
    assert isinstance(copy, SubNetworks)
    assert told(copy) == told(space)
    assert json.loads(json.dumps(space.json_schema()))
    assert str(space).count("\n") >= len(list(space.sample(rng).assignment))
    assert space.size() == len({arch.id for arch in space.enumerate()})
    arch, other = space.sample(rng, 2)
    assert copy.architecture(json.loads(json.dumps(arch.assignment))).parameters == arch.parameters
    assert pickle.loads(pickle.dumps(arch)).flops == arch.flops
    assert len(space.encode([arch, other])) == 2
    for moved in (space.mutate(arch, rng), space.crossover(arch, other, rng), *space.neighbors(arch)):
        assert isinstance(moved.space, SubNetworks)
        assert moved.parameters == sum(p.numel() for p in net.extract(moved).parameters())
    assert "ffn" in str(arch) or "inner" in str(arch)


def test_it_is_drawn(tmp_path: Path) -> None:
    space = NETS["sortednet"]().space()
    for arch in (None, space.sample(random.Random(0))):
        space.draw(tmp_path / "space.svg", arch)
        assert "width" in (tmp_path / "space.svg").read_text(encoding="utf-8")


def test_weights_do_not_travel_with_it() -> None:
    model = Transformer(TransformerConfig(width=64, layers=2, hidden=4096, vocabulary=4096))
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    assert len(pickle.dumps(MatFormer(model, axes=own(model)).space())) < 0.02 * weights


def test_constraints_keep_it() -> None:
    space = NETS["matformer"]().space()
    sizes = sorted(arch.parameters for arch in space.enumerate())
    most = sizes[len(sizes) // 3]
    small = constrained(space, {"parameters": {"<=": float(most)}})
    assert isinstance(small, SubNetworks)
    assert sorted(arch.parameters for arch in small.enumerate()) == [n for n in sizes if n <= most]
    assert pickle.loads(pickle.dumps(small)).sample(random.Random(0)).parameters <= most


def test_a_pool_of_sub_networks_counts_runs_and_travels() -> None:
    net = NETS["matformer"]()
    members = net.space().sample(random.Random(0), 5)
    pool = Pool(net.space(), members)
    copy = pickle.loads(pickle.dumps(constrained(pool, {"parameters": {"<=": 1e9}})))
    x = torch.zeros(1, 6, dtype=torch.int64)
    for member in members:
        for space in (pool, copy):
            same = space.architecture(member.assignment)
            assert (same.parameters, same.flops) == (member.parameters, member.flops)
            assert torch.equal(net(x, same), net(x, member))


def test_one_is_a_unit_among_numbers_of_units_and_all_of_them_among_shares() -> None:
    model = Transformer(TransformerConfig(width=8, layers=4, heads=2, head_dim=4, hidden=8, vocabulary=11, context=8))
    net = SortedNet(model, layers=[1, 2, 4], ffn=[1 / 4, 1])
    assert [arch.values for arch in net.space().enumerate()] == [
        {"layers": layers, "ffn": ffn} for layers in (1, 2, 4) for ffn in (0.25, 1.0)
    ]
    with pytest.raises(ElasticError, match="from 1 to 4 units, but got 9"):
        SortedNet(model, layers=[1, 9])
    with pytest.raises(ElasticError, match="from 1 to 4 units"):
        SortedNet(model, layers=[0, 2])


def test_shares_of_axes_and_groups_name_a_sub_network() -> None:
    model = Transformer(TransformerConfig(width=8, layers=4, heads=2, head_dim=4, hidden=8, vocabulary=11, context=8))
    net = SortedNet(model, layers=[1, 2, 4], ffn=[1 / 4, 1], width=[1 / 2, 1])
    arch = net.space().architecture({"layers": 2, "ffn": 0.25, "width": 0.5})
    assert net.cut({"layers": 1 / 2, "ffn": 1 / 4, "width": 0.5}) == net.cut(arch)
    assert net.cut({"ffn": 1 / 4, "ffn.1": 1.0}).kept["ffn.1"] == tuple(range(8))
    with pytest.raises(ElasticError, match=r"ffn.0 has 8 units, of which 1/3 .*nearest: 1/4 \(2 units\)"):
        net.cut({"ffn.0": 1 / 3})
    with pytest.raises(ElasticError, match="no axis 'fnn'"):
        net.cut({"fnn": 1 / 3})
