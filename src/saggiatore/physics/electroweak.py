r"""Electroweak parameters at tree level, from $1/\alpha$, $G_F$ and $M_Z$, as MadGraph5_aMC@NLO's model `sm` has them.

The coupling of a boson to a massless fermion is $g_{V,\chi}$ in $\bar f \gamma^\mu P_\chi f\, V_\mu$, with the
covariant derivative $D = \partial + i g \sigma W/2 + i g' Y B$, $W^3 = c Z + s A$ and $B = c A - s Z$; an overall sign
common to all couplings drops out of every rate. The CKM matrix is one and four quark flavours are massless.
"""

import math

ALPHA = 1 / 132.507
G_FERMI = 1.16639e-5  # GeV^-2
M_Z = 91.188  # GeV
M_H = 125.0  # GeV
M_TOP = 173.0  # GeV
WIDTH_TOP = 1.4915  # GeV
WIDTH_Z = 2.441404  # GeV
WIDTH_W = 2.0476  # GeV

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


def neutral_couplings(flavour: int) -> tuple[tuple[float, float], tuple[float, float]]:
    """Couplings (photon, Z) of the fermion `|flavour|`: those of its left-, then those of its right-handed current.

    For an antiparticle the two change place: its current with left-handed coupling is that of a right-handed particle.
    """
    electric, isospin = charge(flavour), 0.5 if is_up_type(flavour) else -0.5
    photon = E_CHARGE * electric
    left = (photon, G / COS * (isospin - SIN2 * electric))
    right = (photon, -G / COS * SIN2 * electric)
    return (left, right) if flavour > 0 else (right, left)


def charge(flavour: int) -> float:
    """Electric charge of the quark or lepton `|flavour|`."""
    if abs(flavour) > 10:
        return 0.0 if is_up_type(flavour) else -1.0
    return 2 / 3 if is_up_type(flavour) else -1 / 3
