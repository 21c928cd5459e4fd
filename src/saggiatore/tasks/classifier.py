r"""A classifier of true against generated events: D(x), and $w = D/(1 - D)$, what a generated event should weigh.

Its logit estimates $\log p_{\rm true}(x) / p_{\rm generated}(x)$ where both sorts of event have the same total weight
(arXiv:1907.08209; on generators of events arXiv:2305.16774).
"""

from pathlib import Path
from typing import ClassVar, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from saggiatore.errors import StudyError
from saggiatore.models.base import AbstractModel, AbstractRegression, Event
from saggiatore.models.store import load_model
from saggiatore.spec import EventsLabel, Spec
from saggiatore.tables import Column
from saggiatore.tasks.base import AbstractTask
from saggiatore.types import Features, Float, PRNGKeyArray, Scalar


class ClassifierSpec(Spec):
    """Learn to tell the section's events, the true ones, from others."""

    kind: Literal["classifier"] = "classifier"
    against: EventsLabel

    def build(self, context: tuple[str, ...]) -> "Classifier":
        """The task.

        Raises:
            StudyError: if there is a context.
        """
        if context:
            raise StudyError(f"the task classifier reads no context, got {', '.join(context)}; remove `context`.")
        return Classifier(())


class Classifier(AbstractTask):
    """Binary cross-entropy of the logit; the target is 1 for true events and 0 for generated ones."""

    needs: ClassVar[type] = AbstractRegression
    parameters: tuple[str, ...]  # none: a logit is no score

    def targets(self) -> tuple[Column, ...]:
        """None: the target says which table an event comes from."""
        return ()

    def fixed(self) -> tuple[str, ...]:
        """None."""
        return ()

    def loss(self, model: AbstractModel, event: Event, *, key: PRNGKeyArray) -> Scalar:
        """Cross-entropy of one event."""
        assert isinstance(model, AbstractRegression)
        value = logit(model, event.features)
        return jax.nn.softplus(value) - event.target[0] * value


def logit(model: AbstractRegression, features: Features) -> Scalar:
    """Logarithm of D/(1 - D), which is log w."""
    return model.hidden(features) @ model.last_layer


def logits(model: AbstractRegression, features: Float[np.ndarray, "event feature"]) -> Float[np.ndarray, " event"]:
    """The same for many events, a few thousand at a time."""
    evaluate = eqx.filter_jit(lambda rows: jax.lax.map(lambda x: logit(model, x), rows, batch_size=4096))
    return np.asarray(evaluate(jnp.asarray(features)), dtype=float)


def require_classifier(path: Path) -> tuple[AbstractRegression, list[str]]:
    """The classifier at `path`, and the features that it reads.

    Raises:
        StudyError: if the model there learned something else.
    """
    model, header = load_model(path)
    if header["task"]["kind"] != "classifier":
        raise StudyError(f"{path}: a model that learned {header['task']['kind']}, expected a classifier.")
    return model, [column["name"] for column in header["features"]]


def labelled(true: Event, generated: Event) -> Event:
    """Both sorts of event as one, with their target and the same total weight, of mean 1 over all."""
    size = (len(true.weight) + len(generated.weight)) / 2
    parts = [
        part._replace(
            target=jnp.full((len(part.weight), 1), float(label)), weight=part.weight / part.weight.sum() * size
        )
        for label, part in ((1, true), (0, generated))
    ]
    joined: Event = jax.tree.map(lambda *columns: jnp.concatenate(columns), *parts)
    return joined
