"""Small event tables of a process without its sampler, and sections that read them back from files."""

import jax
import jax.numpy as jnp

from saggiatore.integrate.events import Draw, events_schema, generate
from saggiatore.integrate.integral import CrossSection
from saggiatore.integrate.vegas import VegasSpec
from saggiatore.job import Job
from saggiatore.registry import load
from saggiatore.steps.events import EventsSection
from saggiatore.tables import write_batches


def write_events(path, process, n_events, sigma=2.0):
    """Weighted events of `process` (as a study has it) from a sampler that knows nothing; `sigma` in pb, whatever."""
    spec = load("process", process["kind"]).model_validate(process)
    built = spec.build()
    zero = jnp.zeros(len(built.parameters))
    curve = CrossSection(jnp.array(sigma), zero, jnp.zeros((len(zero), len(zero))))
    draw = Draw(built, VegasSpec().build(built.dim), curve, zero, zero, jnp.ones(()), jnp.ones(())).weighted(1.0)
    origin = {"spec": {"process": spec.model_dump(mode="json"), "study": "test", "label": "events"}, "code": "0" * 16}
    write_batches(path, events_schema(built), generate(draw, n_events, n_events, key=jax.random.key(1)), origin)


def sample_of(out):
    """Where the description of the sample in the table `out` goes."""
    return out.with_name(f"{out.name}.sample")


def file_job(process, **section):
    """The job of a section that reads a file."""
    return Job[EventsSection].model_validate(
        {"study": "test", "stage": "events", "label": "train", "seed": 1, "section": section, "process": process}
    )
