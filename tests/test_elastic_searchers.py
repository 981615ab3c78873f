"""Every searcher keeps its contract on spaces of sub-networks."""

from __future__ import annotations

from functools import cache

from test_elastic_space import matformer_of, sortednet_of

from archsearch.constraints import constrained
from archsearch.searchers.evolution import Evolution
from archsearch.searchers.exhaustive import Exhaustive
from archsearch.searchers.local_search import LocalSearch
from archsearch.searchers.mcts import MCTS
from archsearch.searchers.nsga2 import NSGA2
from archsearch.searchers.random import Random
from archsearch.searchers.smbo import SMBO
from archsearch.spaces.pool import Pool
from archsearch.spaces.space import Space
from archsearch.testing import SearcherContract


@cache
def small() -> list[Space]:
    return [matformer_of([1 / 4, 1 / 2, 1], 2).space()]


@cache
def larger() -> list[Space]:
    net = sortednet_of(width=[1 / 2, 1], layers=[1 / 3, 2, 3], ffn=[1 / 4, 1], heads=[1 / 2, 1])
    few = constrained(net.space(), {"parameters": {"<=": 900.0}})
    return [net.space(steps={"ffn": 4}), few, Pool(net.space(), list(net.space().enumerate())[::2])]


class OnSubNetworks(SearcherContract):
    """The contract on these spaces alone."""

    trials = 20

    def small_spaces(self) -> list[Space]:
        return small()

    def spaces(self) -> list[Space]:
        return [*small(), *larger()]


class TestRandom(OnSubNetworks):
    searcher = Random()


class TestExhaustive(OnSubNetworks):
    searcher = Exhaustive()


class TestEvolution(OnSubNetworks):
    searcher = Evolution(population=6, sample=2)
    takes_several = False


class TestLocalSearch(OnSubNetworks):
    searcher = LocalSearch()
    takes_several = False


class TestNSGA2(OnSubNetworks):
    searcher = NSGA2(population=6)


class TestMCTS(OnSubNetworks):
    searcher = MCTS()
    takes_several = False


class TestSMBO(OnSubNetworks):
    searcher = SMBO(initial=4)
    trials = 7
