r"""A deep ensemble: the training repeated from other weights and orders, on bootstrapped events if asked for.

Lakshminarayanan et al., arXiv:1612.01474: the spread of the replicas is the statistical part, the mean of their learned
variances the other one. Without the bootstrap replicas differ by start and order of events only, so that their spread
says how well the training determines the function, and little about which events there were; with it (Efron 1979) the
data's fluctuation is in it. It is the baseline: no prior, no convergence to anything, but the trained network's own
errors. `var_stat` is the variance of one replica, as that of a draw is for the other methods; the error of the mean of
all is smaller.

All replicas are one compiled training, see `learn.replicas`.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal

import equinox as eqx
import jax
import numpy as np
from pydantic import Field

from saggiatore.infer.base import Chains
from saggiatore.infer.density import AbstractDensityMethod, LearnedDensity
from saggiatore.infer.network import AbstractNetworkMethod, Sampled, prior_width
from saggiatore.infer.ratio import AbstractRatioMethod, LearnedRatio
from saggiatore.infer.weights import flatten, with_weights
from saggiatore.learn.loop import TrainingSpec
from saggiatore.learn.precision import Precision, computing_in, rounded
from saggiatore.learn.replicas import train_replicas
from saggiatore.models.base import AbstractModel, AbstractRegression, Event, trainable
from saggiatore.spec import Spec
from saggiatore.tasks.base import AbstractTask
from saggiatore.tasks.joint_score import JointScore
from saggiatore.types import PRNGKeyArray


class ReplicasSpec(Spec):
    """A deep ensemble."""

    kind: Literal["replicas"] = "replicas"
    n_replicas: int = Field(16, ge=2, description="networks that are trained")
    is_bootstrapped: bool = Field(
        True, description="each replica learns from events drawn with replacement; else start and order differ alone"
    )
    training: TrainingSpec = Field(
        description="of each replica; as the model's own to repeat it. With a patience below n_epochs bootstrapped "
        "replicas stop before the learning rate has decayed, and scatter more than they need"
    )

    def build(self) -> "Replicas":
        return Replicas(self, JointScore(()))


class Replicas(AbstractNetworkMethod, AbstractDensityMethod, AbstractRatioMethod):
    """Weights of independent trainings."""

    spec: ReplicasSpec
    task: AbstractTask  # of a regression
    precision: Precision | None = None  # of the trainings; that of the process
    checkpoint: Path | None = None
    identity: str = ""

    def resuming(self, checkpoint: Path, identity: str) -> "Replicas":
        """See `AbstractMethod.resuming`: each training goes on from the epoch that it was in."""
        return replace(self, checkpoint=checkpoint, identity=identity)

    def learning(self, task: AbstractTask, precision: Precision) -> "Replicas":
        """See `AbstractMethod.learning`: each replica is trained with the loss of `task`, in the same precision."""
        return replace(self, task=task, precision=precision)

    def sample(self, model: AbstractRegression, events: Event, *, key: PRNGKeyArray) -> Sampled:
        """See `AbstractNetworkMethod.sample`.

        Raises:
            TrainingError: if a loss is not finite, or there are too few events.
            InterruptionError: if a scheduler ended the trainings.
        """
        at, order = jax.random.split(key)
        width = prior_width(model, 1.0)
        starts = width * jax.random.normal(at, (self.spec.n_replicas, width.size))
        leaves = jax.vmap(lambda w: eqx.filter(with_weights(model, w), trainable(model)))(starts)
        return self._train(model, leaves, self.task, events, key=order)

    def sample_density(self, learned: LearnedDensity, *, key: PRNGKeyArray) -> Sampled:
        """See `AbstractDensityMethod.sample_density`: every replica starts as a density that its spec builds.

        Raises:
            TrainingError: if a loss is not finite, or there are too few events.
        """
        return self._train_built(learned.density, learned.build, learned.task, learned.events, key=key)

    def sample_ratio(self, learned: LearnedRatio, *, key: PRNGKeyArray) -> Sampled:
        """See `AbstractRatioMethod.sample_ratio`: every replica starts as a ratio that its spec builds."""
        return self._train_built(learned.ratio, learned.build, learned.task, learned.events, key=key)

    def _train_built(
        self,
        model: AbstractModel,
        build: Callable[[PRNGKeyArray], AbstractModel],
        task: AbstractTask,
        events: Event,
        *,
        key: PRNGKeyArray,
    ) -> Sampled:
        at, order = jax.random.split(key)

        def start(each: PRNGKeyArray) -> AbstractModel:
            built = build(each)
            leaves: AbstractModel = eqx.filter(built, trainable(built))
            return leaves

        leaves = eqx.filter_jit(eqx.filter_vmap(start))(jax.random.split(at, self.spec.n_replicas))
        return self._train(model, leaves, task, events, key=order)

    def _train(
        self, model: AbstractModel, starts: AbstractModel, task: AbstractTask, events: Event, *, key: PRNGKeyArray
    ) -> Sampled:
        seed = int(jax.random.randint(key, (), 0, np.iinfo(np.int32).max))
        with computing_in(self.precision):
            model, starts, events = rounded((model, starts, events), self.precision)
            trained, _ = train_replicas(
                model,
                starts,
                task,
                events,
                self.spec.training,
                seed=seed,
                is_bootstrapped=self.spec.is_bootstrapped,
                checkpoint=self.checkpoint,
                identity=self.identity,
            )
        weights = jax.vmap(lambda replica: flatten(eqx.combine(replica, model)))(trained)
        return Sampled(np.asarray(weights, float)[None], 0, is_markov=False)

    def check(self, chains: Chains) -> None:
        """Nothing beyond finite losses, which the training checks."""
