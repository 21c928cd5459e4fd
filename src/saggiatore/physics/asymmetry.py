r"""Forward-backward asymmetry of $e^+ e^- \to \mu^+ \mu^-$: the oracle, a process with everything in closed form.

$p(c|A) = \frac38 (1 + c^2) + A\,c$ with $c = \cos\theta_\mu$, the angle between $e^-$ and $\mu^-$, and $A = A_{FB}$;
massless leptons. The rate is normalised to 1 pb over all angles, so that the score without cuts, $c/p(c|A)$, has no
normalisation term: 8c/(3(1+c^2)) at A = 0. See the LEP electroweak review, hep-ex/0509008, section 1.5.

The cosine y of the angle to an axis that is tilted by alpha hides a part of the event, the azimuth about that axis, as
unobserved partons do elsewhere. By the addition theorem of Legendre polynomials, without cuts,
$p(y|A) = \frac12 + \frac14 P_2(\cos\alpha) P_2(y) + A \cos\alpha\, y$: the score is known in closed form here too.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, Literal

import equinox as eqx
import jax.numpy as jnp
from pydantic import Field

from saggiatore.errors import EventError
from saggiatore.physics.colour_flow import Flow
from saggiatore.physics.kinematics import minkowski_dot
from saggiatore.physics.matrix_element import MatrixElement, parse_pdg
from saggiatore.physics.process import AbstractProcess, Channel, Observable
from saggiatore.spec import Spec
from saggiatore.types import Array, Flag, Momenta, Scalar, Theta, UnitPoint
from saggiatore.units import Energy

_TOTAL = 1.0  # pb, over all angles
_PARAMETERS = ("a_fb",)
_LEGS = (11, -11, 13, -13)
_COVERED = "11,-11,13,-13"
COS_TILT = 0.5**0.5  # of the axis in the plane of x and z to the electron's direction: 45 degrees


def cos_theta_mu(momenta: Momenta) -> Scalar:
    """Cosine of the angle between the electron (along +z) and the negative muon."""
    return momenta[2, 3] / momenta[2, 0]


def cos_tilted_mu(momenta: Momenta) -> Scalar:
    """Cosine of the angle between the negative muon and an axis at 45 degrees to the electron, towards +x."""
    x, z = momenta[2, 1] / momenta[2, 0], momenta[2, 3] / momenta[2, 0]
    return (1 - COS_TILT**2) ** 0.5 * x + COS_TILT * z


def _square(momenta: Momenta, theta: Theta) -> Scalar:
    """p(c|A), with the cosine from invariants, in any frame."""
    electron, _, muon, antimuon = momenta
    cos = (minkowski_dot(electron, antimuon) - minkowski_dot(electron, muon)) / minkowski_dot(electron, momenta[1])
    return 0.375 * (1 + cos**2) + theta[0] * cos


class AsymmetryCuts(Spec):
    """Fiducial region."""

    abs_cos_theta_mu: float = Field(1, gt=0, le=1, description="greatest |cos(theta)| of the negative muon")


class AsymmetrySpec(Spec):
    """Muon pairs at an electron-positron collider."""

    kind: Literal["asymmetry"] = "asymmetry"
    beam_energy: Energy = Field(45.6, gt=0, description="energy of each beam")
    cuts: AsymmetryCuts = AsymmetryCuts()

    @classmethod
    def names(cls) -> dict[str, list[str]]:
        """Observables and parameters that a study can name."""
        marginals = [f"cos_{angle}_mu" for angle in ("theta", "tilted")]
        return {"observable": list(Asymmetry.observables), "parameter": list(_PARAMETERS), "marginal": marginals}

    @classmethod
    def matrix_element(cls, pdg: str, widths: bool) -> MatrixElement:
        """|M|^2 up to a constant factor: p(c|A). There are no widths.

        Raises:
            EventError: if the legs are others.
        """
        if parse_pdg(pdg, _COVERED) != _LEGS:
            raise EventError(f"--pdg {pdg}: no such channel of asymmetry. Covered: {_COVERED}.")
        return MatrixElement((0.0,) * len(_LEGS), dict.fromkeys(_PARAMETERS, "1"), _square)

    def build(self) -> "Asymmetry":
        """The process."""
        return Asymmetry(
            beam_energy=self.beam_energy,
            max_abs_cos=self.cuts.abs_cos_theta_mu,
            parameters=_PARAMETERS,
            quadratic=_PARAMETERS,
            channels=(_LEGS,),
        )


class Asymmetry(AbstractProcess):
    """Muon pairs with the asymmetry `a_fb` as parameter; |a_fb| above 3/4 makes the rate negative somewhere.

    Parity is the exchange of the two muons.
    """

    dim: ClassVar[int] = 2
    legs: ClassVar[tuple[str, ...]] = ("electron along +z", "positron", "negative muon", "positive muon")
    colour_flows: ClassVar[tuple[Flow, ...]] = ((),)
    observables: ClassVar[Mapping[str, Observable]] = MappingProxyType(
        {
            "cos_theta_mu": Observable(
                cos_theta_mu, "1", r"$\cos\theta_\mu$", "cosine of the angle of the negative muon to the electron", -1
            ),
            "cos_tilted_mu": Observable(
                cos_tilted_mu,
                "1",
                r"$\cos\vartheta_\mu$",
                "cosine of its angle to an axis 45 degrees off the electron",
                -1,
            ),
        }
    )

    beam_energy: float = eqx.field(static=True)  # GeV
    max_abs_cos: float = eqx.field(static=True)
    parameters: tuple[str, ...] = eqx.field(static=True)
    quadratic: tuple[str, ...] = eqx.field(static=True)
    channels: tuple[tuple[int, ...], ...] = eqx.field(static=True)

    def __check_init__(self) -> None:
        if not self.beam_energy > 0:
            raise ValueError(f"beam_energy must be positive (GeV), got {self.beam_energy}.")

    def momenta(self, u: UnitPoint) -> tuple[Momenta, Scalar]:
        """The muons flat in cos(theta) inside the cut and in azimuth; dPhi = dcos dphi."""
        span = 2 * self.max_abs_cos
        cos, phi = span * (u[0] - 0.5), 2 * jnp.pi * u[1]
        sin = jnp.sqrt(1 - cos**2)
        direction = jnp.stack([sin * jnp.cos(phi), sin * jnp.sin(phi), cos])
        beam = jnp.array([0.0, 0.0, 1.0])
        directions = jnp.stack([beam, -beam, direction, -direction])
        momenta = self.beam_energy * jnp.concatenate([jnp.ones((4, 1)), directions], axis=1)
        return momenta, jnp.log(span * 2 * jnp.pi) + jnp.zeros_like(cos)

    def accepts(self, momenta: Momenta) -> Flag:
        """Whether the negative muon lies inside the cut; the mapping covers no more, up to rounding."""
        cos = cos_theta_mu(momenta)
        return (cos >= -self.max_abs_cos) & (cos <= self.max_abs_cos)

    def images(self, momenta: Momenta) -> Array:
        """The event, and the one with its muons exchanged."""
        return jnp.stack([momenta, momenta[jnp.array([0, 1, 3, 2])]])

    def rate(self, momenta: Momenta, theta: Theta) -> Scalar:
        """p(cos theta | A) / (2 pi), times 1 pb."""
        cos = cos_theta_mu(momenta)
        return _TOTAL * (0.375 * (1 + cos**2) + theta[0] * cos) / (2 * jnp.pi)

    @property
    def marginals(self) -> tuple[tuple[str, ...], ...]:
        """Each angle by itself; the one to the tilted axis without cuts."""
        return (("cos_theta_mu",), ("cos_tilted_mu",)) if self.max_abs_cos == 1 else (("cos_theta_mu",),)

    def marginal_score(self, observables: Mapping[str, Scalar], theta: Theta, log_sigma_gradient: Theta) -> Theta:
        """In closed form: the density of the angle to an axis at an angle alpha to the electron, see above."""
        ((name, y),) = observables.items()
        cos_alpha = COS_TILT if name == "cos_tilted_mu" else 1.0
        even = 0.5 + 0.0625 * (3 * cos_alpha**2 - 1) * (3 * y**2 - 1)
        return cos_alpha * y / (even + theta * cos_alpha * y) - log_sigma_gradient

    def channel_rate(self, momenta: Momenta, channel: Channel, theta: Theta) -> Scalar:
        """The rate: there is one channel."""
        return self.rate(momenta, theta)
