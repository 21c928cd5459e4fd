r"""A density trained jointly with a classifier: the log-likelihood of true events, weighted (arXiv:2110.13632).

A density $q_0$ was trained, and a classifier of true events against events drawn from it states
$w(x) = D/(1 - D) \to p(x)/q_0(x)$. From the weights of $q_0$ on, the loss is now

$$L = -\langle w(x)^\alpha \log q(x) \rangle_p \,/\, \langle w(x)^\alpha \rangle_p,$$

so that regions which the density underestimates count more. No gradient flows through w. The exact minimum has
$\log(q/p) = -\alpha \log(q_0/p)$ up to a constant: the error of a density that could reach it would change its sign and
shrink where $\alpha < 1$, and the truth is the fixed point for any $\alpha$.

The paper trains both networks at once, with w at every step. Here a section is one round, with w as it was at the
round's start: each round, and what the classifier said of it, stays for inspection, and more rounds are more sections.
"""

from typing import Literal

import jax.numpy as jnp
from pydantic import Field

from saggiatore.errors import StudyError
from saggiatore.models.base import Event
from saggiatore.spec import ModelLabel, Spec
from saggiatore.tasks.density import Density
from saggiatore.types import Array, Float


class JointSpec(Spec):
    """Go on with the training of the density in `start`, true events weighted by what a classifier says of its own."""

    kind: Literal["joint"] = "joint"
    classifier: ModelLabel = Field(description="classifier of true events against events drawn from that density")
    alpha: float = Field(
        1.0, ge=0, le=10, description="power of w = D/(1 - D) in the weight; 0 goes on without the classifier"
    )

    def build(self, context: tuple[str, ...]) -> Density:
        """The loss of one event, which is that of a density.

        Raises:
            StudyError: if there is a context: the classifier would not see it.
        """
        if context:
            raise StudyError(f"the task joint reads no context, got {', '.join(context)}; remove `context`.")
        return Density(context)


def reweighted(events: Event, log_weight: Float[Array, " event"], alpha: float) -> Event:
    """The events with their weights times w^`alpha`, of mean 1 as before."""
    weight = events.weight * jnp.exp(alpha * (log_weight - log_weight.max()))
    return events._replace(weight=weight / weight.mean())
