"""How right the errors of every posterior are: where the truth ranks among the draws (Talts et al., arXiv:1804.06788).

``taskset -c 0 python benchmarks/calibration.py ranks/`` (half an hour; later calls draw and tell what is kept there)

A network is drawn from the prior, events are drawn with its scores and noises, and each method is given the events
alone. Among the draws of a right posterior the truth has any rank as often as any other: ranks that pile up at both
ends tell of errors that are too small, those in the middle of errors that are too large. Weights have no ranks, since
hidden units can be exchanged; scores at three cosines have, and the mean over them of the log noise. The prior does not
know the sign of a score: ranks count from low to high magnitude, by the sign of the posterior's mean, so that a slope
tells of scores that are too large or too small, and stay uniform where the posterior is right.

Networks, events and prior are the same for all. `last_layer`, `svi` and the replicas get what they get in a study: the
first two start from a network that was trained with the events, as the replicas are.
"""

import argparse
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

os.environ.setdefault("JAX_ENABLE_X64", "1")  # as the command line runs

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental.compilation_cache.compilation_cache import reset_cache
from matplotlib.axes import Axes
from scipy.stats import chisquare

from saggiatore.errors import ConvergenceError
from saggiatore.figures.style import FORMULA, NETWORK, TRUTH, new_figure, style
from saggiatore.infer.batches import Batch
from saggiatore.infer.laplace import moments, sum_events, whiten
from saggiatore.infer.last_layer import LastLayerSpec, run_nuts
from saggiatore.infer.network import prior_width
from saggiatore.infer.nuts import NutsSpec
from saggiatore.infer.replicas import ReplicasSpec
from saggiatore.infer.stein import SteinSpec
from saggiatore.infer.svi import SviSpec
from saggiatore.infer.weights import Weights, with_weights
from saggiatore.learn.loop import TrainingSpec, train
from saggiatore.models.base import AbstractRegression, Event
from saggiatore.models.mlp import MLPSpec
from saggiatore.spec import Spec
from saggiatore.tasks.joint_score import JointScore
from saggiatore.types import PRNGKeyArray

N_DRAWS = 39  # among which the truth ranks
N_BINS = 10
N_STEPS = 1500  # of gradients, whatever the number of events
COSINES = jnp.array([[-0.7], [0.2], [0.9]])
PRIOR_SCALE = 1.0
CACHE = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")
SIZES = {  # width, depth, events, simulations
    "14 weights, 60 events": (2, 1, 60, 200),
    "14 weights, 1000 events": (2, 1, 1000, 200),
    "137 weights, 1000 events": (8, 2, 1000, 100),
}


class Simulation(NamedTuple):
    """What a method is given, and the truth that it does not know: three scores and the mean log noise."""

    network: AbstractRegression  # with other weights than those of the truth
    events: Event
    truth: np.ndarray
    number: int
    key: PRNGKeyArray


def cosines(n_events: int) -> jax.Array:
    """From 3/8 (1 + c^2), the same at every call, by the closed form of the inverse distribution (Cardano)."""
    u = 4 * np.random.default_rng(7).uniform(size=n_events) - 2
    root = np.sqrt(u**2 + 1)
    return jnp.asarray(np.cbrt(u + root) + np.cbrt(u - root))[:, None]


def simulate(width: int, depth: int, n_events: int, simulation: int, spread: float = 1.0) -> Simulation:
    """A network from the prior and its events, with `spread` times the noise that the posterior knows of."""
    network = MLPSpec(width=width, depth=depth, odd_in=("cos_theta_mu",)).build(
        ("cos_theta_mu",), key=jax.random.key(2)
    )
    of_weights, of_noise, of_method = jax.random.split(jax.random.key(simulation), 3)
    widths = prior_width(network, PRIOR_SCALE)
    weights = widths * jax.random.normal(of_weights, widths.shape)
    seen = cosines(n_events)
    scores, log_variances = (part[0] for part in predicted(network, weights[None], seen))
    noise = spread * jnp.exp(log_variances / 2) * jax.random.normal(of_noise, scores.shape)
    targets = network.scale * (scores + noise)[:, None]
    events = Event(seen, jnp.zeros((n_events, 0)), targets, jnp.ones(n_events))
    return Simulation(network, events, summaries(network, weights[None])[0], simulation, of_method)


@eqx.filter_jit
def predicted(network: AbstractRegression, weights: jax.Array, features: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Scores and logarithms of the noise's variance, in units of the target, for each row of `weights`."""

    def of_one(one: Weights) -> tuple[jax.Array, jax.Array]:
        drawn = with_weights(network, one)
        return jax.vmap(drawn.score)(features) / network.scale, jax.vmap(drawn.log_variance)(features)

    return jax.vmap(of_one)(weights)


def summaries(network: AbstractRegression, weights: jax.Array) -> np.ndarray:
    """What is ranked, of networks with each row of `weights`: shape (draw, 4)."""
    scores, log_variances = predicted(network, weights, COSINES)
    return np.concatenate([scores, log_variances.mean(axis=1, keepdims=True)], axis=1)


def whole_network(spec: Any, given: Simulation, trained: Callable[[], AbstractRegression]) -> np.ndarray:
    """Summaries of the draws of a method that varies all weights."""
    start = trained() if isinstance(spec, SviSpec) else given.network
    sampled = spec.build().sample(start, given.events, key=given.key)
    return summaries(given.network, jnp.asarray(sampled.weights.reshape(-1, sampled.weights.shape[-1])))


def last_layer(spec: LastLayerSpec, given: Simulation, trained: Callable[[], AbstractRegression]) -> np.ndarray:
    """Those of the last layer of a trained network: its weights and a factor on its noise."""
    network, events = trained(), given.events
    batch = Batch(np.asarray(events.features), np.asarray(events.target[:, 0]), np.asarray(events.weight))
    basis = whiten(sum_events(moments, network, iter([batch])), spec.prior_scale)
    drawn, scales, _ = run_nuts(spec, basis, given.key)
    hidden = jax.vmap(network.hidden)(COSINES)
    log_noise = jax.vmap(network.log_variance)(COSINES).mean() + scales[..., :1].reshape(-1, 1)
    return np.concatenate([drawn.reshape(-1, len(hidden.T)) @ np.asarray(hidden.T), log_noise], axis=1)


def methods(n_events: int) -> dict[str, Spec]:
    """Every method, with so many epochs that there are as many steps whatever the number of events."""
    batch_size = 20 if n_events < 500 else 100
    steps = {"n_epochs": max(N_STEPS * batch_size // n_events, 10), "batch_size": batch_size}
    training = TrainingSpec(learning_rate=5e-3, patience=steps["n_epochs"], **steps)
    return {
        "nuts": NutsSpec(n_chains=2, n_climb=200, n_warmup=150, n_draws=150, max_tree_depth=6, target_accept=0.9),
        "last_layer": LastLayerSpec(n_chains=2, n_warmup=250, n_draws=500),
        "svi": SviSpec(learning_rate=0.02, max_drift=1, **steps),
        "stein": SteinSpec(n_particles=4, learning_rate=0.02, **steps),
        "replicas": ReplicasSpec(n_replicas=N_DRAWS, training=training),
    }


def draws(spec: Spec, given: Simulation, training: TrainingSpec) -> np.ndarray:
    """Summaries of the draws of a method."""

    def trained() -> AbstractRegression:
        return train(given.network, JointScore(()), given.events, training, seed=given.number)[0]

    return DRAWS.get(type(spec), whole_network)(spec, given, trained)


DRAWS: dict[type, Callable] = {LastLayerSpec: last_layer}


def place(found: np.ndarray, given: Simulation) -> np.ndarray:
    """Where the truth stands among draws `found`, away from zero for scores: z and rank, shape (2, 4).

    z is truth minus mean over the standard deviation; the rank is that among `N_DRAWS` of the draws.
    """
    middle, width = found.mean(axis=0), found.std(axis=0, ddof=1)
    few = np.random.default_rng([3, given.number]).permutation(len(found))[:N_DRAWS]
    z, rank = (given.truth - middle) / width, np.sum(found[few] < given.truth, axis=0)
    is_turned = (middle < 0) & (np.arange(len(middle)) < len(COSINES))
    return np.stack([np.where(is_turned, -z, z), np.where(is_turned, N_DRAWS - rank, rank)])


@contextmanager
def compiled_once() -> Iterator[None]:
    """Fits of one shape compile one program between them: each asks for it anew, and a cache has it."""
    before = {name: getattr(jax.config, name) for name in CACHE}
    with TemporaryDirectory() as folder:
        try:
            keep({CACHE[0]: folder, CACHE[1]: 0.0})
            yield
        finally:
            keep(before)


def keep(options: dict[str, Any]) -> None:
    """Set where and what programs jax keeps; it looks at that only once unless it is reset."""
    for name, value in options.items():
        jax.config.update(name, value)
    reset_cache()


def places(spec: Spec, training: TrainingSpec, shape: Sequence[int], n_simulations: int) -> np.ndarray:
    """`place` of many simulations; not a number where the method refuses."""
    rows = np.full((n_simulations, 2, len(COSINES) + 1), np.nan)
    for number in range(n_simulations):
        given = simulate(*shape, number)
        try:
            rows[number] = place(draws(spec, given, training), given)
        except ConvergenceError as error:
            print(f"simulation {number}: {error}", flush=True)
    return rows


def coverage(rank: np.ndarray, level: float) -> np.ndarray:
    """Whether the central interval of that level holds the truth; a rank on its edge does so by lot."""
    lot = np.random.default_rng(4).uniform(size=rank.shape)
    return np.abs((rank + lot) / (N_DRAWS + 1) - 0.5) < level / 2


def p_value(rank: np.ndarray) -> float:
    """Of uniform ranks, by the chi2 of ten bins."""
    counted = np.bincount(rank.astype(int) * N_BINS // (N_DRAWS + 1), minlength=N_BINS)
    return float(chisquare(counted).pvalue)


def measured(quantity: Callable[[np.ndarray], float], rows: np.ndarray, digits: int = 2) -> str:
    """A quantity of the simulations and its error by bootstrap: those of a simulation are correlated."""
    random = np.random.default_rng(5)
    again = [quantity(rows[random.integers(0, len(rows), len(rows))]) for _ in range(400)]
    return f"{quantity(rows):.{digits}f} ± {np.std(again):.{digits}f}"


def told(rows: np.ndarray) -> list[str]:
    """Width, bias, coverages and p-value of some quantities, whose z and ranks have shape (simulation, 2, quantity)."""
    kept = rows[np.isfinite(rows).all(axis=(1, 2))]
    z, rank = kept[:, 0], kept[:, 1]
    covered = [measured(lambda hit: 100 * hit.mean(), coverage(rank, level), 1) for level in (0.6827, 0.95)]
    p = min(1.0, min(map(p_value, rank.T)) * rank.shape[1])  # Bonferroni's
    return [
        measured(lambda part: 1 / np.quantile(np.abs(part), 0.6827), z),
        measured(np.median, z),
        *covered,
        f"{p:.1g}",
    ]


def show(panel: Axes, rows: np.ndarray) -> None:
    """Histograms of ranks, and the band that holds 95 % of the bins of uniform ones."""
    edges = np.linspace(0, N_DRAWS + 1, N_BINS + 1)
    ranks = rows[np.isfinite(rows).all(axis=(1, 2))][:, 1]
    expected = len(ranks) / N_BINS
    spread = 1.96 * np.sqrt((1 - 1 / N_BINS) / expected)
    panel.axhspan(1 - spread, 1 + spread, color=TRUTH, alpha=0.15, lw=0)
    styles = [*({"color": NETWORK, "ls": ls} for ls in ("-", "--", ":")), {"color": FORMULA, "ls": "-"}]
    names = [*(rf"score at $\cos\theta = \mathrm{{{c:g}}}$" for c in COSINES[:, 0].tolist()), "log noise"]
    for column, look, name in zip(ranks.T, styles, names, strict=True):
        panel.stairs(np.histogram(column, edges)[0] / expected, edges, label=name, **look)
    panel.set_xlim(edges[0], edges[-1])


def draw(found: dict[tuple[str, str], np.ndarray], path: Path) -> None:
    """A row for each method, a column for each size."""
    sizes, kinds = (list(dict.fromkeys(key[place] for key in found)) for place in (0, 1))
    with style():
        figure = new_figure(2.6 * len(sizes) + 0.6, 1.45 * len(kinds) + 1.0)
        panels = figure.subplots(len(kinds), len(sizes), sharex=True, sharey=True, squeeze=False)
        for (size, kind), rows in found.items():
            panel = panels[kinds.index(kind), sizes.index(size)]
            show(panel, rows)
            panel.text(0.5, 0.93, kind, transform=panel.transAxes, ha="center", va="top")
        for panel, size in zip(panels[0], sizes, strict=True):
            panel.set_title(size)
        panels[0, 0].set_ylim(0, 1.3 * panels[0, 0].get_ylim()[1])  # room for names
        figure.supxlabel(f"rank of the truth among {N_DRAWS} draws", fontsize=12)
        figure.supylabel("simulations in a bin, over those expected", fontsize=12)
        figure.legend(
            *panels[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=2 if len(sizes) == 1 else 4
        )
        figure.savefig(path)


def main() -> None:
    """Rank what is not kept in the folder, print the table, draw the figure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path, help="where ranks are kept")
    parser.add_argument("--sizes", nargs="+", default=list(SIZES), choices=SIZES)
    parser.add_argument("--methods", nargs="+", default=list(methods(60)), choices=methods(60))
    options = parser.parse_args()
    options.folder.mkdir(exist_ok=True)
    found = {}
    with compiled_once():
        for size in options.sizes:
            for method in options.methods:
                found[size, method] = ranked(options.folder, size, method)
    draw(found, options.folder / "sbc.png")


def ranked(folder: Path, size: str, method: str) -> np.ndarray:
    """Places of the truth that are kept in the folder, or else found now, and their row of the table."""
    path = folder / f"{size.replace(', ', '_').replace(' ', '_')}_{method}.npy"
    *shape, n_simulations = SIZES[size]
    if not path.exists():
        every = methods(shape[-1])
        began = time.process_time()
        np.save(path, places(every[method], every["replicas"].training, shape, n_simulations))
        print(f"{size}, {method}: {time.process_time() - began:.0f} processor seconds", flush=True)
    rows = np.load(path)[:n_simulations]
    columns = [*told(rows[..., :-1]), *told(rows[..., -1:]), str(np.isnan(rows[:, 0, 0]).sum())]
    print(f"| {size}, `{method}` | {' | '.join(columns)} |", flush=True)
    return rows


if __name__ == "__main__":
    main()
