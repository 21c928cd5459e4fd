"""Relativistic kinematics of one event: momenta are (E, px, py, pz) in GeV, the beams run along the z axis."""

import jax.numpy as jnp

from saggiatore.types import Array, Float, FourMomentum, Momenta, Scalar

COMPONENTS = ("e", "px", "py", "pz")  # of a four-momentum, in this order; parts of column names


def minkowski_dot(p: FourMomentum, q: FourMomentum) -> Scalar:
    """Invariant product, metric (+, -, -, -), GeV^2."""
    return p[0] * q[0] - p[1] * q[1] - p[2] * q[2] - p[3] * q[3]


def invariants(momenta: Momenta) -> Float[Array, " pair"]:
    """2 p_i p_j of all pairs of legs i < j, in the order (0, 1), (0, 2), ..., GeV^2."""
    n = len(momenta)
    return jnp.stack([2 * minkowski_dot(momenta[i], momenta[j]) for i in range(n) for j in range(i + 1, n)])


def mass_squared(p: FourMomentum) -> Scalar:
    """Invariant mass squared, GeV^2."""
    return minkowski_dot(p, p)


def light_cone(p: FourMomentum) -> tuple[Scalar, Scalar]:
    """E + pz and E - pz of a massless momentum, GeV; the small one from pT^2, which loses no digits."""
    large = p[0] + jnp.where(p[3] > 0, p[3], -p[3])
    small = (p[1] ** 2 + p[2] ** 2) / large
    return jnp.where(p[3] > 0, large, small), jnp.where(p[3] > 0, small, large)


def transverse_momentum(p: FourMomentum) -> Scalar:
    """Transverse momentum, GeV."""
    return jnp.hypot(p[1], p[2])


def transverse_mass(p: FourMomentum) -> Scalar:
    """Transverse mass, the root of m^2 + pT^2, GeV."""
    return jnp.sqrt((p[0] - p[3]) * (p[0] + p[3]))


def pseudorapidity(p: FourMomentum) -> Scalar:
    """Pseudorapidity; the rapidity of a massless momentum."""
    return jnp.arcsinh(p[3] / transverse_momentum(p))


def rapidity(p: FourMomentum) -> Scalar:
    """Rapidity of a massive momentum."""
    return jnp.arctanh(p[3] / p[0])


def azimuth(p: FourMomentum) -> Scalar:
    """Azimuth in (-pi, pi]."""
    return jnp.arctan2(p[2], p[1])


def wrap_angle(angle: Scalar) -> Scalar:
    """The same angle in (-pi, pi]."""
    return jnp.pi - jnp.mod(jnp.pi - angle, 2 * jnp.pi)


def massless(pt: Scalar, eta: Scalar, phi: Scalar) -> FourMomentum:
    """Massless momentum of transverse momentum `pt` (GeV), pseudorapidity and azimuth."""
    return pt * jnp.stack([jnp.cosh(eta), jnp.cos(phi), jnp.sin(phi), jnp.sinh(eta)])


def boost_along_z(momenta: Momenta, rapidity: Scalar) -> Momenta:
    """Momenta seen after a boost by `rapidity` along the beam."""
    plus = (momenta[:, 0] + momenta[:, 3]) * jnp.exp(rapidity)
    minus = (momenta[:, 0] - momenta[:, 3]) * jnp.exp(-rapidity)
    return jnp.stack([(plus + minus) / 2, momenta[:, 1], momenta[:, 2], (plus - minus) / 2], axis=1)


def boost_to_rest(momenta: Momenta, total: FourMomentum) -> Momenta:
    """Momenta in the rest frame of `total`."""
    mass = jnp.sqrt(mass_squared(total))
    velocity, gamma = total[1:] / total[0], total[0] / mass
    along = momenta[:, 1:] @ velocity
    energies = gamma * (momenta[:, 0] - along)
    shift = gamma**2 / (gamma + 1) * along - gamma * momenta[:, 0]
    return jnp.concatenate([energies[:, None], momenta[:, 1:] + shift[:, None] * velocity], axis=1)


def boost_from_rest(momenta: Momenta, total: FourMomentum, mass: Scalar) -> Momenta:
    """Momenta given in the rest frame of `total`, of known mass (GeV), seen where `total` moves; loses no digits."""
    energies = (momenta @ total) / mass
    shift = (momenta[:, 0] + energies) / (total[0] + mass)
    return jnp.concatenate([energies[:, None], momenta[:, 1:] + shift[:, None] * total[1:]], axis=1)


def massless_pair(
    boson: FourMomentum, mass: Scalar, axes: tuple[Array, Array], direction: Float[Array, " 3"]
) -> Momenta:
    """Momenta of the two massless products of a `boson` of `mass` (GeV).

    `axes` are the unit vector a of its flight and a normal n to it; `direction` is that of the first product in the
    rest frame of the boson, in components along n x a, n and a.
    """
    axis, normal = axes
    energy, momentum = boson[0], boson[1:] @ axis
    across_1, across_2, along = direction
    transverse = mass / 2 * (across_1 * jnp.cross(normal, axis) + across_2 * normal)

    def product(sign: float) -> FourMomentum:
        parallel = (momentum + sign * energy * along) / 2
        vector = parallel * axis + sign * transverse
        return jnp.concatenate([((energy + sign * momentum * along) / 2)[None], vector])

    return jnp.stack([product(1.0), product(-1.0)])


def rotate_about_y(momenta: Momenta, angle: Scalar) -> Momenta:
    """Momenta rotated about the y axis, z towards x."""
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    px, pz = momenta[:, 1], momenta[:, 3]
    return jnp.stack([momenta[:, 0], cos * px + sin * pz, momenta[:, 2], cos * pz - sin * px], axis=1)


def rotate_about_z(momenta: Momenta, angle: Scalar) -> Momenta:
    """Momenta rotated about the beam."""
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    px, py = momenta[:, 1], momenta[:, 2]
    return jnp.stack([momenta[:, 0], cos * px - sin * py, sin * px + cos * py, momenta[:, 3]], axis=1)


def mirrored(momenta: Momenta) -> Momenta:
    """Momenta reflected in the plane of the beam and the x axis."""
    return momenta * jnp.array([1.0, 1.0, -1.0, 1.0])


def beams_along_z(momenta: Momenta) -> Momenta:
    """The same event in a frame where the first incoming leg, massless, runs along +z and the second along -z.

    Events with beams along the z axis are turned by pi if need be, so that no digit is lost; others are boosted to the
    rest frame of the incoming legs and rotated.
    """
    turned = momenta * jnp.array([1.0, 1.0, -1.0, -1.0])  # by pi about the x axis
    axial = jnp.where(momenta[0, 3] > 0, momenta, turned)
    is_axial = jnp.all(momenta[:2, 1:3] == 0) & (momenta[0, 3] * momenta[1, 3] < 0)
    resting = boost_to_rest(momenta, momenta[0] + momenta[1])
    direction = resting[0, 1:] / resting[0, 0]
    polar = jnp.arctan2(jnp.hypot(direction[0], direction[1]), direction[2])
    straight = rotate_about_y(rotate_about_z(resting, -jnp.arctan2(direction[1], direction[0])), -polar)
    return jnp.where(is_axial, axial, straight)
