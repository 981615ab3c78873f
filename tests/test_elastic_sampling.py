"""Which sub-networks run at which step."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter

import pytest
import torch
from scipy.stats import chisquare

from archsearch.elastic.matformer import MatFormer
from archsearch.elastic.sampling import Joint, Sampled, Sandwich, combinations, stream
from archsearch.elastic.sortednet import SortedNet
from archsearch.elastic.transformer import Transformer, TransformerConfig


def model() -> Transformer:
    return Transformer(TransformerConfig(width=16, layers=3, heads=2, head_dim=8, hidden=32, vocabulary=19))


def test_a_step_draws_the_same_in_every_process() -> None:
    script = "from archsearch.elastic.sampling import stream; print([stream(3, step).random() for step in range(5)])"
    here = str([stream(3, step).random() for step in range(5)])
    for hash_seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", script],
            env={"PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == here
    assert here.startswith("[0.")
    assert (
        len({stream(3, step).random() for step in range(100)} | {stream(4, step).random() for step in range(100)})
        == 200
    )


def test_draws_follow_the_probabilities_and_touch_no_other_generator() -> None:
    net = MatFormer(model())
    before = torch.get_rng_state()
    probabilities = (0.1, 0.2, 0.3, 0.4)
    plan = Sampled(probabilities).plan(net)
    drawn = Counter(plan.draw(stream(0, step))[0].cut.key for step in range(10_000))
    observed = [drawn[cut.key] for cut in combinations(net)]
    assert chisquare(observed, [p * 10_000 for p in probabilities]).pvalue > 0.001
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("per_layer", [False, True])
def test_a_sandwich_has_the_smallest_and_the_largest(per_layer: bool) -> None:
    net = MatFormer(model())
    cuts = combinations(net)
    plan = Sandwich(random=2, mean=True, per_layer=per_layer).plan(net)
    between = set()
    for step in range(200):
        first, *some, last = plan.draw(stream(0, step))
        assert (first.cut.key, last.cut.key) == (cuts[-1].key, cuts[0].key)
        assert len(some) == 2 == plan.passes - 2
        assert {this.weight for this in (first, *some, last)} == {1 / 4}
        between |= {this.cut.key for this in some}
    if per_layer:
        assert len(between) > 40  # of 4^3
    else:
        assert between == {cut.key for cut in cuts[1:-1]}


def test_all_combinations_are_trained_smallest_first() -> None:
    net = SortedNet(model(), width=[1 / 2, 1], layers=[1, 2, 3], ffn=[1 / 4, 1])
    cuts = combinations(net)
    shapes = {name: tuple(p.shape) for name, p in net.model.named_parameters()}
    sizes = [cut.numel(shapes) for cut in cuts]
    assert len({cut.key for cut in cuts}) == 12
    assert sizes == sorted(sizes)
    assert cuts[-1].key == net.cut(None).key
    passes = Joint().plan(net).draw(stream(0, 0))
    assert [this.cut.key for this in passes] == [cut.key for cut in reversed(cuts)]
    once = Sampled(draws=12).plan(net).draw(stream(0, 0))
    assert {this.cut.key for this in once} == {cut.key for cut in cuts}
    assert {this.weight for this in once} == {1 / 12}


def test_layers_choose_for_themselves_if_asked() -> None:
    net = MatFormer(model())
    plan = Sampled(per_layer=True).plan(net)
    found = {plan.draw(stream(0, step))[0].cut.key for step in range(300)}
    assert len(found) > 55  # of 4^3
