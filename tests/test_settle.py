"""Settling against actually running the built model, and what its errors say."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from random_networks import FAMILIES, IMAGE, SEQUENCE, VECTOR, Layers, at, networks
from torch.utils.flop_counter import FlopCounterMode

from archsearch import nn
from archsearch.errors import ArchsearchError, BuildError, ShapeError
from archsearch.spaces import measure
from archsearch.spaces import settle as settling
from archsearch.spaces.build import build
from archsearch.spaces.nodes import Module
from archsearch.spaces.resolved import Branches, Chain, Formula, Leaf, Once, Part, Skip
from archsearch.spaces.settle import settle
from archsearch.spaces.settled import Settled
from archsearch.spaces.tensor import Tensor

properties = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def meta_inputs(settled: Settled, batch: int = 1) -> list[torch.Tensor]:
    return [torch.zeros((batch, *t.shape), dtype=getattr(torch, t.dtype), device="meta") for t in settled.inputs]


def inputs(settled: Settled, batch: int = 1) -> list[torch.Tensor]:
    return [torch.zeros((batch, *t.shape), dtype=getattr(torch, t.dtype)) for t in settled.inputs]


def counted(module: torch.nn.Module, tensors: list[torch.Tensor]) -> int:
    with FlopCounterMode(display=False) as counter:
        module(*tensors)
    return int(counter.get_total_flops())


def only(settled: Settled) -> Tensor:
    assert isinstance(settled.output, Tensor)
    return settled.output


def agrees_with_running(settled: Settled) -> None:
    """Shape, dtype, parameters and FLOPs are those of the built model."""
    module = build(settled, seed=0).eval()
    with torch.no_grad():
        output = module(*inputs(settled, batch=2))
    expected = only(settled)
    assert (tuple(output.shape), str(output.dtype)) == ((2, *expected.shape), f"torch.{expected.dtype}")
    assert settled.parameters == sum(p.numel() for p in module.parameters())
    assert settled.flops == counted(build(settled, device="meta").eval(), meta_inputs(settled))


@pytest.mark.parametrize(("layers", "tensor"), FAMILIES.values(), ids=FAMILIES)
def test_random_networks_are_what_settling_says(layers: Layers, tensor: Tensor) -> None:
    built = 0

    @properties
    @given(networks(layers))
    def check(part: Part) -> None:
        nonlocal built
        try:
            settled = settle(part, [tensor])
        except (ShapeError, BuildError) as error:
            message = str(error)
        else:
            agrees_with_running(settled)
            built += 1
            return
        # Said once and for all: asking again says the same.
        with pytest.raises((ShapeError, BuildError), match=f"^{re.escape(message)}$"):
            settle(part, [tensor])

    check()
    assert built >= 15


LAYERS: list[tuple[Module, Tensor]] = [
    (nn.Conv1d(6, 3, stride=2, dilation=2), Tensor(4, 16)),
    (nn.Conv2d(6, (1, 3), groups=2, padding="same"), IMAGE),
    (nn.Conv2d(6, 3, padding=1, padding_mode="reflect"), IMAGE),
    (nn.Conv3d(6, 3), Tensor(2, 5, 5, 5)),
    (nn.ConvTranspose1d(3, 4, 2, 1), Tensor(4, 7)),
    (nn.ConvTranspose2d(3, 4, 2, 1), IMAGE),
    (nn.ConvTranspose3d(3, 2), Tensor(2, 4, 4, 4)),
    (nn.Linear(5), Tensor(2, 3, 4)),
    (nn.Embedding(11, 7), Tensor(5, dtype="int64", below=11)),
    (nn.BatchNorm3d(), Tensor(2, 4, 4, 4)),
    (nn.InstanceNorm2d(affine=True), IMAGE),
    (nn.LayerNorm(normalized_shape=[12, 12]), IMAGE),
    (nn.RMSNorm(), SEQUENCE),
    (nn.PReLU(4), IMAGE),
    (nn.LSTM(5, 2, bidirectional=True), SEQUENCE),
    (nn.GRU(5), SEQUENCE),
    (nn.RNN(5), SEQUENCE),
    (nn.GRUCell(5), VECTOR),
    (nn.MultiheadAttention(4), SEQUENCE),
    (nn.TransformerEncoderLayer(2, 16), SEQUENCE),
    (nn.AdaptiveAvgPool2d(1), IMAGE),
    (nn.AdaptiveAvgPool2d((None, 3)), IMAGE),
    (nn.MaxPool2d(2), IMAGE),
    (nn.LPPool2d(2.0, 2), IMAGE),
    (nn.Flatten(), IMAGE),
    (nn.Flatten(2), IMAGE),
    (nn.Unflatten(1, (2, 4)), VECTOR),
    (nn.PixelShuffle(2), IMAGE),
    (nn.Upsample(scale_factor=2, mode="bilinear"), IMAGE),
    (nn.ZeroPad2d(1), IMAGE),
    (nn.Unfold(3), IMAGE),
    (nn.GLU(dim=1), IMAGE),
    (nn.Softmax(-1), SEQUENCE),
    (nn.Dropout(0.5), SEQUENCE),
    (nn.Zero(), IMAGE),
    (nn.Identity(), IMAGE),
]


@pytest.mark.parametrize(("layer", "tensor"), LAYERS, ids=[repr(layer) for layer, _ in LAYERS])
def test_layers(layer: Module, tensor: Tensor) -> None:
    agrees_with_running(settle(at("layer", layer), [tensor]))


@pytest.mark.parametrize(("layer", "tensor"), LAYERS, ids=[repr(layer) for layer, _ in LAYERS])
def test_flops_on_a_cpu_too(layer: Module, tensor: Tensor) -> None:
    # Torch's counter does not know the CPU's fused kernels of attention and LSTM, so it misses those there.
    if layer.label in ("LSTM", "MultiheadAttention", "TransformerEncoderLayer"):
        pytest.skip("torch counts less on a CPU")
    settled = settle(at("layer", layer), [tensor])
    assert counted(build(settled).eval(), inputs(settled)) == settled.flops


def test_closed_forms() -> None:
    conv = settle(at("", nn.Conv2d(8, 3, stride=2, padding=1)), [IMAGE])
    assert conv.output == Tensor(8, 6, 6)
    assert conv.parameters == 8 * 4 * 9 + 8
    assert conv.flops == 2 * 6 * 6 * 8 * 4 * 9
    linear = settle(at("", nn.Linear(5, bias=False)), [SEQUENCE])
    assert (linear.output, linear.parameters, linear.flops) == (Tensor(6, 5), 40, 2 * 6 * 8 * 5)


# Remembering.


def test_torch_is_asked_once_for_a_leaf(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    real = measure.measure

    def counting(*arguments: Any) -> Any:
        asked.append(arguments[0])
        return real(*arguments)

    monkeypatch.setattr(measure, "measure", counting)
    width = 1009

    def net(place: str) -> Chain:
        return Chain(
            place, (at(f"{place}.a", nn.Linear(width)), at(f"{place}.b", nn.Linear(width)), at(f"{place}.c", nn.ReLU()))
        )

    first = settle(net("x"), [Tensor(31)])
    assert len(asked) == 3
    for place in ("x", "y", "z"):
        again = settle(net(place), [Tensor(31)])
        assert (again.output, again.parameters, again.flops) == (first.output, first.parameters, first.flops)
    longer = settle(Chain("w", (*net("w").parts, at("w.d", nn.Linear(width)))), [Tensor(31)])
    assert longer.parameters == first.parameters + width * (width + 1)
    assert len(asked) == 3
    settle(net("x"), [Tensor(32)])
    assert len(asked) == 4


def test_arguments_that_are_equal_but_of_another_type_are_not_mixed_up() -> None:
    def dtype_of(x: torch.Tensor, by: Any) -> torch.Tensor:
        result: torch.Tensor = torch.full_like(x, 1, dtype=torch.bool) * by
        return result

    found = [only(settle(Leaf("", dtype_of, {"by": by}, {}), [VECTOR])).dtype for by in (1, True, 1.0, [1][0])]
    assert found == ["int64", "bool", "float32", "int64"]


def test_settling_does_not_draw_from_the_global_generator() -> None:
    torch.manual_seed(3)
    expected = torch.randn(3)
    torch.manual_seed(3)
    settle(at("", nn.Linear(977)), [Tensor(13)])
    assert torch.equal(torch.randn(3), expected)


# Inferred sizes, formulas, modules as arguments, declared shapes.


class Mixer(torch.nn.Module):
    def __init__(self, dim: int, shape: tuple[int, ...], size: int) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(dim))
        self.asked = (dim, shape, size)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.weight


def test_further_sizes_that_follow() -> None:
    infer = {"dim": "features", "shape": "shape", "size": lambda shape: math.prod(shape)}
    settled = settle(Leaf("m", Mixer, {}, infer), [IMAGE])
    assert settled.arguments == {"dim": 12, "shape": (4, 12, 12), "size": 576}
    agrees_with_running(settled)


def test_formulas_see_what_reaches_their_module() -> None:
    widen = Formula("b.out_features", lambda size: size.features * 4)
    part = Chain("", (at("a", nn.Linear(6)), Leaf("b", "torch.nn:Linear", {"out_features": widen}, {})))
    settled = settle(part, [VECTOR])
    assert settled.output == Tensor(24)
    assert settle(part, [VECTOR]).output == Tensor(24)
    both = Formula("c", lambda size: (size.channels, size.features, size.shape))
    seen = settle(Leaf("c", lambda x, sizes: x, {"sizes": [both]}, {}), [SEQUENCE])
    assert seen.arguments == {"sizes": [(6, 8, (6, 8))]}


def test_a_formula_may_give_a_module() -> None:
    inner = Formula("t.inner", lambda size: at("t.inner", nn.Linear(size.features)))
    settled = settle(Leaf("t", Twice, {"inner": inner, "more": []}, {}), [VECTOR])
    assert settled.parameters == 72
    agrees_with_running(settled)


def test_a_formula_that_raises_says_where() -> None:
    part = Leaf("b", "torch.nn:Linear", {"out_features": Formula("b.out_features", lambda size: size.shape[3])}, {})
    with pytest.raises(ShapeError, match=r"^b\.out_features: .*IndexError"):
        settle(part, [VECTOR])


class Tied(torch.nn.Module):
    """One parameter at two places, and a constructor that does not run on meta."""

    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Linear(4, 4)
        self.second = torch.nn.Linear(4, 4)
        self.second.weight = self.first.weight
        self.steps = torch.linspace(0, 1, 5).tolist()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.second(self.first(x))
        return result


def test_a_parameter_at_two_places_of_a_class_counts_once() -> None:
    settled = settle(Leaf("", Tied, {}, {}), [Tensor(4)])
    assert settled.parameters == sum(p.numel() for p in build(settled).parameters()) == 16 + 4 + 4


class Twice(torch.nn.Module):
    def __init__(self, inner: torch.nn.Module, more: list[torch.nn.Module]) -> None:
        super().__init__()
        self.inner = inner
        self.more = torch.nn.ModuleList(more)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.inner(x)
        for module in self.more:
            x = module(x)
        return x


def test_a_module_as_an_argument_is_settled_on_the_same_input() -> None:
    inner = at("t.inner", nn.Linear(8))
    more = [Skip("t.more[0]", at("t.more[0][0]", nn.Linear(8))), at("t.more[1]", nn.ReLU())]
    settled = settle(Leaf("t", Twice, {"inner": inner, "more": more}, {}), [VECTOR])
    assert settled.parameters == 2 * 72
    assert settled.arguments["inner"].output == Tensor(8)
    agrees_with_running(settled)


def nonzero(x: torch.Tensor, most: int) -> torch.Tensor:
    return torch.nn.functional.pad(x[x != 0][:most].reshape(1, -1), (0, 0))


def test_what_cannot_run_on_meta_declares_its_shape() -> None:
    leaf = Leaf("f", nonzero, {"most": 3}, {})
    with pytest.raises(ShapeError, match=r"^f: .*declare shape="):
        settle(leaf, [VECTOR])
    declared = Leaf("f", nonzero, {"most": 3}, {}, lambda shape, most: (most,))
    settled = settle(Chain("", (declared, at("g", nn.Linear(2)))), [VECTOR])
    assert settled.output == Tensor(2)
    assert settled.parameters == 8
    with pytest.raises(ShapeError, match="tuple of sizes"):
        settle(Leaf("f", nonzero, {"most": 3}, {}, lambda shape, most: most), [VECTOR])


# Residuals.


@pytest.mark.parametrize(
    ("body", "tensor", "made"),
    [
        (nn.Linear(5), VECTOR, "torch.nn:Linear"),
        (nn.Linear(5), SEQUENCE, "torch.nn:Linear"),
        (nn.Conv2d(7, 3, padding=1), IMAGE, "torch.nn:Conv2d"),
        (nn.Conv2d(4, 3, 2, 1), IMAGE, "torch.nn:Conv2d"),
        (nn.Conv2d(7, 3, (4, 2), 1), IMAGE, "torch.nn:Conv2d"),
        (nn.AvgPool2d((1, 2)), IMAGE, "torch.nn:Conv2d"),
        (nn.Conv1d(4, 1), SEQUENCE, "torch.nn:Conv1d"),
        (nn.Conv3d(3, 1, 2), Tensor(2, 4, 4, 4), "torch.nn:Conv3d"),
    ],
)
def test_a_residual_projects_where_shapes_differ(body: Module, tensor: Tensor, made: str) -> None:
    settled = settle(Skip("r", at("r[0]", body)), [tensor])
    project = settled.project
    assert isinstance(project, Leaf)
    assert (project.place, project.target) == ("r.project", made)
    assert settled.children[1].output == settled.children[0].output == settled.output
    agrees_with_running(settled)


def test_a_residual_of_equal_shapes_projects_nothing() -> None:
    settled = settle(Skip("r", at("r[0]", nn.Linear(8)), at("r.project", nn.Linear(8))), [VECTOR])
    assert settled.project is None
    assert settled.parameters == 72


def test_a_given_projection_is_used_as_it_is() -> None:
    settled = settle(Skip("r", at("r[0]", nn.Linear(5)), at("r.project", nn.Linear(5))), [VECTOR])
    assert settled.parameters == 2 * 45
    agrees_with_running(settled)
    with pytest.raises(ShapeError, match=r"r\.project: the projection gives \(6,\).*r\[0\].*\(5,\)"):
        settle(Skip("r", at("r[0]", nn.Linear(5)), at("r.project", nn.Linear(6))), [VECTOR])


# Errors name the place, what came, what was wanted, and what would fit.


def branches(merge: str, dim: int | None, *parts: Part) -> Branches:
    return Branches("b", parts, merge, dim)


ERRORS: list[tuple[Part, Tensor, str]] = [
    (
        at("x.fc", nn.Linear(4, in_features=5)),
        Tensor(32),
        r"^x\.fc: .*\(32,\).*\(\.\.\., 5\).*leave out in_features: it would be 32",
    ),
    (
        at("c", nn.Conv2d(4, 3, in_channels=5)),
        IMAGE,
        r"^c: .*\(4, 12, 12\).*\(5, \.\.\.\).*leave out in_channels: it would be 4",
    ),
    (at("n", nn.BatchNorm2d(num_features=5)), IMAGE, r"leave out num_features: it would be 4"),
    (at("c", nn.Conv2d(4, 13)), IMAGE, r"^c: .*\(4, 12, 12\).*12 x 12.*13 x 13"),
    (at("p", nn.MaxPool2d(2)), Tensor(3, 1, 1), r"^p: .*\(3, 1, 1\).*too small"),
    (at("c", nn.Conv2d(4, 3, groups=3)), IMAGE, r"^c: .*divisible by groups.*in_channels=4 follows"),
    (at("c", nn.Conv2d(4, 3)), VECTOR, r"^c: .*\(8,\).*it wants \(channels, height, width\)"),
    (at("e", nn.Embedding(4, 3)), VECTOR, r"^e: .*float32"),
    (
        branches("add", None, at("b[0]", nn.Linear(4)), at("b[1]", nn.Linear(5))),
        VECTOR,
        r"^b: .*b\[0\] gives \(4,\).*b\[1\] gives \(5,\)",
    ),
    (branches("mul", None, None, at("b[1]", nn.Linear(5))), VECTOR, r"^b: .*b gives \(8,\).*b\[1\] gives \(5,\)"),
    (branches("concat", None, None, None), SEQUENCE, r"^b: .*\(6, 8\) is not clear.*dim=1.*dim=2"),
    (branches("concat", 0, None, None), SEQUENCE, r"^b: .*0 is the batch"),
    (branches("concat", 3, None, None), SEQUENCE, r"^b: .*they have 3 dimensions"),
    (branches("concat", -3, None, None), SEQUENCE, r"^b: .*0 is the batch"),
    (branches("concat", 1, at("b[0]", nn.Linear(4)), None), SEQUENCE, r"^b: .*b\[0\] gives \(6, 4\).*gives \(6, 8\)"),
    (branches("add", None, Chain("b[0]", (), items=True)), VECTOR, r"^b: there is no branch"),
    (Skip("r", at("r[0]", nn.Linear(4)), None), VECTOR, r"^r: .*x has \(8,\) and body\(x\) \(4,\)"),
    (Skip("r", at("r[0]", nn.Conv2d(4, 3))), IMAGE, r"^r: .*\(4, 12, 12\).*\(4, 10, 10\).*give project="),
    (Skip("r", at("r[0]", nn.Flatten())), IMAGE, r"^r: .*\(4, 12, 12\).*\(576,\).*project="),
    (Skip("r", at("r[0]", nn.Conv1d(4, 3))), SEQUENCE, r"^r: .*project="),
    (at("d", nn.Dropout(2.0)), VECTOR, r"^d: Dropout\(p=2\.0\) cannot be made"),
    (
        Leaf("s", "torch.nn:Linera", {"out_features": 2}, {}),
        VECTOR,
        r"^s: torch\.nn has no 'Linera'; did you mean 'Linear'",
    ),
    (Leaf("s", "nosuchpackage.nn:Linear", {}, {}), VECTOR, r"^s: 'nosuchpackage\.nn:Linear' cannot be imported"),
    (Leaf("s", "torch.nn:Linear", {"out_featurs": 2}, {}), VECTOR, r"^s: .*'out_featurs'; did you mean 'out_features'"),
    (Leaf("s", "torch.nn:Linear", {}, {}), VECTOR, r"^s: .*out_features="),
    (Leaf("s", "torch.nn:LSTM", {"hidden_size": 2}, {}), SEQUENCE, r"^s: .*batch_first=True"),
    (Leaf("s", lambda x: (x, x), {}, {}), VECTOR, r"^s: .*returns a tuple"),
    (Leaf("s", lambda x: x.reshape(1, -1), {}, {}), VECTOR, r"^s: .*of a batch of 2 \(1, 16\)"),
    (at("s", nn.GRU(4)), VECTOR, r"^s: .*\(8,\).*it wants \(length, features\)"),
    (at("s", nn.MultiheadAttention(2)), IMAGE, r"^s: .*it wants \(length, features\)"),
    (at("s", nn.Bilinear(2)), VECTOR, r"^s: to infer in2_features: 1 input reaches it"),
    (at("s", nn.Linear(2.5)), VECTOR, r"^s: Linear\(out_features=2\.5, in_features=8\) cannot be made"),  # type: ignore[arg-type]
    (Leaf("s", lambda x: x[0], {}, {}), VECTOR, r"^s: .*batch"),
    (Leaf("s", lambda x: x[:, :0], {}, {}), VECTOR, r"^s: .*nothing would be left"),
]


@pytest.mark.parametrize(("part", "tensor", "message"), ERRORS, ids=[message for _, _, message in ERRORS])
def test_errors(part: Part, tensor: Tensor, message: str) -> None:
    with pytest.raises((ShapeError, BuildError), match=message):
        settle(part, [tensor])
    # The place is the one of this use, also where the failure is remembered from another.
    if isinstance(part, Leaf):
        with pytest.raises(ArchsearchError, match=r"^elsewhere: "):
            settle(Leaf("elsewhere", part.target, part.arguments, part.infer), [tensor])


@pytest.mark.parametrize("dtype", ["int64", "float64", "bool"])
@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Linear(4), (8,)),
        (nn.Conv2d(4, 3), (4, 8, 8)),
        (nn.BatchNorm2d(), (4, 8, 8)),
        (nn.GroupNorm(2), (4, 8, 8)),
        (nn.LayerNorm(), (8,)),
        (nn.GRU(4), (6, 8)),
        (nn.MultiheadAttention(2), (6, 8)),
        (nn.GELU(), (8,)),
        (nn.Softmax(-1), (8,)),
        (nn.Embedding(5, 4), (8,)),
        (nn.Flatten(), (2, 4)),
    ],
)
def test_dtypes_are_refused_where_a_cpu_refuses_them(layer: Module, shape: tuple[int, ...], dtype: str) -> None:
    # Torch's meta kernels let most of these pass.
    tensor = Tensor(*shape, dtype=dtype)
    try:
        module = build(
            settle(at("x", layer), [Tensor(*shape, dtype="int64" if layer.label == "Embedding" else "float32")])
        )
        output = str(module.eval()(torch.zeros((1, *shape), dtype=getattr(torch, dtype))).dtype).removeprefix("torch.")
    except (RuntimeError, ValueError):
        with pytest.raises(ShapeError, match=dtype):
            settle(at("x", layer), [tensor])
        return
    assert only(settle(at("x", layer), [tensor])).dtype == output


def test_an_error_carries_its_place() -> None:
    with pytest.raises(ShapeError) as caught:
        settle(Chain("", (at("a", nn.Linear(3)), at("body[2].fc", nn.Linear(3, in_features=4)))), [VECTOR])
    assert caught.value.place == "body[2].fc"


def test_two_places_of_one_module_must_agree() -> None:
    def once(place: str, width: int) -> Once:
        return Once("embed", at(place, nn.Linear(width)))

    with pytest.raises(BuildError, match=r"'embed'.*a.*b"):
        settle(Chain("", (once("a", 8), once("b", 4))), [VECTOR])
    with pytest.raises(BuildError, match=r"'embed'.*in_features=8.* at a.*in_features=4.* at b"):
        settle(Chain("", (once("a", 4), once("b", 4))), [VECTOR])


def test_tied_weights_count_once_and_their_work_each_time() -> None:
    def once(place: str) -> Once:
        return Once("k", at(place, nn.Linear(8)))

    settled = settle(
        Chain("", (once("a"), Skip("b", once("b[0]")), Branches("c", (once("c[0]"), None), "add"))), [VECTOR]
    )
    assert settled.parameters == 72
    assert settled.flops == 3 * 2 * 64
    agrees_with_running(settled)


def test_tables_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    from archsearch.spaces import sized

    monkeypatch.setattr(sized, "LIMIT", 5)
    for _ in range(2):
        for width in range(3, 13):
            settled = settle(Chain("", (at("a", nn.Linear(width)), at("b", nn.ReLU()))), [Tensor(2)])
            assert (settled.output, settled.parameters) == (Tensor(width), 3 * width)
    assert max(len(settling.sizes), len(settling.leaves), len(sized.structures.table)) <= 5
