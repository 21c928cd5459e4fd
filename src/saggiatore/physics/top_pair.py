r"""Top-pair production at a proton collider: $p p \to t \bar t$ with on-shell tops.

$g g$ and light $q \bar q$ at tree level in QCD, see `top_pair_amplitude` for the diagrams; $b \bar b$ is left out, and
so are decays. The theory parameters are multiples of the chromomagnetic coefficient c_tG, at most one insertion an
amplitude. Phase space:
$dx_1 dx_2 d\Phi_2 = \frac{2}{s} (2\pi)^{-2}\, \tfrac12 p_T dp_T\, d\phi\, dy_t\, \tfrac12 dy_{\bar t}$.
Scales: ``mt`` and ``half_ht`` are both $m_T = \sqrt{m_t^2 + p_T^2}$ of either top.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, ClassVar, Literal

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from pydantic import Field, model_validator

from saggiatore.errors import EventError
from saggiatore.physics import electroweak as ew
from saggiatore.physics.colour_flow import Flow, along
from saggiatore.physics.hadron_collision import AbstractQcdSpec, Collision, flavour_places
from saggiatore.physics.jet_phase_space import beams
from saggiatore.physics.kinematics import beams_along_z, mass_squared, rapidity, transverse_momentum
from saggiatore.physics.matrix_element import REFERENCE_ALPHA_S, MatrixElement, parse_pdg
from saggiatore.physics.phase_space import falling
from saggiatore.physics.process import AbstractProcess, Channel, Observable
from saggiatore.physics.top_pair_amplitude import GLUON_FLOWS, gluon_flows, squares
from saggiatore.spec import Label, Spec
from saggiatore.types import Array, Flag, Float, Momenta, Scalar, Theta, UnitPoint
from saggiatore.units import Energy, InverseTeV2

TOP, GLUON = 6, 21
COEFFICIENTS = ("c_tg",)
_QUARKS = (1, 2, 3, 4)
_INITIAL = ((GLUON, GLUON), *((q, -q) for q in _QUARKS), *((-q, q) for q in _QUARKS))
_COVERED = (
    "two gluons (21,21) or a quark and its antiquark (1 2 3 4), then 6,-6 in either order; for example 21,21,6,-6"
)

Direction = Annotated[dict[Literal["c_tg"], InverseTeV2], Field(min_length=1)]


def m_tt(momenta: Momenta) -> Scalar:
    """Mass of the pair."""
    return jnp.sqrt(mass_squared(momenta[2] + momenta[3]))


_OBSERVABLES: Mapping[str, Observable] = MappingProxyType(
    {
        "m_tt": Observable(m_tt, "GeV", r"$m_{t\bar t}$", "mass of the pair"),
        "pt_t": Observable(
            lambda p: transverse_momentum(p[2]), "GeV", r"$p_{T,t}$", "transverse momentum of the top quark"
        ),
        "y_t": Observable(lambda p: rapidity(p[2]), "1", r"$y_t$", "rapidity of the top quark"),
        "y_tx": Observable(lambda p: rapidity(p[3]), "1", r"$y_{\bar t}$", "rapidity of the antitop quark"),
        "delta_y": Observable(
            lambda p: rapidity(p[2]) - rapidity(p[3]), "1", r"$\Delta y$", "rapidity of the top minus the antitop quark"
        ),
    }
)


class TopPairCuts(Spec):
    """Fiducial region."""

    abs_y_t: float = Field(10, gt=0, le=20, description="greatest |rapidity| of either top quark")
    m_tt: Energy = Field(0, ge=0, description="least mass of the pair")


class TopPairSpec(AbstractQcdSpec):
    """Top pairs in proton collisions."""

    kind: Literal["top_pair"] = "top_pair"
    cuts: TopPairCuts = TopPairCuts()
    parameters: dict[Label, Direction] = Field(
        min_length=1, max_length=1, description="the theory parameter: the coefficient of which it is a multiple"
    )

    @model_validator(mode="after")
    def _pair_can_be_made(self) -> "TopPairSpec":
        least = max(2 * ew.M_TOP, self.cuts.m_tt)
        if self.sqrt_s <= least:
            raise ValueError(
                f"sqrt_s = {self.sqrt_s:g} GeV is below the least mass of a pair, {least:g} GeV; raise it."
            )
        return self

    @classmethod
    def names(cls) -> dict[str, list[str]]:
        """Observables that a study can name; it names the parameter itself."""
        return {"observable": list(_OBSERVABLES), "parameter": []}

    @classmethod
    def matrix_element(cls, pdg: str, widths: bool) -> MatrixElement:
        """|M|^2 of one flavour channel; see `channel_matrix_element`."""
        return channel_matrix_element(pdg, widths)

    def build(self) -> "TopPair":
        """The process.

        Raises:
            PartonDensityError: if the set is missing, damaged, does not cover the scale or states no strong coupling.
        """
        return TopPair(
            collision=self.collision(),
            cuts=self.cuts,
            directions=jnp.array([direction["c_tg"] for direction in self.parameters.values()]),
            parameters=tuple(self.parameters),
            quadratic=tuple(self.parameters),
            channels=tuple((*initial, TOP, -TOP) for initial in _INITIAL),
        )


class TopPair(AbstractProcess):
    """Top pairs; theta is a multiple of the study's c_tG, zero QCD. Parity is the reflection in a plane of the beam."""

    dim: ClassVar[int] = 4
    legs: ClassVar[tuple[str, ...]] = ("parton along +z", "parton along -z", "top quark", "antitop quark")
    observables: ClassVar[Mapping[str, Observable]] = _OBSERVABLES
    # gluons in both orders; a quark along +z, as outgoing an antiquark; an antiquark there
    colour_flows: ClassVar[tuple[Flow, ...]] = (*map(along, GLUON_FLOWS), ((2, 0), (1, 3)), ((2, 1), (0, 3)))

    collision: Collision
    cuts: TopPairCuts = eqx.field(static=True)
    directions: Float[Array, " theta"]  # TeV^-2
    parameters: tuple[str, ...] = eqx.field(static=True)
    quadratic: tuple[str, ...] = eqx.field(static=True)
    channels: tuple[tuple[int, ...], ...] = eqx.field(static=True)

    def momenta(self, u: UnitPoint) -> tuple[Momenta, Scalar]:
        """Transverse mass, azimuth, distance and mean of the rapidities, all inside what the energy allows."""
        sqrt_s = self.collision.sqrt_s
        # pT dpT = mT dmT; the density of the transverse mass falls like its fourth power
        cube, log_cube = falling(ew.M_TOP**3, (sqrt_s / 2) ** 3, u[0])
        mt = jnp.cbrt(cube)
        # half the distance of the rapidities, with a density of 1 / cosh^2 up to where the pair takes all energy
        edge = jnp.sqrt((1 - 2 * mt / sqrt_s) * (1 + 2 * mt / sqrt_s))
        tanh = edge * (2 * u[1] - 1)
        half = jnp.arctanh(tanh)
        room = jnp.maximum(jnp.log(sqrt_s / (2 * mt * jnp.cosh(half))), 0.0)
        mean = room * (2 * u[2] - 1)
        phi = 2 * jnp.pi * u[3]
        pt = jnp.sqrt((mt - ew.M_TOP) * (mt + ew.M_TOP))
        px, py = pt * jnp.cos(phi), pt * jnp.sin(phi)
        y_t, y_tx = mean + half, mean - half
        top = jnp.stack([mt * jnp.cosh(y_t), px, py, mt * jnp.sinh(y_t)])
        antitop = jnp.stack([mt * jnp.cosh(y_tx), -px, -py, mt * jnp.sinh(y_tx)])
        incoming = beams(mt * (jnp.exp(y_t) + jnp.exp(y_tx)), mt * (jnp.exp(-y_t) + jnp.exp(-y_tx)))
        log_mt = log_cube - jnp.log(3 * mt)  # of mT dmT
        log_rapidities = jnp.log(8 * edge * room / (1 - tanh**2))
        log_jacobian = log_mt + log_rapidities - jnp.log(4 * jnp.pi * sqrt_s**2)
        return jnp.concatenate([incoming, jnp.stack([top, antitop])]), log_jacobian

    def accepts(self, momenta: Momenta) -> Flag:
        """All cuts."""
        inside = m_tt(momenta) >= self.cuts.m_tt
        for quark in (momenta[2], momenta[3]):
            inside &= jnp.abs(rapidity(quark)) <= self.cuts.abs_y_t
        return inside

    def rate(self, momenta: Momenta, theta: Theta) -> Scalar:
        """Sum over flavours of densities x flux x |M|^2, pb per unit of dx1 dx2 dPhi."""
        return jnp.sum(self._rates(momenta, theta))

    def channel_rate(self, momenta: Momenta, channel: Channel, theta: Theta) -> Scalar:
        """The rate of one channel."""
        return self._rates(momenta, theta)[channel]

    def scales(self, momenta: Momenta) -> tuple[Scalar, Scalar]:
        """See `AbstractProcess.scales`."""
        return self.collision.scales(self._scale(momenta))

    def _scale(self, momenta: Momenta) -> Scalar:
        mt = jnp.sqrt(ew.M_TOP**2 + momenta[2, 1] ** 2 + momenta[2, 2] ** 2)
        return self.collision.event_scale(mt[None], mt)

    def colour_rates(self, momenta: Momenta, channel: Channel, theta: Theta) -> Float[Array, " flow"]:
        """Both orders of the gluons; a quark pair hands its colours to the tops."""
        of_gluons = jnp.concatenate([gluon_flows(momenta, theta @ self.directions), jnp.zeros(2)])
        of_quarks = jnp.array([2 if legs[0] > 0 else 3 for legs in self.channels])[channel]
        is_gluons = jnp.array([legs[0] == GLUON for legs in self.channels])[channel]
        return jnp.where(is_gluons, of_gluons, (jnp.arange(len(self.colour_flows)) == of_quarks).astype(float))

    def _rates(self, momenta: Momenta, theta: Theta) -> Float[Array, " channel"]:
        scale = self._scale(momenta)
        luminosities = self.collision.luminosities(momenta, scale).ravel()[flavour_places(self.channels)]
        found = squares(momenta, theta @ self.directions)
        of_channel = jnp.stack([found.gluons, *[found.quarks] * (len(self.channels) - 1)])
        return (4 * np.pi * self.collision.coupling(scale)) ** 2 * luminosities * of_channel


def channel_matrix_element(pdg: str, widths: bool) -> MatrixElement:
    """|M|^2 of the channel with the legs ``pdg``, in the order of `pdg`; the strong coupling is that of the tables.

    By default exchanged tops have no width; `widths` gives them one, as MadGraph's standalone code does.

    Raises:
        EventError: if there is no such channel.
    """
    legs = parse_pdg(pdg, _COVERED)
    if legs[:2] not in _INITIAL or sorted(legs[2:]) != [-TOP, TOP]:
        raise EventError(f"--pdg {pdg}: no such channel of top_pair. Covered: {_COVERED}.")
    order = jnp.array([0, 1, legs.index(TOP), legs.index(-TOP)])
    width = ew.WIDTH_TOP if widths else 0.0

    def function(momenta: Momenta, coefficients: Theta) -> Scalar:
        found = squares(beams_along_z(momenta[order]), coefficients[0], width)
        return (4 * np.pi * REFERENCE_ALPHA_S) ** 2 * (found.gluons if legs[0] == GLUON else found.quarks)

    masses = tuple(ew.M_TOP if abs(leg) == TOP else 0.0 for leg in legs)
    return MatrixElement(masses, dict.fromkeys(COEFFICIENTS, "TeV^-2"), function)
