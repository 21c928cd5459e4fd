"""The data score of a diffusion as a formula: it has the structure of the analytic gradient, its constants too.

From events to formula as the study toy_gaussian does it; the form of the ring is given, its constants are fitted.
Budget: each constant within 4 of its standard errors of what the closed form gives.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy

from saggiatore.distill.engine import Problem, pareto_front
from saggiatore.distill.form import fit_form
from saggiatore.distill.operon_engine import OperonSpec
from saggiatore.distill.refit import refit
from saggiatore.learn.loop import TrainingSpec, train
from saggiatore.models.base import Event
from saggiatore.models.diffusion import DiffusionSpec, at_time
from saggiatore.tasks.density import Density

pytestmark = pytest.mark.thorough
N_EVENTS = 50_000
RADIUS, WIDTH, CORRELATION = 4.0, 1.0, 0.6


def ring(rng):
    """Radii by accept-reject: in the plane the density is normal in r, so that r itself has the factor r."""
    r = np.abs(rng.normal(RADIUS, WIDTH, 6 * N_EVENTS))
    r = r[rng.random(len(r)) * (RADIUS + 6 * WIDTH) < r][:N_EVENTS]
    angle = rng.uniform(0, 2 * np.pi, N_EVENTS)
    return np.stack([r * np.cos(angle), r * np.sin(angle)], axis=1)


def gaussian(rng):
    return rng.multivariate_normal([0, 0], [[1, CORRELATION], [CORRELATION, 1]], N_EVENTS)


def taught(sample, time, n_epochs):
    """Smeared events that the network did not see, its data score along x, their joint one, and the noise's widths."""
    rng = np.random.default_rng(3)
    events = Event(*(jnp.asarray(v) for v in (sample(rng), np.zeros((N_EVENTS, 0)), np.zeros((N_EVENTS, 0)))), 1.0)
    events = events._replace(weight=jnp.ones(N_EVENTS))
    model = DiffusionSpec().build(("x", "y"), (), key=jax.random.key(1)).standardise(events)
    spec = TrainingSpec(n_epochs=n_epochs, batch_size=1000, learning_rate=3e-3, patience=n_epochs)
    model, _ = train(model, Density(()), events, spec, seed=2)
    keys = jax.random.split(jax.random.key(4), N_EVENTS)
    smear = jax.jit(jax.vmap(lambda x, key: model.smeared(x, jnp.asarray(time), key=key)))
    there, joint = smear(jnp.asarray(sample(rng)), keys)
    score = jax.jit(jax.vmap(lambda x: model.data_score(x, jnp.asarray(time), jnp.zeros(0))))(there)
    widths = [float(jnp.tan(at_time(time)) * line.affine.scale[0]) for line in model.frame.coordinates]
    return np.asarray(there), np.asarray(score)[:, 0], np.asarray(joint)[:, 0], widths


def formulas(x, score, joint, **options):
    """The front of an engine on 20,000 rows of the network's score, its constants refitted to the joint one."""
    problem = Problem(("x", "y"), x[:20_000], score[:20_000], np.ones(20_000))
    front = pareto_front(problem, OperonSpec(**options).build().search(problem, 5, None), options["max_complexity"])
    columns = {"x": x[:, 0], "y": x[:, 1]}
    return [refit(member.form, columns, joint, np.ones(len(joint))) for member in front]


def coefficients(member, basis):
    """Coefficients of `member` in functions of the features, with their covariance; None if it is another form."""
    symbols = [sympy.Symbol(name) for name in ("x", "y")]
    expanded = sympy.expand(member.form.expression)
    found = [expanded.coeff(each) for each in basis]
    rest = sympy.simplify(expanded - sum(c * each for c, each in zip(found, basis, strict=True)))
    if any(c == 0 or c.free_symbols & set(symbols) for c in found) or rest.free_symbols & set(symbols):
        return None
    names = [sympy.Symbol(name) for name in member.form.values]
    slope = sympy.Matrix(found).jacobian(names).subs(member.form.values)
    values = [float(c.subs(member.form.values)) for c in found]
    slope = np.array(slope, dtype=float)
    return np.array(values), np.sqrt(np.diag(slope @ member.covariance @ slope.T))


def test_a_correlated_gaussian_has_a_linear_data_score():
    """-(x, y) Sigma^-1, with Sigma widened by the smearing: exact at every time."""
    x, score, joint, widths = taught(gaussian, 0.2, 30)
    inverse = np.linalg.inv(np.array([[1, CORRELATION], [CORRELATION, 1]]) + np.diag(np.square(widths)))
    basis = sympy.symbols("x y")
    members = formulas(x, score, joint, max_complexity=9, n_generations=10, max_fits=300)
    best = min((m for m in members if coefficients(m, basis)), key=lambda member: member.mse)
    values, errors = coefficients(best, basis)
    assert (np.abs(values + inverse[0]) < 4 * errors).all()
    assert ((errors > 0) & (errors < 0.05)).all()


def test_the_data_score_of_a_ring_is_the_analytic_one_and_gives_its_constants():
    """(x, y) (a + b/r) with a = -1/w^2 and b = R/w^2, w^2 widened by the smearing: that form is off by one per cent."""
    x, score, joint, widths = taught(ring, 0.05, 60)
    variance = WIDTH**2 + np.mean(widths) ** 2
    expected = np.array([-1, RADIUS]) / variance
    analytic = x[:, 0] * (expected[0] + expected[1] / np.hypot(*x.T))
    assert np.corrcoef(score, analytic)[0, 1] > 0.97
    found = fit_form("a*x + b*x/sqrt(x**2 + y**2)", ["x", "y"], x, joint, np.ones(len(joint)), "data_x")
    values = np.array([found.constants[name] for name in ("a", "b")])
    errors = np.array([found.errors[name] for name in ("a", "b")])
    assert (np.abs(values - expected) < 4 * errors).all()
    assert (errors < 0.04 * np.abs(expected)).all()
