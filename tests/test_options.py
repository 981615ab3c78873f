"""Searchers with options in run configurations, and what a search says of itself."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

from archsearch import options
from archsearch.cli import main
from archsearch.errors import UsageError
from archsearch.options import searcher_from
from archsearch.searchers import NSGA2, SMBO, LocalSearch
from archsearch.searchers.contract import Pending, Problem, Proposal, Search, Told
from archsearch.searchers.evolution import Evolution
from archsearch.searchers.random import Random
from archsearch.spaces.nodes import Integer
from archsearch.spaces.space import Space
from archsearch.study import Study

FILE = """
import archsearch as A

space = A.Space({"n": A.Integer(1, 1000)})

def evaluate(trial):
    return trial["n"]
"""


@dataclass(frozen=True)
class Every:
    """A searcher with options of every kind."""

    rate: float = 0.5
    bounds: tuple[int, int] = (1, 2)
    kind: Literal["low", "high"] = "low"
    most: int | None = None
    inner: Space | None = None

    def start(self, problem: Problem) -> Search:
        raise NotImplementedError


def test_options_are_those_of_the_searcher(monkeypatch: pytest.MonkeyPatch) -> None:
    assert searcher_from("random") == Random()
    assert searcher_from({"name": "random"}) == Random()
    assert searcher_from({"name": "evolution", "population": 50}) == Evolution(population=50)
    monkeypatch.setattr(options, "by_name", lambda name: Every())
    given = {"name": "every", "rate": 1, "bounds": [3, 4], "kind": "high", "most": 7}
    assert searcher_from(given) == Every(rate=1.0, bounds=(3, 4), kind="high", most=7)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"name": "evolution", "populatoin": 5}, "has no option 'populatoin'; did you mean 'population'?"),
        ({"name": "exhaustive", "x": 5}, "searcher 'exhaustive' has no option 'x'; it has none"),
        ({"name": "evolution", "population": "many"}, "population: expected a whole number, but got 'many'"),
        ({"name": "evolution", "population": 5.5}, "population: expected a whole number, but got 5.5"),
        ({"name": "evolution", "population": True}, "population: expected a whole number, but got True"),
        ({"name": "evolution", "sample": 0}, "Evolution(sample=...): expected an integer of at least 1, but got 0"),
        ({"name": "random", "uniform": "decision"}, "uniform: expected 'decisions' or 'architectures'"),
        ({"name": "randm"}, "no searcher 'randm'; did you mean 'random'?"),
        ({"name": "smbo", "features": "flops"}, "features: expected a list, but got 'flops'"),
        ({"name": "smbo", "features": ["flops", 3]}, "features[1]: expected a string, but got 3"),
        ({"name": "mcts", "bisection": "yes"}, "bisection: expected true or false, but got 'yes'"),
        ({"name": "mcts", "exploration": "high"}, "exploration: expected a number, but got 'high'"),
        (
            {"population": 5},
            "expected its name under `name`, as in {name: evolution, population: 50}, but there is none",
        ),
        ({"name": 5}, "expected its name under `name`, as in {name: evolution, population: 50}, but got 5"),
    ],
)
def test_what_is_wrong_with_an_option(given: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as raised:
        searcher_from(given)
    assert said in str(raised.value)


def test_an_option_that_no_file_can_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(options, "by_name", lambda name: Every())
    with pytest.raises(UsageError, match="inner cannot be given here; set it in a study file"):
        searcher_from({"name": "every", "inner": 3})


def test_in_a_configuration(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.py").write_text(FILE, encoding="utf-8")
    path = tmp_path / "run.yaml"
    path.write_text("file: tiny.py\ntrials: 2\nsearcher: {name: evolution, population: 50}\n", encoding="utf-8")

    def searcher(name: str) -> Any:
        with closing(sqlite3.connect("runs.db")) as connection:
            (text,) = connection.execute("SELECT searcher FROM studies WHERE name = ?", (name,)).fetchone()
        return json.loads(text)

    assert main(["run", "--config", "run.yaml"]) == 0
    assert {key: searcher("tiny")[key] for key in ("population", "sample")} == {"population": 50, "sample": 10}
    assert main(["run", "--config", "run.yaml", "--searcher", "random", "--name", "flag"]) == 0
    assert searcher("flag")["class"].endswith(":Random")
    capsys.readouterr()
    for text, said in (
        ("\nsearcher: {name: evolution, size: 5}\n", "run.yaml:2: searcher 'evolution' has no option 'size'"),
        (
            "searcher: {name: evolution, sample: 99}\n",
            "run.yaml:1: Evolution needs sample <= population, but got sample=99",
        ),
        ("searcher: [evolution]\n", "run.yaml:1: searcher: expected a name, or a mapping of `name` and options"),
        ("searcher: evolutoin\n", "run.yaml:1: no searcher 'evolutoin'; did you mean 'evolution'?"),
    ):
        path.write_text(text, encoding="utf-8")
        assert main(["run", "tiny.py", "--config", "run.yaml"]) == 2
        assert said in capsys.readouterr().err


WHOLE = "expected an integer of at least"
UP_TO_ONE, FROM_ZERO = "expected a number from 0 to 1", "expected a finite number of at least 0"


@pytest.mark.parametrize(
    ("searcher", "given", "expected"),
    [
        *[(Evolution, {"population": value}, f"{WHOLE} 1") for value in ("50", None, 12.5, True, 0)],
        *[(Evolution, {"sample": value}, f"{WHOLE} 1") for value in ("5", None, 2.0, 0)],
        *[(NSGA2, {"population": value}, f"{WHOLE} 2") for value in ("a", 2.5, 1)],
        *[(NSGA2, {"mutations": value}, f"{WHOLE} 1") for value in ("a", 1.5, True, 0)],
        *[(NSGA2, {"crossover": value}, UP_TO_ONE) for value in ("a", None, True, 1.1, float("nan"))],
        *[(LocalSearch, {"starts": value}, f"{WHOLE} 1") for value in ("a", 1.5, 0)],
        *[(SMBO, {"initial": value}, f"{WHOLE} 2") for value in ("a", 2.0, 1)],
        *[(SMBO, {"prior_weight": value}, FROM_ZERO) for value in ("x", True, -1, float("inf"))],
        *[(SMBO, {"features": value}, "expected a list of names") for value in (5, None, "parameters", {"flops"})],
        *[(SMBO, {"surrogate": v}, "expected 'auto', 'gp', 'forest' or 'ngrams'") for v in ("x", None, ["gp"])],
        *[(Random, {"uniform": value}, "expected 'decisions' or 'architectures'") for value in ("x", None, 1)],
    ],
)
def test_an_option_in_python_is_checked_where_it_is_given(searcher: Any, given: dict[str, Any], expected: str) -> None:
    ((option, value),) = given.items()
    with pytest.raises(UsageError) as raised:
        searcher(**given)
    assert str(raised.value) == f"{searcher.__name__}({option}=...): {expected}, but got {value!r}"


def test_a_word_that_is_nearly_right() -> None:
    with pytest.raises(UsageError, match="but got 'forrest'; did you mean 'forest'\\?"):
        SMBO(surrogate="forrest")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"a feature is a name such as .*, but got 3"):
        SMBO(features=["flops", 3])  # type: ignore[list-item]
    assert SMBO(features=["flops"]).features == ("flops",)


@dataclass(frozen=True)
class Explaining:
    """Says why it is what it is."""

    def start(self, problem: Problem) -> ExplainingSearch:
        return ExplainingSearch(problem)


class ExplainingSearch:
    def __init__(self, problem: Problem) -> None:
        self.search = Random().start(problem)
        self.reason = f"random search: {problem.space.size()} architectures"

    def ask(self, number: int, pending: Sequence[Pending]) -> Proposal | None:
        return self.search.ask(number, pending)

    def tell(self, told: Told) -> None:
        self.search.tell(told)


def test_a_search_gives_its_reason(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    """In the record once, where the study begins; on the command line in every run; in Python where it is asked for."""
    monkeypatch.chdir(tmp_path)
    space = Space({"n": Integer(1, 1000)})
    for trials in (1, 2):
        Study(space, lambda trial: 1.0, searcher=Explaining(), name="python").run(trials=trials)
    with closing(sqlite3.connect("runs.db")) as connection:
        events = connection.execute("SELECT kind, message FROM events").fetchall()
    assert events == [("searcher", "random search: 1000 architectures")]
    assert capsys.readouterr() == ("", "")
    study = Study(space, searcher=Explaining(), name="python")
    assert study.reason == "random search: 1000 architectures"
    assert study.ask() is not None
    assert study.reason == "random search: 1000 architectures"
    study.close()
    assert Study(space, name="another").reason == ""
    assert main(["show", "python"]) == 0
    assert "\nchose:     random search: 1000 architectures\n" in capsys.readouterr().out
    text = FILE + "\nfrom test_options import Explaining\nsearcher = Explaining()\n"
    (tmp_path / "tiny.py").write_text(text, encoding="utf-8")
    assert main(["run", "tiny.py", "--trials", "1"]) == 0
    assert "\nsearcher: random search: 1000 architectures\n" in "\n" + capsys.readouterr().err
    assert main(["run", "tiny.py", "--trials", "2", "--quiet"]) == 0
    assert capsys.readouterr().err == ""
