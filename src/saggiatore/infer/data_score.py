"""The data score of a diffusion as a teacher; apart from `base`, since diffrax takes a second to import."""

import jax.numpy as jnp

from saggiatore.infer.base import AbstractPosteriorScore, ScoreEstimate
from saggiatore.models.diffusion import Diffusion
from saggiatore.types import Features, Scalar


class DataScore(AbstractPosteriorScore):
    """One component of the data score of a diffusion at one time, as the only score: no variance is known."""

    model: Diffusion
    time: Scalar
    position: int  # of the feature along which the derivative is taken

    def __call__(self, features: Features) -> ScoreEstimate:
        value = self.model.data_score(features, self.time, jnp.zeros(0))[self.position]
        return ScoreEstimate(value, jnp.zeros_like(value), jnp.zeros_like(value))
