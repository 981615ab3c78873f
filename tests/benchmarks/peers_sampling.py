"""Architectures a second against the peers: `PYTHONPATH=tests python -m benchmarks.peers_sampling`.

Needs the `bench` extra. Every peer in its fastest form that we know, one architecture at a time, and in batches
where it has them. "flat": it knows no conditions, so it draws every decision that could be asked.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from benchmarks.compared_spaces import OURS, SPACES, Asked
from benchmarks.timing import Contender, Rates, picture, show, side_by_side, versions

from archsearch.spaces import nasbench201

ONE, WHOLE = "archsearch", "archsearch, nasbench201.space()"
BATCH, ROWS = "archsearch 1,000", "archsearch 1,000, rows"


def optuna_sampler(decisions: list[Asked]) -> Callable[[], Any]:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))

    def draw() -> dict[str, Any]:
        trial = study.ask()
        answers: dict[str, Any] = {}
        for d in decisions:
            if d.parent is None or answers.get(d.parent) in d.when:
                answers[d.name] = trial.suggest_categorical(d.name, d.options)
        return answers

    return draw


def configspace(decisions: list[Asked]) -> Any:
    from ConfigSpace import Categorical, ConfigurationSpace, InCondition

    space = ConfigurationSpace(seed=0)
    made = {d.name: Categorical(d.name, list(d.options)) for d in decisions}
    space.add(*made.values())
    space.add(*[InCondition(made[d.name], made[d.parent], list(d.when)) for d in decisions if d.parent is not None])
    return space


def syne_tune_sampler(decisions: list[Asked], domains: bool) -> Callable[[], Any]:
    """Domain by domain, or through its ranges (`random_config`)."""
    import numpy as np
    from syne_tune.config_space import choice
    from syne_tune.optimizer.schedulers.searchers.utils import make_hyperparameter_ranges

    space = {d.name: choice(list(d.options)) for d in decisions}
    state = np.random.RandomState(0)
    if domains:
        return lambda: {name: domain.sample(random_state=state) for name, domain in space.items()}
    ranges = make_hyperparameter_ranges(space)
    return lambda: ranges.random_config(state)


def nni_sampler(decisions: list[Asked]) -> Callable[[], Any]:
    """The leaves of a MutableDict one by one, which is faster than its own `random`."""
    import numpy as np
    from nni.mutable import Categorical, MutableDict

    space = MutableDict({d.name: Categorical(list(d.options), label=d.name) for d in decisions})
    leaves = list(space.simplify().values())
    state = np.random.RandomState(0)

    return lambda: {leaf.label: leaf.random(None, state) for leaf in leaves}


def pyglove_sampler(decisions: list[Asked]) -> Callable[[], Any]:
    """DNA, not decoded; conditions as nested dictionaries."""
    import pyglove as pg

    def hyper(d: Asked) -> Any:
        inside = [c for c in decisions if c.parent == d.name]
        if not inside:
            return pg.oneof(list(d.options))
        return pg.oneof([pg.Dict({c.name: hyper(c) for c in inside if o in c.when}, value=o) for o in d.options])

    spec = pg.dna_spec(pg.Dict({d.name: hyper(d) for d in decisions if d.parent is None}))
    rng = random.Random(0)
    return lambda: pg.random_dna(spec, rng)


def ray_sampler(decisions: list[Asked]) -> Callable[[], Any]:
    import numpy as np
    from ray import tune
    from ray.tune.search.variant_generator import generate_variants

    space = {d.name: tune.choice(list(d.options)) for d in decisions}
    state = np.random.RandomState(0)
    return lambda: next(generate_variants(space, random_state=state))


def skopt_space(decisions: list[Asked]) -> Any:
    from skopt.space import Categorical, Space

    return Space([Categorical(list(d.options), name=d.name) for d in decisions])


def one_at_a_time(kind: str) -> Rates:
    decisions, space, rng = SPACES[kind](), OURS[kind](), random.Random(0)
    flat = "" if all(d.parent is None for d in decisions) else " (flat)"
    config = configspace(decisions)
    contenders = [
        Contender(ONE, lambda: [space.sample(rng) for _ in range(100)], 100),
        Contender("optuna", optuna_sampler(decisions)),
        Contender("ConfigSpace", config.sample_configuration),
        Contender(f"syne-tune domains{flat}", syne_tune_sampler(decisions, domains=True)),
        Contender(f"syne-tune ranges{flat}", syne_tune_sampler(decisions, domains=False)),
        Contender(f"nni{flat}", nni_sampler(decisions)),
        Contender("pyglove", pyglove_sampler(decisions)),
        Contender(f"ray.tune{flat}", ray_sampler(decisions)),
    ]
    if kind == "cell":
        whole = nasbench201.space()
        contenders.append(Contender(WHOLE, lambda: [whole.sample(rng) for _ in range(100)], 100))
    return side_by_side(contenders)


def in_batches(kind: str) -> Rates:
    import numpy as np

    decisions, space, rng = SPACES[kind](), OURS[kind](), random.Random(0)
    flat = "" if all(d.parent is None for d in decisions) else " (flat)"
    config, vectors = configspace(decisions), skopt_space(decisions)
    state = np.random.RandomState(0)
    contenders = [
        Contender(BATCH, lambda: space.sample(rng, 1_000), 1_000),
        Contender(ROWS, lambda: space.encode(space.sample(rng, 1_000)), 1_000),
        Contender("archsearch 100, rows", lambda: space.encode(space.sample(rng, 100)), 100),
        Contender("ConfigSpace 100", lambda: config.sample_configuration(100), 100),
        Contender(
            "ConfigSpace 100, rows",
            lambda: np.stack([c.get_array() for c in config.sample_configuration(100)]),
            100,
        ),
        Contender(f"skopt 1,000{flat}", lambda: vectors.rvs(1_000, random_state=state), 1_000),
        Contender(f"skopt 1,000, rows{flat}", lambda: vectors.transform(vectors.rvs(1_000, random_state=state)), 1_000),
    ]
    return side_by_side(contenders)


def main() -> None:
    print(versions("optuna", "ConfigSpace", "syne-tune", "nni", "pyglove", "ray", "scikit-optimize", "numpy"))
    singles, batches = {}, {}
    for kind in SPACES:
        rates = one_at_a_time(kind)
        show(f"{kind}, one at a time", rates, ONE, "architectures a second")
        best = rates.fastest([name for name in rates.rounds if not name.startswith(ONE)])
        print(f"  {rates.ratio(ONE, best)[0]:.1f} times the fastest peer, {best}")
        singles[kind] = {name: rates.median(name) for name in rates.rounds}
    for kind in SPACES:
        rates = in_batches(kind)
        show(f"{kind}, in batches", rates, ROWS, "architectures a second")
        batches[kind] = {name: rates.median(name) for name in rates.rounds}
    picture("sampling", "Sampling one at a time", "architectures a second", singles)
    picture("batches", "Sampling in batches", "architectures a second", batches)


if __name__ == "__main__":
    main()
