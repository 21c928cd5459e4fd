r"""The fiducial cross section, its dependence on theta, and what unweighting will cost; measured batch by batch.

$\sigma(\theta) = \sigma_0 + g \cdot \theta + \tfrac12 \theta^T H \theta$ holds for all theta in those parameters in
which the rate is a polynomial of degree two (a law test checks what a process says of itself), and to second order
about theta = 0 in the others. The rates at the nodes $0, \pm h e_i, h (e_i + e_j)$ give the coefficients of a
polynomial exactly, event by event, in fewer steps than the derivatives that any other rate needs.
"""

from collections.abc import Mapping
from itertools import combinations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from saggiatore.errors import EventError
from saggiatore.integrate.base import (
    BATCH,
    AbstractSampler,
    n_batches,
    over_events,
    progress,
    require_finite,
    uniform_batch,
)
from saggiatore.integrate.unweight import Spectrum
from saggiatore.physics.process import AbstractProcess, image_weights, is_quadratic, n_theta
from saggiatore.tables import Column, Table, TableSchema
from saggiatore.types import Array, Float, PRNGKeyArray, Scalar, Theta, UnitPoint

_STEP = 0.5  # of the nodes; any value gives the same polynomial
_NEGATIVE = 1e-6  # fraction of the rate that may be negative, from densities that fluctuate below zero

_COLUMNS = (
    Column("cross_section", "pb", "fiducial cross section at theta = 0", r"$\sigma$"),
    Column("cross_section_error", "pb", "standard error of the cross section"),
    Column("relative_std", "1", "standard deviation of the weights over their mean, cuts included"),
    Column("n_points", "1", "points that measured the cross section", kind="int"),
    Column("max_weight", "pb", "weight above which the stated overweight fraction of the rate lies"),
    Column("overweight_rate", "1", "fraction of the rate in weights above the maximum"),
    Column("kept_fraction", "1", "mean of min(weight, maximum) over the mean weight"),
    Column("unweighting_efficiency", "1", "fraction of all points that accept-reject keeps, cuts included"),
    Column("cut_efficiency", "1", "fraction of all points that pass the cuts"),
)


class CrossSection(eqx.Module):
    """The fiducial cross section as a function of theta, in pb; a parabola, see above where it is exact."""

    value: Scalar
    gradient: Float[Array, " theta"]
    hessian: Float[Array, "theta theta"]

    def __call__(self, theta: Theta) -> Scalar:
        """Cross section at `theta`."""
        return self.value + self.gradient @ theta + theta @ self.hessian @ theta / 2

    def log_gradient(self, theta: Theta) -> Theta:
        """Derivative of log sigma at `theta`: what turns d log w into a joint score."""
        return (self.gradient + self.hessian @ theta) / self(theta)

    @staticmethod
    def read(table: Table, parameters: tuple[str, ...]) -> "CrossSection":
        """The cross section that an integral table holds.

        Raises:
            SchemaError: if the table is of a process with other parameters.
        """
        for name in (*_gradient_names(parameters), *_hessian_names(parameters)):
            table.column(name)
        row = table.data.iloc[0]
        hessian = np.zeros((len(parameters), len(parameters)))
        for (i, j), name in zip(_pairs(len(parameters)), _hessian_names(parameters), strict=True):
            hessian[i, j] = hessian[j, i] = row[name]
        gradient = np.array([row[name] for name in _gradient_names(parameters)])
        return CrossSection(jnp.asarray(row["cross_section"]), jnp.asarray(gradient), jnp.asarray(hessian))


class _Sums(eqx.Module):
    coefficients: Float[Array, " coefficient"]
    squares: Float[Array, " coefficient"]
    inside: Scalar
    negative: Scalar
    spectrum: Spectrum


def integral_schema(parameters: tuple[str, ...]) -> TableSchema:
    """Columns of the integral table of a process with these `parameters`."""
    columns = list(_COLUMNS)
    for name in (*_gradient_names(parameters), *_hessian_names(parameters)):
        meaning = f"coefficient of the polynomial in theta: {name.replace('_', ' ', 1)}"
        columns += [Column(name, "pb", meaning), Column(f"{name}_error", "pb", f"standard error of {name}")]
    return TableSchema("integral", 1, tuple(columns))


def measure(
    process: AbstractProcess, sampler: AbstractSampler, n_points: int, overweight: float, *, key: PRNGKeyArray
) -> Mapping[str, np.ndarray] | None:
    """One row of the integral table from at least `n_points` points; None if no point passed the cuts.

    Raises:
        EventError: if a rate is not finite, or a sizeable part of it is negative.
    """
    size = len(_nodes(len(process.parameters))[1])
    sums = _Sums(jnp.zeros(size), jnp.zeros(size), jnp.zeros(()), jnp.zeros(()), Spectrum.empty())
    batches = range(n_batches(n_points))
    for number in progress(batches, len(batches), "cross section"):
        sums = _add_batch(sums, process, sampler, key, jnp.asarray(number))
    _check_rate(sums)
    if float(sums.inside) == 0 or float(sums.coefficients[0]) == 0:
        return None
    return _row(sums, process.parameters, len(batches) * BATCH, overweight)


def _row(sums: _Sums, parameters: tuple[str, ...], n_points: int, overweight: float) -> Mapping[str, np.ndarray]:
    mean = np.asarray(sums.coefficients) / n_points
    variance = np.asarray(sums.squares) / n_points - mean**2
    error = np.sqrt(variance / n_points)
    max_weight = sums.spectrum.max_weight(overweight)
    kept = sums.spectrum.kept_fraction(max_weight)
    row: dict[str, float] = {
        "cross_section": mean[0],
        "cross_section_error": error[0],
        "relative_std": variance[0] ** 0.5 / mean[0],
        "n_points": n_points,
        "max_weight": max_weight,
        "overweight_rate": sums.spectrum.overweight_rate(max_weight),
        "kept_fraction": kept,
        "unweighting_efficiency": kept * mean[0] / max_weight,
        "cut_efficiency": float(sums.inside) / n_points,
    }
    names = (*_gradient_names(parameters), *_hessian_names(parameters))
    for name, value, deviation in zip(names, mean[1:], error[1:], strict=True):
        row |= {name: value, f"{name}_error": deviation}
    return {name: np.array([value]) for name, value in row.items()}


@eqx.filter_jit
def _add_batch(
    sums: _Sums, process: AbstractProcess, sampler: AbstractSampler, key: PRNGKeyArray, number: Array
) -> _Sums:
    coefficients = _by_nodes if is_quadratic(process) else _by_derivatives
    of_images = over_events(lambda v: coefficients(process, sampler, v), uniform_batch(key, number, sampler.dim))
    weights, terms = of_images[:, 0, 0], of_images.mean(axis=1)
    return _Sums(
        sums.coefficients + terms.sum(axis=0),
        sums.squares + (terms**2).sum(axis=0),
        sums.inside + (weights != 0).sum(),
        sums.negative + jnp.where(weights < 0, weights, 0.0).sum(),
        sums.spectrum.add(weights),
    )


def _by_nodes(process: AbstractProcess, sampler: AbstractSampler, v: UnitPoint) -> Float[Array, "image coefficient"]:
    nodes, solve = _nodes(n_theta(process))
    weights = jax.vmap(lambda theta: _weights(process, sampler, v, theta))(jnp.asarray(nodes))
    return (jnp.asarray(solve) @ weights).T


def _by_derivatives(
    process: AbstractProcess, sampler: AbstractSampler, v: UnitPoint
) -> Float[Array, "image coefficient"]:
    def values(theta: Theta) -> tuple[Array, Array]:
        weights = _weights(process, sampler, v, theta)
        return weights, weights

    def gradient(theta: Theta) -> tuple[Array, tuple[Array, Array]]:
        slopes, weights = jax.jacfwd(values, has_aux=True)(theta)
        return slopes, (weights, slopes)

    size = n_theta(process)
    hessians, (weights, slopes) = jax.jacfwd(gradient, has_aux=True)(jnp.zeros(size))
    return jnp.concatenate([weights[:, None], slopes, hessians[:, *jnp.triu_indices(size)]], axis=1)


def _weights(process: AbstractProcess, sampler: AbstractSampler, v: UnitPoint, theta: Theta) -> Float[Array, " image"]:
    u, log_det = sampler.propose(v)
    return image_weights(process, u, theta) * jnp.exp(log_det)


def _nodes(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes in theta (the first is 0), and the matrix from the rates there to value, gradient and Hessian (i <= j)."""
    unit = _STEP * np.eye(n)
    nodes = np.array([np.zeros(n), *unit, *-unit, *(unit[i] + unit[j] for i, j in combinations(range(n), 2))])
    monomials = [np.ones(len(nodes)), *nodes.T]
    monomials += [nodes[:, i] * nodes[:, j] * (0.5 if i == j else 1.0) for i, j in _pairs(n)]
    return nodes, np.linalg.inv(np.stack(monomials, axis=1))


def _check_rate(sums: _Sums) -> None:
    total, negative = float(sums.coefficients[0]), float(sums.negative)
    require_finite(total)
    if -negative > _NEGATIVE * (total - 2 * negative):
        raise EventError(
            f"a part {-negative:.3g} pb of the rate is negative, beside {total - negative:.3g} pb that are positive; "
            "events cannot be drawn from it. Check the parton densities and the parameters."
        )


def _pairs(n: int) -> list[tuple[int, int]]:
    return [(i, j) for i in range(n) for j in range(i, n)]


def _gradient_names(parameters: tuple[str, ...]) -> list[str]:
    return [f"gradient_{name}" for name in parameters]


def _hessian_names(parameters: tuple[str, ...]) -> list[str]:
    return [f"hessian_{parameters[i]}_{parameters[j]}" for i, j in _pairs(len(parameters))]
