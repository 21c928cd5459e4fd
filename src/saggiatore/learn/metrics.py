r"""How good a score is. With $s$ the learned and $t$ the joint score, averages over weighted events."""

import numpy as np
from jaxtyping import Float

Values = Float[np.ndarray, " event"]


def mean_squared_error(score: Values, target: Values, weight: Values) -> float:
    """E[(s - t)^2]."""
    return float(np.average((score - target) ** 2, weights=weight))


def information_kept(score: Values, target: Values, weight: Values) -> float:
    """E[s t]^2 / (E[s^2] E[t^2]): Fisher information that an optimally scaled `score` keeps of the joint one."""
    overlap = np.average(score * target, weights=weight)
    norms = np.average(score**2, weights=weight) * np.average(target**2, weights=weight)
    return float(overlap**2 / norms)
