r"""Electroweak parameters at tree level, from $1/\alpha$, $G_F$ and $M_Z$, as MadGraph5_aMC@NLO's model `sm` has them.

The coupling of a boson to a massless fermion is $g_{V,\chi}$ in $\bar f \gamma^\mu P_\chi f\, V_\mu$, with the
covariant derivative $D = \partial + i g \sigma W/2 + i g' Y B$, $W^3 = c Z + s A$ and $B = c A - s Z$; an overall sign
common to all couplings drops out of every rate. The CKM matrix is one and four quark flavours are massless.
"""

import math
from typing import TypeVar

from saggiatore.types import Scalar

Number = TypeVar("Number", float, Scalar)

ALPHA = 1 / 132.507
G_FERMI = 1.16639e-5  # GeV^-2
M_Z = 91.188  # GeV
M_H = 125.0  # GeV
M_TOP = 173.0  # GeV
WIDTH_TOP = 1.4915  # GeV
WIDTH_Z = 2.441404  # GeV
WIDTH_W = 2.0476  # GeV
LEPTON_NUMBERS = (-1.0, -0.5)  # electric charge and weak isospin of a charged lepton

M_W = math.sqrt(M_Z**2 / 2 + math.sqrt(M_Z**4 / 4 - math.pi * ALPHA * M_Z**2 / (math.sqrt(2) * G_FERMI)))  # GeV
SIN2 = 1 - (M_W / M_Z) ** 2
SIN, COS = math.sqrt(SIN2), math.sqrt(1 - SIN2)
E_CHARGE = math.sqrt(4 * math.pi * ALPHA)
G = E_CHARGE / SIN  # SU(2) coupling
G_PRIME = E_CHARGE / COS  # U(1) coupling
VEV = 2 * M_W / G  # GeV


def is_up_type(flavour: int) -> bool:
    """Whether a fermion (PDG number) is the upper member of its weak doublet: up-type quark or neutrino."""
    return flavour % 2 == 0


def partner(flavour: int) -> int:
    """PDG number of the other member of the weak doublet, for the CKM matrix one."""
    number = abs(flavour) - 1 if is_up_type(flavour) else abs(flavour) + 1
    return number if flavour > 0 else -number


def z_couplings(charge: Number, isospin: Number, sin2: Number) -> tuple[Number, Number]:
    """Couplings of the Z boson to the left- and right-handed current of a fermion of `charge` and weak `isospin`.

    `sin2` enters through T_3 - Q sin^2 alone; the overall g/c is that of G_F and M_Z, 2 M_Z/v at tree level.
    """
    return G / COS * (isospin - sin2 * charge), -G / COS * sin2 * charge


def quark_numbers(flavour: int) -> tuple[float, float]:
    """Electric charge and weak isospin of the quark `|flavour|`."""
    return (2 / 3, 0.5) if is_up_type(flavour) else (-1 / 3, -0.5)


def neutral_couplings(flavour: int) -> tuple[tuple[float, float], tuple[float, float]]:
    """Couplings (photon, Z) of the fermion `|flavour|`: those of its left-, then those of its right-handed current.

    For an antiparticle the two change place: its current with left-handed coupling is that of a right-handed particle.
    """
    numbers = charge(flavour), 0.5 if is_up_type(flavour) else -0.5
    left, right = ((E_CHARGE * numbers[0], z) for z in z_couplings(*numbers, SIN2))
    return (left, right) if flavour > 0 else (right, left)


def charge(flavour: int) -> float:
    """Electric charge of the quark or lepton `|flavour|`."""
    if abs(flavour) > 10:
        return 0.0 if is_up_type(flavour) else -1.0
    return 2 / 3 if is_up_type(flavour) else -1 / 3
