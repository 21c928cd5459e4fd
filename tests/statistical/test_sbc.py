"""Simulation-based calibration of posteriors on the oracle (Talts et al., arXiv:1804.06788).

Constants that are drawn from the prior, and data that are drawn with them, rank uniformly among the draws of the
posterior given these data: of the last layer's weights, of the noise scale and of the prior scale alike. Weights of
whole networks have no ranks, since hidden units can be exchanged; scores and noises have. Methods that approximate are
held to what was measured of them (benchmarks/calibration.py), within bounds that a gross error leaves.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from calibration import compiled_once, coverage, draws, methods, p_value, place, simulate
from scipy.stats import chisquare
from test_information import draw

from saggiatore.infer.batches import Batch
from saggiatore.infer.laplace import last_features, moments, sum_events, whiten
from saggiatore.infer.last_layer import LastLayerSpec, run_nuts
from saggiatore.infer.nuts import NutsSpec
from saggiatore.models.mlp import MLPSpec

pytestmark = pytest.mark.thorough
N_EVENTS = 60
N_SIMULATIONS = 120
N_WRONG = 60  # simulations that tell a posterior that is wrong
N_NETWORKS = 80
N_APPROXIMATE = 16
N_BINS = 10
RANKS = 20  # of 19 draws; a multiple of the bins
FAILURES = 1e-5  # of each chi2 in a right posterior; fourteen of them
NUTS = NutsSpec(n_chains=2, n_climb=100, n_warmup=150, n_draws=150, max_tree_depth=5)


class Oracle:
    """The features of an untrained network, odd in the cosine, at the oracle's events; the prior's unit is one."""

    def __init__(self, spec: LastLayerSpec):
        network = MLPSpec(width=3, depth=2, odd_in=("cos_theta_mu",))
        self.spec = spec
        self.model = network.build(("cos_theta_mu",), key=jax.random.key(2))
        self.cosines = draw(N_EVENTS, 7)[:, None]
        self.hidden = np.asarray(jax.vmap(partial(last_features, self.model))(self.cosines))
        self.noise = np.asarray(jax.vmap(self.model.noise)(self.cosines))
        self.rotation = np.asarray(self._basis(np.ones(N_EVENTS)).rotation)  # that of every target

    def _basis(self, targets: np.ndarray):
        batch = Batch(self.cosines, targets, np.ones(N_EVENTS))
        return whiten(sum_events(moments, self.model, iter([batch])), self.spec.prior_scale)._replace(unit=jnp.ones(()))

    def constants(self, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Weights and the logarithms of s and tau, from the prior."""
        log_s, log_tau = random.standard_normal(), random.normal(np.log(self.spec.prior_scale))
        width = np.exp(log_tau) * np.ones(3)
        if self.spec.prior == "horseshoe":
            local = np.abs(random.standard_cauchy(3)) * width
            width = (local**-2 + self.spec.slab_scale**-2) ** -0.5
        return self.rotation @ (width * random.standard_normal(3)), np.array([log_s, log_tau])

    def ranks(self, simulation: int, spread: float = 1.0) -> np.ndarray:
        """Ranks of the three weights, log s and log tau, with `spread` times the noise that the posterior knows of."""
        random = np.random.default_rng([5, simulation])
        weights, hyper = self.constants(random)
        noise = np.sqrt(np.exp(hyper[0]) * self.noise) * random.standard_normal(N_EVENTS)
        basis = self._basis(self.hidden @ weights + spread * noise)
        drawn, scales, _ = run_nuts(self.spec, basis, jax.random.key(simulation))
        draws = np.concatenate([drawn.reshape(-1, 3), scales[..., :2].reshape(-1, 2)], axis=1)
        few = draws[np.linspace(0, len(draws) - 1, RANKS - 1).astype(int)]
        return np.sum(few < np.concatenate([weights, hyper]), axis=0)


def p_values(ranks: np.ndarray) -> np.ndarray:
    """Of a uniform distribution, for each column of ranks."""
    counted = [np.bincount(column * N_BINS // RANKS, minlength=N_BINS) for column in ranks.T]
    return np.array([chisquare(column).pvalue for column in counted])


@pytest.mark.parametrize("prior", ["gaussian", "horseshoe"])
def test_constants_rank_uniformly_among_the_draws(prior):
    oracle = Oracle(LastLayerSpec(prior=prior, n_chains=2, n_warmup=250, n_draws=500, target_accept=0.9))
    found = np.array([oracle.ranks(simulation) for simulation in range(N_SIMULATIONS)])
    assert (p_values(found) > FAILURES).all(), p_values(found)


def test_ranks_tell_of_noise_that_the_posterior_does_not_know():
    oracle = Oracle(LastLayerSpec(n_chains=2, n_warmup=250, n_draws=500))
    found = np.array([oracle.ranks(simulation, spread=2.0) for simulation in range(N_WRONG)])
    assert p_values(found)[3] < FAILURES


def network_places(kind: str, n_simulations: int, spread: float = 1.0) -> np.ndarray:
    """Where scores and noises of networks from the prior stand, as z and rank, with `spread` times the known noise."""
    every = methods(N_EVENTS) | {"nuts": NUTS}
    given = (simulate(2, 1, N_EVENTS, simulation, spread) for simulation in range(n_simulations))
    return np.array([place(draws(every[kind], each, every["replicas"].training), each) for each in given])


def test_scores_of_whole_networks_rank_uniformly_among_the_draws_of_nuts():
    found = network_places("nuts", N_NETWORKS)[:, 1]
    assert min(map(p_value, found.T)) > FAILURES
    wrong = network_places("nuts", N_WRONG // 3, spread=2.0)[:, 1]
    assert p_value(wrong[:, -1]) < FAILURES


@pytest.mark.parametrize("kind", ["last_layer", "svi", "stein", "replicas"])
def test_approximate_posteriors_are_not_grossly_wrong(kind):
    """Coverage of 68 % of the scores, which 200 simulations put at 58 to 66 % (docs/physics.md), in 16: 9 % a standard
    error, and `FAILURES` is 4.3 of these. Widths that are too small by four or too large by three are seen.
    """
    with compiled_once():
        rank = network_places(kind, N_APPROXIMATE)[:, 1, :-1]
    assert 0.25 < coverage(rank, 0.6827).mean() < 0.99
