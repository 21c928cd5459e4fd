"""Variational inference of numpyro in mini-batches: every epoch one compiled scan over batches in a new order."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from numpyro.optim import optax_to_numpyro
from pydantic import Field
from tqdm import tqdm

from saggiatore.errors import ConvergenceError
from saggiatore.models.base import Event
from saggiatore.spec import Spec
from saggiatore.types import Array, Float, Int, PRNGKeyArray


class MinibatchSpec(Spec):
    """What every fit of Gaussian weights in mini-batches states."""

    n_epochs: int = Field(100, ge=10, description="passes over the events")
    batch_size: int = Field(500, ge=1)
    learning_rate: float = Field(1e-2, gt=0, description="of Adam at the start; it falls to 1 % as a cosine")
    prior_scale: float = Field(1.0, gt=0, description="prior width of a weight times the root of its fan-in")
    start_scale: float = Field(0.1, gt=0, description="width of a Gaussian at the start over that of the prior")

    def optimiser(self, n_events: int) -> Any:
        """Adam for numpyro, its rate a cosine over all steps."""
        n_steps = self.n_epochs * (n_events // self.batch_size)
        return optax_to_numpyro(optax.adam(optax.cosine_decay_schedule(self.learning_rate, max(n_steps, 1), 0.01)))


def run_epochs(
    inference: Any, events: Event, n_epochs: int, batch_size: int, name: str, *, key: PRNGKeyArray
) -> tuple[dict[str, Array], Float[np.ndarray, " epoch"]]:
    """Parameters of a fitted `SVI` or `SteinVI`, whose model takes a batch and how many events each of it stands for.

    Returns:
        The guide's parameters, and the mean over each epoch of what the inference calls its loss.

    Raises:
        ConvergenceError: if the events do not fill a batch, or a loss is not finite.
    """
    n_events = len(events.weight)
    n_batches = n_events // batch_size
    if n_batches == 0:
        raise ConvergenceError(f"{n_events} events do not fill one batch of {batch_size}; take a smaller batch_size.")
    n_per_event = jnp.asarray(n_events / batch_size)

    @jax.jit
    def epoch(state: Any, events: Event, order: Int[Array, "batch event"]) -> tuple[Any, Array]:
        def step(state: Any, rows: Int[Array, " event"]) -> tuple[Any, Array]:
            batch = jax.tree.map(lambda column: column[rows], events)
            return inference.update(state, batch, n_per_event)  # type: ignore[no-any-return]

        state, losses = jax.lax.scan(step, state, order)
        return state, jnp.mean(losses)

    first = jax.tree.map(lambda column: column[:batch_size], events)
    state = jax.tree.map(_strong, inference.init(key, first, n_per_event))
    random = np.random.default_rng(np.asarray(jax.random.key_data(key)))
    losses = []
    for number in tqdm(range(n_epochs), name, unit="epoch", mininterval=1):
        order = random.permutation(n_events)[: n_batches * batch_size].reshape(n_batches, batch_size)
        state, loss = epoch(state, events, jnp.asarray(order))
        losses.append(float(loss))
        if not np.isfinite(losses[-1]):
            raise ConvergenceError(
                f"{name}, epoch {number + 1}: the loss is {losses[-1]}; lower learning_rate. Nothing was written."
            )
    return inference.get_params(state), np.array(losses)


def _strong(part: Any) -> Array:
    """An array of a type that no step promotes: the first epoch would be compiled apart from the others."""
    array = jnp.asarray(part)
    return jax.lax.convert_element_type(array, array.dtype)
