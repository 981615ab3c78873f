"""Features of architectures by name."""

from __future__ import annotations

import copy
import math
import random
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import archsearch as A
from archsearch import nn
from archsearch.errors import UsageError
from archsearch.searchers import features
from archsearch.searchers.features import feature_functions
from archsearch.searchers.views import Views
from archsearch.spaces.architecture import Architecture

SPACE = A.Space(A.Sequential(nn.Linear(A.Choice([4, 8, 16])), nn.ReLU(), nn.Linear(3)), input_shape=(5,))


def test_attributes() -> None:
    parameters, flops = feature_functions(("parameters", "flops"))
    for arch in SPACE.enumerate():
        assert (parameters(arch), flops(arch)) == (arch.parameters, arch.flops)


def test_a_function_by_its_dotted_name() -> None:
    from archsearch import zerocost

    (synflow,) = feature_functions(["archsearch.zerocost:synflow"])
    arch = SPACE.sample(random.Random(0))
    assert synflow(arch) == zerocost.synflow(arch) > 0


def test_no_number_is_nan(monkeypatch: pytest.MonkeyPatch) -> None:
    def numbers(arch: Architecture) -> float:
        width = arch["root[0]" if "root[0]" in arch.answers else next(iter(arch.answers))]
        if width == 4:
            raise RuntimeError("no score")
        return math.inf if width == 8 else 2.0

    monkeypatch.setattr(features, "numbers", numbers, raising=False)
    (found,) = feature_functions(["archsearch.searchers.features:numbers"])
    first, *others = SPACE.enumerate()
    with pytest.warns(UserWarning, match=f"'archsearch.searchers.features:numbers' .* {first.id}, .*: no score"):
        assert math.isnan(found(first))
    assert [found(arch) for arch in others] == [pytest.approx(math.nan, nan_ok=True), 2.0]
    found.known.clear()  # type: ignore[attr-defined]
    assert math.isnan(found(first))  # once is enough: a warning is an error in these tests


def test_a_space_without_sizes_has_no_parameters() -> None:
    space = A.Space({"lr": A.Choice([0.1, 0.2])})
    (parameters,) = feature_functions(["parameters"])
    with pytest.warns(UserWarning, match="BuildError: the space has no module to build"):
        assert math.isnan(parameters(space.sample(random.Random(0))))


def test_each_architecture_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def asks(arch: Architecture) -> float:
        asked.append(arch.id)
        return float(len(asked))

    monkeypatch.setattr(features, "asks", asks, raising=False)
    monkeypatch.setattr(features, "MAX_REMEMBERED", 2)
    (found,) = feature_functions(["archsearch.searchers.features:asks"])
    first, second, third = SPACE.enumerate()
    assert [found(first), found(second), found(first), copy.deepcopy(found)(second)] == [1.0, 2.0, 1.0, 2.0]
    assert found(third) == 3.0  # the oldest is forgotten
    assert found(second) == 2.0
    assert found(first) == 4.0


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (("paramters",), "no feature 'paramters'; did you mean 'parameters'?"),
        (("depth",), "no feature 'depth'; there is parameters, flops"),
        (("archsearch.zerocost:synflw",), "archsearch.zerocost has no 'synflw'; did you mean 'synflow'?"),
        (("archsearch.zerocosts:synflow",), "cannot be imported"),
        ((":synflow",), "cannot be imported"),
        (("archsearch.zerocost:BATCH_SIZE",), "expected a function"),
        ("parameters", "list of names"),
        ((len,), "a feature is a name"),
    ],
)
def test_errors(names: tuple[str, ...], says: str) -> None:
    with pytest.raises(UsageError) as error:
        feature_functions(names)
    assert says in str(error.value)


def test_torch_is_loaded_only_for_what_needs_it() -> None:
    code = (
        "import sys\nfrom archsearch.searchers.features import feature_functions\n"
        "feature_functions(('parameters', 'flops'))\nassert 'torch' not in sys.modules\n"
        "feature_functions(('archsearch.zerocost:synflow',))\nassert 'torch' in sys.modules"
    )
    root = Path(__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_feature_that_no_architecture_has_tells_a_model_nothing() -> None:
    """It is left out without a word from numpy, for architectures that come to have it as well."""
    space = A.Space({"n": A.Integer(1, 100)})
    archs = space.sample(random.Random(0), 12)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        views = Views(space, archs, [lambda arch: math.nan, lambda arch: float(arch["n"])])
        points = views.points(archs)[-1]
        assert not points[:, 0].any()
        assert points[:, 1].std() == pytest.approx(1.0)
        views.features = [lambda arch: 1e6, lambda arch: math.nan]
        assert not views.points(archs)[-1].any()
