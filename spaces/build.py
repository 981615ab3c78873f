"""From a settled network to real torch modules.

The names in the module tree follow places: what stands at ``body[2].op.conv`` is registered as
``body.2.op.conv`` below the root, and torch's own containers are used where they do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import nn

from archsearch.errors import BuildError
from archsearch.spaces import graph_layers, layers
from archsearch.spaces.mistakes import call
from archsearch.spaces.node import deep_recursion
from archsearch.spaces.resolved import Branches, Chain, Dag, Joint, Leaf, Once, Part, Skip
from archsearch.spaces.settled import Settled, inside, without_wrapper
from archsearch.spaces.sized import SCALARS, Argument, Named, Sized, place_of
from archsearch.spaces.targets import label, load


class Made:
    """The modules that are one wherever they stand (`Once`), as far as they have been made.

    Attributes:
        modules: by key.
        registered: the keys of those that stand in the module tree already.
    """

    def __init__(self) -> None:
        self.modules: dict[str, nn.Module] = {}
        self.registered: set[str] = set()

    def register(self, module: nn.Module) -> None:
        """Note which of them stand in the tree with `module`."""
        held = set(module.modules())
        self.registered.update([key for key, shared in self.modules.items() if shared in held])

    def clear(self) -> None:
        self.modules.clear()
        self.registered.clear()


def build(settled: Settled, device: torch.device | str | None = None, seed: int | None = None) -> nn.Module:
    """The network as plain torch modules.

    Args:
        settled: the network with its sizes.
        device: where it shall be; torch's default device if None. Weights are drawn on the CPU, so that a seed
            means the same on every device ("meta" draws none).
        seed: of the weights. Torch's global generators are left as they were. None draws from them, as torch does.

    Raises:
        BuildError: a constructor refuses its arguments.
    """
    place = torch.device(device) if device is not None else torch.get_default_device()
    with torch.random.fork_rng(devices=[], enabled=seed is not None):
        if seed is not None:
            torch.default_generator.manual_seed(seed)
        with on_device("meta" if place.type == "meta" else "cpu"), deep_recursion():
            module = make(settled.part, settled.sized, Made())
    return module if place.type in ("cpu", "meta") else module.to(place)


def on_device(kind: str) -> AbstractContextManager[Any]:
    """Where torch makes tensors; nothing to do where it does so anyway (its context slows every call down)."""
    return nullcontext() if torch.get_default_device().type == kind == "cpu" else torch.device(kind)


def make(part: Part, sized: Sized, made: Made, standing: bool = True) -> nn.Module:
    """One part.

    Args:
        part, sized: the part with its sizes.
        made: what has been made already, of what is one module at several places.
        standing: whether it stands in the module tree; an argument of a leaf does not by itself.
    """
    if isinstance(part, Leaf):
        return leaf(part, sized, made)
    if isinstance(part, Chain):
        parts = [pair for pair in inside(part, sized) if pair[0] is not None]
        chain = nn.Sequential() if len(sized.inputs) == 1 else layers.Chain()
        # As add_module does, less its checks, which `children` makes: a model holds many chains.
        chain._modules.update(children(part.place, parts, made, standing))
        return chain
    if isinstance(part, Dag):
        return graph(part, sized, made, standing)
    if isinstance(part, Branches):
        return parallel(part, sized, made, standing)
    if isinstance(part, Skip):
        return layers.Residual(*children(part.place, inside(part, sized), made, standing).items())
    return nn.Identity() if part is None else make_once(part, sized, made, standing)


def parallel(part: Branches, sized: Sized, made: Made, standing: bool) -> nn.Module:
    parts = inside(part, sized)
    if isinstance(part.merge, str):
        modules = children(part.place, parts, made, standing, items=True)
        return layers.Parallel(modules, part.merge, sized.dim or 1)
    merge, merge_sized = parts.pop()
    modules = children(part.place, parts, made, standing, items=True)
    if merge is None:
        return layers.Parallel(modules, (free("merge", modules), nn.Identity()))
    return layers.Parallel(modules, (name_of(part.place, place_of(merge)), make(merge, merge_sized, made, standing)))


def graph(part: Dag, sized: Sized, made: Made, standing: bool) -> graph_layers.InputsGraph:
    joints: dict[str, tuple[graph_layers.Path, graph_layers.Joint]] = {}
    outputs: dict[str, str] = {}
    num_vertices = len(part.vertices)
    for i, (there, own) in enumerate(zip((*part.vertices, *part.outputs), sized.children, strict=True)):
        path = path_of(part.place, there.place)
        check_name(path[-1], there.place)
        value = there.name
        if i >= num_vertices:
            passes = len(there.links) == 1 and not own.children
            # Vertices are identifiers, so this name is free.
            value = there.links[0].source if passes else graph_layers.shown(path)
            outputs[there.name] = value
            if passes:
                continue
        joints[value] = path, joint(there, own, made, standing)
    kind = graph_layers.Graph if len(part.inputs) == 1 else graph_layers.InputsGraph
    return kind(part.inputs, joints, outputs)


def joint(there: Joint, sized: Sized, made: Made, standing: bool) -> graph_layers.Joint:
    """A vertex or an output of a graph."""
    sizes = iter(sized.children)
    taken = set()

    def placed(part: Part) -> graph_layers.Placed | None:
        if part is None:
            return None
        part, own = without_wrapper(part, next(sizes))
        path = path_of(there.place, place_of(part))
        if path in taken:
            raise BuildError(f"{place_of(part)}: two modules would be called {'.'.join(path)!r} below {there.place}")
        taken.add(path)
        return path, make(part, own, made, standing)

    if not there.links:
        op = placed(there.op)
        assert op is not None
        assert not isinstance(sized.output, Named)
        return graph_layers.Source(op, len(sized.output[0]))
    links = [(link.source, placed(link.part)) for link in there.links]
    merge = there.merge if isinstance(there.merge, str) else placed(there.merge)
    if isinstance(merge, str) and len(links) == 1:
        merge = None
    return graph_layers.Joint(links, merge, placed(there.op), sized.dim or 1)


def children(
    place: str, parts: Iterable[tuple[Part, Sized]], made: Made, standing: bool, items: bool = False
) -> dict[str, nn.Module]:
    """The modules inside a part, by the names that their places give them.

    Args:
        items: whether items count as so many branches.
    """
    modules: dict[str, nn.Module] = {}
    for part, sized in parts:
        if part is None:
            modules[free("identity", modules)] = nn.Identity()
            continue
        here = place_of(part)
        name = name_of(place, here)
        check_name(name, here)
        if name in modules:
            raise BuildError(f"{here}: two modules would be called {name!r} below {place or 'root'}")
        if items and isinstance(part, Chain) and part.items:
            modules[name] = layers.Items(children(here, inside(part, sized), made, standing, items=True))
        else:
            modules[name] = make(part, sized, made, standing)
    return modules


TAKEN = frozenset(dir(nn.Sequential()))


def check_name(name: str, place: str) -> None:
    """Refuse what torch's modules call something of their own."""
    if name in TAKEN:
        raise BuildError(f"{place}: a module cannot be called {name!r}: torch's modules have an attribute of that name")


def free(name: str, taken: Mapping[str, Any]) -> str:
    """A name for a module without a place of its own; it has no weights, so no one meets the name."""
    return next(tried for i in range(len(taken) + 1) if (tried := f"{name}{i}" if i else name) not in taken)


def name_of(parent: str, place: str) -> str:
    """A child's name: the last step of its place, without what torch forbids in names.

    >>> name_of("body[2]", "body[2].op"), name_of("body", "body[2](3,0.5)"), name_of("", "head")
    ('op', '2(3,0_5)', 'head')
    """
    step = place.removeprefix(parent)
    if step[:1] == ".":
        step = step[1:]
    elif step[:1] == "[":
        index, _, rest = step[1:].partition("]")
        step = index + rest
    return step.replace(".", "_") or "0"


def path_of(parent: str, place: str) -> tuple[str, ...]:
    """The names below a parent, where a place is several steps further.

    >>> path_of("n1", "n1.inputs[0].op(3,0.5)"), path_of("", "outputs.logits")
    (('inputs', '0', 'op(3,0_5)'), ('outputs', 'logits'))
    """
    step = place.removeprefix(parent).removeprefix(".")
    if step.isidentifier():
        return (step,)
    steps, values, rest = step.partition("(")
    *outer, last = re.findall(r"\w+|\*", steps)
    return (*outer, last + (values + rest).replace(".", "_"))


def make_once(once: Once, sized: Sized, made: Made, standing: bool) -> nn.Module:
    """The one module at its first place; afterwards a reference to it."""
    module = made.modules.get(once.key)
    if module is None:
        module = made.modules[once.key] = make(*inside(once, sized)[0], made, standing)
        if standing:
            made.register(module)
        return module
    if not standing:
        return module
    if once.key in made.registered:
        return layers.Alias(module)
    made.register(module)
    return module


def leaf(part: Leaf, sized: Sized, made: Made) -> nn.Module:
    arguments = sized.arguments or {}
    target = load(part.target, part.place)
    try:
        module = make_leaf(target, values(arguments, made))
    except BuildError:
        raise
    except Exception as error:
        raise BuildError(f"{part.place or 'root'}: {call(part.target, arguments)} cannot be made: {error}") from error
    if made.modules:
        made.register(module)
    return module


def make_leaf(target: Callable[..., Any], arguments: Mapping[str, Any]) -> nn.Module:
    """The module of a class, or a function with its arguments."""
    if isinstance(target, type):
        module = target(**arguments)
        if not isinstance(module, nn.Module):
            raise BuildError(f"{target.__qualname__} is no torch.nn.Module; derive from it, or lift a function")
        return module
    if any(isinstance(value, list | tuple | dict) and holds_module(value) for value in arguments.values()):
        raise BuildError(
            f"{label(target)} is a function: the modules that it uses are arguments of their own, no lists"
        )
    return layers.Function(target, arguments)


def holds_module(value: Any) -> bool:
    if isinstance(value, list | tuple | dict):
        return any(holds_module(item) for item in (value.values() if isinstance(value, dict) else value))
    return isinstance(value, nn.Module)


def values(value: Any, made: Made) -> Any:
    """Arguments with real modules where descriptions of modules stood; lists and dicts are new ones."""
    if type(value) in SCALARS:
        return value
    if isinstance(value, Argument):
        return make(*without_wrapper(value.part, value.sized), made, standing=False)
    if isinstance(value, list | tuple):
        return type(value)([values(item, made) for item in value])
    if isinstance(value, Mapping):
        return {key: values(item, made) for key, item in value.items()}
    return value
