"""AdamW for super-networks: what idle units get under each of its rules, over drawn axes, cuts and orders of steps."""

from __future__ import annotations

import copy
import random
from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from archsearch.elastic.axes import Axis
from archsearch.elastic.cells import blocks_of, split, union
from archsearch.elastic.cut import Cut
from archsearch.elastic.declare import axis, layers
from archsearch.elastic.network import Elastic
from archsearch.elastic.optimizer import AdamW
from archsearch.elastic.sortednet import SortedNet
from archsearch.errors import ElasticError


class Block(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(width, hidden), nn.Linear(hidden, width, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = x + self.down(torch.tanh(self.up(x)))
        return found


class Net(nn.Module):
    """Tensors that two axes cut, one axis cuts, none cuts, and that leave with their layer."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(3, 4)
        self.layers = nn.ModuleList(Block(4, 6) for _ in range(3))
        self.head = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.embed(x)
        for layer in self.layers:
            x = layer(x)
        found: torch.Tensor = self.head(x)
        return found


def super_network(seed: int = 0) -> Elastic:
    torch.manual_seed(seed)
    model = Net().double()
    paths = [f"layers.{i}" for i in range(3)]
    declared: list[Axis] = [layers(model, "layers")]
    declared += [
        axis(model, f"ffn.{i}", 6, outputs=[f"{p}.up"], inputs=[f"{p}.down"], layer=p) for i, p in enumerate(paths)
    ]
    readers, writers = [f"{p}.up" for p in paths], [f"{p}.down" for p in paths]
    declared.append(axis(model, "width", 4, outputs=["embed", *writers], inputs=[*readers, "head"]))
    return SortedNet(model, axes=declared, ffn=[1 / 3, 2 / 3, 1], width=[1 / 2, 1], layers=[1, 2, 3])


def drawn_cut(net: Elastic, rng: random.Random) -> Cut:
    """Any units of any axes, not the first ones only."""
    kept = {a.name: sorted(rng.sample(range(a.units), rng.randint(1, a.units))) for a in net.axes if rng.random() < 0.7}
    dropped = net.axes.dropped(kept)
    return net.cut({name: units for name, units in kept.items() if net.axes.by_name[name].layer not in dropped})


def gradients(net: Elastic, cuts: Sequence[Cut], step: int) -> None:
    """Gradients of one pass of each sub-network, added up; those of layers that were left out stay None."""
    net.zero_grad()
    x = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(step))
    for cut in cuts:
        net(x, cut).square().sum().backward()


def in_use(cuts: Sequence[Cut], name: str, parameter: torch.Tensor) -> torch.Tensor:
    """Which numbers of a parameter the sub-networks use, one for each."""
    found = torch.zeros(parameter.numel(), dtype=torch.bool)
    places = torch.arange(parameter.numel()).reshape(parameter.shape)
    for cut in cuts:
        if cut.name(name) is not None:
            found[cut.take(name, places).flatten()] = True
    return found.reshape(parameter.shape)


class ByHand:
    """AdamW one number at a time: each has its own counts of updates and of uses."""

    def __init__(self, net: Elastic, lr: float, weight_decay: float, idle: str) -> None:
        self.lr, self.decay, self.idle = lr, weight_decay, idle
        self.state = {n: [torch.zeros_like(p) for _ in range(4)] for n, p in net.model.named_parameters()}

    def step(self, net: Elastic, cuts: Sequence[Cut]) -> None:
        for name, parameter in net.model.named_parameters():
            first, second, updates, uses = self.state[name]
            used = in_use(cuts, name, parameter)
            grad = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            moved = used if self.idle == "freeze" else torch.ones_like(used)
            updates[moved] += 1
            uses[used] += 1
            first[moved] = (0.9 * first + 0.1 * grad)[moved]
            second[moved] = (0.999 * second + 0.001 * grad**2)[moved]
            factor = (updates / uses).sqrt() if self.idle == "scale" else torch.ones_like(updates)
            factor[uses == 0] = 1
            update = first / (1 - 0.9**updates) / ((second / (1 - 0.999**updates)).sqrt() + 1e-8)
            new = parameter * (1 - self.lr * self.decay) - self.lr * factor * update
            parameter.data[moved] = new[moved]


seeds = st.integers(0, 10**6)


@settings(max_examples=20, deadline=None)
@given(seed=seeds, idle=st.sampled_from(["freeze", "scale"]))
def test_each_unit_by_hand(seed: int, idle: str) -> None:
    rng = random.Random(seed)
    net, twin = super_network(), super_network()
    ours = AdamW(net, 0.1, weight_decay=0.3, idle=idle)  # type: ignore[arg-type]
    theirs = ByHand(twin, 0.1, 0.3, idle)
    for step in range(5):
        cuts = [drawn_cut(net, rng) for _ in range(rng.randint(1, 2))]
        before = {n: p.detach().clone() for n, p in net.model.named_parameters()}
        moments = {
            n: [ours.state[p][k].clone() for k in ("exp_avg", "exp_avg_sq") if p in ours.state]
            for n, p in net.model.named_parameters()
        }
        for one, optimizer in ((net, ours), (twin, theirs)):
            gradients(one, cuts, step)
            optimizer.step(used=cuts) if isinstance(optimizer, AdamW) else optimizer.step(one, cuts)
        for (name, p), q in zip(net.model.named_parameters(), twin.model.parameters(), strict=True):
            torch.testing.assert_close(p, q, rtol=1e-9, atol=1e-12)
            if idle == "freeze":
                rest = ~in_use(cuts, name, p)
                assert torch.equal(p[rest], before[name][rest])
                for key, old in zip(("exp_avg", "exp_avg_sq"), moments[name], strict=False):
                    assert torch.equal(ours.state[p][key][rest], old[rest])


@settings(max_examples=20, deadline=None)
@given(seed=seeds)
def test_decay_is_torchs_adamw_on_gradients_of_zero(seed: int) -> None:
    rng = random.Random(seed)
    net, twin = super_network(), super_network()
    ours = AdamW(net, 0.1, weight_decay=0.3)
    theirs = torch.optim.AdamW(twin.parameters(), 0.1, weight_decay=0.3)
    for step in range(5):
        cuts = [drawn_cut(net, rng)]
        gradients(net, cuts, step)
        gradients(twin, cuts, step)
        for parameter in twin.parameters():
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        ours.step(used=cuts)
        theirs.step()
    for p, q in zip(net.parameters(), twin.parameters(), strict=True):
        assert torch.equal(p, q)
        assert all(torch.equal(value, theirs.state[q][key]) for key, value in ours.state[p].items())


@pytest.mark.parametrize("idle", ["decay", "freeze", "scale"])
def test_with_all_units_in_use_all_rules_are_torchs(idle: str) -> None:
    net, twin = super_network(), super_network()
    ours = AdamW(net, 0.1, idle=idle)  # type: ignore[arg-type]
    theirs = torch.optim.AdamW(twin.parameters(), 0.1)
    for step in range(5):
        gradients(net, [net.cut(None)], step)
        gradients(twin, [net.cut(None)], step)
        ours.step(used=None)
        theirs.step()
    assert all(torch.equal(p, q) for p, q in zip(net.parameters(), twin.parameters(), strict=True))


@settings(max_examples=20, deadline=None)
@given(seed=seeds)
def test_gradients_of_parts_are_as_good_as_whole_ones(seed: int) -> None:
    rng = random.Random(seed)
    net, twin = super_network(), super_network()
    optimizers = [AdamW(one, 0.1, idle="freeze") for one in (net, twin)]
    for step in range(4):
        cut = drawn_cut(net, rng)
        gradients(net, [cut], step)
        gradients(twin, [cut], step)
        parts = {}
        for name, parameter in twin.model.named_parameters():
            if parameter.grad is not None:
                parts[id(parameter)] = cut.take(name, parameter.grad).clone()
                parameter.grad = None
        optimizers[0].step(used=cut)
        optimizers[1].step(used=cut, parts=parts)
    assert all(torch.equal(p, q) for p, q in zip(net.parameters(), twin.parameters(), strict=True))


@pytest.mark.parametrize("idle", ["decay", "freeze", "scale"])
def test_the_state_goes_on_where_it_was(idle: str) -> None:
    rng = random.Random(0)
    net = super_network()
    optimizer = AdamW(net, 0.1, idle=idle)  # type: ignore[arg-type]
    cuts = [drawn_cut(net, rng) for _ in range(6)]
    for step in range(3):
        gradients(net, [cuts[step]], step)
        optimizer.step(used=cuts[step])
    twin = copy.deepcopy(net)
    other = AdamW(twin, 0.5, idle=idle)  # type: ignore[arg-type]
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for one, its in ((net, optimizer), (twin, other)):
        for step in range(3, 6):
            gradients(one, [cuts[step]], step)
            its.step(used=cuts[step])
    assert all(torch.equal(p, q) for p, q in zip(net.parameters(), twin.parameters(), strict=True))


def test_a_parameter_beside_the_model_is_used_in_every_step() -> None:
    net = super_network()
    beside = nn.Parameter(torch.ones(3))
    twin = nn.Parameter(torch.ones(3))
    ours = AdamW(net, 0.1, params=[*net.parameters(), beside], idle="freeze")
    theirs = torch.optim.AdamW([twin], 0.1)
    for step in range(3):
        gradients(net, [net.cut({"ffn": 2})], step)
        beside.grad, twin.grad = torch.full((3,), 0.5), torch.full((3,), 0.5)
        ours.step(used={"ffn": 2})
        theirs.step()
    assert torch.equal(beside, twin)


def test_errors_say_what_to_do() -> None:
    net = super_network()
    with pytest.raises(ElasticError, match=r'"decay", "freeze" or "scale", but got \'other\''):
        AdamW(net, idle="other")  # type: ignore[arg-type]
    frozen = AdamW(net, idle="freeze")
    with pytest.raises(ElasticError, match=r"step\(used=arch\)"):
        frozen.step()
    with pytest.raises(ElasticError, match="has 'freeze'"):
        frozen.load_state_dict(AdamW(net).state_dict())


def test_cells_are_split_where_areas_end_and_keep_their_counts() -> None:
    bounds, counts = [[0, 8]], torch.tensor([[3.0, 2.0]])
    counts = split(bounds, counts, (((0, 4),),))
    counts[0] += 1
    counts = split(bounds, counts, (((0, 2), (6, 8)),))
    assert bounds == [[0, 2, 4, 6, 8]]
    assert counts.tolist() == [[4, 3], [4, 3], [3, 2], [3, 2]]
    assert split(bounds, counts, (((0, 4),),)) is counts
    first, last = blocks_of(bounds, (((0, 2), (6, 8)),))
    assert (first.cells, first.where, first.in_part) == ((slice(0, 1),), (slice(0, 2),), (slice(0, 2),))
    assert (last.cells, last.where, last.in_part) == ((slice(3, 4),), (slice(6, 8),), (slice(2, 4),))
    (both,) = union(bounds, [(((0, 2),),), (((0, 6),),)])
    assert both.where == (slice(0, 6),)
    assert both.spread(counts[both.cells][..., 0], bounds).tolist() == [4, 4, 4, 4, 3, 3]
    assert [block.where for block in union(bounds, [(((0, 4),),), (((2, 6),),)])] == [
        (slice(0, 2),),
        (slice(2, 4),),
        (slice(4, 6),),
    ]
