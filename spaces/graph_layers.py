"""The torch modules that a built graph is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from torch import Tensor, nn

from archsearch.spaces.layers import merged

Path: TypeAlias = tuple[str, ...]
"""Names in the module tree, one below the other."""

Placed: TypeAlias = tuple[Path, nn.Module]
"""A module and where it goes, below what holds it."""


def add_below(root: nn.Module, path: Path, module: nn.Module) -> None:
    """Register a module several names down, in containers that are made where there are none."""
    *outer, last = path
    for name in outer:
        if name not in root._modules:
            root.add_module(name, nn.ModuleDict())
        root = root.get_submodule(name)
    root.add_module(last, module)


def below(root: nn.Module, path: Path) -> nn.Module:
    """The module that stands there now: another may have been put in its place since the model was built."""
    for name in path:
        root = root._modules[name]  # type: ignore[assignment]
    return root


class Wiring(NamedTuple):
    """How a joint reads.

    Attributes:
        sources: what is read, in order.
        through: which of the values go through a module, and where it is.
        merge: "add", "mul" or "concat"; "" where nothing is merged, or by a module.
        dim: of concat.
        after: where the modules are that come then: the merge, where it is one, and the operation.
    """

    sources: tuple[str, ...]
    through: tuple[tuple[int, Path], ...]
    merge: str
    dim: int
    after: tuple[Path, ...]


class Joint(nn.Module):
    """A vertex of a graph, or an output: what its edges bring, merged, then through its operation.

    Args:
        links: the source of each edge, with the path and module on the way, or None.
        merge: "add", "mul", "concat", the path and module that takes all values, or None where one value comes.
        op: the path and module of the operation.
        dim: the dimension of torch.cat, for "concat".
    """

    def __init__(
        self, links: Sequence[tuple[str, Placed | None]], merge: str | Placed | None, op: Placed | None, dim: int = 1
    ) -> None:
        super().__init__()
        after = [there for there in (merge, op) if isinstance(there, tuple)]
        for there in [*[there for _, there in links if there is not None], *after]:
            add_below(self, *there)
        self._wiring = Wiring(
            tuple([source for source, _ in links]),
            tuple([(i, there[0]) for i, (_, there) in enumerate(links) if there is not None]),
            merge if isinstance(merge, str) else "",
            dim,
            tuple([path for path, _ in after]),
        )

    def forward(self, *values: Tensor) -> Tensor:
        _, through, merge, dim, after = self._wiring
        found = list(values)
        for i, path in through:
            found[i] = below(self, path)(found[i])
        if merge:
            found = [merged(found, merge, dim)]
        for path in after:
            found = [below(self, path)(*found)]
        return found[0]

    def extra_repr(self) -> str:
        sources, inside, merge, dim, after = self._wiring
        through = dict(inside)
        reads = [f"{name} via {shown(through[i])}" if i in through else name for i, name in enumerate(sources)]
        how = [merge + (f" over dim {dim}" if merge == "concat" else "")]
        return "; ".join(
            filter(None, [", ".join(reads) or "nothing", *how, *[f"then {shown(path)}" for path in after]])
        )


class Source(Joint):
    """A vertex that reads nothing: what its operation gives stands for every member of the batch.

    The graph's first input reaches it, for the size of the batch.

    Args:
        op: the path and module of the operation.
        rank: how many sizes there are after the batch.
    """

    def __init__(self, op: Placed, rank: int) -> None:
        super().__init__((), None, op)
        self._rest = (-1,) * rank

    def forward(self, *values: Tensor) -> Tensor:
        (like,) = values
        return super().forward().expand(like.shape[0], *self._rest)


class InputsGraph(nn.Module):
    """A directed acyclic graph of any number of inputs. A value is let go after its last reader.

    Args:
        inputs: the names of what reaches it.
        joints: what makes each further value, by the value's name, in the order of computing; with its path.
        outputs: the value that each output gives, by name; "" for the only one. Named ones come as a dict.
    """

    def __init__(
        self, inputs: Sequence[str], joints: Mapping[str, tuple[Path, Joint]], outputs: Mapping[str, str]
    ) -> None:
        super().__init__()
        for path, joint in joints.values():
            add_below(self, path, joint)
        index = {name: i for i, name in enumerate([*inputs, *joints])}
        last: dict[int, int] = {}
        steps = []
        for step, (path, joint) in enumerate(joints.values()):
            reads = tuple([index[source] for source in joint._wiring.sources]) or (0,)
            steps.append((path, reads))
            last.update(dict.fromkeys(reads, step))
        kept = {index[value] for value in outputs.values()}
        # What the inputs are, the caller holds anyway.
        ends = [
            [i for i, at in last.items() if at == step and i >= len(inputs) and i not in kept]
            for step in range(len(steps))
        ]
        self._inputs = tuple(inputs)
        self._plan = tuple([(*step, tuple(end)) for step, end in zip(steps, ends, strict=True)])
        self._gives = tuple([(name, index[value]) for name, value in outputs.items()])
        self._shown = ", ".join([f"{name}={value}" if name else value for name, value in outputs.items()])

    def forward(self, *inputs: Tensor) -> Tensor | dict[str, Tensor]:
        if len(inputs) != len(self._inputs):
            raise TypeError(f"the graph takes {', '.join(self._inputs)}, but got {len(inputs)} inputs")
        return self._compute(list(inputs))

    def _compute(self, values: list[Any]) -> Tensor | dict[str, Tensor]:
        for path, reads, ends in self._plan:
            values.append(below(self, path)(*[values[i] for i in reads]))
            for i in ends:
                values[i] = None
        if self._gives[0][0]:
            return {name: values[i] for name, i in self._gives}
        only: Tensor = values[self._gives[0][1]]
        return only

    def extra_repr(self) -> str:
        return f"{', '.join(self._inputs)} -> {self._shown}"


class Graph(InputsGraph):
    """A graph of one input; torch's tools read the signature."""

    def forward(self, x: Tensor) -> Tensor | dict[str, Tensor]:  # type: ignore[override]
        return self._compute([x])


def shown(path: Path) -> str:
    """A module in the tree, as torch prints the names of children."""
    return f"({'.'.join(path)})"
