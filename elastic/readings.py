"""What the linear layers of one transformer layer are: the feed-forward and the attention, read off shapes and names.

d is the width that comes in and goes out, h the hidden width, E the size of a head.

A feed-forward is a module that has no linear layers but one d -> h (two of them: gated; one d -> 2h: gated, in one
matrix) and one h -> d. An attention has linear layers that are named for queries, keys and values, or for all three,
and one that takes what has the queries' size. What fits in two ways has two readings; nothing is chosen by luck.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

from torch import nn

from archsearch.elastic.declare import Blocks, Piece

# A part's last name, numbers left out (`to_out.0`), in lower case.
QUERY = {"q", "q_proj", "query", "query_proj", "wq", "to_q", "q_lin", "q_linear"}
KEY = {"k", "k_proj", "key", "key_proj", "wk", "to_k", "k_lin", "k_linear"}
VALUE = {"v", "v_proj", "value", "value_proj", "wv", "to_v", "v_lin", "v_linear"}
FUSED = {"qkv", "qkv_proj", "c_attn", "query_key_value", "in_proj", "wqkv", "to_qkv", "qkv_lin", "attn_qkv"}
OUT = {"o", "o_proj", "out", "out_proj", "wo", "to_out", "out_lin", "dense", "c_proj", "proj", "attn_out"}
DOWN = {"down", "down_proj", "fc2", "c_proj", "w2", "lin2", "linear2", "dense_4h_to_h", "fc_out", "proj_out", "wo"}
UP = {"up", "up_proj", "gate", "gate_proj", "fc1", "c_fc", "w1", "w3", "lin1", "linear1", "dense_h_to_4h", "fc_in"}

# Attributes that say or count the heads, the groups that share keys and values, the size of a head, the hidden width.
HEADS = ("num_heads", "num_attention_heads", "n_heads", "n_head", "nhead", "heads")
GROUPS = ("num_key_value_heads", "num_kv_heads", "n_kv_heads", "n_kv_head", "kv_heads", "num_groups")
HEAD_SIZE = ("head_dim", "attention_head_size", "head_size", "dim_head", "d_head", "dim_per_head")
ALL_HEADS = ("all_head_size", "split_size", "inner_dim", "attention_dim")
HIDDEN = ("intermediate_size", "hidden_dim", "hidden_features", "d_ff", "ffn_dim", "inner_dim", "dim_feedforward")


# In and out of a linear layer, by its name.
Sizes: TypeAlias = dict[str, tuple[int, int]]


@dataclass(frozen=True)
class Reading:
    """One way to see units in some modules.

    Attributes:
        kind: `ffn` or `heads`.
        units: how many there are.
        outputs: modules whose outputs they are, as `archsearch.elastic.axis` takes them.
        inputs: modules that take them.
        counts: attributes that grow with them.
        says: the same in words.
        doubt: what speaks against it until it is tried; "" where nothing does.
    """

    kind: str
    units: int
    outputs: tuple[Piece, ...]
    inputs: tuple[Piece, ...]
    counts: tuple[str, ...]
    says: str
    doubt: str = ""


class Layer:
    """What stands in one layer.

    Args:
        model: the whole of it.
        path: of the layer.

    Attributes:
        readings: of each thing found, the possible ones.
        doubts: what could not be read: where, and the reason.
    """

    def __init__(self, model: nn.Module, path: str) -> None:
        self.model = model
        self.path = path
        self.readings: list[list[Reading]] = []
        self.doubts: list[tuple[str, str]] = []
        self.linear = linear_sizes(model, path)
        self.left = dict(self.linear)
        modules = dict(model.get_submodule(path).named_modules(prefix=path))
        for name, module in modules.items():
            if isinstance(module, nn.MultiheadAttention):
                self.doubts.append((name, "heads in torch.nn.MultiheadAttention, which has their sizes fixed"))
                self.take(within(self.left, name))
        # Inner modules first, the layer last.
        self.scopes = sorted((name for name in modules if name not in self.linear), key=lambda n: -n.count("."))
        self.widths: set[int] = set()
        for scope in self.scopes:
            self.read_attention(scope)
        norms = {size for name in self.scopes for size in vectors(modules[name])}
        self.widths = self.widths or norms
        for scope in self.scopes:
            self.read_ffn(scope)
        if self.left:
            sizes = ", ".join(f"{self.short(name)} ({i} -> {o})" for name, (i, o) in self.left.items())
            self.doubts.append((path, f"not understood: {sizes}"))

    def take(self, names: Iterable[str]) -> None:
        for name in list(names):
            self.left.pop(name, None)

    def short(self, name: str) -> str:
        """A name as it is in the layer."""
        return name[len(self.path) + 1 :] or name

    def arrow(self, ups: Iterable[str], down: str) -> str:
        return f"{', '.join(map(self.short, ups))} -> {self.short(down)}"

    def attributes(self, scope: str, names: Iterable[str], holds: Callable[[int], bool]) -> list[str]:
        """The paths of a module's attributes of these names that are numbers of which something holds."""
        module = self.model.get_submodule(scope)
        found = {name: getattr(module, name, None) for name in names}
        return [f"{scope}.{n}" for n, v in found.items() if isinstance(v, int) and not isinstance(v, bool) and holds(v)]

    def others(self, scope: str, sizes: Collection[int]) -> list[str]:
        """The modules in a module that are no linear layers and have tensors with a dimension of these sizes."""
        return [
            name
            for name, module in self.model.get_submodule(scope).named_modules(prefix=scope)
            if name not in self.linear
            and any(
                n in sizes
                for key, tensor in (*module._parameters.items(), *module._buffers.items())
                if tensor is not None and "inv_freq" not in key  # of rotary positions: half a head's size
                for n in tensor.shape
            )
        ]

    def read_attention(self, scope: str) -> None:
        """Add the attention that a module is, and take its linear layers out of what is left."""
        inside = within(self.left, scope)
        parts = [named(inside, names) for names in (QUERY, KEY, VALUE)]
        fused = named(inside, FUSED)
        if not fused and not all(parts):
            return
        sources = fused or [name for part in parts for name in part]
        self.take(sources)
        if len(sources) != (1 if fused else 3):
            names = ", ".join(map(self.short, sources))
            self.doubts.append((scope, f"several linear layers may be the queries, keys and values of heads: {names}"))
            return
        d, outputs = inside[sources[0]]
        found = self.taking(scope, d, (lambda i: i < outputs) if fused else (lambda i: i == outputs))
        if len(found) != 1:
            names = " or ".join(map(self.short, found)) or "not found"
            self.doubts.append((scope, f"what takes the heads of {self.short(sources[0])} is {names}"))
            return
        self.widths.add(d)
        width = self.left[found[0]][0]
        self.take(found)
        self.readings.append(self.heads(scope, sources, found[0], width))

    def taking(self, scope: str, d: int, fits: Callable[[int], bool]) -> list[str]:
        """The linear layers that may take the outputs of heads: in the module of the queries, or around it."""
        while True:
            found = [name for name, (i, o) in within(self.left, scope).items() if o == d and fits(i)]
            by_name = [name for name in found if last(name) in OUT]
            if found or scope == self.path:
                return by_name if len(by_name) == 1 else found
            scope = scope.rpartition(".")[0]

    def heads(self, scope: str, sources: list[str], out: str, width: int) -> list[Reading]:
        """The ways to see groups of heads in queries, keys and values; the queries of all heads have a width."""
        shared = self.linear[sources[1]][1] if len(sources) == 3 else (self.linear[sources[0]][1] - width) // 2
        size = self.head_size(scope, width)
        if size is None or shared < size or width % size or shared % size or width % shared:
            self.doubts.append((scope, f"nothing says how many heads the outputs of {self.short(sources[0])} are"))
            return []
        heads, groups = width // size, shared // size
        counts = (
            *self.attributes(scope, HEADS, lambda n: n == heads),
            *self.attributes(scope, GROUPS, lambda n: n == groups),
            *self.attributes(scope, ALL_HEADS, lambda n: n == width),
        )
        others = ", ".join(map(self.short, self.others(scope, {heads, groups, width, shared} - {1})))
        doubt = f"{others} may belong to the heads as well" if others else ""
        number = (
            f"{heads} heads" if heads == groups else f"{groups} group{'s' * (groups > 1)} of {heads // groups} heads"
        )
        says = f"{number} of {size}: {self.arrow(sources, out)}"
        ways: list[tuple[tuple[Piece, ...], str]] = [(tuple(sources), "")]
        if len(sources) == 1:
            ways = [
                ((Blocks(sources[0], (width, shared, shared)),), " (queries, then keys, then values)"),
                ((sources[0],), " (each group's queries, keys and values together)"),
            ]
        return [Reading("heads", groups, pieces, (out,), counts, f"{says}{way}", doubt) for pieces, way in ways]

    def head_size(self, scope: str, width: int) -> int | None:
        """The size of a head by the attributes of the attention, of the modules around it or of the configuration."""
        config = getattr(self.model, "config", None)
        while True:
            module: Any = self.model.get_submodule(scope)
            for owner in (module, getattr(module, "config", None), config):
                for name in (*HEAD_SIZE, *HEADS):
                    value = getattr(owner, name, None)
                    if isinstance(value, int) and value > 0:
                        return value if name in HEAD_SIZE else width // value
            if scope == self.path:
                return None
            scope = scope.rpartition(".")[0]

    def read_ffn(self, scope: str) -> None:
        """Add the feed-forward that a module is, and take its linear layers out of what is left."""
        inside = within(self.left, scope)
        found = self.pairs(inside)
        if len(found) > 1:
            by_name = [(down, ups) for down, ups in found if last(down) in DOWN and not named(ups, DOWN)]
            if len(by_name) != 1:
                downs = " or ".join(self.short(down) for down, _ in found)
                self.doubts.append((scope, f"two readings: the last linear layer of a feed-forward may be {downs}"))
                self.take(inside)
                return
            found = by_name
        for down, ups in found:
            self.take(inside)
            self.readings.append(self.hidden(scope, down, ups))

    def pairs(self, inside: Sizes) -> list[tuple[str, list[str]]]:
        """Which of a module's linear layers may give back the width, each with those that widen it."""
        found = []
        for down, (h, d) in inside.items():
            ups = [name for name in inside if name != down]
            sizes = {inside[name] for name in ups}
            fits = (len(ups) in (1, 2) and sizes == {(d, h)}) or (len(ups) == 1 and sizes == {(d, 2 * h)})
            if fits and (not self.widths or d in self.widths):
                found.append((down, ups))
        return found

    def hidden(self, scope: str, down: str, ups: list[str]) -> list[Reading]:
        """The ways to see hidden units between linear layers."""
        h, d = self.linear[down]
        # Where a layer has these linear layers in it, and no module of theirs, normalisations of size d are its own.
        others = self.others(scope, {h}) if h != d or scope != self.path else []
        between = [name for name in others if h != d and vectors(self.model.get_submodule(name)) == {h}]
        rest = ", ".join(self.short(name) for name in others if name not in between)
        doubt = f"{rest} may belong to the hidden units as well" if rest else ""
        fused = self.linear[ups[0]][1] == 2 * h
        kind = "gated" if fused or len(ups) == 2 else "plain"
        says = f"{h} hidden units, {kind}: {self.arrow([*ups, *between], down)}"
        counts = tuple(self.attributes(scope, HIDDEN, lambda n: n == h))
        ways: list[tuple[tuple[Piece, ...], str]] = [((*ups, *between), "")]
        if fused:
            ways = [
                ((Blocks(ups[0], 2), *between), " (one half gates the other)"),
                ((ups[0], *between), " (gate and gated side by side)"),
            ]
        return [Reading("ffn", h, pieces, (down,), counts, f"{says}{way}", doubt) for pieces, way in ways]


def linear_sizes(model: nn.Module, path: str) -> Sizes:
    """The linear layers in a module, by their full names."""
    found: Sizes = {}
    for name, module in model.get_submodule(path).named_modules(prefix=path):
        kinds = {base.__name__ for base in type(module).__mro__}
        weight: Any = getattr(module, "weight", None)
        if "Linear" in kinds and getattr(weight, "ndim", 0) == 2:
            found[name] = (weight.shape[1], weight.shape[0])
        elif "Conv1D" in kinds:
            found[name] = (weight.shape[0], weight.shape[1])
    return found


def within(left: Sizes, scope: str) -> Sizes:
    return {name: size for name, size in left.items() if f"{name}.".startswith(f"{scope}.")}


def last(name: str) -> str:
    """The last name of a path that is no number, in lower case."""
    return next((key.lower() for key in reversed(name.split(".")) if not key.isdecimal()), name)


def named(left: Iterable[str], names: set[str]) -> list[str]:
    return [name for name in left if last(name) in names]


def vectors(module: nn.Module) -> set[int]:
    """The sizes of a module's own tensors, where all of them are vectors, as of a normalisation."""
    own = [*module._parameters.values(), *module._buffers.values()]
    shapes = [tuple(tensor.shape) for tensor in own if tensor is not None and tensor.ndim]
    return {shape[0] for shape in shapes} if all(len(shape) == 1 for shape in shapes) else set()
