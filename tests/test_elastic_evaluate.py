"""Evaluating sub-networks with the shared weights: exact means, every searcher, Ray's workers, the command line."""

from __future__ import annotations

import json
import pickle
import random
import sqlite3
from pathlib import Path

import pytest
import torch
from test_elastic_space import matformer_of
from torch.nn import functional

from archsearch.cli import main
from archsearch.elastic.evaluate import Evaluate, Means, default_metrics, latency_ms, targets_of
from archsearch.elastic.matformer import MatFormer
from archsearch.elastic.saving import save
from archsearch.errors import ElasticError
from archsearch.searchers.evolution import Evolution
from archsearch.searchers.nsga2 import NSGA2
from archsearch.searchers.smbo import SMBO
from archsearch.study import Study

VOCABULARY = 20


def batches(n: int = 3) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randint(0, VOCABULARY, (size + 1, 6), generator=generator) for size in range(n)]


@pytest.fixture(scope="module")
def net() -> MatFormer:
    torch.manual_seed(0)
    return matformer_of([1 / 4, 1 / 2, 1])


@pytest.fixture(scope="module")
def folder(net: MatFormer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "net"
    save(net, folder)
    return folder


def test_metrics_are_means_over_all_targets_of_the_extracted_model(net: MatFormer) -> None:
    """Whatever the sizes of the batches: here 1, 2 and 3 sequences."""
    arch = net.space().sample(random.Random(0))
    model = net.extract(arch).eval()
    tokens = torch.cat(batches())
    with torch.no_grad():
        logits = model(tokens)[:, :-1].flatten(0, 1)
    targets = tokens[:, 1:].flatten()
    found = Evaluate(net, batches()).of(arch)
    assert found["loss"] == pytest.approx(float(functional.cross_entropy(logits, targets)), rel=1e-6)
    assert found["accuracy"] == pytest.approx(float((logits.argmax(-1) == targets).double().mean()), rel=1e-6)
    assert sorted(found) == ["accuracy", "loss"]


def test_targets_that_are_ignored_do_not_count() -> None:
    logits = torch.randn(2, 4, 5)
    targets = torch.tensor([[1, 2, -100, -100], [0, -100, -100, -100]])
    found = default_metrics(logits, (logits, targets))
    kept = targets != -100
    assert found["loss"] == pytest.approx(float(functional.cross_entropy(logits[kept], targets[kept])))
    means = Means(default_metrics)
    for i in range(2):
        means.add(logits[i : i + 1], (logits[i : i + 1], targets[i : i + 1]))
    assert means.result() == pytest.approx(found)


def test_what_the_targets_of_a_batch_are() -> None:
    logits, ids = torch.randn(2, 4, 5), torch.randint(0, 5, (2, 4))
    found = targets_of(logits, {"input_ids": ids, "attention_mask": torch.tensor([[1, 1, 1, 0], [1, 1, 1, 1]])})
    assert found is not None
    assert found[1].tolist() == [[*ids[0, 1:3].tolist(), -100], ids[1, 1:].tolist()]
    assert targets_of(logits, {"input_ids": ids, "labels": ids}) is None
    classes = targets_of(logits[:, 0], {"pixel_values": logits, "labels": ids[:, 0]})
    assert classes is not None
    assert torch.equal(classes[1], ids[:, 0])
    assert targets_of(logits, logits) is None


def test_evaluation_changes_nothing(net: MatFormer) -> None:
    before = {name: p.clone() for name, p in net.named_parameters()}
    net.train()
    evaluate = Evaluate(net, batches(), latency=True)
    first = evaluate.of(1 / 4)
    assert net.training
    evaluate.of(1 / 2)
    again = evaluate.of(1 / 4)
    assert (again["loss"], again["accuracy"]) == (first["loss"], first["accuracy"])
    assert all(torch.equal(p, before[name]) for name, p in net.named_parameters())
    assert all(p.grad is None for p in net.parameters())


def test_own_metrics_and_a_batch_for_the_latency(net: MatFormer) -> None:
    evaluate = Evaluate(net, batches(), lambda output, batch: {"top": output.max()}, latency=torch.zeros(1, 2).long())
    found = evaluate.of(None)
    assert sorted(found) == ["latency_ms", "top"]
    assert found["latency_ms"] > 0


def test_latency_is_a_median_after_warming_up(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([9.0] * 3 + [0.0, 0.001, 0.0, 0.003, 0.0, 0.5])
    monkeypatch.setattr("archsearch.elastic.evaluate.time.perf_counter", lambda: next(clock))
    assert latency_ms(torch.nn.Identity(), torch.zeros(1), repeats=3) == pytest.approx(3.0)


def test_no_data_is_an_error(net: MatFormer) -> None:
    with pytest.raises(ElasticError, match="expected batches of validation data"):
        Evaluate(net, []).of(None)


def test_a_folder_travels_as_its_path_and_is_loaded_once(net: MatFormer, folder: Path) -> None:
    evaluate = Evaluate(folder, batches)
    expected = evaluate.of(1 / 2)
    blob = pickle.dumps(evaluate)
    assert len(blob) < 1_000
    copy = pickle.loads(blob)
    assert copy.of(1 / 2) == expected == Evaluate(net, batches()).of(1 / 2)
    loaded, data = copy.net, copy.data
    copy.of(1 / 4)
    assert (copy.net is loaded, copy.data is data) == (True, True)


@pytest.mark.parametrize(
    "searcher",
    ["random", "mcts", SMBO(initial=2), Evolution(population=3, sample=2), NSGA2(population=3), "local_search"],
    ids=str,
)
def test_every_searcher_searches_it(net: MatFormer, tmp_path: Path, searcher: object) -> None:
    several = searcher == "random" or isinstance(searcher, NSGA2 | SMBO)
    objective = {"loss": "minimize", "parameters": "minimize"} if several else {"loss": "minimize"}
    most = net.space().architecture({f"ffn[{i}]": 0.5 for i in range(3)}).parameters
    study = Study(
        net.space(),
        Evaluate(net, batches()),
        objective=objective,
        constraints={"accuracy": ">= 0", "parameters": f"<= {most}"},
        searcher=searcher,  # type: ignore[arg-type]
        store=tmp_path / "runs.db",
    )
    study.run(trials=5)
    trials = list(study.trials)
    assert [trial.state for trial in trials] == ["done"] * 5
    for trial in trials:
        arch = study.space.architecture(trial.assignment)
        assert arch.parameters <= most
        assert trial.metrics["loss"] == Evaluate(net, batches()).of(arch)["loss"]


def test_on_ray_workers_as_in_this_process(folder: Path, tmp_path: Path) -> None:
    """A pool, a constraint and a folder; the workers load the weights by themselves."""
    from archsearch.elastic.saving import load

    space = load(folder).space()
    found = []
    for name, workers in (("here", 1), ("there", 2)):
        study = Study(
            space,
            Evaluate(folder, batches()),
            objective={"loss": "minimize", "flops": "minimize"},
            constraints={"parameters": "<= 1e9"},
            searcher="random",
            store=tmp_path / f"{name}.db",
            seed=3,
        )
        study.run(trials=6, workers=workers)
        assert study.pareto
        found.append([(t.assignment, t.metrics["loss"], t.metrics["flops"]) for t in study.trials])
    for (assignment, loss, flops), (other, there, flops_there) in zip(*found, strict=True):
        assert (assignment, flops) == (other, flops_there)
        assert there == pytest.approx(loss, rel=1e-6)  # another number of threads


def test_the_command_line_runs_it(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("search.py").write_text(
        "import torch, archsearch as A\n"
        f"FOLDER = {str(folder)!r}\n"
        "space = A.elastic.load(FOLDER).space()\n"
        "evaluate = A.elastic.Evaluate(FOLDER, [torch.zeros(1, 6, dtype=torch.int64)], latency=True)\n"
        "objective = {'loss': 'minimize', 'parameters': 'minimize'}\n"
        "constraints = {'latency_ms': '<= 1e6'}\n"
    )
    assert main(["run", "search.py", "--trials", "3", "--searcher", "random", "--quiet"]) == 0
    with sqlite3.connect("runs.db") as connection:
        rows = connection.execute("SELECT state, metrics FROM trials").fetchall()
    assert [state for state, _ in rows] == ["done"] * 3
    assert all({"loss", "accuracy", "latency_ms", "parameters"} <= json.loads(metrics).keys() for _, metrics in rows)
