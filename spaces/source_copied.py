"""Reading definitions out of the source of a module, to copy them into another file."""

from __future__ import annotations

import ast
import inspect
import symtable
import sys
from collections.abc import Iterator
from types import ModuleType

from archsearch.errors import BuildError

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
Constant = ast.Assign | ast.AnnAssign


class Source:
    """The source of a module.

    Attributes:
        module: the module.
        bound: the statements that give each of its names a meaning; for an import, its alias.

    Raises:
        OSError: the source is not at hand.
    """

    def __init__(self, module: ModuleType) -> None:
        self.module = module
        text = inspect.getsource(module)
        self.lines = text.splitlines()
        self.bound: dict[str, list[tuple[ast.stmt, ast.alias | None]]] = {}
        for statement in statements(ast.parse(text).body):
            for name, alias in names_bound(statement):
                self.bound.setdefault(name, []).append((statement, alias))

    @property
    def unevaluated(self) -> bool:
        """Whether annotations stay text in it (``from __future__ import annotations``)."""
        return "annotations" in self.bound

    def definition(self, name: str) -> Definition | Constant:
        """The one statement that defines a class, a function or a constant.

        Raises:
            BuildError: there are several, or it is something else.
        """
        bound = self.bound.get(name, [])
        if len(bound) > 1:
            raise BuildError(f"{self.module.__name__} defines {name} {len(bound)} times")
        statement = bound[0][0] if bound else None
        if isinstance(statement, Definition) or (isinstance(statement, Constant) and is_literal(statement)):
            return statement
        raise BuildError(f"{self.module.__name__} has no class, function or plain constant {name} of its own")

    def text(self, statement: Definition) -> str:
        """The lines of a class or function, decorators included."""
        first = min([statement.lineno, *[decorator.lineno for decorator in statement.decorator_list]])
        return "\n".join(self.lines[first - 1 : statement.end_lineno])

    def imported_from(self, statement: ast.ImportFrom) -> str:
        """The module that an import names, also where it does so relative to the own."""
        if not statement.level:
            return statement.module or ""
        package = (self.module.__package__ or "").split(".")
        base = package[: len(package) - statement.level + 1]
        return ".".join([*base, *([statement.module] if statement.module else [])])


def is_copied(module: str) -> bool:
    """Whether what stands in a module is copied: in archsearch, and where no import would find it again."""
    loaded = sys.modules.get(module)
    unfindable = loaded is not None and loaded.__spec__ is None
    return module in ("__main__", "archsearch") or module.startswith("archsearch.") or unfindable


def statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Those of a module itself, also inside its conditions and `try`."""
    for statement in body:
        yield statement
        if not isinstance(statement, Definition):
            for name in ("body", "orelse", "finalbody"):
                yield from statements(getattr(statement, name, []))
            for handler in getattr(statement, "handlers", []):
                yield from statements(handler.body)


def names_bound(statement: ast.stmt) -> Iterator[tuple[str, ast.alias | None]]:
    """The names that a statement itself binds or deletes, not those inside it that `statements` gives as well."""
    match statement:
        case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
            for alias in aliases:
                yield alias.asname or alias.name.partition(".")[0], alias
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name, None
        case _:
            inner = {id(part) for part in statements([statement])} - {id(statement)}
            nodes: list[ast.AST] = [statement]
            while nodes:
                node = nodes.pop()
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store | ast.Del):
                    yield node.id, None
                nodes.extend([child for child in ast.iter_child_nodes(node) if id(child) not in inner])


def is_literal(statement: Constant) -> bool:
    """Whether it gives one name a plain value."""
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    if len(targets) != 1 or not isinstance(targets[0], ast.Name) or statement.value is None:
        return False
    try:
        ast.literal_eval(statement.value)
    except (ValueError, TypeError):
        return False
    return True


def free_names(text: str) -> list[str]:
    """The names that a definition takes from its module, or from Python; sorted.

    >>> free_names("def f(x: Tensor, by=2 * SCALE):\\n    y = x * by\\n    return g(y)")
    ['SCALE', 'Tensor', 'g']
    """
    found: set[str] = set()
    tables = [symtable.symtable(text, "copied", "exec")]
    own = {symbol.get_name() for symbol in tables[0].get_symbols() if symbol.is_assigned()}
    while tables:
        table = tables.pop()
        outermost = table.get_type() == "module"
        for symbol in table.get_symbols():
            if symbol.is_referenced() and (outermost or symbol.is_global()):
                found.add(symbol.get_name())
        tables.extend(table.get_children())
    return sorted(found - own)
