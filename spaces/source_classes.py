"""Classes for what repeats: parts that are alike but for some arguments become one class with those as parameters.

Graphs need a class in any case, and so does what would be nested too deep to read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeAlias

from archsearch.spaces.source_imports import free
from archsearch.spaces.source_naming import class_name, is_size, parameter_names, size_order
from archsearch.spaces.source_text import Atom, Each, Expression, Group, Module
from archsearch.spaces.source_values import union

FEWEST = 3
"""Modules that a class has at least, unless it has to be one."""
GAIN = 6
"""Modules that a class has to save the text."""
MOST = 7
"""Parameters of a class."""
OF_CLASS = "type[nn.Module]"
"""The annotation of a parameter that is a class of modules without parameters."""
DEEPEST = 6
"""Modules inside each other in one expression."""


@dataclass
class Class:
    """A class of the file.

    Attributes:
        name: of the class.
        parameters: name and annotation of each.
        body: the module that it is, in terms of the parameters.
    """

    name: str
    parameters: list[Atom]
    body: Module


class Classes:
    """Finds the classes of a file.

    Args:
        taken: the names of the file, which neither classes nor parameters may have; those of the classes join them.
        model: the expressions of the model's own class.

    Attributes:
        model: what they are in terms of the classes.
        found: the classes, by name.
    """

    def __init__(self, taken: dict[str, Any], model: Sequence[Expression]) -> None:
        self.taken = taken
        self.about = Facts()
        self.model = list(model)
        self.found: dict[str, Class] = {}
        while self.extract_largest() or self.extract_deep():
            pass

    @property
    def bodies(self) -> list[Expression]:
        return [*self.model, *[inner for found in self.found.values() for inner in parts_of(found.body)]]

    def groups(self) -> list[list[Module]]:
        """Modules that are alike, the largest first."""
        found: dict[int, list[Module]] = defaultdict(list)
        for body in self.bodies:
            for module in modules(body):
                found[self.about.of(module).skeleton].append(module)
        return sorted(found.values(), key=lambda group: (-self.about.of(group[0]).leaves, -len(group)))

    def extract_largest(self) -> bool:
        """Make classes of the largest part that is worth it; False if there is none."""
        for group in self.groups():
            if self.is_worth(group):
                worthy = [alike for alike in split(group) if self.is_worth(alike)]
                for alike in worthy:
                    self.extract(alike)
                if worthy:
                    return True
        return False

    def is_worth(self, alike: Sequence[Module]) -> bool:
        """Whether there has to be a class, or it makes the text shorter; one of a single module never does."""
        if alike[0].forward is not None:
            return True
        size = self.about.of(alike[0]).leaves
        several = len([part for part in parts_of(alike[0]) if self.about.of(part).leaves]) > 1
        plain = alike[0].callee != "nn.ModuleDict"
        return several and plain and size >= FEWEST and (len(alike) - 1) * size >= GAIN

    def extract_deep(self) -> bool:
        """Make a class of the innermost of an expression that is nested too deep; False if there is none."""
        deepest = max(self.bodies, key=self.height, default=None)
        if deepest is None or self.height(deepest) <= DEEPEST:
            return False
        while self.height(deepest) > DEEPEST // 2 or not isinstance(deepest, Module):
            deepest = max(parts_of(deepest), key=self.height)
        (group,) = [some for some in self.groups() if any([module is deepest for module in some])]
        for alike in split(group):
            self.extract(alike)
        return True

    def height(self, expression: Expression) -> int:
        return self.about.of(expression).height

    def extract(self, alike: Sequence[Module]) -> None:
        """Make one class of modules that are alike, and calls of it of each of them."""
        slots = list(zip(*[atoms(module) for module in alike], strict=True))
        differing = distinct(slots)
        position = {id(slot): i for i, slot in enumerate(slots)}
        uses = [[(position[id(slot)], slot[0].name) for slot in some] for some in differing.values()]
        wanted = parameter_names(uses, {"self", *self.taken})
        parameters = {
            key: Atom(name, kind_of(some[0]), name, scoped=True)
            for (key, some), name in zip(differing.items(), wanted, strict=True)
        }
        # Each use makes a module of its own.
        used = {
            key: replace(p, text=f"{p.text}()", kind="nn.Module") if is_class_called(differing[key][0][0]) else p
            for key, p in parameters.items()
        }
        fill = [replace(used.get(same(slot), slot[0]), name=slot[0].name) for slot in slots]
        body = template(list(alike), iter(fill))
        assert isinstance(body, Module)
        name = free(class_name(body), self.taken)
        self.taken[name] = body
        # Sizes come first, by position as torch's do.
        order = sorted(parameters, key=lambda key: size_order(parameters[key].text))
        self.found[name] = Class(name, [parameters[key] for key in order], body)
        calls = {}
        for i, module in enumerate(alike):
            given = [argument(differing[key][0][i], parameters[key]) for key in order]
            calls[id(module)] = Module(name, by_position(given), places=module.places)
        self.model = [substitute(body, calls) for body in self.model]
        for found in self.found.values():
            found.body = with_parts(found.body, [substitute(part, calls) for part in parts_of(found.body)])


def is_class_called(atom: Atom) -> bool:
    """Whether it makes a module without parameters of which nothing but the class can differ."""
    return atom.kind == "nn.Module" and atom.text.endswith("()")


def kind_of(slot: Slot) -> str:
    """The annotation of a parameter for values."""
    return OF_CLASS if is_class_called(slot[0]) else union([atom.kind for atom in slot])


def argument(atom: Atom, parameter: Atom) -> Atom:
    """What a class is given for a parameter."""
    text = atom.text.removesuffix("()") if is_class_called(atom) else atom.text
    return replace(atom, text=text, kind=parameter.kind, name=parameter.text)


def by_position(given: Sequence[Atom]) -> tuple[tuple[str, Expression], ...]:
    """The arguments of a class: the size that comes in and the next by position, the rest by name."""
    orders = [size_order(atom.name) for atom in given]
    first = int(len(given) == 1 or orders[:1] == [0])
    if first and orders[1:2] in ([1], [2]):
        first = 2
    return tuple([("" if i < first else f"{atom.name}=", atom) for i, atom in enumerate(given)])


def parts_of(expression: Expression) -> tuple[Expression, ...]:
    """What stands inside, in the order of evaluation."""
    if isinstance(expression, Module):
        return (*expression.children, *[value for _, value in expression.arguments])
    if isinstance(expression, Group):
        return tuple([value for _, value in expression.items])
    assert not isinstance(expression, Each)
    return ()


def with_parts(module: Module, parts: Sequence[Expression]) -> Module:
    """A module around other parts."""
    number = len(module.children)
    arguments = [(prefix, new) for (prefix, _), new in zip(module.arguments, parts[number:], strict=True)]
    return replace(module, children=tuple(parts[:number]), arguments=tuple(arguments))


def rebuilt(expression: Expression, parts: Sequence[Expression]) -> Expression:
    """An expression around other parts."""
    if isinstance(expression, Module):
        return with_parts(expression, parts)
    if isinstance(expression, Group):
        return replace(expression, items=tuple([(p, new) for (p, _), new in zip(expression.items, parts, strict=True)]))
    return expression


def inside(expression: Expression) -> Iterator[Expression]:
    """Every expression in it, itself included, in the order of the text."""
    waiting = [expression]
    while waiting:
        found = waiting.pop()
        yield found
        waiting.extend(reversed(parts_of(found)))


def modules(expression: Expression) -> Iterator[Module]:
    """Every module of an expression, itself included."""
    return (found for found in inside(expression) if isinstance(found, Module))


def atoms(expression: Expression) -> Iterator[Atom]:
    """Every value of an expression."""
    return (found for found in inside(expression) if isinstance(found, Atom))


class Fact(NamedTuple):
    """What is to be known about an expression.

    Attributes:
        skeleton: a number, equal where everything but the values of arguments is equal: such modules can be one class.
        leaves: the modules that hold no others; equal ones in a row count once, as they are written once.
        height: how many modules stand inside each other.
    """

    skeleton: int
    leaves: int
    height: int


class Facts:
    """Facts about expressions, each found out once."""

    def __init__(self) -> None:
        self.numbers: dict[Any, int] = {}
        # With the expression, so that nothing else gets its id.
        self.known: dict[int, tuple[Expression, Fact]] = {}

    def of(self, expression: Expression) -> Fact:
        found = self.known.get(id(expression))
        if found is None:
            found = self.known[id(expression)] = expression, self.find(expression)
        return found[1]

    def find(self, expression: Expression) -> Fact:
        parts = parts_of(expression)
        facts = [self.of(part) for part in parts]
        leaves = 0
        for i, fact in enumerate(facts):
            again = i > 0 and fact == facts[i - 1] and parts[i] == parts[i - 1]
            leaves += 0 if again else fact.leaves
        key: Any
        is_module = isinstance(expression, Module)
        match expression:
            case Module(callee, arguments, names, _, forward):
                key = callee, names, forward, tuple([prefix for prefix, _ in arguments])
            case Group(opening, items, _):
                key = opening, tuple([prefix for prefix, _ in items])
            case _:
                assert isinstance(expression, Atom)
                is_module = is_class_called(expression)
                key = expression.kind == "nn.Module", is_module
        key = (*key, *[fact.skeleton for fact in facts])
        height = max([fact.height for fact in facts], default=0) + isinstance(expression, Module)
        return Fact(self.numbers.setdefault(key, len(self.numbers)), leaves or int(is_module), height)


Slot: TypeAlias = tuple[Atom, ...]
"""The values at one place of several modules that are alike."""


def same(slot: Slot) -> Any:
    """What slots have in common that are one parameter: the values, and for sizes that they are, else the name."""
    name = slot[0].name
    return is_size(name) or name, *[atom.text for atom in slot]


def distinct(slots: Sequence[Slot]) -> dict[Any, list[Slot]]:
    """The slots that need a parameter, those of one parameter together.

    They are those whose values differ between the modules, or mean nothing outside their scope.
    """
    found: dict[Any, list[Slot]] = {}
    for slot in slots:
        if slot[0].scoped or len({atom.text for atom in slot}) > 1:
            found.setdefault(same(slot), []).append(slot)
    return found


def split(group: Sequence[Module]) -> list[list[Module]]:
    """Modules alike, apart from each other where a class of all would have too many parameters."""
    slots = list(zip(*[atoms(module) for module in group], strict=True))
    differing = [some[0] for some in distinct(slots).values() if len({atom.text for atom in some[0]}) > 1]
    if len(differing) <= MOST:
        return [list(group)]
    by = min(differing, key=lambda slot: len({atom.text for atom in slot}))
    parts: dict[str, list[Module]] = defaultdict(list)
    for atom, module in zip(by, group, strict=True):
        parts[atom.text].append(module)
    return [alike for part in parts.values() for alike in split(part)]


def template(alike: Sequence[Expression], fill: Iterator[Atom]) -> Expression:
    """The first of several expressions with other values, standing where any of them does."""
    first = alike[0]
    if isinstance(first, Atom):
        return next(fill)
    inside = [template(some, fill) for some in zip(*[parts_of(one) for one in alike], strict=True)]
    made = rebuilt(first, inside)
    if isinstance(made, Module):
        return replace(made, places=tuple([p for one in alike if isinstance(one, Module) for p in one.places]))
    return made


def substitute(expression: Expression, calls: dict[int, Module]) -> Expression:
    """An expression with some of its modules, by identity, exchanged."""
    if id(expression) in calls:
        return calls[id(expression)]
    inside = [substitute(part, calls) for part in parts_of(expression)]
    if all([new is old for new, old in zip(inside, parts_of(expression), strict=True)]):
        return expression
    return rebuilt(expression, inside)
