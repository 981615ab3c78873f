"""Scores of a network at initialisation: of a torch model and a batch, or of an architecture by itself.

    synflow(model, inputs)      grad_norm(model, inputs)      naswot(model, inputs)
    zico(model, batches)        swap(model, inputs)           synflow(arch), naswot(arch), ...

An architecture is built with seed 0 and scored on noise drawn from the space's inputs, so it has one score;
`SMBO(features=("archsearch.zerocost:synflow",))` names such a function. The model stays as it is: a copy is scored.
More parameters and FLOPs are the baseline that these are measured against (White et al. 2022, "NAS-Bench-Suite-Zero",
arXiv:2210.03230); tests/benchmarks/RESULTS.md has figures.

Unless a docstring says otherwise, the copy is in evaluation mode (no dropout), but batch normalisation uses the
batch's statistics. The *weights* that are scored are the parameters of two dimensions and more, as in the papers'
code: kernels, matrices and embeddings, neither biases nor the scales of normalisations.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from archsearch.errors import UsageError
from archsearch.spaces.architecture import Architecture
from archsearch.zerocost_batches import Inputs, random_inputs, random_labels
from archsearch.zerocost_codes import activation_codes
from archsearch.zerocost_networks import (
    Flow,
    network_of,
    outputs_of,
    reproducible,
    run,
    tensors,
    weights_of,
)

Loss: TypeAlias = Callable[[Any, Any], Tensor]
"""loss(output, targets): a number to be differentiated."""

BATCH_SIZE = 16
# A batch of 16 allows 2^16 patterns, and networks of a million units have nearly all of them.
SWAP_BATCH_SIZE = 32

# Float32 counts exactly up to 2^24.
MAX_COUNTED = 2**24


def synflow(model: nn.Module | Architecture, inputs: Inputs | None = None) -> float:
    """Synaptic flow: the sum over weights of |theta * dR/dtheta|, where R = 1^T (prod_l |theta_l|) 1.

    R is the sum of the outputs when every parameter is replaced by its absolute value and the input is all ones
    (integer inputs, which are indices, stay as they are). Normalisations pass their input on, as in Abdelfattah et
    al.: of one example they would remove the flow. ReLU6 counts as ReLU, as numbers here are far beyond 6. Through
    attention flows what the softmax lets through, whose derivatives have both signs. In double precision; networks
    of some hundred layers reach 1e100.

    Args:
        model: a network, or an architecture.
        inputs: tensors with the batch first; only shapes, and the first example's integers, matter. Drawn at
            random for an architecture.

    Raises:
        UsageError: there are no weights, or no output depends on one differentiably.

    Source: Tanaka et al. 2020, "Pruning neural networks without any data by iteratively conserving synaptic flow",
    arXiv:2006.05467, section 5 (R_SF and its score dR/dtheta * theta); summed over weights as in Abdelfattah et al.
    2021, "Zero-Cost Proxies for Lightweight NAS", arXiv:2101.08134, section 3.2.
    """
    return math.fsum(synflow_by_weight(model, inputs).values())


@reproducible()
def synflow_by_weight(model: nn.Module | Architecture, inputs: Inputs | None = None) -> dict[str, float]:
    """The part of `synflow` that each weight has, by its name; arguments and errors as there.

    In a chain of linear layers without biases and of ReLUs every weight has the same (Tanaka et al., theorem 1).
    """
    network, given = prepared(model, inputs, BATCH_SIZE)
    network = network.eval().double()
    weights = weights_of(network)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.is_floating_point():
                parameter.abs_()
    ones = [x[:1] if not x.is_floating_point() else torch.ones_like(x[:1], dtype=torch.float64) for x in given]
    # Numbers are large here, and the fused kernels' gradients overflow on them.
    with Flow(), sdpa_kernel(SDPBackend.MATH):
        flow = sum([output.sum() for output in outputs_of(run(network, ones))], torch.zeros((), dtype=torch.float64))
        gradients = gradients_of(flow, weights)
    return {name: float((weights[name].detach() * slope).abs().sum()) for name, slope in gradients.items()}


@reproducible()
def grad_norm(
    model: nn.Module | Architecture, inputs: Inputs | None = None, targets: Any = None, loss: Loss | None = None
) -> float:
    """The sum over weights of the Euclidean norm of their gradient: sum_l ||dL/dtheta_l||_2.

    Args:
        model: a network, or an architecture.
        inputs: tensors with the batch first; drawn at random for an architecture.
        targets: what the loss compares the output with. For cross-entropy, classes; None draws them at random.
        loss: of (output, targets); cross-entropy of a classifier by default.

    Raises:
        UsageError: there are no weights, the loss does not depend on one differentiably, or the output is not a
            classifier's and no loss is given.

    Source: Abdelfattah et al. 2021, arXiv:2101.08134, section 3.2.
    """
    network, given = prepared(model, inputs, BATCH_SIZE)
    gradients = loss_gradients(network, given, targets, loss, generator())
    return math.fsum([float(slope.double().norm()) for slope in gradients.values()])


@reproducible()
def zico(
    model: nn.Module | Architecture,
    batches: Sequence[tuple[Inputs, Any]] | None = None,
    loss: Loss | None = None,
) -> float:
    """ZiCo: sum_l log sum_{w in theta_l} E[|g_w|] / sqrt(Var[|g_w|]), g_w = dL/dw on each of several batches.

    E and Var (the population's) are over batches. Weights whose gradient has the same size on all batches are left
    out, and so are layers where these are all. The authors' code has Var[g_w] instead; this is the paper's formula.

    Args:
        model: a network, or an architecture.
        batches: at least two of (inputs, targets); targets None draws classes at random. For an architecture, two
            batches of noise.
        loss: of (output, targets); cross-entropy of a classifier by default.

    Raises:
        UsageError: fewer than two batches, and as `grad_norm`.

    Source: Li et al. 2023, "ZiCo: Zero-shot NAS via Inverse Coefficient of Variation on Gradients",
    arXiv:2301.11300, section 3, the definition of ZiCo.
    """
    if isinstance(model, Architecture) and batches is None:
        batches = [(random_inputs(model.space, BATCH_SIZE, seed), None) for seed in (0, 1)]
    if batches is None or len(batches) < 2:
        raise UsageError(
            f"zico compares gradients between batches: expected at least two (inputs, targets), but got "
            f"{0 if batches is None else len(batches)}"
        )
    network = network_of(model)
    labels = generator()
    found = [loss_gradients(network, tensors(inputs), targets, loss, labels) for inputs, targets in batches]
    score = 0.0
    for name in found[0]:
        sizes = torch.stack([gradients[name].double().abs() for gradients in found])
        spread = sizes.std(0, unbiased=False)
        ratios = (sizes.mean(0) / spread)[spread > 0]
        if float(ratios.sum()) > 0:
            score += math.log(float(ratios.sum()))
    return score


@reproducible()
def naswot(model: nn.Module | Architecture, inputs: Inputs | None = None) -> float:
    """The log-determinant of the kernel of activation codes: s = log |K|, K_ij = N - d_H(c_i, c_j).

    c_i holds a bit for each of N units on example i: whether its pre-activation is positive; d_H is the Hamming
    distance. Units are those of ReLU and the like, modules or functions: see `zerocost_codes.RECTIFIERS` (GELU and
    SiLU among them, by the sign of the pre-activation). -inf where K is singular, as with two equal codes or far
    more examples than units.

    Args:
        model: a network, or an architecture.
        inputs: tensors with the batch first, at least two examples; drawn at random for an architecture.

    Raises:
        UsageError: there is no such unit, or only one example.

    Source: Mellor et al. 2021, "Neural Architecture Search without Training", arXiv:2006.04647, section 3.
    """
    network, given = prepared(model, inputs, BATCH_SIZE)
    size = batch_size(given, "naswot")
    kernel = torch.zeros((size, size), dtype=torch.float64)
    for codes in activation_codes(network, given, size):
        for part in codes.split(MAX_COUNTED, dim=1):
            bits = part.to(torch.float32)
            both, each = (bits @ bits.T).double(), bits.sum(1, dtype=torch.float64)
            kernel += (part.shape[1] - each[:, None] - each[None, :] + 2 * both).to(kernel.device)
    values = torch.linalg.eigvalsh(kernel)
    # The kernel is positive semidefinite; what rounding leaves of a zero eigenvalue is none.
    if float(values[0]) <= float(values[-1]) * size * torch.finfo(torch.float64).eps:
        return -math.inf
    return float(values.log().sum())


@reproducible()
def swap(model: nn.Module | Architecture, inputs: Inputs | None = None) -> float:
    """SWAP: in how many different ways units respond to the batch, |{(c_1v, ..., c_Sv) : v a unit}|.

    c_iv is the bit of unit v on example i, as in `naswot`; at most 2^S for S examples, which is the reason why a
    batch of a few examples saturates.

    Args:
        model: a network, or an architecture.
        inputs: tensors with the batch first, at least two examples; drawn at random for an architecture.

    Raises:
        UsageError: there is no such unit, or only one example.

    Source: Peng et al. 2024, "SWAP-NAS: Sample-Wise Activation Patterns for Ultra-fast NAS", arXiv:2403.04161,
    section 3 (the SWAP-score, not regularised).
    """
    network, given = prepared(model, inputs, SWAP_BATCH_SIZE)
    size = batch_size(given, "swap")
    seen: Tensor | None = None
    for codes in activation_codes(network, given, size):
        patterns = different(words(codes.T))
        seen = patterns if seen is None else different(torch.cat([seen, patterns]))
    assert seen is not None
    return float(len(seen))


def words(bits: Tensor) -> Tensor:
    """Rows of bits, shape (n, S), as rows of 63-bit numbers, shape (n, ceil(S / 63))."""
    places = 2 ** torch.arange(63, device=bits.device)
    return torch.stack([(part * places[: part.shape[1]]).sum(1) for part in bits.split(63, dim=1)], dim=1)


def different(rows: Tensor) -> Tensor:
    """The different rows, sorted."""
    # Of single numbers, torch finds them many times faster.
    found: Tensor = torch.unique(rows[:, 0])[:, None] if rows.shape[1] == 1 else torch.unique(rows, dim=0)
    return found


def prepared(model: nn.Module | Architecture, inputs: Inputs | None, size: int) -> tuple[nn.Module, list[Tensor]]:
    """A network of our own to change, and its inputs."""
    if inputs is None:
        if not isinstance(model, Architecture):
            raise UsageError("a torch model is scored on a batch: expected inputs, tensors with the batch first")
        inputs = random_inputs(model.space, size, seed=0)
    return network_of(model), tensors(inputs)


def batch_size(given: Sequence[Tensor], score: str) -> int:
    if len(given[0]) < 2:
        raise UsageError(f"{score} compares examples: expected a batch of at least two, but got {len(given[0])}")
    return len(given[0])


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def gradients_of(value: Tensor, weights: dict[str, nn.Parameter]) -> dict[str, Tensor]:
    """d value / d weight by name; zeros where it does not depend on one.

    Raises:
        UsageError: it depends on none.
    """
    found: Sequence[Tensor | None] = [None]
    if value.requires_grad:
        found = torch.autograd.grad(value, list(weights.values()), allow_unused=True)
    if all([slope is None for slope in found]):
        raise UsageError(
            "the output does not depend on any weight differentiably: gradients end at a detach(), a rounding or an "
            "argmax; scores of activations (naswot, swap) need none"
        )
    gradients = {}
    for (name, weight), slope in zip(weights.items(), found, strict=True):
        gradients[name] = torch.zeros_like(weight) if slope is None else slope.to_dense()
    return gradients


def loss_gradients(
    network: nn.Module, given: Sequence[Tensor], targets: Any, loss: Loss | None, labels: torch.Generator
) -> dict[str, Tensor]:
    weights = weights_of(network)
    output = run(network, given)
    if loss is not None:
        value = loss(output, targets)
        if not isinstance(value, Tensor) or value.numel() != 1:
            raise UsageError(f"loss(output, targets) gives one number as a tensor, but got {describe(value)}")
        return gradients_of(value, weights)
    logits, classes = random_labels(output, labels) if targets is None else (output, targets)
    return gradients_of(nn.functional.cross_entropy(logits, classes), weights)


def describe(value: Any) -> str:
    return f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"
