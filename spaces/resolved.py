"""What a walk means: the network with every decision answered, and sizes still open.

These few shapes are the whole interface between the language (which produces them) and settling and
building (which consume them). Every part's `place` extends its parent's place by one step: ``.name`` or
``[i]``, perhaps followed by ``(v1,v2)`` where a `Lazy` stood. `None` where a part stands is the identity.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True)
class Formula:
    """A value that follows from the size of what reaches its module (`A.input` inside a Derived).

    `evaluate` takes an `InputSize` (`.channels`, `.features`, `.shape`) and returns the value. Formulas with
    equal keys give equal values for equal inputs.
    """

    place: str
    evaluate: Callable[[Any], Any]
    key: Any = None


class Numbered:
    """A part that keeps the number of its structure, once somebody asked for it (`sized.number`)."""

    __slots__ = ("structure",)
    structure: int | None


@dataclass(frozen=True, slots=True)
class Leaf(Numbered):
    """One torch module or function.

    `arguments` go by parameter name. A value is plain, a list, tuple or dict of values, a `Formula`, or
    another resolved part (a module that is an argument of a module). `infer` names the parameters that
    follow from the input: parameter -> "channels" | "features" | "shape" | function of the input shapes.
    `shape`, where given, is a function of (input shapes..., **arguments) that returns the output shape, for
    modules that cannot run on torch's meta device.
    """

    place: str
    target: Callable[..., Any] | str
    arguments: Mapping[str, Any]
    infer: Mapping[str, Any]
    shape: Callable[..., Any] | None = None


@dataclass(frozen=True, slots=True)
class Chain(Numbered):
    """Parts one after the other. `items` says that they are items (of a Repeat, Permute or Subset), which a
    `Branches` takes as so many branches."""

    place: str
    parts: tuple[Part, ...]
    items: bool = False


@dataclass(frozen=True, slots=True)
class Skip(Numbered):
    """x + body(x). `project`: "auto" (made where shapes differ), a part used where shapes differ, or None."""

    place: str
    body: Part
    project: Part | str = "auto"


@dataclass(frozen=True, slots=True)
class Branches(Numbered):
    """Several parts over one input, merged: "add", "mul", "concat" (over `dim`), or a part of many inputs."""

    place: str
    parts: tuple[Part, ...]
    merge: Part | str = "concat"
    dim: int | None = None


@dataclass(frozen=True, slots=True)
class Once(Numbered):
    """A part that is one module wherever its `key` stands: Shared(weights=True)."""

    key: str
    part: Part


@dataclass(frozen=True, slots=True)
class Link:
    """An edge of a Dag.

    `source` is the name of an input or of a vertex; `part` the operation on the way (None: the value as it is).
    The place of the part extends its reader's by ``.source``, or by several steps (``.inputs[0].op``,
    ``.inputs[0].present.op``) where the source was decided or is read twice.
    """

    source: str
    part: Part


@dataclass(frozen=True, slots=True)
class Joint:
    """What reads in a Dag: a live vertex, or an output.

    The values that `links` bring are merged ("add", "mul", "concat" over `dim`, or a part of many inputs, at
    ``.merge``; one value needs no word), then go through `op`, at ``.op``. A vertex without links is a source
    of its own: `op` takes no inputs. `name` is "" for the only output. In a wiring `op` is a label instead.
    """

    name: str
    place: str
    links: tuple[Link, ...]
    merge: Part | str
    dim: int | None
    op: Any = None


@dataclass(frozen=True, slots=True)
class Dag(Numbered):
    """A graph: what is live of it, vertices in the order of computing.

    `inputs` are the names of what reaches it, in order. The vertex `v` stands at ``.v``, the only output at
    ``.outputs``, a named one at ``.outputs.name``; with named outputs the result is a dict of them.
    """

    place: str
    inputs: tuple[str, ...]
    vertices: tuple[Joint, ...]
    outputs: tuple[Joint, ...]


Part: TypeAlias = Leaf | Chain | Skip | Branches | Once | Dag | None
