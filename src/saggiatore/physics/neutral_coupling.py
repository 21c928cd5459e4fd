r"""Couplings of photon and Z to quarks and muons, and the directions in which they are varied.

A direction shifts couplings $\frac{g}{\cos\theta_w}(T_3 - Q \sin^2\theta_w)$ of the Z boson: `sin2_eff` shifts
$\sin^2\theta_w$ in those of quarks and muons, the overall strength being fixed; `g_l_up`, `g_r_up`, `g_l_down` and
`g_r_down` add to those of left- and right-handed quarks, in units of $g/\cos\theta_w$. At most one shift an amplitude,
so that rates are polynomials of degree two.
"""

import numpy as np

from saggiatore.physics import electroweak as ew
from saggiatore.types import Array, Complex, Float, Scalar

COEFFICIENTS = ("sin2_eff", "g_l_up", "g_r_up", "g_l_down", "g_r_down")
_QUARKS = (2, 1)  # up, down: the axis `type`
_LEPTON = 13

Coefficients = Float[Array, " coefficient"]
Couplings = Complex[Array, "type chirality boson"]  # chirality and lepton helicity: left, right


def pole_couplings(coefficients: Coefficients) -> Couplings:
    """Couplings of quarks to an on-shell Z boson; its polarisation does not matter."""
    quarks = _table(_QUARKS)[:, :, 1]
    shifted = quarks + np.einsum("ctx->txc", _quark_shifts()) @ coefficients
    return shifted[:, :, None] + 0j


def lepton_couplings(m_squared: Scalar, coefficients: Coefficients, photon: bool) -> Couplings:
    """Couplings of quarks times propagator times couplings of muons, GeV^-2; with or without the photon."""
    quarks, muon = _table(_QUARKS), _table((_LEPTON,))[0]
    z = quarks[:, :, None, 1] * muon[:, 1]
    shifts = _quark_shifts()[:, :, :, None] * muon[:, 1] + _lepton_shifts()[:, None, None, :] * quarks[:, :, None, 1]
    z_shifted = z + np.moveaxis(shifts, 0, -1) @ coefficients
    total = z_shifted / (m_squared - ew.M_Z**2 + 1j * ew.M_Z * ew.WIDTH_Z)
    return total + quarks[:, :, None, 0] * muon[:, 0] / m_squared if photon else total


def _table(flavours: tuple[int, ...]) -> np.ndarray:
    """Shape (flavour, chirality, boson): photon, Z."""
    return np.array([ew.neutral_couplings(flavour) for flavour in flavours])


def _quark_shifts() -> np.ndarray:
    """Shape (coefficient, type, chirality)."""
    shifts = np.zeros((len(COEFFICIENTS), 2, 2))
    shifts[0] = -np.array([ew.charge(flavour) for flavour in _QUARKS])[:, None]
    for place, (kind, chirality) in enumerate(((0, 0), (0, 1), (1, 0), (1, 1)), start=1):
        shifts[place, kind, chirality] = 1.0
    return ew.G / ew.COS * shifts


def _lepton_shifts() -> np.ndarray:
    """Shape (coefficient, helicity)."""
    shifts = np.zeros((len(COEFFICIENTS), 2))
    shifts[0] = -ew.charge(_LEPTON)
    return ew.G / ew.COS * shifts
