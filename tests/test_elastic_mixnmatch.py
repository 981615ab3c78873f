"""Choosing a sub-network without training: the rule of least slope, other policies, and a measured table."""

from __future__ import annotations

import json
from itertools import pairwise, product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_elastic_space import matformer_of, sortednet_of

from archsearch.constraints import constrained
from archsearch.elastic.mixnmatch import least_slope, mix_n_match
from archsearch.elastic.space import SubNetworks
from archsearch.elastic.table import Table, measured
from archsearch.errors import ElasticError, Infeasible
from archsearch.spaces.space import Architecture

SHARES = [1 / 8, 1 / 4, 1 / 2, 1.0]
SPACES = {(g, n): matformer_of(SHARES[-g:], n).space() for g in (1, 2, 3, 4) for n in (1, 2, 3, 5)}
SPACE = SPACES[4, 5]


def levels(arch: Architecture) -> list[int]:
    return [SHARES.index(share) for share in arch["ffn"]]


def made(space: SubNetworks, of: list[int]) -> Architecture:
    return space.architecture({f"ffn[{i}]": SHARES[level] for i, level in enumerate(of)})


@pytest.mark.parametrize(("g", "num_layers"), SPACES)
def test_there_are_so_many_of_least_slope(g: int, num_layers: int) -> None:
    found = least_slope(SPACES[g, num_layers])
    assert len({arch.id for arch in found}) == len(found) == (g - 1) * num_layers + 1
    for arch in found:
        assert levels(arch) == sorted(levels(arch))
        assert max(levels(arch)) - min(levels(arch)) <= 1
    assert all(small.parameters < large.parameters for small, large in pairwise(found))
    budgets = range(found[0].parameters, found[-1].parameters + 2)
    assert len({mix_n_match(SPACES[g, num_layers], budget).id for budget in budgets}) == len(found)


@given(st.data(), st.sampled_from(sorted(SPACES)))
def test_the_largest_of_them_within_the_budget(data: st.DataObject, key: tuple[int, int]) -> None:
    space = SPACES[key]
    every = least_slope(space)
    budget = data.draw(st.floats(every[0].parameters, every[-1].parameters * 1.1))
    arch = mix_n_match(space, budget)
    assert arch.parameters <= budget
    upgraded = every.index(arch) + 1
    assert upgraded == len(every) or every[upgraded].parameters > budget


def test_any_cost_that_grows_with_few_questions() -> None:
    asked = []

    def cost(arch: Architecture) -> float:
        asked.append(arch)
        return sum(2.0**level for level in levels(arch))

    assert levels(mix_n_match(SPACE, 15.0, cost=cost)) == [1, 1, 1, 2, 2]  # 14; the next would be 16
    assert len(asked) <= 6  # of 16
    assert mix_n_match(SPACE, 1e18, cost="flops") == least_slope(SPACE)[-1]


def loss(arch: Architecture) -> float:
    """What the first layer has counts most."""
    return -sum(3.0**-i * level for i, level in enumerate(levels(arch)))


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.9, 1.0])
def test_other_policies_are_within_the_budget_and_find_better_ones(share: float) -> None:
    space = SPACES[4, 3]
    sizes = [arch.parameters for arch in least_slope(space)]
    budget = sizes[0] + share * (sizes[-1] - sizes[0])
    rule, coordinate, best = (
        mix_n_match(space, budget, policy, loss=loss) for policy in ("least_slope", "coordinate", "exhaustive")
    )
    oracle = min(
        loss(arch) for of in product(range(4), repeat=3) if (arch := made(space, list(of))).parameters <= budget
    )
    assert loss(best) == oracle <= loss(coordinate) <= loss(rule)
    assert max(arch.parameters for arch in (rule, coordinate, best)) <= budget


def test_what_else_is_decided_stays_whole() -> None:
    net = matformer_of([1 / 2, 1], heads=[1 / 2, 1])
    assert len(least_slope(net)) == 4
    assert all(arch["heads"] == [1.0] * 3 for arch in least_slope(net))
    heads = mix_n_match(net, 1e9, group="heads")
    assert (heads["ffn"], heads["heads"]) == ([1.0] * 3, [1.0] * 3)
    assert [arch["heads"] for arch in least_slope(net, "heads")][1] == [0.5, 0.5, 1.0]


def test_a_budget_that_nothing_meets_says_the_smallest() -> None:
    least = least_slope(SPACE)[0].parameters
    with pytest.raises(Infeasible, match=f"budget of 10: the smallest costs {least:g} .parameters."):
        mix_n_match(SPACE, 10)
    with pytest.raises(Infeasible, match="the smallest costs"):
        mix_n_match(SPACE, float("nan"))


def test_bad_input() -> None:
    with pytest.raises(ElasticError, match="layers choose among granularities of nothing"):
        least_slope(sortednet_of(ffn=[1 / 2, 1]))
    with pytest.raises(ElasticError, match="layers choose among granularities of nothing"):
        least_slope(matformer_of().space(steps={"ffn": 2}))
    with pytest.raises(ElasticError, match="give loss="):
        mix_n_match(SPACE, 1e9, "coordinate")
    with pytest.raises(ElasticError, match="but got 'steepest'"):
        mix_n_match(SPACE, 1e9, "steepest")  # type: ignore[arg-type]
    with pytest.raises(ElasticError, match="but got 'size'"):
        mix_n_match(SPACE, 1e9, cost="size")  # type: ignore[arg-type]
    with pytest.raises(ElasticError, match="in 9 layers are 262,144"):
        mix_n_match(matformer_of(num_layers=9), 1e9, "exhaustive", loss=loss)


SORTED = sortednet_of(width=[1 / 2, 1], layers=[2, 3], ffn=[1 / 4, 1 / 2, 1])


def metrics(arch: Architecture) -> dict[str, float]:
    """A wide network is worth more than a deep one."""
    return {"loss": 3 - arch["width"] - 0.1 * arch["layers"] - 0.3 * arch["ffn"], "accuracy": arch["width"]}


def test_the_best_of_a_table_within_every_budget(tmp_path: Path) -> None:
    table = measured(SORTED, metrics)
    assert len(table.rows) == 12
    table.save(tmp_path / "table.json")
    loaded = Table.load(tmp_path / "table.json", SORTED)
    assert loaded == table
    archs = list(SORTED.space().enumerate())
    for budget in sorted(arch.parameters for arch in archs):
        fit = [arch for arch in archs if arch.parameters <= budget]
        chosen = loaded.select(budget)
        assert chosen in fit
        assert metrics(chosen)["loss"] == min(metrics(arch)["loss"] for arch in fit)
        wide = loaded.select(budget, metric="accuracy", maximize=True)
        best = max(arch["width"] for arch in fit)
        assert wide.parameters == min(arch.parameters for arch in fit if arch["width"] == best)
    assert loaded.select(1e18, cost="flops")["layers"] == 3


def test_nothing_on_the_front_is_beaten() -> None:
    table = measured(SORTED, metrics)
    front = table.pareto()
    for row in front:
        for other in table.rows:
            beats = [row.metrics[name] - other.metrics[name] for name in ("parameters", "loss")]
            assert not (min(beats) >= 0 and max(beats) > 0)
    assert 1 < len(front) < len(table.rows)


def test_bad_tables(tmp_path: Path) -> None:
    table = measured(constrained(SORTED.space(), {"parameters": {"<=": 900.0}}), metrics)  # type: ignore[arg-type]
    assert 0 < len(table.rows) < 12
    with pytest.raises(Infeasible, match="the smallest costs"):
        table.select(3)
    with pytest.raises(ElasticError, match="no 'los'; did you mean 'loss'"):
        table.select(3, metric="los")
    with pytest.raises(ElasticError, match="a table of all 1,024 sub-networks"):
        measured(SPACE, metrics, max_rows=1_000)
    path = tmp_path / "table.json"
    for text in ("", "[]", '{"rows": []}', json.dumps({"format": "archsearch table of sub-networks", "rows": [{}]})):
        path.write_text(text)
        with pytest.raises(ElasticError, match=r"table\.json is no archsearch table"):
            Table.load(path, SORTED)
    table.save(path)
    with pytest.raises(ElasticError, match="of another super-network"):
        Table.load(path, sortednet_of(ffn=[1 / 2, 1]))
    with pytest.raises(ElasticError, match="is no archsearch table"):
        Table.load(tmp_path / "none.json", SORTED)
