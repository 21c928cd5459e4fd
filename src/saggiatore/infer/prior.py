r"""Priors of a last layer's weights in the eigenbasis of the likelihood, in units of c = rms(t)/rms(|h|).

`gaussian`: w_j ~ Normal(0, (tau c)^2), one width for all. `horseshoe` gives each direction a width of its own
(Carvalho, Polson and Scott, Biometrika 97, 465; with the slab of arXiv:1707.01694, eq. 2.8, which bounds what the
events leave open), w_j ~ Normal(0, c^2 / (1/(tau lambda_j)^2 + 1/slab^2)) with lambda_j ~ HalfCauchy(1): directions
that the events say nothing of go to zero, those that they determine are not shrunk.
"""

import math
from typing import Literal

import jax.numpy as jnp
from pydantic import Field

from saggiatore.infer.laplace import Basis
from saggiatore.spec import Spec
from saggiatore.types import Array, Float

_COMMON = {
    "log_noise_scale": "logarithm of the factor s on the network's noise variance",
    "log_prior_scale": "logarithm of tau, the prior width of the weights in units of rms(t)/rms(|h|)",
}
N_COMMON = len(_COMMON)
LOCAL_WIDTH = math.pi / 2  # standard deviation of the logarithm of a half-Cauchy variable


class PriorSpec(Spec):
    """The prior of a last layer's weights."""

    prior: Literal["gaussian", "horseshoe"] = Field("gaussian", description="of the weights; see infer/prior.py")
    prior_scale: float = Field(1.0, gt=0, description="median of tau: prior width of the prediction in units of rms(t)")
    slab_scale: float = Field(2.0, gt=0, description="largest prior width that a horseshoe grants, in the same units")

    def scales(self, basis: Basis) -> dict[str, str]:
        """Names and meanings of what is sampled beside the weights: log s, log tau, and each log lambda."""
        n_local = basis.centre.size if self.prior == "horseshoe" else 0
        meaning = "logarithm of lambda, the prior width of direction {} of the features in units of tau"
        return _COMMON | {f"log_local_scale_{i}": meaning.format(i) for i in range(n_local)}

    def precision(self, basis: Basis, hyper: Float[Array, " hyper"]) -> Array:
        """Inverse variance of each weight's prior at the logarithms `hyper` of the scales; one if all share it."""
        if self.prior == "gaussian":
            return basis.prior_precision(hyper)
        return (jnp.exp(-2 * (hyper[1] + hyper[N_COMMON:])) + self.slab_scale**-2) / basis.unit**2
