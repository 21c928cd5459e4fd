r"""A deep ensemble: the training repeated from other weights and orders, on bootstrapped events if asked for.

Lakshminarayanan et al., arXiv:1612.01474: the spread of the replicas is the statistical part, the mean of their learned
variances the other one. Without the bootstrap replicas differ by start and order of events only, so that their spread
says how well the training determines the function, and little about which events there were; with it (Efron 1979) the
data's fluctuation is in it, and each has validation events of its own. It is the baseline: no prior, no convergence to
anything, but the trained network's own errors.

`var_stat` is the variance of one replica, as that of a draw is for the other methods. Of trainings with the variance
`d` by data and `s` by start it is d + s, while the mean of B of them varies by (1 + 1/B) d + s/B only: their data are
one data set drawn again, their starts are independent. With `n_starts` each replica is the mean of several trainings on
the same bootstrapped events, so that `var_stat` is d + s/n_starts and nears the variance of the mean, which is what a
teacher states and a formula is distilled from.

All trainings are one compiled program, see `learn.replicas`.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Literal

import equinox as eqx
import jax
import numpy as np
from pydantic import Field

from saggiatore.constraint import Constraint
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
    constraints: ClassVar[tuple[Constraint, ...]] = (
        Constraint(
            "n_starts == 1 or is_bootstrapped",
            "n_starts is {n_starts} without bootstrap: all trainings differ by their start alone, expected 1. Raise "
            "n_replicas, or leave is_bootstrapped out.",
        ),
    )
    n_replicas: int = Field(16, ge=2, description="draws: networks, or means of n_starts of them")
    n_starts: int = Field(
        1,
        ge=1,
        description="trainings of each replica, from other weights and in other orders, whose mean it is (of scores, "
        "log r, densities): the more, the nearer is the spread of the replicas to the error of their mean",
    )
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

    @property
    def n_networks(self) -> int:
        """The starts of a replica."""
        return self.spec.n_starts

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
        starts = width * jax.random.normal(at, (self.spec.n_replicas * self.spec.n_starts, width.size))
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

        n_trainings = self.spec.n_replicas * self.spec.n_starts
        leaves = eqx.filter_jit(eqx.filter_vmap(start))(jax.random.split(at, n_trainings))
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
                n_alike=self.spec.n_starts if self.spec.is_bootstrapped else None,
                checkpoint=self.checkpoint,
                identity=self.identity,
            )
        weights = np.asarray(jax.vmap(lambda each: flatten(eqx.combine(each, model)))(trained), float)
        shape = (1, self.spec.n_replicas) if self.spec.n_starts == 1 else (self.spec.n_replicas, self.spec.n_starts)
        return Sampled(weights.reshape(*shape, -1), 0, is_markov=False)

    def check(self, chains: Chains) -> None:
        """Nothing beyond finite losses, which the training checks."""
