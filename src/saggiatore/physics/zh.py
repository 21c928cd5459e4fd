r"""Z h production at a proton collider, $p p \to Z h$, with the Z boson on its mass shell or decayed to muons.

Included: annihilation of u, d, s and c quarks at leading order through a Z boson and, by the dimension-six vertices of
`wbf_amplitude`, through a photon; with the decay $Z \to \mu^- \mu^+$ all spin correlations, the width of the Z, and
pairs from a virtual photon by the same vertices. Left out: bottom quarks, gluon fusion $g g \to Z h$ (15 % of the rate
at 13 TeV), the decay of the Higgs boson, operators that couple fermions to Z h directly, and all radiation. At most one
dimension-six insertion an amplitude. Where CP-odd coefficients show, see arXiv:1309.4819 and arXiv:1912.07628.

Of the dynamical scales, ``mt`` is the transverse mass of Z and Higgs boson together, here their invariant mass, as in
Brein, Djouadi, Harlander, hep-ph/0307206; ``half_ht`` is the mean of their own transverse masses.
"""

from typing import ClassVar, Literal

import jax.numpy as jnp
import numpy as np
from pydantic import Field

from saggiatore.constraint import Constraint
from saggiatore.physics import annihilation
from saggiatore.physics import electroweak as ew
from saggiatore.physics.dimension_six import Direction, in_hisz
from saggiatore.physics.factorisation_scale import Produced
from saggiatore.physics.matrix_element import MatrixElement
from saggiatore.physics.peak_map import peak_map
from saggiatore.physics.variation import MOVES, AbstractElectroweakSpec
from saggiatore.physics.zh_channel import channel_matrix_element
from saggiatore.physics.zh_events import ZhCuts, ZhDecay, ZhLeptons, ZhOnShell, ZhSettings
from saggiatore.physics.zh_observables import DECAY_OBSERVABLES
from saggiatore.spec import Label


class ZhSpec(AbstractElectroweakSpec):
    """Z and Higgs boson in proton collisions."""

    kind: Literal["zh"] = "zh"
    cuts: ZhCuts = ZhCuts()
    decay: ZhDecay | None = Field(None, description="of the Z boson; if absent it stays on its mass shell")
    parameters: dict[Label, Direction] = Field(
        min_length=1, description="each theory parameter: the direction in coefficient space of which it is a multiple"
    )

    constraints: ClassVar[tuple[Constraint, ...]] = (
        Constraint(
            f"hypot({ew.M_Z} if decay is None else decay.max_m_ll, cuts.pt_z) + hypot({ew.M_H}, cuts.pt_z)"
            " < min(sqrt_s, sqrt_s if cuts.max_m_zh is None else cuts.max_m_zh)",
            "Z and Higgs boson with cuts.pt_z = {cuts.pt_z:g} GeV and decay.max_m_ll need more than "
            "sqrt_s = {sqrt_s:g} GeV or cuts.max_m_zh = {cuts.max_m_zh} allow; raise those, or lower the others.",
        ),
        Constraint(
            "decay is None or 2 * decay.pt_l < sqrt_s",
            "decay.pt_l = {decay.pt_l:g} GeV is not below half of sqrt_s = {sqrt_s:g} GeV; lower it.",
        ),
        MOVES,
    )

    @classmethod
    def names(cls) -> dict[str, list[str]]:
        """Observables that a study can name, those of the decay if there is one; it names the parameters itself."""
        return {"observable": list(DECAY_OBSERVABLES), "parameter": []}

    @classmethod
    def matrix_element(cls, pdg: str, widths: bool) -> MatrixElement:
        """|M|^2 of one flavour channel; see `channel_matrix_element`."""
        return channel_matrix_element(pdg)

    def build(self) -> ZhOnShell | ZhLeptons:
        """The process.

        Raises:
            PartonDensityError: if the set is missing, damaged or does not cover the scale.
        """
        density = self.density(_produced(self))
        directions = jnp.array([in_hisz(direction) for direction in self.parameters.values()])
        settings = ZhSettings(self.sqrt_s, self.cuts, density, directions)
        # an amplitude has one dimension-six insertion at most
        names = {"parameters": tuple(self.parameters), "quadratic": tuple(self.parameters)}
        if self.decay is None:
            channels = tuple((*pair, 23, 25) for pair in annihilation.CHANNELS)
            return ZhOnShell(settings=settings, channels=channels, **names)
        pair_mass = peak_map(self.decay.m_ll, self.decay.max_m_ll, ((ew.M_Z, ew.WIDTH_Z),))
        return ZhLeptons(
            settings=settings,
            decay=self.decay,
            pair_mass=pair_mass,
            channels=tuple((*pair, 13, -13, 25) for pair in annihilation.CHANNELS),
            **names,
        )


def _produced(spec: ZhSpec) -> Produced:
    """Z and Higgs boson, of equal and opposite transverse momenta."""
    z, higgs, mass = ((2,), (3,), ew.M_Z) if spec.decay is None else ((2, 3), (4,), spec.decay.m_ll)
    least = (float(np.hypot(mass, spec.cuts.pt_z)), float(np.hypot(ew.M_H, spec.cuts.pt_z)))
    return Produced(z + higgs, (z, higgs), least)
