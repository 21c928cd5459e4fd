"""What is known of a toy: probabilities of bins, and quantiles of a feature."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from saggiatore.errors import StudyError
from saggiatore.infer.predictive import Edges, nodes
from saggiatore.physics.plane import OBSERVABLES, AbstractPlane
from saggiatore.physics.process import AbstractProcess
from saggiatore.types import Float

_N_FINE = 1000  # bins along a feature between which its distribution function is interpolated


def toy(process: AbstractProcess) -> AbstractPlane:
    """`process`, if its density is known in closed form.

    Raises:
        StudyError: if it is not.
    """
    if not isinstance(process, AbstractPlane):
        raise StudyError(
            f"the density of {type(process).__name__} is not known in closed form, that of toys (ramp, kicker, ring, "
            "gaussian) is. Name true events in truth where a stage takes them, or another process."
        )
    return process


def exact_bins(process: AbstractPlane, edges: Mapping[str, Edges]) -> Float[np.ndarray, " bin"]:
    """Probability of each bin along the features of `edges`, the last running fastest; over the whole of the other."""
    spans = dict(zip(OBSERVABLES, np.stack([process.low, process.high], axis=1), strict=True))
    points, volume = nodes([edges.get(name, span) for name, span in spans.items()])
    theta = jnp.zeros(len(process.parameters))
    density = np.asarray(jax.jit(jax.vmap(lambda x: process.density(x[0], x[1], theta)))(jnp.asarray(points)))
    columns = points[:, [list(OBSERVABLES).index(name) for name in edges]]
    found, _ = np.histogramdd(columns, list(edges.values()), weights=volume * density)
    return found.reshape(-1)


def exact_quantiles(process: AbstractPlane, feature: str, n: int) -> Edges:
    """The n + 1 edges of n parts of equal probability along a feature."""
    place = list(OBSERVABLES).index(feature)
    fine = np.linspace(process.low[place], process.high[place], _N_FINE + 1)
    below = np.append(0.0, np.cumsum(exact_bins(process, {feature: fine})))
    return np.interp(np.linspace(0, 1, n + 1), below / below[-1], fine)
