"""`archsearch space`: list, count, sample, show or draw what a space holds."""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
from pathlib import Path
from typing import Any

from archsearch.errors import AssignmentError, UsageError
from archsearch.loading import find_space
from archsearch.spaces.space import Architecture, Space


def space(arguments: argparse.Namespace) -> int:
    """Answer one question about the space that `arguments.space` names, on stdout, or draw it."""
    if arguments.assignment is not None and arguments.action not in ("show", "draw"):
        raise UsageError(f"--assignment goes with `archsearch space {arguments.space} show`, or `draw`")
    if (arguments.out is not None) != (arguments.action == "draw"):
        raise UsageError("`draw` needs --out FILE.svg" if arguments.out is None else "--out goes with `draw`")
    if arguments.action == "show" and arguments.assignment is None:
        raise UsageError("`show` needs --assignment FILE.json, such as `archsearch best --out DIR` writes")
    found = find_space(arguments.space)
    match arguments.action:
        case "list":
            print(found)
        case "count":
            sys.set_int_max_str_digits(0)  # deep spaces have more digits than Python prints by default
            size = found.size()
            print("infinite" if size == math.inf else size)
        case "sample":
            arch = found.sample(random.Random(arguments.seed))
            print(json.dumps(dict(arch.assignment), indent=2) if arguments.json else arch)
        case "show":
            print(architecture(found, arguments.assignment))
        case "draw":
            drawn = None if arguments.assignment is None else architecture(found, arguments.assignment)
            found.draw(arguments.out, drawn)
    return 0


def architecture(space: Space, path: str) -> Architecture:
    """The architecture of the answers in a JSON file.

    Raises:
        UsageError: they cannot be read, or are not one of the space's.
    """
    try:
        return space.architecture(read_assignment(Path(path)))
    except AssignmentError as error:
        raise UsageError(f"{path}: {error}") from error


def read_assignment(path: Path) -> dict[str, Any]:
    """The answers by path in a JSON file: an object, or one with them under "assignment" (as `best` writes).

    Raises:
        UsageError: it cannot be read, or is something else.
    """
    return answers_of(read_json(path), path)


def read_assignments(path: Path) -> list[dict[str, Any]]:
    """The same from a file that may have a list of them.

    Raises:
        UsageError: it cannot be read, or is something else.
    """
    document = read_json(path)
    return [answers_of(part, path) for part in (document if isinstance(document, list) else [document])]


def read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    except json.JSONDecodeError as error:
        raise UsageError(f"{path}:{error.lineno}: not JSON: {error.msg}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not JSON: {error}") from error


def answers_of(document: Any, path: Path) -> dict[str, Any]:
    if isinstance(document, dict) and isinstance(document.get("assignment"), dict):
        document = document["assignment"]
    if not isinstance(document, dict):
        raise UsageError(f"{path}: expected an object of answers by path, but got {type(document).__name__}")
    return document
