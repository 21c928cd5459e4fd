"""Events of the oracle p(c|A) = 3/8 (1 + c^2) + A c at A = 0 in the columns of an event table, and its exact bins."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from test_information import draw, score

from saggiatore.integrate.morphing import morphing
from saggiatore.limits.template import Template
from saggiatore.tables import Column, TableSchema, write_table

ENERGY = 45.6
PDG = (11, -11, 13, -13)
INFORMATION = 16 / 3 * (1 - np.pi / 4)


def events(n_events: int, seed: int) -> dict[str, np.ndarray]:
    """Unweighted events that add up to 1 pb."""
    c = draw(n_events, seed)
    one, nothing = np.ones(n_events), np.zeros(n_events)
    columns = {
        "weight": one / n_events,
        "theta_a_fb": nothing,
        "joint_score_a_fb": score(c),
        "parton_score_a_fb": score(c),
        "flavour_variance_a_fb": nothing,
        "cos_theta_mu": c,
    }
    beam, muon = np.stack([nothing, nothing, one], axis=1), np.stack([np.sqrt(1 - c**2), nothing, c], axis=1)
    for leg, (direction, pdg) in enumerate(zip((beam, -beam, muon, -muon), PDG, strict=True)):
        columns |= {f"leg{leg}_pdg": np.full(n_events, pdg), f"leg{leg}_e": ENERGY * one}
        columns |= {f"leg{leg}_{part}": ENERGY * direction[:, place] for place, part in enumerate(("px", "py", "pz"))}
    return columns


def write_events(
    path: Path, n_events: int, seed: int, change: Callable[[dict], dict] = dict, label: str = "events"
) -> None:
    """Events as a table, with the provenance that its reader looks at."""
    columns = change(events(n_events, seed))
    columns["cos_tilted_mu"] = (columns["leg2_px"] + columns["leg2_pz"]) / (2**0.5 * ENERGY)
    kinds = {name: "int" if name.endswith("_pdg") else "float" for name in columns}
    units = {name: "GeV" if name.startswith("leg") and kinds[name] == "float" else "1" for name in columns}
    units["weight"] = "pb"
    schema = TableSchema("events", 1, tuple(Column(name, units[name], name, kind=kinds[name]) for name in columns))
    write_table(path, schema, columns, {"spec": {"label": label, "section": {"source": "process"}}})


def exact_template(edges: np.ndarray, n_expected: float, n_simulated: float = 1e5) -> Template:
    """Expected events in bins of c from the integrals of p(c|A), as if `n_simulated` events had given them."""
    even, odd = 0.375 * (edges + edges**3 / 3), edges**2 / 2
    morph = morphing(("a_fb",), {"0": {}, "+": {"a_fb": 0.7}, "-": {"a_fb": -0.7}})
    coefficients = n_expected * np.stack([np.diff(even), 0.7 * np.diff(odd), 0 * np.diff(odd)], axis=1)
    return Template(morph, coefficients, coefficients[:, 0] * n_expected / n_simulated)


def draw_at(a_fb: float, n_events: int, random: np.random.Generator) -> np.ndarray:
    """Cosines from p(c|A), by accept-reject."""
    kept: list[np.ndarray] = []
    while sum(len(part) for part in kept) < n_events:
        c, lot = random.uniform(-1, 1, 4 * n_events + 16), random.uniform(0, 0.75 + abs(a_fb), 4 * n_events + 16)
        kept.append(c[lot < 0.375 * (1 + c**2) + a_fb * c])
    return np.concatenate(kept)[:n_events]
