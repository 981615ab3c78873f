"""From a settled network to the expressions that make its modules.

They follow `build`: the same names in the module tree, and modules made in the same order, so that a seed means the
same weights. Parts that have no weights need no names, and an identity on an edge of a graph no module.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from archsearch.errors import BuildError
from archsearch.spaces import layers
from archsearch.spaces.build import free, name_of, path_of
from archsearch.spaces.resolved import Branches, Chain, Dag, Joint, Leaf, Once, Part, Skip
from archsearch.spaces.settled import Settled, modules_in, without_wrapper
from archsearch.spaces.sized import Named, Sized
from archsearch.spaces.source_names import Names
from archsearch.spaces.source_text import Atom, Expression, Group, Module, call, is_name, quoted
from archsearch.spaces.source_values import Values
from archsearch.spaces.source_wires import IDENTITY, Wires, variable
from archsearch.spaces.targets import load

MERGES = {"add": "Sum", "mul": "Product", "concat": "Concat"}


@dataclass
class Local:
    """A module that stands at several places (`Once`): made before the statement that first needs it.

    Attributes:
        name: what it is called.
        made: the expression that makes it.
    """

    name: str
    made: Expression


class Tree:
    """Writes the parts of one network.

    Args:
        names: of the file.
        root: the network.
        built: the same network as modules.

    Attributes:
        locals: by key, each after those that it needs.
        drawn: the places of leaves that may draw random weights, in the order in which `build` makes them.
    """

    def __init__(self, names: Names, root: Settled, built: nn.Module) -> None:
        self.names = names
        self.values = Values(names, self.argument)
        self.holding = {key[:end] for key in built.state_dict() for end in [0, *dots(key)]}
        self.again = {p for p, m in built.named_modules(remove_duplicate=False) if isinstance(m, layers.Alias)}
        self.locals: dict[str, Local] = {}
        self.drawn: list[str] = []
        names.use("nn")
        # What the user calls something keeps its name; ours take what is left.
        for settled in leaves(root):
            names.of(settled.part.target, settled.place)  # type: ignore[union-attr]

    def part(self, settled: Settled, path: str | None) -> Expression:
        """The expression that makes a part.

        Args:
            settled: the part with its sizes.
            path: where it stands in the module tree; None in an argument, which does not stand there by itself.
        """
        part = settled.part
        match part:
            case None:
                return IDENTITY
            case Once():
                return self.once(settled, part, path)
            case Leaf():
                return self.leaf(settled, part)
            case Chain():
                return self.chain(settled, part, path)
            case Skip():
                return self.skip(settled, part, path)
            case Branches():
                return self.branches(settled, part, path)
            case Dag():
                return self.graph(settled, part, path)

    def parts(self, inside: Sequence[Settled], names: Sequence[str], path: str | None) -> list[Expression]:
        return [self.part(child, below(path, name)) for child, name in zip(inside, names, strict=True)]

    def container(
        self,
        callee: str,
        settled: Settled,
        names: Sequence[str],
        children: Sequence[Expression],
        arguments: tuple[tuple[str, Expression], ...] = (),
    ) -> Module:
        named = [
            replace(child, name=name) if isinstance(child, Atom) and is_name(name) else child
            for name, child in zip(names, children, strict=True)
        ]
        return Module(callee, arguments, tuple(names), tuple(named), places=(settled.place,))

    def chain(self, settled: Settled, part: Chain, path: str | None) -> Expression:
        inside = [child for child in settled.children if child.part is not None]
        names = child_names(part.place, inside)
        if not inside:
            return IDENTITY
        if len(inside) == 1 and path is not None and path not in self.holding:
            return self.part(inside[0], below(path, names[0]))
        # The model's own class may take several inputs where its method is written out.
        written_out = path == "" and len(names) > 1 and all([is_name(name) for name in names])
        single = len(settled.sized.inputs) == 1 or written_out
        callee = "nn.Sequential" if single else self.names.helper("Chain")
        return self.container(callee, settled, names, self.parts(inside, names, path))

    def skip(self, settled: Settled, part: Skip, path: str | None) -> Module:
        names = child_names(part.place, settled.children)
        children = self.parts(settled.children, names, path)
        if len(names) == 1:
            return self.container(self.names.helper("Residual"), settled, names, children)
        body, project = children
        if names == ["0", "project"]:
            callee = self.names.helper("ProjectedResidual")
            return Module(callee, (("", body), ("", project)), places=(settled.place,))
        # A part of a Lazy's making has its values in its name.
        wires = Wires(["x"])
        y = wires.variable("y")
        wires.assign(y, wires.through((names[0],), body, [Atom("x")]))
        projected = wires.through((names[1],), project, [Atom("x")])
        return wires.module(settled.place, wires.merged("add", [projected, Atom(y)], 1, y))

    def once(self, settled: Settled, once: Once, path: str | None) -> Expression:
        found = self.locals.get(once.key)
        if found is not None:
            again = path is not None and path in self.again
            text = f"{self.names.helper('Again')}({found.name})" if again else found.name
            return Atom(text, "nn.Module", found.name, scoped=True)
        made = self.part(settled.children[0], path)
        taken = {local.name for local in self.locals.values()} | set(self.names.imports.taken)
        words = re.findall(r"[^\W\d]\w*", once.key) or ["shared"]
        name = variable(words[-1], taken)
        self.locals[once.key] = Local(name, made)
        return Atom(name, "nn.Module", name, scoped=True)

    def leaf(self, settled: Settled, part: Leaf) -> Expression:
        target = load(part.target, part.place)
        callee = self.names.of(part.target, part.place)
        values = settled.arguments
        given = {name: self.values.of(value, name, part.place) for name, value in values.items()}
        holders = [name for name, value in values.items() if any(True for _ in modules_in(value))]
        module = str(getattr(target, "__module__", ""))
        if settled.parameters or not module.startswith("torch."):
            self.drawn.append(part.place)
        if not isinstance(target, type):
            helper = self.names.helper("ApplyWith" if holders else "Apply")
            function = ("", Atom(callee, "Any", "function"))
            return Module(helper, (function, *keywords(given)), places=(part.place,))
        if not given and (
            target is nn.Identity or (module == "torch.nn.modules.activation" and not settled.parameters)
        ):
            return Atom(f"{callee}()", "nn.Module", "activation")
        # Modules are made in the order in which they were given.
        arguments = keywords(given) if len(holders) > 1 else by_signature(target, given)
        return Module(callee, tuple(arguments), places=(part.place,))

    def argument(self, value: Any) -> Expression | None:
        return self.part(value, None) if isinstance(value, Settled) else None

    def branches(self, settled: Settled, part: Branches, path: str | None) -> Expression:
        inside = list(settled.children)
        merge = inside.pop() if not isinstance(part.merge, str) else None
        dim = settled.sized.dim or 1
        how = part.merge if isinstance(part.merge, str) else ""
        if not regroups(inside, how):
            return self.branches_apart(settled, part, inside, merge, path)
        names = child_names(part.place, inside)
        children = [self.items(child, how, dim, below(path, name)) for child, name in zip(inside, names, strict=True)]
        kept = [(name, child) for name, child in zip(names, children, strict=True) if child is not None]
        if merge is not None:
            name = "merge" if merge.part is None else name_of(part.place, merge.place)
            kept.append((name, self.part(merge, below(path, name))))
            return self.container(self.names.helper("Merge"), settled, *zip(*kept, strict=True))
        only_items = len(kept) == 1 and is_items(
            next(c for c, e in zip(inside, children, strict=True) if e is not None)
        )
        if only_items:
            callee = "nn.Sequential" if len(settled.sized.inputs) == 1 else self.names.helper("Chain")
            return self.container(callee, settled, *zip(*kept, strict=True))
        return self.merging(how, dim, settled, kept)

    def merging(self, how: str, dim: int, settled: Settled, kept: Sequence[tuple[str, Expression]]) -> Module:
        """A container that merges what its children make."""
        arguments = (("dim=", Atom(str(dim), "int", "dim")),) if how == "concat" and dim != 1 else ()
        names, children = zip(*kept, strict=True)
        return self.container(self.names.helper(MERGES[how]), settled, names, children, arguments)

    def items(self, settled: Settled, how: str, dim: int, path: str | None) -> Expression | None:
        """A branch, or the items in its place as one branch; None of no items."""
        if not is_items(settled):
            return self.part(settled, path)
        names = child_names(settled.place, settled.children)
        found = [(n, self.items(c, how, dim, below(path, n))) for n, c in zip(names, settled.children, strict=True)]
        kept = [(name, item) for name, item in found if item is not None]
        return self.merging(how, dim, settled, kept) if kept else None

    def branches_apart(
        self, settled: Settled, part: Branches, inside: Sequence[Settled], merge: Settled | None, path: str | None
    ) -> Module:
        """Branches that no container of ours computes: each by itself."""
        number = len(settled.sized.inputs)
        wires = Wires(["x"] if number == 1 else [f"x{i}" for i in range(1, number + 1)])
        given = [Atom(name) for name in wires.inputs]
        terms: list[Expression] = []

        def add(place: str, some: Sequence[Settled], at: tuple[str, ...]) -> None:
            for child, name in zip(some, child_names(place, some), strict=True):
                if is_items(child):
                    add(child.place, child.children, (*at, name))
                else:
                    terms.append(wires.through((*at, name), self.part(child, below(path, *at, name)), given))

        add(part.place, inside, ())
        if merge is not None:
            name = "merge" if merge.part is None else name_of(part.place, merge.place)
            return wires.module(settled.place, wires.through((name,), self.part(merge, below(path, name)), terms))
        assert isinstance(part.merge, str)
        return wires.module(settled.place, wires.merged(part.merge, terms, settled.sized.dim or 1, "y"))

    def graph(self, settled: Settled, part: Dag, path: str | None) -> Module:
        wires = Wires(part.inputs)
        values = dict(zip(part.inputs, wires.inputs, strict=True))
        outputs: dict[str, Expression] = {}
        for i, (joint, sized) in enumerate(settled.joints()):
            is_output = i >= len(part.vertices)
            if is_output and len(joint.links) == 1 and not sized.children:
                outputs[joint.name] = Atom(values[joint.links[0].source])
                continue
            target = wires.variable(joint.name or "y")
            value = self.joint(wires, target, values, path_of(part.place, joint.place), joint, sized, path)
            if not (isinstance(value, Atom) and value.text.isidentifier()):
                wires.assign(target, value)
                value = Atom(target)
            if is_output:
                outputs[joint.name] = value
            else:
                values[joint.name] = value.text
        if list(outputs) == [""]:
            return wires.module(settled.place, outputs[""])
        named = Group("{", tuple([(f"{quoted(name)}: ", value) for name, value in outputs.items()]), "}")
        return wires.module(settled.place, named, "dict[str, Tensor]")

    def joint(
        self,
        wires: Wires,
        target: str,
        values: Mapping[str, str],
        at: tuple[str, ...],
        joint: Joint,
        sized: Sized,
        path: str | None,
    ) -> Expression:
        """The value of one vertex or output of a graph; steps on the way to it go into `wires`."""
        sizes = iter(sized.children)

        def through(part: Part, given: Sequence[Expression]) -> Expression:
            child = Settled(*without_wrapper(part, next(sizes)))
            steps = (*at, *path_of(joint.place, child.place))
            return wires.through(steps, self.part(child, below(path, *steps)), given)

        terms: list[Expression] = []
        for link in joint.links:
            value: Expression = Atom(values[link.source])
            terms.append(value if link.part is None else through(link.part, [value]))
        merge = joint.merge
        if isinstance(merge, str) and len(terms) > 1:
            terms = [wires.merged(merge, terms, sized.dim or 1, target)]
        elif merge is not None and not isinstance(merge, str) and terms:
            terms = [through(merge, terms)]
        if joint.op is not None:
            if len(terms) == 1 and not isinstance(terms[0], Atom):
                wires.assign(target, terms[0])
                terms = [Atom(target)]
            terms = [through(joint.op, terms)]
        if joint.links:
            return terms[0]
        # What reads nothing stands for every member of the batch.
        assert not isinstance(sized.output, Named)
        batch = [f"{wires.inputs[0]}.shape[0]", *["-1" for _ in sized.output[0]]]
        wires.assign(target, terms[0])
        return call(f"{target}.expand", *[Atom(size) for size in batch])


def dots(key: str) -> list[int]:
    return [i for i, character in enumerate(key) if character == "."]


def is_items(settled: Settled) -> bool:
    """Whether it stands for so many branches."""
    return isinstance(settled.part, Chain) and settled.part.items


def regroups(inside: Sequence[Settled], how: str) -> bool:
    """Whether merging items first, and what comes of it with the others, gives the same to the last bit."""
    grouped = [i for i, child in enumerate(inside) if is_items(child)]
    if not grouped or how == "concat":
        return True
    return how != "" and grouped == [0] and regroups(inside[0].children, how)


def below(path: str | None, *names: str) -> str | None:
    """The path of a module inside another."""
    return None if path is None else ".".join([*([path] if path else []), *names])


def child_names(place: str, inside: Sequence[Settled]) -> list[str]:
    """The names of modules inside a part; of an identity, which has no place, one that fits its position."""
    own = [name_of(place, child.place) if child.part is not None else "" for child in inside]
    found: list[str] = []
    for i, name in enumerate(own):
        if name and name in found:
            raise BuildError(f"{inside[i].place}: two modules would be called {name!r} below {place or 'root'}")
        taken = dict.fromkeys([*own, *found])
        found.append(name or (str(i) if str(i) not in taken else free("identity", taken)))
    return found


def leaves(settled: Settled) -> Iterator[Settled]:
    """Every leaf, those in the arguments of others included."""
    if isinstance(settled.part, Leaf):
        yield settled
    for child in settled.children:
        yield from leaves(child)
    for value in settled.arguments.values():
        for inside in modules_in(value):
            yield from leaves(inside)


def keywords(given: Mapping[str, Expression]) -> list[tuple[str, Expression]]:
    """Arguments by name."""
    found = [(f"{name}=", value) for name, value in given.items() if is_name(name)]
    others = tuple([(f"{quoted(name)}: ", value) for name, value in given.items() if not is_name(name)])
    return [*found, ("**", Group("{", others, "}"))] if others else found


def by_signature(target: Callable[..., Any], given: Mapping[str, Expression]) -> list[tuple[str, Expression]]:
    """Arguments in the order of the signature; those without a default by position, where they come first."""
    try:
        parameters = inspect.signature(target).parameters
    except (ValueError, TypeError):
        return keywords(given)
    first = []
    for name, parameter in parameters.items():
        if (
            name not in given
            or parameter.default is not parameter.empty
            or parameter.kind != parameter.POSITIONAL_OR_KEYWORD
        ):
            break
        first.append(name)
    rest = [name for name in parameters if name in given and name not in first]
    rest += [name for name in given if name not in parameters]
    return [*[("", given[name]) for name in first], *keywords({name: given[name] for name in rest})]
