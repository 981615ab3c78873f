"""A searcher from its name and options, as a run configuration gives them."""

from __future__ import annotations

import dataclasses
import json
import typing
from collections.abc import Mapping
from typing import Any

from pydantic import PydanticSchemaGenerationError, TypeAdapter, ValidationError

from archsearch.errors import UsageError, did_you_mean
from archsearch.searchers import by_name
from archsearch.searchers.contract import Searcher

# What pydantic calls values, and what a YAML file does.
WORDS = {
    "a valid integer": "a whole number",
    "a valid number": "a number",
    "a valid boolean": "true or false",
    "a valid string": "a string",
    "a valid array": "a list",
    "an object": "a mapping",
}


def searcher_from(given: str | Mapping[str, Any]) -> Searcher:
    """The searcher of a name, or of `{"name": "evolution", "population": 50}`.

    Raises:
        UsageError: there is no such searcher, it has no such option, or an option is of a wrong type or out of range.
    """
    if isinstance(given, str):
        return by_name(given)
    options = dict(given)
    name = options.pop("name", None)
    if not isinstance(name, str):
        got = f"but got {name!r}" if "name" in given else "but there is none"
        raise UsageError(f"searcher: expected its name under `name`, as in {{name: evolution, population: 50}}, {got}")
    searcher: Any = by_name(name)
    known = [field.name for field in dataclasses.fields(searcher)]
    types = typing.get_type_hints(type(searcher))
    checked: dict[str, Any] = {}
    for option, value in options.items():
        if option not in known:
            there = f"; it has {', '.join(known)}" if known else "; it has none"
            raise UsageError(f"searcher {name!r} has no option {option!r}{did_you_mean(option, known) or there}")
        try:
            # As JSON, in which the record keeps it as well: a list is what becomes a tuple.
            checked[option] = TypeAdapter(types[option]).validate_json(json.dumps(value), strict=True)
        except ValidationError as error:
            (details, *_) = error.errors()
            what = details["msg"].removeprefix("Input should be ")
            place = option + "".join([f"[{step}]" for step in details["loc"] if isinstance(step, int)])
            raise UsageError(
                f"searcher {name!r}: {place}: expected {WORDS.get(what, what)}, but got {details['input']!r}"
            ) from error
        except (PydanticSchemaGenerationError, TypeError) as error:
            raise UsageError(f"searcher {name!r}: {option} cannot be given here; set it in a study file") from error
    made: Searcher = dataclasses.replace(searcher, **checked)
    return made
