"""How much a trial promises: pure functions of a predicted mean and standard deviation; losses, smaller is better."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import log_ndtr, ndtr

Array = npt.NDArray[np.float64]

LOG_SQRT_2_PI = 0.5 * np.log(2 * np.pi)


def expected_improvement(mean: Array, std: Array, best: float) -> Array:
    """E[max(0, best - loss)] (Jones, Schonlau and Welch, 1998, eq. 15).

    >>> expected_improvement(np.array([0.0]), np.array([1.0]), 0.0).round(6).tolist()
    [0.398942]
    """
    z = (best - mean) / std
    improvement: Array = (best - mean) * ndtr(z) + std * np.exp(-0.5 * z * z - LOG_SQRT_2_PI)
    return improvement


def log_expected_improvement(mean: Array, std: Array, best: float) -> Array:
    """log E[max(0, best - loss)], finite and in order where EI itself is 0 in floating point.

    (Ament et al., 2023, "Unexpected Improvements to Expected Improvement", eq. 9; asymptotic beyond 25.)

    >>> log_expected_improvement(np.array([50.0]), np.array([1.0]), 0.0).round(3).tolist()
    [-1258.744]
    """
    z = (best - mean) / std
    log_density = -0.5 * z * z - LOG_SQRT_2_PI
    near = np.clip(z, -25.0, 25.0)
    ratio = 1.0 + near * np.exp(log_ndtr(near) + 0.5 * near * near + LOG_SQRT_2_PI)
    far = np.maximum(np.abs(z), 25.0)
    # 1 - |z| mills(|z|) = 1/z^2 - 3/z^4 + 15/z^6 - ...
    tail = far**-2 * (1 - 3 * far**-2 * (1 - 5 * far**-2 * (1 - 7 * far**-2)))
    improvement: Array = np.log(std) + log_density + np.log(np.where(z > -25.0, np.maximum(ratio, 1e-300), tail))
    # Beyond 25 the density is nothing beside the gain of the mean itself, and its exponential would overflow.
    return np.where(z > 25.0, np.log(np.maximum(best - mean, 1e-300)), improvement)
