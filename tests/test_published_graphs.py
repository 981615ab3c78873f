"""NAS-Bench-201, NAS-Bench-101 and Genetic CNN: counts, sizes and rules as published."""

from __future__ import annotations

import itertools
import math
import random
from typing import Any

import pytest
import torch

from archsearch.errors import AssignmentError
from archsearch.spaces import genetic_cnn, nasbench101, nasbench201
from archsearch.spaces.graph import Graph
from archsearch.spaces.nodes import Derived, Sequential
from archsearch.spaces.space import Architecture, Space


def train_one_step(arch: Architecture, inputs: torch.Tensor) -> None:
    """One step of gradient descent: the loss is finite, and everything that was used has changed."""
    model = arch.build(seed=0)
    assert sum([p.numel() for p in model.parameters()]) == arch.parameters
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loss = torch.nn.functional.cross_entropy(model(inputs), torch.arange(len(inputs)) % 10)
    loss.backward()
    optimizer.step()
    assert math.isfinite(loss.item())
    used = [name for name, p in model.named_parameters() if p.grad is not None and p.grad.abs().max() > 1e-3]
    assert used
    assert all([not torch.equal(before[name], model.get_parameter(name)) for name in used])


def same_everywhere(space: Space, operation: str) -> Architecture:
    return space.architecture({f"cell.{edge}": operation for edge in nasbench201.EDGES})


def test_nasbench201_has_its_published_counts() -> None:
    space = nasbench201.space()
    assert space.size() == 15_625
    forms = set()
    number = 0
    for arch in space.enumerate():
        number += 1
        forms.add(nasbench201.paper_form(arch.assignment))
    assert number == 15_625
    assert len(forms) == 6_466


@pytest.mark.parametrize(
    ("operation", "parameters", "multiply_adds"),
    [("none", 73_306, 7.78304e6), ("skip_connect", 73_306, 7.78304e6), ("nor_conv_3x3", 1_531_546, 220.11968e6)],
)
def test_nasbench201_has_its_published_sizes(operation: str, parameters: int, multiply_adds: float) -> None:
    arch = same_everywhere(nasbench201.space(), operation)
    assert arch.parameters == parameters
    assert arch.flops == 2 * multiply_adds


def test_nasbench201_names_are_those_of_the_benchmark() -> None:
    text = "|nor_conv_3x3~0|+|none~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_1x1~1|none~2|"
    answers = nasbench201.from_string(text)
    assert answers["cell.n1.n0"] == "nor_conv_3x3"
    assert answers["cell.n2.n1"] == "avg_pool_3x3"
    assert nasbench201.to_string(answers) == text
    nasbench201.space().architecture(answers)
    for wrong in ["", text.replace("none~2", "none~1"), text.replace("none", "nothing"), text + text]:
        with pytest.raises(AssignmentError, match="no architecture of NAS-Bench-201"):
            nasbench201.from_string(wrong)


def test_nasbench201_learns() -> None:
    space = nasbench201.space(size=8, channels=4, cells=1)
    train_one_step(space.sample(random.Random(1)), torch.randn(4, 3, 8, 8))


def test_nasbench101_has_its_published_counts() -> None:
    assert nasbench101.space().size() == 1_824_025
    pruned = nasbench101.wiring()
    assert Space(Graph(pruned.vertices, inputs="input", outputs=pruned.outputs, max_edges=9, dead="prune")).size() == (
        9_100_558
    )


def matrix_answers(matrix: list[list[int]], operations: list[str]) -> dict[str, Any]:
    """The answers of a cell as the benchmark writes it: an adjacency matrix and the operations of its interior."""
    last = len(matrix) - 1
    used = [j for j in range(1, last) if any([row[j] for row in matrix])]
    answers: dict[str, Any] = {
        f"cell.v{j}.inputs[{i}]": bool(matrix[i][j]) for j in range(1, last) for i in range(j)
    } | {f"cell.outputs[{i}]": bool(matrix[i][last]) for i in range(last)}
    return answers | {f"cell.v{j}.op": operations[j - 1] for j in used}


def test_nasbench101_has_the_parameters_of_its_published_example() -> None:
    """The Inception-like cell of the benchmark's README: 2,694,282 parameters."""
    matrix = [
        [0, 1, 1, 1, 0, 1, 0],
        [0, 0, 0, 0, 0, 0, 1],
        [0, 0, 0, 0, 0, 0, 1],
        [0, 0, 0, 0, 1, 0, 0],
        [0, 0, 0, 0, 0, 0, 1],
        [0, 0, 0, 0, 0, 0, 1],
        [0, 0, 0, 0, 0, 0, 0],
    ]
    operations = ["conv1x1-bn-relu", *["conv3x3-bn-relu"] * 3, "maxpool3x3"]
    space = nasbench101.space()
    assert space.architecture(matrix_answers(matrix, operations)).parameters == 2_694_282


def valid_matrices(vertices: int, max_edges: int) -> int:
    """By brute force: every used vertex is read and reads, the output reads, and there are few enough edges."""
    pairs = list(itertools.combinations(range(vertices), 2))
    number = 0
    for bits in itertools.product([0, 1], repeat=len(pairs)):
        edges = [pair for pair, bit in zip(pairs, bits, strict=True) if bit]
        reads, read = {j for _, j in edges}, {i for i, _ in edges}
        inside = set(range(1, vertices - 1))
        if len(edges) <= max_edges and vertices - 1 in reads and (reads & inside) == (read & inside):
            number += 1
    return number


@pytest.mark.parametrize(("inside", "max_edges"), [(2, 9), (3, 9), (3, 4), (4, 5)])
def test_nasbench101_matrices_are_those_of_its_rule(inside: int, max_edges: int) -> None:
    wiring = nasbench101.wiring(inside, max_edges)
    seen = {
        tuple([(path, answer) for path, answer in arch.assignment.items() if "inputs" in path or "outputs" in path])
        for arch in Space(wiring).enumerate()
    }
    assert len(seen) == valid_matrices(inside + 2, max_edges)


def channels_by_hand(matrix: list[list[int]], channels: int) -> list[int]:
    """The rule of the benchmark on its own matrices, for the interior."""
    last = len(matrix) - 1
    degree = sum([matrix[v][last] for v in range(1, last)])
    found = [0] * last
    spare = channels % degree if degree else 0
    for v in range(1, last):
        if matrix[v][last]:
            found[v] = channels // degree + (spare > 0)
            spare -= spare > 0
    for v in reversed(range(1, last)):
        if not matrix[v][last]:
            found[v] = max([0, *[found[w] for w in range(v + 1, last) if matrix[v][w]]])
    return found


def test_nasbench101_splits_channels_as_its_rule_says() -> None:
    """Convolutions of a built cell have the channels of the rule; its outputs those of the stack."""
    space = nasbench101.space(size=8, channels=10, cells=1)
    rng = random.Random(0)
    checked = 0
    for _ in range(25):
        arch = space.sample(rng)
        matrix = [[0] * 7 for _ in range(7)]
        for path, answer in arch.assignment.items():
            if path.startswith("cell.v") and ".inputs[" in path:
                matrix[int(path[-2])][int(path[6])] = int(answer)
            elif path.startswith("cell.outputs"):
                matrix[int(path[-2])][6] = int(answer)
        wide = channels_by_hand(matrix, 10)
        modules = dict(arch.build().named_modules())
        for v in range(1, 6):
            conv = modules.get(f"stack1.0.v{v}.op.0")
            if isinstance(conv, torch.nn.Conv2d):
                assert (conv.in_channels, conv.out_channels) == (wide[v], wide[v])
                checked += 1
    assert checked > 20


def test_nasbench101_learns() -> None:
    space = nasbench101.space(size=8, channels=8, cells=1)
    for seed in range(3):
        train_one_step(space.sample(random.Random(seed)), torch.randn(4, 3, 8, 8))


@pytest.mark.parametrize(("inside", "distinct"), [(1, 1 + 6), (2, 1 + 6 + 84), (3, 1 + 6 + 84 + 2_441)])
def test_nasbench101_has_its_published_numbers_of_smaller_cells(inside: int, distinct: int) -> None:
    """By number of vertices the benchmark has 1, 6, 84, 2,441, 62,010 and 359,082 cells."""
    assert Space(nasbench101.wiring(inside)).distinct() == distinct


@pytest.mark.slow
@pytest.mark.timeout(3_600)
def test_nasbench101_has_its_published_number_of_distinct_cells() -> None:
    assert Space(nasbench101.wiring()).distinct() == 423_624


def test_genetic_cnn_has_its_published_counts() -> None:
    assert genetic_cnn.space().size() == 524_288
    distinct = []
    for nodes in genetic_cnn.NODES:
        stage = Derived(genetic_cnn.stage, bits=genetic_cnn.bits(nodes), channels=8)
        distinct.append(Space(Sequential(stage)).distinct())
    assert distinct == [6, 31, 302]
    assert math.prod(distinct) == 56_172


def test_genetic_cnn_wires_a_stage_as_the_paper_says() -> None:
    space = genetic_cnn.space(size=8, channels=(4, 4, 4), features=8)
    none = dict.fromkeys(space.sample(random.Random(0)).assignment, False)
    bare = space.architecture(none).build()
    assert not hasattr(bare.get_submodule("stage1"), "n1")
    one = space.architecture(none | {"stage1.bits.n3[0]": True}).build()
    assert [name for name, _ in one.get_submodule("stage1").named_children()] == ["first", "n1", "n3", "last"]


def test_genetic_cnn_learns() -> None:
    space = genetic_cnn.space(size=8, channels=(4, 4, 4), features=8)
    train_one_step(space.sample(random.Random(3)), torch.randn(4, 3, 8, 8))


def test_a_wiring_is_decided_once_for_all_cells() -> None:
    arch = nasbench101.space(size=8, channels=8, cells=2).sample(random.Random(0))
    assert all([path.startswith("cell.") for path in arch.assignment])
