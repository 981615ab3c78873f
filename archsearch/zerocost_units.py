"""How many rectifier units a network has: what `naswot` and `swap` rank by on convolutional spaces, without a network.

On NAS-Bench-Macro their rank correlation with this number is 0.999 (tests/benchmarks/RESULTS.md), and theirs with
accuracy comes from it. It is in the spirit of "activations", the size of all layers' outputs, which Radosavovic et al.
2020 ("Designing Network Design Spaces", arXiv:2003.13678, section 4) use beside parameters and FLOPs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from archsearch.errors import UsageError
from archsearch.spaces.architecture import Architecture
from archsearch.spaces.resolved import Leaf
from archsearch.spaces.settled import Settled
from archsearch.spaces.targets import label

RECTIFIERS = frozenset(
    ["ReLU", "ReLU6", "LeakyReLU", "PReLU", "RReLU", "ELU", "SELU", "CELU", "GELU", "SiLU", "Mish", "Hardswish"]
)


def units(arch: Architecture) -> float:
    """The number of outputs of rectifiers for one example; from settled sizes, before anything is built.

    Torch's modules count, wherever they stand in the space; a rectifier that a module calls inside does not.

    Raises:
        UsageError: there is none.
        BuildError, ShapeError: sizes cannot be settled.
    """
    found = sum(rectified(arch.settled))
    if not found:
        raise UsageError(f"the architecture has no rectifier: expected one of {', '.join(sorted(RECTIFIERS))}")
    return float(found)


def rectified(settled: Settled) -> Iterator[int]:
    """The number of outputs of each rectifier inside a part."""
    if isinstance(settled.part, Leaf) and label(settled.part.target) in RECTIFIERS:
        output = settled.output
        assert not isinstance(output, dict)
        yield math.prod(output.shape)
    for child in settled.children:
        yield from rectified(child)
