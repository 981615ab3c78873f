"""Study files: Python files that define `study`, or `space` and `evaluate`.

A study file is executed once, on the driver, as the module `archsearch_study_file`; its folder joins
`sys.path`, so that neighbour files import. `objective`, `searcher` and `constraints` may stand beside `space` and
`evaluate`. Its *settings* are the names that the file assigns a plain number, string or boolean at the top
level, once; `--set EPOCHS=3` replaces that value in the file's syntax tree before anything runs, so
everything computed from it follows.
"""

from __future__ import annotations

import ast
import importlib
import os
import re
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, Any, TypeAlias

from archsearch.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from archsearch.spaces.space import Space

MODULE = "archsearch_study_file"

ROLES = ("study", "space", "evaluate", "objective", "searcher", "constraints")

Setting: TypeAlias = bool | int | float | str
Assignment: TypeAlias = ast.Assign | ast.AnnAssign


@dataclass(frozen=True)
class StudyFile:
    """A study file after it ran.

    Attributes:
        path: where it is.
        module: what it defined.
        settings: all of its settings by name, with the values that they had.
    """

    path: Path
    module: ModuleType
    settings: Mapping[str, Setting]

    def __getitem__(self, name: str) -> Any:
        """What the file defines by this name, or None."""
        return getattr(self.module, name, None)


def load(path: str | Path, settings: Mapping[str, object] | None = None) -> StudyFile:
    """Execute a study file with some of its settings replaced.

    Args:
        path: the file.
        settings: values by name; a string is read as the setting's own type.

    Raises:
        UsageError: the file is missing, does not parse or raises; a setting is unknown or of another type.
    """
    path = Path(path)
    tree = parse(path)
    declared = declarations(tree)
    values = {name: value for name, node in declared.items() if (value := constant(node)) is not None}
    for name, given in (settings or {}).items():
        if name not in declared:
            known = "; its settings: " + ", ".join(declared) if declared else "; it has no settings"
            raise UsageError(f"{path} has no setting {name!r}{did_you_mean(name, declared) or known}")
        values[name] = convert(name, given, values[name])
        statement = declared[name]
        statement.value = ast.copy_location(ast.Constant(values[name]), statement)
    module = ModuleType(MODULE)
    module.__file__ = str(path.resolve())
    sys.modules[MODULE] = module  # pickle and dataclasses look modules up by name
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    execute(compile(tree, module.__file__, "exec"), module, path)
    return StudyFile(path, module, values)


def travel_by_value(file: StudyFile) -> None:
    """Let Ray send what the file defines as code: a worker has no module of this name to import it from."""
    from ray import cloudpickle

    cloudpickle.register_pickle_by_value(file.module)


def parse(path: Path) -> ast.Module:
    """The syntax tree of a Python file."""
    if path.is_dir():
        raise UsageError(f"{path} is a folder; expected a Python file")
    if not path.exists():
        folder = path.parent
        near = [file.name for file in folder.glob("*.py")] if folder.is_dir() else []
        raise UsageError(f"no file {path}{did_you_mean(path.name, near)}")
    try:
        return ast.parse(path.read_bytes(), filename=str(path))
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    except SyntaxError as error:
        raise UsageError(f"{path}:{error.lineno or 1}: does not parse: {error.msg}") from error
    except ValueError as error:
        raise UsageError(f"{path} is not a Python file: {error}") from error


def declarations(tree: ast.Module) -> dict[str, Assignment]:
    """The assignments at the top level that give one public name a plain value, where nothing else binds it."""
    bound = Counter(bindings(tree))
    found: dict[str, Assignment] = {}
    for statement in tree.body:
        if not isinstance(statement, ast.Assign | ast.AnnAssign) or constant(statement) is None:
            continue
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        match targets:
            case [ast.Name(id=name)] if not name.startswith("_") and name not in ROLES and bound[name] == 1:
                found[name] = statement
    return found


def bindings(tree: ast.Module) -> Iterator[str]:
    """The names that a module's own statements bind or delete, once for each time that they do."""
    nodes: list[ast.AST] = [tree]
    while nodes:
        node = nodes.pop()
        match node:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
                yield name
            case ast.alias(name=name, asname=alias):
                yield alias or name.partition(".")[0]
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
                continue  # what it binds inside is not the module's
        nodes.extend(ast.iter_child_nodes(node))


def constant(statement: Assignment) -> Setting | None:
    """The number, string or boolean that a statement assigns, or None."""
    try:
        value = ast.literal_eval(statement.value) if statement.value is not None else None
    except (ValueError, TypeError):
        return None
    return value if isinstance(value, bool | int | float | str) else None


def convert(name: str, given: object, default: Setting) -> Setting:
    """A given value as the type of the setting's own value."""
    expected = {bool: "true or false", int: "a whole number", float: "a number", str: "a string"}[type(default)]
    if isinstance(given, str) and not isinstance(default, str):
        given = {"true": True, "false": False}.get(given.lower(), given) if isinstance(default, bool) else number(given)
    if isinstance(default, float) and type(given) is int:
        return float(given)
    if isinstance(given, bool | int | float | str) and type(given) is type(default):
        return given
    raise UsageError(f"setting {name!r} is {default!r} in the file; expected {expected}, but got {given!r}")


def number(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def execute(code: CodeType, module: ModuleType, path: Path) -> None:
    try:
        exec(code, module.__dict__)
    except (Exception, SystemExit) as error:
        raise UsageError(blame(error) or f"{path}:1: raises {described_error(error)}") from error


def blame(error: BaseException) -> str | None:
    """Where in the loaded study file an exception passed through, and what it says; None if it did not."""
    module = sys.modules.get(MODULE)
    frames = [f for f in traceback.extract_tb(error.__traceback__) if module and f.filename == module.__file__]
    if not frames:
        return None
    near = os.path.relpath(frames[-1].filename)
    shown = frames[-1].filename if near.startswith("..") else near
    return f"{shown}:{frames[-1].lineno}: raises {described_error(error)}"


def described_error(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def space_of(file: StudyFile) -> Space:
    """The space that a study file defines, by itself or in its study.

    Raises:
        UsageError: it defines none.
    """
    from archsearch.spaces.space import Space

    space = getattr(file["study"], "space", None) or file["space"]
    if isinstance(space, Space):
        return space
    if space is not None:
        raise UsageError(f"{file.path}: expected `space` to be an archsearch.Space, but it is {described(space)}")
    raise UsageError(f"{file.path} defines no `space`{nearest(file, 'space')}")


def definitions(file: StudyFile) -> tuple[Space, Callable[[Any], object]]:
    """`space` and `evaluate` of a study file that has no `study`.

    Raises:
        UsageError: one is missing or something else.
    """
    missing = [name for name in ("space", "evaluate") if file[name] is None]
    if missing:
        hint = next((text for text in (nearest(file, name) for name in missing) if text), "")
        has = "" if len(missing) == 2 else f" (it has {'evaluate' if missing == ['space'] else 'space'!r})"
        raise UsageError(
            f"{file.path} defines no study: expected `study`, or `space` and `evaluate`, "
            f"but there is no {' and no '.join(repr(name) for name in missing)}{has}{hint}"
        )
    if not callable(file["evaluate"]):
        raise UsageError(f"{file.path}: expected `evaluate` to be a function, but it is {described(file['evaluate'])}")
    return space_of(file), file["evaluate"]


def nearest(file: StudyFile, name: str) -> str:
    return did_you_mean(name, [known for known in vars(file.module) if not known.startswith("_")])


def described(value: object) -> str:
    return f"the class {value.__name__}" if isinstance(value, type) else f"a {type(value).__name__}"


def find_space(name: str) -> Space:
    """The space that a study file defines, or a ready-made one.

    Args:
        name: a Python file, `nasbench_macro`, or `deeparchitect:ac1` for another function than `space`.

    Raises:
        UsageError: there is no such file and no such ready-made space.
    """
    from archsearch.spaces.space import Space

    if name.endswith(".py") or "/" in name or Path(name).exists():
        return space_of(load(name))
    module_name, _, function = name.partition(":")
    known = ready_made()
    if module_name not in known:
        hint = did_you_mean(module_name, known) or "; there is " + ", ".join(known)
        raise UsageError(f"no file and no ready-made space {name!r}{hint}")
    module = importlib.import_module(f"archsearch.spaces.{module_name}")
    makers = public_functions(module)
    function = function or "space"
    if function not in makers:
        hint = did_you_mean(function, makers) or "; it has " + ", ".join(makers)
        raise UsageError(f"{module_name} has no {function!r}{hint}")
    space = makers[function]()
    if not isinstance(space, Space):
        raise UsageError(f"{name} is not a space: it gives {described(space)}")
    return space


def ready_made() -> list[str]:
    """The names of the ready-made spaces: the files of `archsearch.spaces` with a function `space`."""
    files = resources.files("archsearch.spaces").iterdir()
    return sorted(
        file.name.removesuffix(".py")
        for file in files
        if file.name.endswith(".py") and re.search(r"^def space\(", file.read_text(encoding="utf-8"), re.MULTILINE)
    )


def public_functions(module: ModuleType) -> dict[str, Callable[[], Any]]:
    return {
        name: value
        for name, value in vars(module).items()
        if not name.startswith("_") and callable(value) and getattr(value, "__module__", "") == module.__name__
    }
