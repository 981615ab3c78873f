"""`archsearch space`: list, count, sample or show what a space holds."""

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


def space(arguments: argparse.Namespace) -> int:
    """Answer one question about the space that `arguments.space` names, on stdout."""
    if arguments.assignment is not None and arguments.action != "show":
        raise UsageError(f"--assignment goes with `archsearch space {arguments.space} show`")
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
            answers = read_assignment(Path(arguments.assignment))
            try:
                print(found.architecture(answers))
            except AssignmentError as error:
                raise UsageError(f"{arguments.assignment}: {error}") from error
    return 0


def read_assignment(path: Path) -> dict[str, Any]:
    """The answers by path in a JSON file: an object, or one with them under "assignment" (as `best` writes).

    Raises:
        UsageError: it cannot be read, or is something else.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    except json.JSONDecodeError as error:
        raise UsageError(f"{path}:{error.lineno}: not JSON: {error.msg}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not JSON: {error}") from error
    if isinstance(document, dict) and isinstance(document.get("assignment"), dict):
        document = document["assignment"]
    if not isinstance(document, dict):
        raise UsageError(f"{path}: expected an object of answers by path, but got {type(document).__name__}")
    return document
