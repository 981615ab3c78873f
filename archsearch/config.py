"""What one run is told: the keys of a YAML run configuration, which are the flags of `archsearch run`.

    file: digits.py          # relative to the configuration
    trials: 20
    workers: 2
    set: {EPOCHS: 8}

Flags win over the file. A relative `store` is looked for in the working directory. Every error names
the file and the line.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr, ValidationError
from pydantic_core import ErrorDetails

from archsearch.constraints import EXPECTED, parsed
from archsearch.errors import ArchsearchError, UsageError, did_you_mean
from archsearch.options import searcher_from

Scalar = StrictBool | StrictInt | StrictFloat | StrictStr


class RunConfig(BaseModel):
    """The settings of one run. `None` stands for "not given": the study, or the study file, then says."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    file: StrictStr | None = Field(default=None, description="the study file")
    trials: StrictInt | None = Field(default=None, ge=1, description="trials that the study is to have in all")
    workers: StrictInt | None = Field(default=None, ge=1, description="trials at a time; several run on Ray")
    gpus_per_worker: StrictInt | StrictFloat | None = Field(default=None, ge=0, description="may be a fraction")
    lockstep: StrictBool | None = Field(default=None, description="the same study whichever trial finishes first")
    searcher: StrictStr | dict[StrictStr, Any] | None = Field(
        default=None, description="a name, or {name: evolution, population: 50}"
    )
    constraints: dict[StrictStr, StrictStr | list[StrictStr]] = Field(
        default_factory=dict, description='bounds by metric: "<= 20"'
    )
    enqueue: StrictStr | None = Field(default=None, description="a JSON file of architectures that are tried first")
    store: StrictStr | None = None
    name: StrictStr | None = None
    seed: StrictInt | None = Field(default=None, ge=0, le=2**63 - 1)
    timeout: StrictInt | StrictFloat | StrictStr | None = Field(
        default=None, description='of one trial: seconds, or "90s", "30m", "2h"'
    )
    reuse: StrictBool | None = Field(default=None, description="evaluate a network once; false: every trial")
    quiet: StrictBool = False
    set: dict[StrictStr, Scalar] = Field(default_factory=dict, description="settings of the study file")


def seconds(duration: str | float) -> float:
    """A duration in seconds, from a number of seconds or from "90s", "30m", "1.5h", "2d".

    >>> seconds("30m")
    1800.0
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([smhd]?)\s*", str(duration))
    value = float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}[match[2]] if match else 0.0
    if value <= 0:
        raise UsageError(f"timeout: expected seconds, or a duration like 90s, 30m or 2h, but got {duration!r}")
    return value


CHECKS: dict[str, Callable[[Any], object]] = {
    "timeout": lambda given: None if given is None else seconds(given),
    "constraints": parsed,
    "searcher": lambda given: None if given is None else searcher_from(given),
}


def load(path: str | Path) -> RunConfig:
    """Read and check a run configuration. Files come back relative to the working directory.

    Raises:
        UsageError: it is missing, is not YAML, has an unknown or doubled key, or a value of a wrong type.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the configuration {path}: {reason(error)}") from error
    document, lines = parse(text, path)
    try:
        config = RunConfig.model_validate(document)
    except ValidationError as error:
        raise UsageError(explain(error, path, lines)) from error
    for key, check in CHECKS.items():
        try:
            check(getattr(config, key))
        except ArchsearchError as error:
            raise UsageError(f"{path}:{lines[(key,)]}: {error}") from error
    files = {key: getattr(config, key) for key in ("file", "enqueue") if getattr(config, key) is not None}
    return config.model_copy(update={key: str(path.parent / file) for key, file in files.items()})


def override(config: RunConfig, flags: Mapping[str, Any]) -> RunConfig:
    """The configuration with the flags that were given (those that are not None) in place of its values.

    Raises:
        UsageError: a flag's value is out of range.
    """
    given = {key: value for key, value in flags.items() if value is not None}
    for key in ("set", "constraints"):
        given[key] = {**getattr(config, key), **given.get(key, {})}
    try:
        merged = RunConfig.model_validate({**config.model_dump(), **given})
    except ValidationError as error:
        details = error.errors()[0]
        flag = str(details["loc"][0]).replace("_", "-")
        raise UsageError(f"--{flag}: {expectation(details)}, but got {details['input']!r}") from error
    for key, check in CHECKS.items():
        check(getattr(merged, key))
    return merged


def parse(text: str, path: Path) -> tuple[dict[str, Any], dict[tuple[str, ...], int]]:
    """The mapping in a YAML text, and the line of each key, by the keys that lead to it."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        problem = getattr(error, "problem", None) or str(error)
        raise UsageError(f"{where}: not YAML: {' '.join(problem.split())}") from error
    if node is None:
        return {}, {}
    if not isinstance(node, yaml.MappingNode):
        raise UsageError(f"{path}:{node.start_mark.line + 1}: expected `key: value` lines, but got {kind(document)}")
    lines: dict[tuple[str, ...], int] = {}
    note_lines(node, (), lines, path)
    return document, lines


def note_lines(node: yaml.MappingNode, above: tuple[str, ...], lines: dict[tuple[str, ...], int], path: Path) -> None:
    for key, value in node.value:
        place, line = (*above, str(key.value)), key.start_mark.line + 1
        if place in lines:
            raise UsageError(f"{path}:{line}: {'.'.join(place)!r} is there already, in line {lines[place]}")
        lines[place] = line
        if isinstance(value, yaml.MappingNode):
            note_lines(value, place, lines, path)


def explain(error: ValidationError, path: Path, lines: Mapping[tuple[str, ...], int]) -> str:
    """All that is wrong, in one line of text, in the order of the file's lines."""
    problems: dict[tuple[int, str], str] = {}
    for details in error.errors():
        place = tuple(str(step) for step in details["loc"])
        while place not in lines and len(place) > 1:
            place = place[:-1]  # pydantic adds the member of a union that was tried
        key = ".".join(place)
        if details["type"] in ("extra_forbidden", "invalid_key"):
            known = list(RunConfig.model_fields)
            text = f"unknown key {key!r}{did_you_mean(key, known) or '; known: ' + ', '.join(known)}"
        else:
            text = f"{key}: {expectation(details)}, but got {details['input']!r} ({kind(details['input'])})"
        problems.setdefault((lines.get(place, 1), key), text)
    return "; ".join(f"{path}:{line}: {text}" for (line, _), text in sorted(problems.items()))


def expectation(details: ErrorDetails) -> str:
    """What the field at fault would take, in words."""
    field = str(details["loc"][0])
    if details["type"] == "less_than_equal":
        return f"expected at most {details['ctx']['le']}"
    if len(details["loc"]) > 1 and field == "set":
        return "expected a number, a string, true or false"
    return {
        "trials": "expected a whole number, 1 or more",
        "workers": "expected a whole number, 1 or more",
        "gpus_per_worker": "expected a number, 0 or more",
        "seed": "expected a whole number, 0 or more",
        "timeout": "expected seconds, or a duration like 90s, 30m or 2h",
        "reuse": "expected true or false",
        "lockstep": "expected true or false",
        "searcher": "expected a name, or a mapping of `name` and options",
        "quiet": "expected true or false",
        "set": "expected `key: value` lines",
        "constraints": EXPECTED if len(details["loc"]) > 1 else "expected `metric: bound` lines",
    }.get(field, "expected a string")


def kind(value: object) -> str:
    names = {str: "a string", bool: "true or false", int: "a whole number", float: "a number", list: "a list"}
    return names.get(type(value), "nothing" if value is None else "a mapping" if isinstance(value, dict) else "a value")


def reason(error: Exception) -> str:
    """What the operating system, or the decoder, says, without its decoration."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
