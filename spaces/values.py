"""The nodes that stand for a value: Choice, Integer, Real, Boolean, Derived, and the size of an input."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from archsearch.errors import SpaceError
from archsearch.spaces.decisions import BOOLEAN, IntegerRange, Options, RealRange, is_answer, typed
from archsearch.spaces.node import Node, Value, check_label, check_name, has_node, is_scalar
from archsearch.spaces.prior import probabilities, probability, rounded


class Choice(Value):
    """One of several values, or one of several sub-spaces.

    `Choice([16, 32])` chooses among scalars, or tuples of scalars; the answer is the value itself.
    `Choice({"conv": node, "none": None})` chooses among sub-spaces; the answer is the label, and what is
    decided inside an option stands at ``.label``. `Choice([nn.ReLU(), nn.GELU()])` takes the class names as
    labels.

    Args:
        options: values, or nodes, or labelled nodes. Duplicates are an error.
        name: decides once for everything of that name (LANGUAGE.md section 4).
        prior: what is likelier: positive weights in the order of the options, or a dict of them by option or label,
            where those not named weigh 1. Draws follow it (uniform without one), counts and identities do not. Of a
            name, every use that has a prior has the same.

    >>> Choice([3, 5, 7], prior={3: 4})
    Choice([3, 5, 7], prior=[0.666666666667, 0.166666666667, 0.166666666667])
    """

    __slots__ = ("branches", "decision", "name")
    decision: Options
    branches: dict[str, Any] | None
    name: str | None

    def __init__(
        self,
        options: Sequence[Any] | Mapping[str, Any],
        name: str | None = None,
        prior: Sequence[float] | Mapping[Any, float] | None = None,
    ) -> None:
        check_name(name, "Choice")
        if isinstance(options, str) or not isinstance(options, Sequence | Mapping):
            raise SpaceError(f"Choice takes a list of options or a dict of labelled ones, but got {options!r}")
        if not options:
            raise SpaceError("Choice needs at least one option, but got none")
        branches: dict[str, Any] | None = None
        if isinstance(options, Mapping):
            branches = dict(options)
        elif any(has_node(option) or isinstance(option, Mapping) for option in options):
            branches = label_by_class(options)
        else:
            check_scalars(options)
        if branches is not None:
            for label, branch in branches.items():
                check_label(label, "Choice", branch)
        answers = tuple(options) if branches is None else tuple(branches)
        chances = None if prior is None else probabilities(prior, answers, "Choice")
        self._set(decision=Options(answers, prior=chances), branches=branches, name=name)

    def __repr__(self) -> str:
        inside = list(self.decision.options) if self.branches is None else self.branches
        prior = "" if self.decision.prior is None else f", prior={rounded(self.decision.prior)}"
        return f"{type(self).__name__}({inside!r}{named(self.name)}{prior})"


def check_scalars(options: Sequence[Any]) -> None:
    seen: dict[Any, Any] = {}
    for option in options:
        if not is_answer(option):
            hint = "; write it as a tuple" if isinstance(option, list) else "; give it a label: Choice({'label': ...})"
            raise SpaceError(
                f"an option of a Choice must be None, a bool, an int, a finite float, a string or a tuple of such, "
                f"but got {option!r}{hint}"
            )
        if typed(option) in seen:
            raise SpaceError(f"Choice has the option {option!r} twice")
        seen[typed(option)] = option


def label_by_class(options: Sequence[Any]) -> dict[str, Any]:
    branches: dict[str, Any] = {}
    for option in options:
        target = getattr(option, "target", None)
        if option is None:
            label = "none"
        elif target is not None:
            label = target.rpartition(":")[2].rpartition(".")[2] if isinstance(target, str) else target.__name__
        else:
            what = "a plain value beside a node" if not has_node(option) else f"{type(option).__name__}"
            raise SpaceError(f"Choice([...]) cannot label {what} ({option!r}); use a dict: Choice({{'label': ...}})")
        if label in branches:
            raise SpaceError(f"Choice([...]) has two options called {label!r}; use a dict: Choice({{'label': ...}})")
        branches[label] = option
    return branches


def named(name: str | None) -> str:
    return f", name={name!r}" if name is not None else ""


def boolean(prior: float | None, what: str) -> Options:
    """The decision between False and True, the second with a probability."""
    return BOOLEAN if prior is None else Options(BOOLEAN.options, "boolean", prior=probability(prior, what))


def prior_of_true(decision: Options) -> str:
    return "" if decision.prior is None else f", prior={rounded(decision.prior)[1]}"


class Boolean(Choice):
    """`Choice([False, True])`; `prior` is the probability of True, a half without one."""

    __slots__ = ()

    def __init__(self, name: str | None = None, prior: float | None = None) -> None:
        check_name(name, "Boolean")
        self._set(decision=boolean(prior, "Boolean"), branches=None, name=name)

    def __repr__(self) -> str:
        return f"Boolean({(named(self.name) + prior_of_true(self.decision))[2:]})"


class Integer(Value):
    """An integer from `low` to `high`, both included.

    Args:
        log: draw evenly in the logarithm; `low` must be positive then.
    """

    __slots__ = ("decision", "name")
    decision: IntegerRange
    name: str | None

    def __init__(self, low: int, high: int, log: bool = False, name: str | None = None) -> None:
        check_name(name, "Integer")
        if type(low) is not int or type(high) is not int:
            raise SpaceError(f"Integer takes integers as bounds, but got {low=}, {high=}")
        check_bounds("Integer", low, high, log)
        self._set(decision=IntegerRange(low, high, bool(log)), name=name)

    def __repr__(self) -> str:
        d = self.decision
        return f"Integer({d.low}, {d.high}{', log=True' if d.log else ''}{named(self.name)})"


class Real(Value):
    """A number from `low` to `high`, both included.

    Args:
        log: draw evenly in the logarithm; `low` must be positive then.
    """

    __slots__ = ("decision", "name")
    decision: RealRange
    name: str | None

    def __init__(self, low: float, high: float, log: bool = False, name: str | None = None) -> None:
        check_name(name, "Real")
        if any(isinstance(b, bool) or not isinstance(b, int | float) or not math.isfinite(b) for b in (low, high)):
            raise SpaceError(f"Real takes finite numbers as bounds, but got {low=}, {high=}")
        check_bounds("Real", low, high, log)
        self._set(decision=RealRange(float(low), float(high), bool(log)), name=name)

    def __repr__(self) -> str:
        d = self.decision
        return f"Real({d.low}, {d.high}{', log=True' if d.log else ''}{named(self.name)})"


def check_bounds(what: str, low: float, high: float, log: bool) -> None:
    if low > high or (what == "Real" and low == high):
        raise SpaceError(f"{what} needs low {'<' if what == 'Real' else '<='} high, but got {low=}, {high=}")
    if log and low <= 0:
        raise SpaceError(f"{what}(log=True) needs a positive low, but got {low=}")


class Derived(Value):
    """A value computed from others: `Derived(lambda width: 4 * width, width=w)`.

    Args:
        function: gets the values of the operands (by position for arithmetic, else by name) and must be pure.
            It may return a closed node: a module with nothing open.
        operands, values: value nodes or plain values.
    """

    __slots__ = ("function", "operands", "values")
    function: Callable[..., Any]
    operands: tuple[Any, ...]
    values: dict[str, Any]

    def __init__(self, function: Callable[..., Any], *operands: Any, **values: Any) -> None:
        if not callable(function):
            raise SpaceError(f"Derived takes a function first, but got {function!r}")
        if not operands and not values:
            raise SpaceError("Derived needs the values that it is computed from: Derived(fn, width=w)")
        for value in (*operands, *values.values()):
            check_value(value, "Derived")
        self._set(function=function, operands=operands, values=dict(values))

    def children(self) -> list[tuple[str, Any]]:
        """The operands with the step that each adds to the place."""
        return [(f"[{i}]", v) for i, v in enumerate(self.operands)] + [(f".{k}", v) for k, v in self.values.items()]

    def compute(self, values: Sequence[Any], where: str) -> Any:
        """The value for those of `children()`; `where` goes into the error that the function raises."""
        count = len(self.operands)
        try:
            return self.function(*values[:count], **dict(zip(self.values, values[count:], strict=True)))
        except Exception as error:
            name = getattr(self.function, "__name__", repr(self.function))
            raise SpaceError(f"{where}: Derived's {name} raised {type(error).__name__}: {error}") from error

    def __repr__(self) -> str:
        inside = [repr(v) for v in self.operands] + [f"{k}={v!r}" for k, v in self.values.items()]
        return f"Derived({', '.join([getattr(self.function, '__name__', repr(self.function)), *inside])})"


class InputValue(Value):
    """The size of what reaches a module: `input.channels`, `input.features`, `input.shape`."""

    __slots__ = ("field",)
    field: str

    def __init__(self, field: str) -> None:
        self._set(field=field)

    def __getitem__(self, index: int) -> Derived:
        if self.field != "shape":
            raise SpaceError(f"input.{self.field} is one number; input.shape has indices")
        return Derived(size_at, self, index)

    def __repr__(self) -> str:
        return f"input.{self.field}"


def size_at(shape: Sequence[int], index: int) -> int:
    return shape[index]


class InputSizes:
    """`input.channels` (first size), `input.features` (last size), `input.shape` (all, without the batch).

    Inside a Derived they are the size of what reaches the module at that place, known when sizes are
    settled; so no decision can depend on them.
    """

    channels = InputValue("channels")
    features = InputValue("features")
    shape = InputValue("shape")

    def __repr__(self) -> str:
        return "input"


input = InputSizes()


def is_decision(node: object) -> bool:
    """A node that is itself a value decision: Choice, Integer, Real, Boolean."""
    return isinstance(node, Choice | Integer | Real)


def is_value(node: object) -> bool:
    """A node that stands for a value: not a Choice of modules."""
    return isinstance(node, Value) and not (isinstance(node, Choice) and node.branches is not None and is_module(node))


def is_module(node: object) -> bool:
    """Whether a node stands for a module, as far as can be said without expanding anything."""
    from archsearch.spaces.graph import Graph
    from archsearch.spaces.nodes import Module, Optional, Parallel, Repeat, Residual, Scope, Sequential, Shared

    while True:
        if isinstance(node, Module | Sequential | Residual | Parallel):
            return True
        if isinstance(node, Graph):
            return not node.is_value
        if isinstance(node, Choice) and node.branches is not None:
            return any([is_module(branch) for branch in node.branches.values()])
        if isinstance(node, Optional | Repeat | Scope | Shared):
            node = node.node
            continue
        members = getattr(node, "members", None)
        return members is not None and any([is_module(member) for member in members.values()])


def check_value(value: object, what: str) -> None:
    if isinstance(value, Node):
        if is_module(value):
            raise SpaceError(f"{what} takes values, but got the module {value!r}")
    elif isinstance(value, list | tuple):
        for item in value:
            check_value(item, what)
    elif isinstance(value, Mapping):
        for item in value.values():
            check_value(item, what)
    elif what == "Lazy" and not is_scalar(value):
        raise SpaceError(f"an argument of {what} must be a value node, a scalar or a tuple of scalars, got {value!r}")
