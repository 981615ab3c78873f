"""Every published space: it travels, says what it is, and needs no torch before something is built."""

from __future__ import annotations

import importlib
import json
import pickle
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from archsearch.spaces.space import Space

# Each with options that bring in what its defaults leave out.
PUBLISHED: dict[str, list[dict[str, Any]]] = {
    "autoformer": [{}],
    "autoformer:base": [{}],
    "darts": [{}, {"auxiliary": True}],
    "genetic_cnn": [{}],
    "hierarchical": [{}],
    "hierarchical:flat": [{"channels": 32}],
    "llama": [{}, {"tied": True}],
    "matformer": [{}, {"heads": (0.25, 0.5, 0.75, 1)}],
    "nasbench101": [{}],
    "nasbench201": [{}],
    "nasnet": [{}, {"auxiliary": True, "drop_path": 0.4}],
    "ofa_mobilenetv3": [{}, {"resolutions": (128, 224)}],
    "sortednet": [{}, {"layers": None, "width": (0.5, 1), "heads": (0.25, 1)}],
}
CASES = [(name, options) for name, several in PUBLISHED.items() for options in several]


def space_of(name: str, options: dict[str, Any]) -> Space:
    file, _, function = name.partition(":")
    space: Space = getattr(importlib.import_module(f"archsearch.spaces.{file}"), function or "space")(**options)
    return space


@pytest.mark.parametrize(("name", "options"), CASES)
def test_a_space_pickles_and_describes_itself(name: str, options: dict[str, Any]) -> None:
    space = space_of(name, options)
    again = pickle.loads(pickle.dumps(space))
    assert json.dumps(again.describe()) == json.dumps(space.describe())
    arch = space.sample(random.Random(0))
    assert again.architecture(json.loads(json.dumps(arch.assignment))).id == arch.id
    assert again.sample(random.Random(0)) == arch


def test_no_torch_is_needed_to_say_count_and_sample_them() -> None:
    code = (
        "import random, sys\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from test_published import CASES, space_of\n"
        "for case in CASES:\n"
        "    space = space_of(*case)\n"
        "    assert space.size() and space.sample(random.Random(0)).id and space.describe()\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
