"""What every node of the language is: a small frozen description.

A node says what could be. It holds no answers, imports no torch, and two uses of one object are two
copies (LANGUAGE.md section 4, rule 1): what makes them one decision is a name.
"""

from __future__ import annotations

import math
import operator
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

from archsearch.errors import SpaceError

if TYPE_CHECKING:
    from archsearch.spaces.decisions import Decision
    from archsearch.spaces.values import Derived

# What torch.nn.Module and its containers already call something: a child of that name would hide it.
RESERVED = frozenset(
    [
        "T_destination",
        "add_module",
        "append",
        "apply",
        "bfloat16",
        "buffers",
        "call_super_init",
        "children",
        "clear",
        "compile",
        "copy",
        "cpu",
        "cuda",
        "double",
        "dump_patches",
        "eval",
        "extend",
        "extra_repr",
        "float",
        "forward",
        "get_buffer",
        "get_extra_state",
        "get_parameter",
        "get_submodule",
        "half",
        "insert",
        "ipu",
        "items",
        "keys",
        "load_state_dict",
        "modules",
        "mtia",
        "named_buffers",
        "named_children",
        "named_modules",
        "named_parameters",
        "parameters",
        "pop",
        "register_backward_hook",
        "register_buffer",
        "register_forward_hook",
        "register_forward_pre_hook",
        "register_full_backward_hook",
        "register_full_backward_pre_hook",
        "register_load_state_dict_post_hook",
        "register_load_state_dict_pre_hook",
        "register_module",
        "register_parameter",
        "register_state_dict_post_hook",
        "register_state_dict_pre_hook",
        "requires_grad_",
        "set_extra_state",
        "set_submodule",
        "share_memory",
        "state_dict",
        "to",
        "to_empty",
        "train",
        "training",
        "type",
        "update",
        "values",
        "xpu",
        "zero_grad",
    ]
)


class Node:
    """Base of all nodes. Frozen: attributes are set once, in the constructor; compared by identity."""

    __slots__ = ()

    def __setattr__(self, attribute: str, value: object) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is frozen; make a new one instead of setting {attribute!r}")

    def _set(self, **fields: object) -> None:
        for name, value in fields.items():
            object.__setattr__(self, name, value)

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in slots(self)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._set(**state)

    def __iter__(self) -> NoReturn:
        raise TypeError(f"{type(self).__name__} is a description and cannot be iterated over")

    def resolve(self, decide: Callable[[Decision, str], Any]) -> Any:
        """Walk depth first, left to right, and answer with `decide(decision, path)` everything open.

        Returns the resolved structure: values, and `archsearch.spaces.resolved` parts where modules stand.
        """
        from archsearch.spaces.space import Space

        return Space(self).resolve(decide)


def slots(node: Node) -> list[str]:
    return [name for cls in type(node).__mro__ for name in getattr(cls, "__slots__", ())]


class Value(Node):
    """Base of the nodes that stand for a value. Arithmetic on them gives a `Derived`.

    >>> from archsearch.spaces.values import Choice
    >>> k = Choice([1, 3, 5], name="k")
    >>> k // 2
    Derived(floordiv, Choice([1, 3, 5], name='k'), 2)
    """

    __slots__ = ()

    def __add__(self, other: Any) -> Derived:
        return arithmetic(operator.add, self, other)

    def __radd__(self, other: Any) -> Derived:
        return arithmetic(operator.add, other, self)

    def __sub__(self, other: Any) -> Derived:
        return arithmetic(operator.sub, self, other)

    def __rsub__(self, other: Any) -> Derived:
        return arithmetic(operator.sub, other, self)

    def __mul__(self, other: Any) -> Derived:
        return arithmetic(operator.mul, self, other)

    def __rmul__(self, other: Any) -> Derived:
        return arithmetic(operator.mul, other, self)

    def __truediv__(self, other: Any) -> Derived:
        return arithmetic(operator.truediv, self, other)

    def __rtruediv__(self, other: Any) -> Derived:
        return arithmetic(operator.truediv, other, self)

    def __floordiv__(self, other: Any) -> Derived:
        return arithmetic(operator.floordiv, self, other)

    def __rfloordiv__(self, other: Any) -> Derived:
        return arithmetic(operator.floordiv, other, self)

    def __mod__(self, other: Any) -> Derived:
        return arithmetic(operator.mod, self, other)

    def __rmod__(self, other: Any) -> Derived:
        return arithmetic(operator.mod, other, self)

    def __pow__(self, other: Any) -> Derived:
        return arithmetic(operator.pow, self, other)

    def __rpow__(self, other: Any) -> Derived:
        return arithmetic(operator.pow, other, self)

    def __neg__(self) -> Derived:
        return arithmetic(operator.neg, self)

    def __bool__(self) -> NoReturn:
        raise TypeError(
            f"{self!r} has no value before it is decided, so it cannot be tested; "
            "use Derived(lambda x: ..., x=it) for a value that depends on it, or Choice({...}) for a branch"
        )


def arithmetic(function: Callable[..., Any], *operands: Any) -> Derived:
    from archsearch.spaces.values import Derived

    return Derived(function, *operands)


def check_name(name: object, what: str) -> None:
    """A name of a decision or a shared part: an identifier."""
    if name is not None and not (isinstance(name, str) and name.isidentifier()):
        raise SpaceError(f"the name of a {what} must be an identifier, but got name={name!r}")


def check_label(label: object, what: str, branch: object = None) -> None:
    """A label or keyword becomes a step of paths and the name of a torch child, so it must serve as both."""
    if not isinstance(label, str):
        raise SpaceError(f"the labels of a {what} must be strings, but got {label!r}")
    if not label.isidentifier():
        raise SpaceError(f"{label!r} cannot be a label of a {what}: not an identifier; {suggest(label, branch)!r} can")
    if label in RESERVED:
        raise SpaceError(f"{label!r} cannot be a label of a {what}: torch uses the name; {label + '_'!r} can")
    if label.startswith("_"):
        other = label.lstrip("_") or "option"
        raise SpaceError(f"{label!r} cannot be a label of a {what}: names with _ in front are torch's; {other!r} can")


def suggest(label: str, branch: object) -> str:
    clean = re.sub(r"\W+", "_", label).strip("_") or "option"
    if clean.isidentifier():
        return clean
    target = str(getattr(branch, "target", "")).lower()
    return ("conv" if "conv" in target or re.fullmatch(r"\d+x\d+", clean) else "op") + clean


def is_scalar(value: object) -> bool:
    """What an answer may be: None, bool, int, a finite float, or a string."""
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, bool | int | str)


def is_open_container(value: object) -> bool:
    """A dict, list or tuple with a node somewhere inside."""
    if isinstance(value, Mapping):
        return any(isinstance(v, Node) or is_open_container(v) for v in value.values())
    if isinstance(value, list | tuple):
        return any(isinstance(v, Node) or is_open_container(v) for v in value)
    return False


def has_node(value: object) -> bool:
    return isinstance(value, Node) or is_open_container(value)


@contextmanager
def deep_recursion() -> Iterator[None]:
    """Let Python functions call each other as deep as a space is nested.

    From Python 3.11 on, calls between Python functions use no C stack, so the limit only guards against
    endless recursion; spaces have limits of their own against that.
    """
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, 200_000))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)
