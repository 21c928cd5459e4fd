"""Names of arrays with their shapes. Energies and momenta are in GeV, cross sections in pb, angles in radians."""

from jaxtyping import Array, Bool, Complex, Float, Int, PRNGKeyArray, UInt32

Scalar = Float[Array, ""]
Flag = Bool[Array, ""]
FourMomentum = Float[Array, " 4"]  # (E, px, py, pz), GeV
Momenta = Float[Array, "leg 4"]  # incoming legs first, physical energies (E > 0), GeV
UnitPoint = Float[Array, " dim"]  # a point of the unit hypercube
Theta = Float[Array, " theta"]  # theory parameters, in units of the study's directions
Features = Float[Array, " feature"]
Context = Float[Array, " context"]

__all__ = [
    "Array",
    "Bool",
    "Complex",
    "Context",
    "Features",
    "Flag",
    "Float",
    "FourMomentum",
    "Int",
    "Momenta",
    "PRNGKeyArray",
    "Scalar",
    "Theta",
    "UInt32",
    "UnitPoint",
]
