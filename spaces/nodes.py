"""The nodes that put modules and values together, and all names of the language in one place."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from archsearch.errors import SpaceError
from archsearch.spaces.decisions import Options
from archsearch.spaces.node import Node, Value, check_label, check_name, has_node
from archsearch.spaces.require import Require, as_requirements
from archsearch.spaces.values import (
    Boolean,
    Choice,
    Derived,
    InputValue,
    Integer,
    Real,
    boolean,
    check_value,
    input,
    is_decision,
    is_module,
    named,
    prior_of_true,
)


def check_part(part: object, what: str) -> None:
    """A part of a Sequential and the like: a module node, None, or what may turn out to be one."""
    if isinstance(part, InputValue | Integer | Real) or (isinstance(part, Choice) and part.branches is None):
        raise SpaceError(f"{what} takes modules, but got the value {part!r}")
    if part is None or isinstance(part, Node):
        return
    if isinstance(part, type) or type(part).__module__.startswith("torch"):
        name = part.__name__ if isinstance(part, type) else type(part).__name__
        raise SpaceError(f"{what} takes descriptions, but got {part!r}; write nn.{name}(...) of archsearch.nn")
    raise SpaceError(f"{what} takes modules, but got {part!r}; archsearch.module(...) lifts a class or function")


def members_of(positional: Sequence[Any], keyword: Mapping[str, Any], what: str) -> dict[str, Any]:
    """Children by the step that they add to the place: ``[i]`` by position, ``.name`` by keyword."""
    for name, child in keyword.items():
        check_label(name, what, child)
    return {f"[{i}]": c for i, c in enumerate(positional)} | {f".{name}": c for name, c in keyword.items()}


def show_members(members: Mapping[str, Any]) -> str:
    return ", ".join([repr(c) if s[0] == "[" else f"{s[1:]}={c!r}" for s, c in members.items()])


class Module(Node):
    """A torch module or function with its arguments; made by `module(...)` and by `archsearch.nn`.

    Attributes:
        target: the class or function, or "package.mod:Class", imported when something is built.
        arguments: those that the user gave, by parameter name; plain values, nodes, nested lists and dicts.
        infer: parameters that follow from the input: parameter -> "channels" | "features" | "shape" | function
            of the input shapes.
        shape: a function of (input shapes..., **arguments) giving the output shape, where the module cannot
            run on torch's meta device.
    """

    __slots__ = ("arguments", "infer", "shape", "target")
    target: Callable[..., Any] | str
    arguments: dict[str, Any]
    infer: dict[str, Any]
    shape: Callable[..., Any] | None

    def __init__(
        self,
        target: Callable[..., Any] | str,
        arguments: Mapping[str, Any],
        infer: Mapping[str, Any] | None = None,
        shape: Callable[..., Any] | None = None,
    ) -> None:
        self._set(target=target, arguments=dict(arguments), infer=dict(infer or {}), shape=shape)

    @property
    def label(self) -> str:
        """The name of the class or function."""
        target = self.target
        return target.rpartition(":")[2].rpartition(".")[2] if isinstance(target, str) else target.__name__

    def __repr__(self) -> str:
        return f"{self.label}({', '.join([f'{k}={v!r}' for k, v in self.arguments.items()])})"


class Sequential(Node):
    """A chain: `Sequential(a, b, head=c)`. Children stand at ``[i]`` or ``.name``; None is identity."""

    __slots__ = ("members",)
    members: dict[str, Any]

    def __init__(self, *parts: Any, **named_parts: Any) -> None:
        for part in (*parts, *named_parts.values()):
            check_part(part, "Sequential")
        self._set(members=members_of(parts, named_parts, "Sequential"))

    def __repr__(self) -> str:
        return f"Sequential({show_members(self.members)})"


class Optional(Node):
    """A part or value, or nothing (identity; None). The answer is a bool; what is inside adds ``.present``.

    Args:
        prior: the probability that it is present, a half without one.
    """

    __slots__ = ("decision", "name", "node")
    node: Any
    name: str | None
    decision: Options

    def __init__(self, node: Any, name: str | None = None, prior: float | None = None) -> None:
        check_name(name, "Optional")
        if node is None:
            raise SpaceError("Optional(None) is nothing or nothing; give it what may be present")
        self._set(node=node, name=name, decision=boolean(prior, "Optional"))

    def __repr__(self) -> str:
        return f"Optional({self.node!r}{named(self.name)}{prior_of_true(self.decision)})"


class Repeat(Node):
    """`times` copies, one after the other, each deciding for itself.

    Args:
        node: what is repeated, or a function of the index (0, 1, ...) that gives it.
        times: an int, or a value node: `Repeat(a, Integer(1, 4))`, `Repeat(a, Choice([1, 2, 4]))`. 0 is allowed.
        tied: all copies alike: decided once, at ``[*]``; their weights are their own.
    """

    __slots__ = ("node", "tied", "times")
    node: Any
    times: Any
    tied: bool

    def __init__(self, node: Any, times: Any, tied: bool = False) -> None:
        if isinstance(times, list | tuple | range):
            raise SpaceError(f"Repeat takes a number or a value node as times; write Choice({list(times)!r})")
        if isinstance(times, Value):
            counts = times.decision.options if isinstance(times, Choice | Integer) else ()
            if isinstance(times, Real) or (
                isinstance(times, Choice) and times.branches is not None and is_module(times)
            ):
                raise SpaceError(f"Repeat(times=...) must stand for whole numbers, but got {times!r}")
            if isinstance(times, Choice) and times.branches is not None:
                counts = ()
            for count in counts if isinstance(counts, tuple) else counts[:1]:
                check_count(count)
        elif isinstance(times, Node):
            raise SpaceError(f"Repeat(times=...) must be a number or a value node, but got {times!r}")
        else:
            check_count(times)
        if callable(node) and not isinstance(node, Node):
            if tied:
                raise SpaceError("Repeat(tied=True) makes all copies alike, so it cannot take a function of the index")
        elif not isinstance(node, Node) and not has_node(node):
            raise SpaceError(f"Repeat takes a node or a function of the index, but got {node!r}")
        self._set(node=node, times=times, tied=bool(tied))

    def copy(self, index: int) -> Any:
        """The node of copy `index`."""
        if isinstance(self.node, Node) or has_node(self.node):
            return self.node
        return self.node(index)

    def __repr__(self) -> str:
        return f"Repeat({self.node!r}, {self.times!r}{', tied=True' if self.tied else ''})"


def check_count(count: object) -> None:
    if type(count) is not int or count < 0:
        raise SpaceError(f"Repeat(times=...) must be a whole number, 0 or more, but got {count!r}")


class Residual(Node):
    """x + a(x).

    Args:
        node: the body; it stands at ``[0]``.
        project: what brings x to the shape of a(x) where they differ: "auto" makes a linear layer or a 1x1
            convolution, a node is used as given, None refuses. It stands at ``.project``.
    """

    __slots__ = ("node", "project")
    node: Any
    project: Any

    def __init__(self, node: Any, project: Any = "auto") -> None:
        check_part(node, "Residual")
        if isinstance(project, str):
            if project != "auto":
                raise SpaceError(f"Residual(project=...) is 'auto', a node or None, but got {project!r}")
        else:
            check_part(project, "Residual(project=...)")
        self._set(node=node, project=project)

    def __repr__(self) -> str:
        how = "" if self.project == "auto" else f", project={self.project!r}"
        return f"Residual({self.node!r}{how})"


MERGES = ("add", "mul", "concat")


def check_merge(merge: object, dim: int | None, what: str) -> None:
    """How several values become one: a word, or a module of many inputs."""
    if (isinstance(merge, str) and merge not in MERGES) or not isinstance(merge, str | Node):
        raise SpaceError(f"{what}(merge=...) is one of {MERGES} or a module, but got {merge!r}")
    if dim is not None and merge != "concat":
        raise SpaceError(f"{what}(dim=...) belongs to merge='concat', but got {merge=!r}")


class Parallel(Node):
    """Branches over one input, merged. Items (of a Repeat, Permute or Subset) are so many branches.

    Args:
        merge: "concat" (along channels), "add", "mul", or a module of many inputs, at ``.merge``.
        dim: the dimension that concat joins, as torch counts it (0 is the batch), where it is not clear.
    """

    __slots__ = ("dim", "members", "merge")
    members: dict[str, Any]
    merge: Any
    dim: int | None

    def __init__(self, *branches: Any, merge: Any = "concat", dim: int | None = None, **named_branches: Any) -> None:
        if not branches and not named_branches:
            raise SpaceError("Parallel needs at least one branch, but got none")
        for branch in (*branches, *named_branches.values()):
            check_part(branch, "Parallel")
        check_merge(merge, dim, "Parallel")
        self._set(members=members_of(branches, named_branches, "Parallel"), merge=merge, dim=dim)

    def __repr__(self) -> str:
        how = f", merge={self.merge!r}" + (f", dim={self.dim}" if self.dim is not None else "")
        return f"Parallel({show_members(self.members)}{how})"


def member_key(step: str) -> int | str:
    """How a Permute's answer calls the member at a step: its index, or its name."""
    return int(step[1:-1]) if step[0] == "[" else step[1:]


class Permute(Node):
    """All of several, in an order that is decided; at most 8. The answer lists the members in order: indices
    of positional ones, names of others."""

    __slots__ = ("decision", "members", "name")
    members: dict[str, Any]
    name: str | None
    decision: Options

    def __init__(self, *members: Any, name: str | None = None, **named_members: Any) -> None:
        check_name(name, "Permute")
        all_members = members_of(members, named_members, "Permute")
        if not 1 <= len(all_members) <= 8:
            raise SpaceError(f"Permute takes 1 to 8 members (8! = 40320 orders), but got {len(all_members)}")
        check_alike(list(all_members.values()), "Permute")
        orders = tuple(itertools.permutations([member_key(step) for step in all_members]))
        self._set(members=all_members, name=name, decision=Options(orders, "permute"))

    def __repr__(self) -> str:
        return f"Permute({show_members(self.members)}{named(self.name)})"


class Subset(Node):
    """Some of several: from `minimum` to `maximum` members, every subset equally likely.

    The answer is a bool per member at ``[i]`` (``.name`` for a dict); what is inside adds ``.present``.

    Args:
        members: a list, or a dict of named members.
        minimum: 0 by default.
        maximum: all by default.
    """

    __slots__ = ("maximum", "members", "minimum", "name")
    members: dict[str, Any]
    minimum: int
    maximum: int
    name: str | None

    def __init__(
        self,
        members: Sequence[Any] | Mapping[str, Any],
        minimum: int = 0,
        maximum: int | None = None,
        name: str | None = None,
    ) -> None:
        check_name(name, "Subset")
        if isinstance(members, str) or not isinstance(members, Sequence | Mapping) or not members:
            raise SpaceError(f"Subset takes a list of members or a dict of named ones, but got {members!r}")
        maximum = len(members) if maximum is None else maximum
        if type(minimum) is not int or type(maximum) is not int or not 0 <= minimum <= maximum <= len(members):
            raise SpaceError(
                f"Subset of {len(members)} members needs 0 <= minimum <= maximum <= {len(members)}, "
                f"but got {minimum=}, {maximum=}"
            )
        keyed = members_of((), members, "Subset") if isinstance(members, Mapping) else members_of(members, {}, "Subset")
        check_alike(list(keyed.values()), "Subset")
        self._set(members=keyed, minimum=minimum, maximum=maximum, name=name)

    def __repr__(self) -> str:
        return f"Subset([{show_members(self.members)}], {self.minimum}, {self.maximum}{named(self.name)})"


def check_alike(members: Sequence[Any], what: str) -> None:
    modules = [is_module(member) for member in members]
    values = [isinstance(m, Integer | Real) or not isinstance(m, Node) for m in members if m is not None]
    if any(modules) and any(values):
        raise SpaceError(f"the members of a {what} are modules or values, not both: {list(members)!r}")


class Lazy(Node):
    """Substitution: `fn(**values)` gives the node, expanded only when it is reached. Grammars are made of it.

    Args:
        function: pure; gets the values of the arguments by name.
        arguments: value nodes or scalars. What is decided of them stands at ``.argument``; what the function
            returns at ``(v1,v2)``, or at the Lazy's own place where no argument is decided. No Real.
    """

    __slots__ = ("arguments", "function")
    function: Callable[..., Any]
    arguments: dict[str, Any]

    def __init__(self, function: Callable[..., Any], /, **arguments: Any) -> None:
        if not callable(function) or isinstance(function, Node):
            raise SpaceError(f"Lazy takes a function first, but got {function!r}")
        for name, argument in arguments.items():
            check_value(argument, "Lazy")
            check_finite(argument, name)
        self._set(function=function, arguments=dict(arguments))

    def expand(self, values: Mapping[str, Any], where: str) -> Any:
        """What the function returns for the values of the arguments; `where` goes into the error that it raises."""
        try:
            return self.function(**values)
        except Exception as error:
            call = ", ".join([f"{k}={v!r}" for k, v in values.items()])
            name = getattr(self.function, "__name__", repr(self.function))
            raise SpaceError(f"{where}: Lazy's {name}({call}) raised {type(error).__name__}: {error}") from error

    def __repr__(self) -> str:
        inside = [f"{k}={v!r}" for k, v in self.arguments.items()]
        return f"Lazy({', '.join([getattr(self.function, '__name__', repr(self.function)), *inside])})"


def check_finite(argument: object, name: str) -> None:
    if isinstance(argument, Real):
        raise SpaceError(
            f"Lazy's argument {name} is {argument!r}: a Real has no end of expansions; use Integer or Choice"
        )
    if isinstance(argument, InputValue):
        raise SpaceError(f"Lazy's argument {name} is {argument!r}: what can be decided never depends on sizes")
    if isinstance(argument, Derived):
        for _, child in argument.children():
            check_finite(child, name)


class Scope(Node):
    """The names declared here are decided anew at every place where the Scope stands.

    `Repeat(Scope(nn.Conv2d(64, k, padding=k // 2), "k"), 4)` decides `k` for each copy. Adds nothing to a place.

    Args:
        names: one or more names.
        require: constraints over them, as in `Space(require=...)`.
    """

    __slots__ = ("names", "node", "require")
    node: Any
    names: tuple[str, ...]
    require: tuple[Require, ...]

    def __init__(self, node: Any, *names: str, require: Any = ()) -> None:
        if not names:
            raise SpaceError("Scope needs the names that it declares: Scope(node, 'k')")
        for name in names:
            if not isinstance(name, str):
                raise SpaceError(f"Scope takes names as strings, but got {name!r}")
            check_name(name, "Scope")
        self._set(node=node, names=tuple(names), require=as_requirements(require))

    def __repr__(self) -> str:
        return f"Scope({self.node!r}, {', '.join([repr(n) for n in self.names])})"


class Shared(Node):
    """A whole part decided once: every use of the name has the same answers inside. Adds nothing to a place.

    Args:
        name: paths inside are relative to it (``normal.n1``).
        weights: all uses are one module as well, registered at its first place.
    """

    __slots__ = ("name", "node", "weights")
    node: Any
    name: str
    weights: bool

    def __init__(self, node: Any, name: str, weights: bool = False) -> None:
        if name is None:
            raise SpaceError("Shared needs a name: Shared(node, 'cell')")
        check_name(name, "Shared")
        self._set(node=node, name=name, weights=bool(weights))

    def __repr__(self) -> str:
        return f"Shared({self.node!r}, {self.name!r}{', weights=True' if self.weights else ''})"


__all__ = [
    "Boolean",
    "Choice",
    "Derived",
    "Integer",
    "Lazy",
    "Module",
    "Node",
    "Optional",
    "Parallel",
    "Permute",
    "Real",
    "Repeat",
    "Require",
    "Residual",
    "Scope",
    "Sequential",
    "Shared",
    "Subset",
    "Value",
    "input",
    "is_decision",
]
