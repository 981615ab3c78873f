"""Scores at initialisation: by hand on small networks, by the laws that they obey, and what they leave behind."""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

import archsearch as A
from archsearch import zerocost
from archsearch.errors import UsageError
from archsearch.spaces import llama, nasbench201, nasbench_macro, transformer
from archsearch.zerocost_batches import random_inputs, random_labels
from archsearch.zerocost_codes import activation_codes
from archsearch.zerocost_networks import network_of
from archsearch.zerocost_units import units

SCORES = ("synflow", "grad_norm", "zico", "naswot", "swap")


def score(name: str, model: nn.Module, x: Tensor) -> float:
    if name == "zico":
        return zerocost.zico(model, [(x, None), (x.flip(0) + 1, None)])
    function: Callable[..., float] = getattr(zerocost, name)
    return function(model, x)


def linear(*rows: list[float], bias: list[float] | None = None) -> nn.Linear:
    layer = nn.Linear(len(rows[0]), len(rows), bias=bias is not None)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(rows))
        if bias is not None:
            layer.bias.copy_(torch.tensor(bias))
    return layer


def small(*activations: nn.Module) -> nn.Sequential:
    """A convolutional network with everything that a score could leave changed."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), *activations, nn.Dropout(0.5), nn.Flatten(), nn.Linear(8 * 36, 4)
    )


# --- closed forms


def test_synflow_of_a_linear_network_is_the_product_of_its_matrices() -> None:
    rng = np.random.default_rng(0)
    matrices = [rng.normal(size=shape) for shape in ((4, 3), (5, 4), (2, 5))]
    model = nn.Sequential(*[linear(*m.tolist()) for m in matrices])
    flow = np.ones(3)
    for m in matrices:
        flow = np.abs(m.astype(np.float32).astype(float)) @ flow
    # Each of the three weights has 1^T |W3| |W2| |W1| 1.
    assert zerocost.synflow(model, torch.randn(7, 3)) == pytest.approx(3 * flow.sum(), rel=1e-12)


def test_synflow_with_a_bias() -> None:
    model = nn.Sequential(linear([-1.0, 2.0], bias=[-3.0]), nn.ReLU(), linear([4.0], [-5.0]))
    # R = (4 + 5)(1 + 2 + 3); the first weight has (4 + 5)(1 + 2), the second all of R; biases are no weights.
    assert zerocost.synflow_by_weight(model, torch.zeros(1, 2)) == {"0.weight": 27.0, "2.weight": 54.0}


@pytest.mark.parametrize(
    "layer",
    [nn.BatchNorm1d(4), nn.LayerNorm(4), nn.GroupNorm(2, 4), nn.RMSNorm(4), nn.ReLU6(), nn.Hardtanh(0.0, 6.0)],
    ids=lambda layer: type(layer).__name__,
)
def test_synflow_sees_neither_normalisation_nor_a_bound(layer: nn.Module) -> None:
    torch.manual_seed(0)
    first, last = nn.Linear(3, 4), nn.Linear(4, 2)
    with torch.no_grad():
        first.weight.mul_(1_000)
    x = torch.randn(5, 3)
    bare = zerocost.synflow(nn.Sequential(first, nn.ReLU(), last), x)
    assert zerocost.synflow(nn.Sequential(first, layer, nn.ReLU(), last), x) == bare


def test_synflow_goes_beyond_single_precision() -> None:
    model = nn.Sequential(*[linear([1e5]) for _ in range(20)])
    assert zerocost.synflow(model, torch.ones(1, 1)) == pytest.approx(20 * 1e100, rel=1e-6)


def test_naswot_of_two_units() -> None:
    model = nn.Sequential(linear([1.0, 0.0], [0.0, 1.0]), nn.ReLU())
    x = torch.tensor([[1.0, 1.0], [1.0, -1.0]])
    # Codes 11 and 10: K = [[2, 1], [1, 2]], whose determinant is 3.
    assert zerocost.naswot(model, x) == pytest.approx(math.log(3), rel=1e-12)
    # Codes 11, 10, 00: distances 1, 2, 1.
    kernel = np.array([[2, 1, 0], [1, 2, 1], [0, 1, 2]])
    x = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]])
    assert zerocost.naswot(model, x) == pytest.approx(np.linalg.slogdet(kernel)[1], rel=1e-12)


def test_naswot_of_equal_codes() -> None:
    model = nn.Sequential(linear([1.0, 0.0], [0.0, 1.0]), nn.ReLU())
    assert zerocost.naswot(model, torch.tensor([[1.0, 1.0], [2.0, 3.0]])) == -math.inf
    torch.manual_seed(0)
    wide = nn.Sequential(nn.Linear(4, 3_000), nn.ReLU())
    x = torch.randn(6, 4)
    assert math.isfinite(zerocost.naswot(wide, x))
    assert zerocost.naswot(wide, torch.cat([x, x[:1]])) == -math.inf


def test_swap_counts_different_responses() -> None:
    model = nn.Sequential(linear([1.0], [2.0], [-1.0], bias=[0.0, 0.5, 0.0]), nn.ReLU())
    # Units respond to (1, -1, -2) as 100, 100 and 011.
    assert zerocost.swap(model, torch.tensor([[1.0], [-1.0], [-2.0]])) == 2.0


@given(st.integers(2, 140), st.integers(1, 40), st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_codes_against_numpy(examples: int, units: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(examples, 3, generator=generator)
    weight = torch.randn(units, 3, generator=generator)
    model = nn.Sequential(linear(*weight.tolist()), nn.ReLU(), linear(*torch.eye(units).tolist()), nn.GELU())
    bits = (x @ weight.T > 0).numpy()
    codes = np.hstack([bits, bits])  # of the GELU's input too: it is the ReLU's output
    assert zerocost.swap(model, x) == len({column.tobytes() for column in codes.T.copy()})
    kernel = (codes[:, None, :] == codes[None, :, :]).sum(-1)
    if np.linalg.matrix_rank(kernel) < examples:
        assert zerocost.naswot(model, x) == -math.inf
    else:
        assert zerocost.naswot(model, x) == pytest.approx(np.linalg.slogdet(kernel)[1], rel=1e-6, abs=1e-6)


def test_grad_norm_by_hand() -> None:
    weight, x, targets = np.array([[1.0, -2.0], [0.5, 3.0]]), np.array([[1.0, 2.0], [-1.0, 0.5]]), np.array([0, 1])
    logits = x @ weight.T
    softmax = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    gradient = (softmax - np.eye(2)[targets]).T @ x / 2
    model = linear(*weight.tolist(), bias=[0.0, 0.0])
    found = zerocost.grad_norm(model, torch.tensor(x).float(), torch.tensor(targets))
    assert found == pytest.approx(np.linalg.norm(gradient), rel=1e-6)


def test_grad_norm_against_backward() -> None:
    model = small(nn.ReLU())
    x, y = torch.randn(6, 3, 8, 8), torch.randint(4, (6,))
    other = copy.deepcopy(model)
    other[-3].eval()  # the dropout
    functional.cross_entropy(other(x), y).backward()
    expected = [float(p.grad.norm()) for p in other.parameters() if p.dim() > 1 and p.grad is not None]
    assert len(expected) == 2
    assert zerocost.grad_norm(model, x, y) == pytest.approx(sum(expected), rel=1e-6)


def test_a_loss_of_its_own() -> None:
    model = linear([2.0])
    x, y = torch.tensor([[1.0], [3.0]]), torch.tensor([[1.0], [1.0]])
    # d/dw mean (w x - y)^2 = mean 2 x (w x - y) = (2 * 1 * 1 + 2 * 3 * 5) / 2
    assert zerocost.grad_norm(model, x, y, functional.mse_loss) == pytest.approx(16.0)


def test_zico_by_hand() -> None:
    rng = np.random.default_rng(0)
    model = nn.Sequential(linear([1.0, -2.0], [0.5, 3.0]), linear([1.0, 1.0], [2.0, -1.0]))
    batches = [(torch.tensor(rng.normal(size=(4, 2))).float(), torch.tensor(rng.integers(0, 2, 4))) for _ in range(3)]
    first, last = [parameter.detach().double().numpy() for parameter in model.parameters()]
    gradients: list[list[np.ndarray[Any, Any]]] = [[], []]
    for inputs, targets in batches:
        x = inputs.double().numpy()
        logits = x @ first.T @ last.T
        softmax = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        slope = (softmax - np.eye(2)[targets.numpy()]) / 4
        gradients[0].append(np.abs((slope @ last).T @ x))
        gradients[1].append(np.abs(slope.T @ (x @ first.T)))
    expected = sum(np.log((np.mean(g, 0) / np.std(g, 0)).sum()) for g in gradients)
    assert zerocost.zico(model, batches) == pytest.approx(expected, rel=1e-4)


def test_zico_leaves_out_what_does_not_vary() -> None:
    model = linear([1.0, 1.0], [1.0, 0.0])
    x = torch.tensor([[1.0, 0.0]])
    same = [(x, torch.tensor([0])), (x, torch.tensor([0]))]
    assert zerocost.zico(model, same) == 0.0
    # The second input is 0: its weights' gradients vanish on both batches and count for nothing.
    both = [(x, torch.tensor([0])), (x, torch.tensor([1]))]
    p = 1 / 2
    assert zerocost.zico(model, [*both, (2 * x, torch.tensor([0]))]) > 0
    assert float(model(x).softmax(1)[0, 0].detach()) == pytest.approx(p)
    assert zerocost.zico(model, both) == 0.0  # |g| = 1/2 on both


# --- laws


@given(st.lists(st.integers(1, 6), min_size=3, max_size=6), st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_synflow_is_conserved(widths: list[int], seed: int) -> None:
    torch.manual_seed(seed)
    layers = [part for a, b in pairwise(widths) for part in (nn.Linear(a, b, bias=False), nn.ReLU())]
    shares = list(zerocost.synflow_by_weight(nn.Sequential(*layers), torch.randn(2, widths[0])).values())
    assert len(shares) == len(widths) - 1
    assert shares == pytest.approx([shares[0]] * len(shares), rel=1e-9)


def test_synflow_is_homogeneous_and_blind_to_signs() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2, bias=False))
    x = torch.randn(2, 3, 4, 4)
    before = zerocost.synflow(model, x)
    with torch.no_grad():
        next(model.parameters()).mul_(-4)
    assert zerocost.synflow(model, x) == pytest.approx(4 * before, rel=1e-12)


@pytest.mark.parametrize("name", ["naswot", "swap"])
def test_codes_do_not_change_with_scale(name: str) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 40, bias=False), nn.ReLU(), nn.Linear(40, 30, bias=False), nn.GELU())
    x = torch.randn(8, 5)
    assert score(name, model, x) == score(name, model, 2 * x)


def test_more_units_of_the_same_kind_scale_the_kernel() -> None:
    torch.manual_seed(0)
    narrow = nn.Linear(5, 40)
    rows, bias = narrow.weight.tolist(), narrow.bias.tolist()
    wide = linear(*rows, *rows, bias=[*bias, *bias])
    x = torch.randn(8, 5)
    once, twice = [nn.Sequential(layer, nn.ReLU()) for layer in (narrow, wide)]
    assert zerocost.naswot(twice, x) == pytest.approx(zerocost.naswot(once, x) + 8 * math.log(2), rel=1e-9)
    assert zerocost.swap(twice, x) == zerocost.swap(once, x)


class Functional(nn.Module):
    """A rectifier that is called as a function."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


@pytest.mark.parametrize(
    "activation",
    [
        *[nn.ReLU(inplace=True), nn.ReLU6(), nn.LeakyReLU(), nn.PReLU(), nn.RReLU(), nn.ELU(), nn.SELU(), nn.CELU()],
        *[nn.GELU(), nn.SiLU(), nn.Mish(), nn.Hardswish(), Functional(torch.relu), Functional(lambda x: x.relu())],
        *[Functional(functional.silu), Functional(functional.relu6)],
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_rectifiers_are_units_by_the_sign_of_what_reaches_them(activation: nn.Module) -> None:
    torch.manual_seed(0)
    first, x = nn.Linear(5, 40), torch.randn(8, 5)
    relu = nn.Sequential(first, nn.ReLU())
    assert zerocost.naswot(nn.Sequential(first, activation), x) == zerocost.naswot(relu, x)
    assert zerocost.swap(nn.Sequential(first, activation), x) == zerocost.swap(relu, x)


def test_the_fused_encoder_layer_is_seen() -> None:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()
    assert math.isfinite(zerocost.naswot(layer, torch.randn(4, 3, 8)))
    assert torch.backends.mha.get_fastpath_enabled()


# --- what is left behind


def state(model: nn.Module) -> dict[str, Any]:
    return {
        "tensors": {name: value.clone() for name, value in model.state_dict().items()},
        "signs": {name: torch.signbit(p) for name, p in model.named_parameters()},
        "modes": [module.training for module in model.modules()],
        "needs": [p.requires_grad for p in model.parameters()],
        "single": [p.dtype == torch.float32 for p in model.parameters()],
        "gradients": [None if p.grad is None else p.grad.clone() for p in model.parameters()],
        "hooks": [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules()],
        "random": torch.random.get_rng_state(),
    }


@pytest.mark.parametrize("name", SCORES)
@pytest.mark.parametrize("training", [True, False])
def test_the_model_is_left_as_found(name: str, training: bool) -> None:
    model = small(nn.ReLU()).train(training)
    x = torch.randn(6, 3, 8, 8)
    model(x).sum().backward()
    kernel = next(model.parameters()).requires_grad_(False)
    with torch.no_grad():
        kernel[0, 0, 0] = torch.tensor([-0.0, 0.0, -1e-40])
    before, seen = state(model), x.clone()
    found = score(name, model, x)
    after = state(model)
    torch.testing.assert_close(after, before, rtol=0, atol=0)
    assert torch.equal(x, seen)
    assert math.isfinite(found)
    assert score(name, model, x) == found


def test_a_recurrent_network_keeps_its_own_weights() -> None:
    torch.manual_seed(0)
    model = A.Space(
        A.Sequential(A.nn.LSTM(6, batch_first=True), A.nn.Flatten(), A.nn.Linear(A.Choice([2, 3]))), input_shape=(4, 5)
    ).sample(random.Random(0))
    network = model.build(seed=0)
    x = torch.randn(3, 4, 5)
    before = network(x)
    assert zerocost.synflow(network, x) > 0
    assert zerocost.grad_norm(network, x) > 0
    assert torch.equal(network(x), before)


def test_nothing_is_kept_when_a_score_fails() -> None:
    model, x = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)), torch.randn(4, 5)
    before = state(model)
    with pytest.raises(RuntimeError):
        zerocost.synflow(model, x)
    with pytest.raises(RuntimeError):
        zerocost.naswot(model, x)
    torch.testing.assert_close(state(model), before, rtol=0, atol=0)
    assert torch.backends.mha.get_fastpath_enabled()


@pytest.mark.parametrize("name", SCORES)
def test_gradients_may_be_off_outside(name: str) -> None:
    model, x = small(nn.ReLU()), torch.randn(6, 3, 8, 8)
    found = score(name, model, x)
    with torch.no_grad():
        assert score(name, model, x) == found
    with torch.inference_mode():
        assert score(name, model, x) == found


# --- architectures


@pytest.mark.parametrize("name", SCORES)
def test_an_architecture_has_one_score(name: str) -> None:
    layer = A.Sequential(A.nn.Linear(A.Choice([32, 64])), A.nn.BatchNorm1d(), A.nn.ReLU())
    space = A.Space(A.Sequential(A.Repeat(layer, A.Integer(1, 3)), A.nn.Linear(3)), input_shape=(5,))
    arch = space.sample(random.Random(1))
    of_arch: Callable[..., float] = getattr(zerocost, name)
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    found = of_arch(arch)
    assert math.isfinite(found)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(2)
    assert of_arch(space.architecture(arch.assignment)) == found
    scores = {of_arch(other) for other in space.enumerate()}
    assert len(scores) > 1


@pytest.mark.parametrize(
    "space",
    [
        transformer.space(length=16, depth=(1, 2)),
        llama.space(vocabulary=40, context=16, widths=(32, 64), depths=(1, 2), heads=(4,), head_dim=8),
    ],
    ids=["gpt", "llama"],
)
def test_transformers(space: A.Space) -> None:
    arch = space.sample(random.Random(0))
    for name in SCORES:
        found = getattr(zerocost, name)(arch)
        assert math.isfinite(found), name


def test_a_network_of_a_published_space() -> None:
    arch = nasbench201.space(cells=1).sample(random.Random(0))
    for name in SCORES:
        assert math.isfinite(getattr(zerocost, name)(arch)), name


@pytest.mark.parametrize(
    "space",
    [nasbench201.space(cells=1, size=8), nasbench_macro.space(), transformer.space(length=16, depth=(1, 3))],
    ids=["nasbench201", "nasbench_macro", "gpt"],
)
def test_units_are_the_bits_of_the_codes(space: A.Space) -> None:
    for arch in space.sample(random.Random(0), 3):
        codes = activation_codes(network_of(arch), random_inputs(space, 2, seed=0), 2)
        assert units(arch) == sum(bits.shape[1] for bits in codes)


def test_an_architecture_without_units() -> None:
    space = A.Space(A.Sequential(A.nn.Linear(A.Choice([2, 3]))), input_shape=(4,))
    with pytest.raises(UsageError, match="no rectifier"):
        units(space.sample(random.Random(0)))


def test_networks_that_differ_by_the_place_of_an_identity_score_alike() -> None:
    space = nasbench_macro.space()
    labels = {"0": "identity", "1": "mb3_k3", "2": "mb6_k5"}
    first, second = [
        space.architecture({f"layers[{i}]": labels[digit] for i, digit in enumerate(digits)})
        for digits in ("00101010", "00110010")
    ]
    assert first.id != second.id
    assert zerocost.synflow(first) == zerocost.synflow(second)


def test_inputs_of_a_space() -> None:
    inputs = {
        "image": A.Tensor(3, 4, 4),
        "ids": A.Tensor(50, dtype="int64", below=7),
        "mask": A.Tensor(50, dtype="bool"),
        "half": A.Tensor(2, dtype="bfloat16"),
    }
    first = A.module("torch.nn:Identity")
    space = A.Space(A.Sequential(A.Choice([first, A.nn.ReLU()])), inputs=inputs)
    drawn = random_inputs(space, 20, seed=3)
    assert [(tuple(x.shape), str(x.dtype)) for x in drawn] == [
        ((20, 3, 4, 4), "torch.float32"),
        ((20, 50), "torch.int64"),
        ((20, 50), "torch.bool"),
        ((20, 2), "torch.bfloat16"),
    ]
    assert set(drawn[1].flatten().tolist()) == set(range(7))
    assert set(drawn[2].flatten().tolist()) == {False, True}
    assert all(torch.equal(a, b) for a, b in zip(drawn, random_inputs(space, 20, seed=3), strict=True))
    assert not torch.equal(drawn[0], random_inputs(space, 20, seed=4)[0])


@pytest.mark.parametrize(
    ("shape", "classes"), [((5, 3), (5,)), ((5, 7, 3), (5, 7)), ((5, 3, 4, 6), (5, 4, 6))], ids=str
)
def test_labels(shape: tuple[int, ...], classes: tuple[int, ...]) -> None:
    logits, labels = random_labels(torch.randn(shape), torch.Generator().manual_seed(0))
    assert tuple(labels.shape) == classes
    assert set(labels.flatten().tolist()) <= {0, 1, 2}
    assert math.isfinite(float(functional.cross_entropy(logits, labels)))


# --- where they do not apply


class Rounded(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x).detach()  # type: ignore[no-any-return]


class Several(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"a": self.layer(x), "b": self.layer(x) * 2}


def test_several_outputs() -> None:
    model, x = Several(), torch.randn(4, 3)
    assert zerocost.synflow(model, x) == pytest.approx(3 * float(model.layer.weight.detach().abs().sum()), rel=1e-6)
    assert zerocost.grad_norm(model, x, loss=lambda output, _: output["a"].mean()) > 0


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: zerocost.synflow(nn.ReLU(), torch.ones(2, 3)), "no weights"),
        (lambda: zerocost.synflow(nn.BatchNorm1d(3), torch.ones(2, 3)), "no weights"),
        (lambda: zerocost.grad_norm(nn.Identity(), torch.ones(2, 3)), "no weights"),
        (lambda: zerocost.synflow(Rounded(), torch.ones(2, 3)), "differentiably"),
        (lambda: zerocost.grad_norm(Rounded(), torch.ones(2, 3)), "differentiably"),
        (lambda: zerocost.naswot(nn.Linear(3, 2), torch.ones(2, 3)), "no unit that is on or off: expected one of relu"),
        (lambda: zerocost.swap(nn.Tanh(), torch.ones(2, 3)), "no unit that is on or off"),
        (lambda: zerocost.naswot(nn.ReLU(), torch.ones(1, 3)), "at least two, but got 1"),
        (lambda: zerocost.zico(nn.Linear(3, 2), [(torch.ones(2, 3), None)]), "at least two.*but got 1"),
        (lambda: zerocost.zico(nn.Linear(3, 2)), "at least two.*but got 0"),
        (lambda: zerocost.synflow(nn.Linear(3, 2)), "expected inputs"),
        (lambda: zerocost.grad_norm(Several(), torch.ones(2, 3)), "one output, but the network gives a dict"),
        (lambda: zerocost.grad_norm(nn.Linear(3, 1), torch.ones(2, 3)), "two classes or more"),
        (lambda: zerocost.grad_norm(nn.Conv1d(3, 1, 1), torch.ones(2, 3, 1)), "two classes or more"),
        (
            lambda: zerocost.grad_norm(nn.Linear(3, 2), torch.ones(2, 3), None, lambda output, _: output),
            r"one number as a tensor, but got a tensor of shape \(2, 2\)",
        ),
        (lambda: zerocost.synflow(nn.Bilinear(3, 3, 2), [torch.ones(2, 3), torch.ones(4, 3)]), "2, 4 examples"),
        (lambda: zerocost.synflow(nn.Linear(3, 2), []), "expected inputs as a tensor"),
    ],
)
def test_errors(call: Callable[[], float], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        call()


def test_a_space_without_inputs() -> None:
    space = A.Space(A.Sequential(A.nn.Linear(A.Choice([2, 3]), in_features=4)))
    with pytest.raises(UsageError, match="input_shape="):
        zerocost.synflow(space.sample(random.Random(0)))
