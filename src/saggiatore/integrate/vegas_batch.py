"""The map of `Vegas` on batches, in numpy: an adaptation draws too few points to pay for the compilation of it."""

import numpy as np

from saggiatore.integrate.vegas import Vegas
from saggiatore.types import Float

Points = Float[np.ndarray, "event dim"]
Values = Float[np.ndarray, " event"]


def propose(grid: Vegas, v: Points) -> tuple[Points, Values]:
    """What `Vegas.propose` gives for each row of `v`."""
    edges, cumulative, n_strata = np.asarray(grid.edges), np.asarray(grid.cumulative), grid.n_strata
    n_bins, n_cubes = edges.shape[1] - 1, len(cumulative) - 1
    cube = np.searchsorted(cumulative, v[:, 0], side="right") - 1
    probability = np.diff(cumulative)[cube]
    columns = [(v[:, 0] - cumulative[cube]) / probability, *v.T[1:]]
    u, volume = [], 1 / (probability * n_cubes)
    for axis, (row, place) in enumerate(zip(edges, columns, strict=True)):
        digits = np.arange(n_cubes) // n_strata**axis % n_strata
        position = (digits[cube] + place) * (n_bins / n_strata)
        bins = np.minimum(position.astype(int), n_bins - 1)
        width = np.diff(row)[bins]
        u.append(row[bins] + width * (position - bins))
        volume *= width * n_bins
    return np.stack(u, axis=1), np.log(volume)


def log_density(grid: Vegas, u: Points) -> Values:
    """What `Vegas.log_density` gives for each row of `u`."""
    edges, cumulative, n_strata = np.asarray(grid.edges), np.asarray(grid.cumulative), grid.n_strata
    n_bins, n_cubes = edges.shape[1] - 1, len(cumulative) - 1
    cube, volume = np.zeros(len(u), int), np.ones(len(u))
    for axis, (row, column) in enumerate(zip(edges, u.T, strict=True)):
        bins = np.searchsorted(row[1:-1], column, side="right")
        width = np.diff(row)[bins]
        strata = ((bins + (column - row[bins]) / width) * (n_strata / n_bins)).astype(int)
        cube += np.minimum(strata, n_strata - 1) * n_strata**axis
        volume *= width * n_bins
    return np.log(np.diff(cumulative)[cube] * n_cubes / volume)
