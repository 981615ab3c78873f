"""Run configurations: read, checked, and overridden by flags."""

from __future__ import annotations

from pathlib import Path

import pytest

from archsearch.config import RunConfig, load, override, seconds
from archsearch.errors import UsageError


def write(folder: Path, text: str) -> Path:
    path = folder / "run.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(UsageError) as raised:
        load(write(folder, text))
    return str(raised.value).replace(f"{folder}/", "")


def test_every_key_is_read(tmp_path: Path) -> None:
    config = load(
        write(
            tmp_path,
            "file: studies/digits.py\ntrials: 20\nworkers: 2\ngpus_per_worker: 0.5\n"
            "lockstep: true\nsearcher: {name: evolution, population: 30}\n"
            "constraints: {latency_ms: <= 20}\nenqueue: first.json\n"
            "store: runs.db\nname: digits\nseed: 3\ntimeout: 30m\nreuse: false\nquiet: true\n"
            "set: {EPOCHS: 8, LR: 0.1, FAST: true}\n",
        )
    )
    assert config == RunConfig(
        file=str(tmp_path / "studies/digits.py"),
        trials=20,
        workers=2,
        gpus_per_worker=0.5,
        lockstep=True,
        searcher={"name": "evolution", "population": 30},
        constraints={"latency_ms": "<= 20"},
        enqueue=str(tmp_path / "first.json"),
        store="runs.db",
        name="digits",
        seed=3,
        timeout="30m",
        reuse=False,
        quiet=True,
        set={"EPOCHS": 8, "LR": 0.1, "FAST": True},
    )
    assert set(RunConfig.model_fields) == config.model_fields_set  # a new key must join this test


def test_an_empty_file_sets_nothing(tmp_path: Path) -> None:
    assert load(write(tmp_path, "# nothing yet\n")) == RunConfig()


def test_flags_win_and_settings_merge(tmp_path: Path) -> None:
    config = load(write(tmp_path, "trials: 20\nseed: 1\nset: {EPOCHS: 8, WIDTH: 4}\n"))
    merged = override(config, {"trials": 5, "seed": None, "set": {"EPOCHS": "3"}})
    assert (merged.trials, merged.seed, merged.set) == (5, 1, {"EPOCHS": "3", "WIDTH": 4})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("trials: 3\ntrails: 4\n", "run.yaml:2: unknown key 'trails'; did you mean 'trials'?"),
        ("\n\nworker: 2\n", "run.yaml:3: unknown key 'worker'; did you mean 'workers'?"),
        ("trials: many\n", "run.yaml:1: trials: expected a whole number, 1 or more, but got 'many' (a string)"),
        ("trials: 1.5\n", "run.yaml:1: trials: expected a whole number, 1 or more, but got 1.5 (a number)"),
        ("trials: true\n", "run.yaml:1: trials: expected a whole number, 1 or more, but got True (true or false)"),
        ("trials: 0\n", "run.yaml:1: trials: expected a whole number, 1 or more, but got 0 (a whole number)"),
        (
            "gpus_per_worker: .nan\n",
            "run.yaml:1: gpus_per_worker: expected a number, 0 or more, but got nan (a number)",
        ),
        ("name: [a]\n", "run.yaml:1: name: expected a string, but got ['a'] (a list)"),
        (
            "set:\n  A: 1\n  B: [2]\n",
            "run.yaml:3: set.B: expected a number, a string, true or false, but got [2] (a list)",
        ),
        (
            "seed: 9223372036854775808\n",
            "run.yaml:1: seed: expected at most 9223372036854775807, but got 9223372036854775808 (a whole number)",
        ),
        ("trials: 3\nseed: 1\ntrials: 4\n", "run.yaml:3: 'trials' is there already, in line 1"),
        ("timeout: soon\n", "run.yaml:1: timeout: expected seconds, or a duration like 90s, 30m or 2h, but got 'soon'"),
        ("- trials\n", "run.yaml:1: expected `key: value` lines, but got a list"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    assert refusal(tmp_path, text) == said


def test_everything_wrong_is_said_at_once(tmp_path: Path) -> None:
    assert refusal(tmp_path, "seed: x\ntrails: 4\n") == (
        "run.yaml:1: seed: expected a whole number, 0 or more, but got 'x' (a string); "
        "run.yaml:2: unknown key 'trails'; did you mean 'trials'?"
    )


def test_a_file_that_is_not_yaml_names_the_line(tmp_path: Path) -> None:
    assert refusal(tmp_path, "trials: 3\nname: 'x\n").startswith("run.yaml:3: not YAML: ")


def test_yaml_cannot_make_objects(tmp_path: Path) -> None:
    assert "not YAML: could not determine a constructor" in refusal(
        tmp_path, "name: !!python/object/apply:os.getcwd []\n"
    )


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read the configuration .*none\.yaml: No such file"):
        load(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"trials": 0}, "--trials: expected a whole number, 1 or more, but got 0"),
        ({"gpus_per_worker": -1.0}, "--gpus-per-worker: expected a number, 0 or more, but got -1.0"),
        ({"timeout": "later"}, "timeout: expected seconds, or a duration like 90s, 30m or 2h, but got 'later'"),
    ],
)
def test_a_flag_out_of_range(flags: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError) as raised:
        override(RunConfig(), flags)
    assert str(raised.value) == said


@pytest.mark.parametrize(
    ("text", "value"), [("90s", 90), ("1.5h", 5400), ("2d", 172800), (45, 45), ("45", 45), ("30m", 1800)]
)
def test_durations(text: str | int, value: float) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["0", "-3s", "1h30", "h", "", "inf", 0, -1])
def test_what_is_no_duration(text: str | int) -> None:
    with pytest.raises(UsageError, match="expected seconds, or a duration"):
        seconds(text)
