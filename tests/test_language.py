"""The rules of LANGUAGE.md by example: answers, paths, names, sharing, constraints, and what errors say."""

from __future__ import annotations

import json
import math
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from archsearch.errors import AssignmentError, EndlessSpace, Infeasible, SizeTooHard, SpaceError
from archsearch.spaces import nn
from archsearch.spaces.graph import Graph, Vertex
from archsearch.spaces.node import RESERVED
from archsearch.spaces.nodes import (
    Boolean,
    Choice,
    Derived,
    Integer,
    Lazy,
    Optional,
    Parallel,
    Permute,
    Real,
    Repeat,
    Require,
    Scope,
    Sequential,
    Shared,
    Subset,
)
from archsearch.spaces.space import Space


def paths(space: Space) -> list[str]:
    return list(dict.fromkeys([path for arch in space.enumerate() for path in arch.assignment]))


def test_an_object_used_twice_is_decided_twice() -> None:
    w = Choice([16, 32])
    space = Space(Sequential(nn.Linear(w), nn.Linear(w)))
    assert space.size() == 4
    assert paths(space) == ["[0].out_features", "[1].out_features"]


def test_a_name_decides_once_and_a_scope_anew() -> None:
    k = Choice([1, 3, 5], name="k")
    conv = nn.Conv2d(64, k, padding=k // 2)
    assert Space(Repeat(conv, 4)).size() == 3
    scoped = Space(Repeat(Scope(conv, "k"), 4))
    assert scoped.size() == 81
    assert paths(scoped) == ["[0].k", "[1].k", "[2].k", "[3].k"]
    arch = scoped.architecture({"[0].k": 1, "[1].k": 3, "[2].k": 5, "[3].k": 1})
    assert [leaf.arguments["padding"] for leaf in arch.values.parts] == [0, 1, 2, 0]


def test_paths() -> None:
    space = Space(
        {
            "body": Repeat(Choice({"conv": nn.Conv2d(8, Choice([1, 3])), "none": None}), Integer(1, 2)),
            "tied": Repeat(nn.Linear(Choice([1, 2])), 2, tied=True),
            "maybe": Optional(Permute("a", "b")),
            "some": Subset({"q": Choice([1, 2]), "k": None}, 1, 2),
            "grown": Lazy(lambda n, kind: Choice(list(range(n))), n=Integer(2, 3), kind="x"),
        }
    )
    assert set(paths(space)) == {
        "body", "body[0]", "body[0].conv.kernel_size", "body[1]", "body[1].conv.kernel_size", "tied[*].out_features",
        "maybe", "maybe.present", "some.q", "some.q.present", "some.k", "grown.n", "grown(2)", "grown(3)",
    }  # fmt: skip
    assert paths(Space(Choice([1, 2]))) == ["root"]


def test_published_example_of_shared_names() -> None:
    k = Choice([1, 3, 5], name="k")
    assert Space({"a": Choice({"use": k, "no": None}), "b": Optional(k)}).size() == 10


def test_shared_parts_are_decided_once_at_several_widths() -> None:
    cells = [Shared(Sequential(nn.Conv2d(c, Choice([1, 3])), Optional(nn.ReLU())), "cell") for c in (16, 32)]
    space = Space(Sequential(*cells))
    assert space.size() == 4
    assert paths(space) == ["cell[0].kernel_size", "cell[1]"]
    other = Shared(Sequential(nn.Conv2d(8, Choice([1, 5])), Optional(nn.ReLU())), "cell")
    with pytest.raises(SpaceError, match="differ"):
        next(Space(Sequential(cells[0], other)).enumerate())


def test_shared_weights_are_one_module() -> None:
    pytest.importorskip("torch")
    layer = Shared(nn.Linear(Choice([8, 8.0][:1])), "layer", weights=True)
    model = Space(Sequential(layer, layer), input_shape=(8,)).sample(random.Random(0)).build()
    assert list(model.state_dict()) == ["0.weight", "0.bias"]


def test_items_inside_an_item_are_a_chain() -> None:
    torch = pytest.importorskip("torch")
    space = Space(Parallel(Repeat(Repeat(nn.Linear(4), 2), 3), merge="concat"), input_shape=(5,))
    model = space.sample(random.Random(0)).build()
    assert model(torch.zeros(2, 5)).shape == (2, 12)


def test_answers_compare_with_their_type() -> None:
    space = Space({"x": Choice([1, 2]), "y": Choice([(1, 2), (3, 4)]), "b": Boolean()})
    assert space.architecture({"x": 1, "y": [1, 2], "b": True}).assignment["y"] == (1, 2)
    for wrong in ({"x": True}, {"x": 1.0}, {"x": "1"}, {"b": 1}):
        with pytest.raises(AssignmentError, match="expected one of"):
            space.architecture({"x": 1, "y": (1, 2), "b": True, **wrong})
    assert Choice([True, 1]).decision.size == 2
    with pytest.raises(SpaceError, match="twice"):
        Choice([1, 1])


def test_grammars() -> None:
    def tree(depth: int) -> Any:
        if depth == 0:
            return None
        return Choice({"leaf": None, "node": Sequential(Lazy(tree, depth=depth - 1), Lazy(tree, depth=depth - 1))})

    sizes = [1]
    for _ in range(12):
        sizes.append(1 + sizes[-1] ** 2)
    assert Space(Lazy(tree, depth=3)).size() == sizes[3]
    assert Space(Lazy(tree, depth=12)).size() == sizes[12]

    def endless() -> Any:
        return Choice({"end": None, "more": Sequential(Lazy(endless), Lazy(endless), Lazy(endless))})

    space = Space(Lazy(endless), max_decisions=200)
    assert space.size() == math.inf

    def draw(seeds: range) -> None:
        for seed in seeds:
            space.sample(random.Random(seed))

    with pytest.raises(EndlessSpace, match="max_decisions"):
        draw(range(200))


def test_a_function_that_fails_is_said_in_sampling_and_in_counting() -> None:
    lazy = Space({"x": Lazy(lambda n: {1: None}[n], n=Integer(1, 2))})
    derived = Space(Repeat(nn.Linear(Choice([1, 2])), Derived(lambda n: 1 // (n - 1), n=Integer(1, 2))))
    for space, said in ((lazy, r"Lazy's <lambda>\(n=2\) raised KeyError"), (derived, "raised ZeroDivisionError")):
        with pytest.raises(SpaceError, match=said):
            space.size()
        with pytest.raises(SpaceError, match=said):
            list(space.enumerate())


def test_deep_nesting_is_walked() -> None:
    node: Any = nn.Linear(Choice([1, 2]))
    for _ in range(3_000):
        node = Sequential(node)
    space = Space(node)
    assert space.size() == 2
    assert len(list(space.enumerate())) == 2


def test_requirements_are_part_of_size_and_sampling() -> None:
    widths = [Choice([1, 2, 3, 4], name=f"g{i}") for i in range(12)]
    space = Space(widths, require=[Require(lambda a, b: a <= b, f"g{i}", f"g{i + 1}") for i in range(11)])
    assert space.size() == 455
    values = list(space.sample(random.Random(0)).assignment.values())
    assert values == sorted(values)
    with pytest.raises(Infeasible):
        Space({"a": Choice([1, 2])}, require=[lambda a: a > 5]).sample(random.Random(0))
    reals = Space({"a": Real(0, 1), "b": Real(0, 1)}, require=[lambda a, b: a < b])
    arch = reals.sample(random.Random(0))
    assert arch["a"] < arch["b"]


def test_where_filters_and_says_its_share() -> None:
    space = Space({"x": Integer(1, 4)}, where=[lambda arch: arch["x"] != 2])
    assert [arch["x"] for arch in space.enumerate()] == [1, 3, 4]
    with pytest.raises(Infeasible, match="100%"):
        Space({"x": Integer(1, 4)}, where=[lambda arch: False]).sample(random.Random(0))


def test_a_constraint_on_what_stands_behind_edges_that_a_subset_chooses() -> None:
    k = Choice([1, 3], name="k")
    vertex = Vertex(nn.Linear(k), inputs=Subset(["x"], 0, 1))
    graph = Graph({"a": vertex}, inputs="x", outputs=Subset(["x", "a"]), dead="prune")
    space = Space({"y": Integer(1, 3), "graph": graph, "z": k}, require=[lambda k, y: k <= y])
    archs = list(space.enumerate())
    assert len(archs) == space.size() == 4 * 5
    assert space.sample(random.Random(0)) in archs


def test_a_count_that_is_too_hard_names_the_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archsearch.spaces.count.MAX_STATES", 20_000)
    names = [f"n{i}" for i in range(12)]
    space = Space([Integer(1, 9, name=n) for n in names], require=[Require(lambda *a: sum(a) % 7 == 3, *names)])
    with pytest.raises(SizeTooHard, match="n0"):
        space.size()


def test_the_estimate_is_near_the_size() -> None:
    space = Space(Repeat(Choice({"a": nn.Linear(Choice([1, 2, 3])), "b": None}), Integer(0, 3)))
    mean, error = space.estimate_size(draws=4_000)
    assert abs(mean - space.size()) < 5 * error


def test_a_real_cannot_be_enumerated() -> None:
    with pytest.raises(SpaceError, match="lr: a Real"):
        list(Space({"x": Choice([1, 2]), "lr": Real(0.1, 1)}).enumerate())


def test_wide_choices_and_long_repeats_are_listed_and_encoded() -> None:
    wide = Choice({f"op{i}": nn.Linear(Choice([1, 2])) for i in range(100)})
    space = Space({"wide": wide, "long": Repeat(nn.Linear(Choice([1, 2])), Integer(1, 300))})
    archs = [space.sample(random.Random(seed)) for seed in range(50)]
    assert len({row.tobytes() for row in space.encode(archs)}) == len({arch.id for arch in archs})
    assert "wide.op0.out_features" in str(space)
    assert "long[299].out_features" in str(space)


def test_json_schema_accepts_every_architecture_and_refuses_others() -> None:
    space = Space({"x": Choice([1, 2]), "y": Optional(Choice([(1, 2), (3, 4)])), "lr": Real(0.1, 1)})
    schema = space.json_schema()
    rng = random.Random(0)
    for _ in range(20):
        jsonschema.validate(json.loads(json.dumps(space.sample(rng).assignment)), schema)
    for wrong in ({"x": 3}, {"lr": 7}, {"nonsense": 1}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({"x": 1, "y": False, "lr": 0.5, **wrong}, schema)


@pytest.mark.parametrize(
    ("declare", "message"),
    [
        (lambda: Choice({"3x3": nn.Conv2d(8, 3)}), "conv3x3"),
        (lambda: Choice({"train": None}), "torch uses the name"),
        (lambda: Choice({"_modules": None}), "names with _ in front are torch's; 'modules' can"),
        (lambda: Repeat(nn.ReLU(), [1, 2]), r"Choice\(\[1, 2\]\)"),
        (lambda: Optional(None), "nothing or nothing"),
        (lambda: Choice([nn.ReLU(), nn.ReLU()]), "two options called 'ReLU'"),
        (lambda: Choice([nn.ReLU(), 3]), "use a dict"),
        (lambda: Lazy(lambda x: None, x=Real(0, 1)), "a Real has no end"),
        (lambda: Space({"a": Choice([1, 2], name="k"), "b": Choice([1, 3], name="k")}), "disagree"),
        (lambda: Space({"a": Choice([1, 2])}, require=[lambda b: b]), "neither the name"),
        (lambda: derived_twice(), "name it"),
        (lambda: Permute(*"abcdefghi"), "1 to 8"),
        (lambda: Subset(["a"], 2), "minimum"),
        (lambda: Scope(nn.ReLU(), "k"), None),
    ],
)
def test_what_errors_say(declare: Any, message: str | None) -> None:
    with pytest.raises(SpaceError, match=message or "nothing inside has that name"):
        Space(declare())


def derived_twice() -> Space:
    k = Choice([1, 3])
    return Space(nn.Conv2d(8, k, padding=Derived(lambda k: k // 2, k=k)))


def test_reserved_labels_are_torchs_names() -> None:
    torch = pytest.importorskip("torch")
    for cls in (torch.nn.Module, torch.nn.Sequential, torch.nn.ModuleList, torch.nn.ModuleDict):
        public = {name for name in dir(cls) if not name.startswith("_") and name.isidentifier()}
        added = {name for name in public if getattr(getattr(cls, name), "__module__", "").startswith("transformers")}
        assert not public - added - RESERVED  # transformers gives torch's classes a method when it is imported


GOLDEN = Path(__file__).with_name("golden_ids.json")
PROGRAM = """
import json, random, sys
sys.path.insert(0, {tests!r})
from random_spaces import make_space
found = {{}}
for seed in range(90):
    space = make_space(seed) if seed < 60 else make_space(seed, 1 + seed % 2, graphs=True)
    if space is not None:
        try:
            archs = [space.sample(random.Random(seed)) for _ in range(1)]
        except Exception as error:
            found[seed] = type(error).__name__
            continue
        found[seed] = [archs[0].id, archs[0].assignment]
print(json.dumps(found))
"""


@pytest.mark.parametrize("hash_seed", ["0", "1"])
def test_ids_and_paths_never_change(hash_seed: str) -> None:
    program = PROGRAM.format(tests=str(Path(__file__).parent))
    run = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONHASHSEED": hash_seed}, capture_output=True, text=True, check=True
    )
    assert json.loads(run.stdout) == json.loads(GOLDEN.read_text())


@pytest.mark.parametrize("hash_seed", ["0", "1"])
def test_canonical_ids_are_the_same_in_every_process(hash_seed: str) -> None:
    """Also where sizes are computed by built-in functions, partials and closures."""
    program = """
import functools, random
from archsearch.spaces import nasbench201, nn
from archsearch.spaces.nodes import Choice, Derived, Sequential, input
from archsearch.spaces.space import Space

def times(factor, channels):
    return factor * channels

def closed(factors):
    return lambda channels: factors[0] * channels

model = Sequential(
    nn.Conv2d(4 * input.channels // 2, Choice([1, 3])),
    nn.Conv2d(Derived(functools.partial(times, 3), channels=input.channels), 1),
    nn.Conv2d(Derived(closed((2, 3)), channels=input.channels), 1),
)
for space in (Space(model), nasbench201.space()):
    print(space.sample(random.Random(0)).canonical_id)
"""
    runs = [
        subprocess.run(
            [sys.executable, "-c", program], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in (hash_seed, "7")
    ]
    assert runs[0] == runs[1]
    assert len(set(runs[0].split())) == 2
