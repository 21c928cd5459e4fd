r"""Top-pair production at a proton collider: $p p \to t \bar t$, with on-shell tops or with their decays.

$g g$ and light $q \bar q$ at tree level in QCD, see `top_pair_amplitude` for the diagrams; $b \bar b$ is left out.
With `decays`, each top quark goes through $t \to b W \to b \ell \nu$ or $b q \bar q'$ in the narrow-width approximation
with all spin correlations: both tops are on their mass shell, W bosons have a Breit-Wigner curve, all products are
massless; see `top_decay`. Left out are diagrams with one top quark or none, tops off their mass shell, and radiation in
the decays. The theory parameter is a multiple of the chromomagnetic coefficient c_tG, at most one insertion an
amplitude. Scales: ``mt`` and ``half_ht`` are both $m_T = \sqrt{m_t^2 + p_T^2}$ of either top.
"""

from typing import Annotated, ClassVar, Literal

import jax.numpy as jnp
from pydantic import Field

from saggiatore.constraint import Constraint
from saggiatore.physics import electroweak as ew
from saggiatore.physics.hadron_collision import AbstractQcdSpec
from saggiatore.physics.matrix_element import MatrixElement
from saggiatore.physics.top_pair_channel import channel_matrix_element
from saggiatore.physics.top_pair_decays import TOP, TopDecays
from saggiatore.physics.top_pair_events import DecayedTopPair, TopPair
from saggiatore.physics.top_pair_observables import ALL
from saggiatore.physics.top_pair_production import INITIAL, Production, TopPairCuts
from saggiatore.physics.variation import MOVES
from saggiatore.spec import Label
from saggiatore.units import InverseTeV2

Direction = Annotated[dict[Literal["c_tg"], InverseTeV2], Field(min_length=1)]


class TopPairSpec(AbstractQcdSpec):
    """Top pairs in proton collisions."""

    kind: Literal["top_pair"] = "top_pair"
    cuts: TopPairCuts = TopPairCuts()
    decays: TopDecays | None = Field(None, description="of both top quarks; if absent they stay on their mass shell")
    parameters: dict[Label, Direction] = Field(
        min_length=1, max_length=1, description="the theory parameter: the coefficient of which it is a multiple"
    )

    constraints: ClassVar[tuple[Constraint, ...]] = (
        Constraint(
            f"max({2 * ew.M_TOP}, cuts.m_tt) < sqrt_s",
            f"sqrt_s = {{sqrt_s:g}} GeV is below the least mass of a pair, {2 * ew.M_TOP:g} GeV and "
            "cuts.m_tt = {cuts.m_tt:g} GeV; raise it.",
        ),
        Constraint(
            "decays is None or sum(number * pt for number, pt in zip({'dilepton': (2, 2), 'semileptonic': (1, 4), "
            "'hadronic': (0, 6)}[decays.channel], (decays.pt_l, decays.pt_j))) < sqrt_s",
            "decays.pt_l = {decays.pt_l:g} GeV and decays.pt_j = {decays.pt_j:g} GeV add up to more than "
            "sqrt_s = {sqrt_s:g} GeV over all leptons and quarks; lower them.",
        ),
        MOVES,
    )

    @classmethod
    def names(cls) -> dict[str, list[str]]:
        """Observables that a study can name, of all channels of decay; it names the parameter itself."""
        return {"observable": list(ALL), "parameter": []}

    @classmethod
    def matrix_element(cls, pdg: str, widths: bool) -> MatrixElement:
        """|M|^2 of one flavour channel; see `channel_matrix_element`."""
        return channel_matrix_element(pdg, widths)

    def build(self) -> TopPair | DecayedTopPair:
        """The process.

        Raises:
            PartonDensityError: if the set is missing, damaged, does not cover the scale or states no strong coupling.
        """
        directions = jnp.array([direction["c_tg"] for direction in self.parameters.values()])
        production = Production(self.collision(), self.cuts, directions)
        names = tuple(self.parameters)
        finals = ((TOP, -TOP),) if self.decays is None else self.decays.states().channels
        channels = tuple((*partons, *final) for partons in INITIAL for final in finals)
        if self.decays is None:
            return TopPair(production=production, parameters=names, quadratic=names, channels=channels)
        return DecayedTopPair(
            production=production, decays=self.decays, parameters=names, quadratic=names, channels=channels
        )
