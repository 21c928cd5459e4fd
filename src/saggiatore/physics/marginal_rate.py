r"""Rates of observables, exactly, for the processes that can integrate the rest of an event: what a ratio should be.

$p(x|\theta) \propto \int w(x, z|\theta)\,dz$ up to a factor that does not depend on theta, so that
$\log r(x|\theta) = \log p(x|\theta)/p(x|0)$ follows with the ratio of cross sections alone.
"""

from collections.abc import Callable
from functools import singledispatch
from typing import NamedTuple

import jax.numpy as jnp

from saggiatore.errors import StudyError
from saggiatore.physics.asymmetry import Asymmetry
from saggiatore.physics.marginal import MarginalPoint, wbf_marginal_rate
from saggiatore.physics.process import AbstractProcess
from saggiatore.physics.wbf_higgs import WbfHiggs
from saggiatore.types import Features, Scalar, Theta


class Marginal(NamedTuple):
    """Observables, and their rate at theta up to a factor that does not depend on it."""

    features: tuple[str, ...]
    rate: Callable[[Features, Theta], Scalar]


@singledispatch
def marginal(process: AbstractProcess) -> Marginal:
    """The observables whose rate is known exactly.

    Raises:
        StudyError: if the process integrates nothing.
    """
    raise StudyError(
        f"the rate of observables is not known exactly for {type(process).__name__}; it is for Asymmetry and WbfHiggs."
    )


@marginal.register
def _asymmetry(process: Asymmetry) -> Marginal:
    """In the angle of the muon; the azimuth is trivial."""

    def rate(features: Features, theta: Theta) -> Scalar:
        (cos,) = features
        direction = jnp.stack([jnp.sqrt(1 - cos**2), jnp.zeros(()), cos])
        muon = process.beam_energy * jnp.append(1.0, direction)
        return process.rate(jnp.stack([muon, muon, muon, muon]), theta)

    return Marginal(("cos_theta_mu",), rate)


@marginal.register
def _wbf_higgs(process: WbfHiggs) -> Marginal:
    """In four observables of the jets; two rapidities by quadrature."""
    return Marginal(
        MarginalPoint._fields, lambda features, theta: wbf_marginal_rate(process, MarginalPoint(*features), theta)
    )
