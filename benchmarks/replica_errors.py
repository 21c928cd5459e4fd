"""Whether replicas state the error of their mean: ``python benchmarks/replica_errors.py results/wbf_cp``, five minutes.

Disjoint sets of the study's training events are learned by replicas of four starts each. How far the means over all
replicas of a set scatter from set to set is the error that they should state; no truth is needed for it. The fraction
of exact scores within 68 % of a set's mean is told beside it (docs/physics.md, Posteriors over networks).
"""

import os
import sys
from pathlib import Path

os.environ.setdefault("JAX_ENABLE_X64", "1")  # as the command line runs

import jax
import jax.numpy as jnp
import numpy as np

from saggiatore.infer.batches import learned_column, learned_task, model_features, target_batches
from saggiatore.infer.network import NetworkDraws, gather
from saggiatore.infer.replicas import ReplicasSpec
from saggiatore.learn.loop import TrainingSpec
from saggiatore.models.mlp import MLPSpec
from saggiatore.models.store import load_model
from saggiatore.tables import read_table
from saggiatore.tasks.columns import marginal_score_column
from saggiatore.types import Float

N_SETS, N_EVENTS = 16, 50_000
N_REPLICAS, N_STARTS = 8, 4
WIDTH = 64  # of the network of `quick`
TRAINING = TrainingSpec(n_epochs=16, batch_size=256, learning_rate=0.002)


def main(study: Path) -> None:
    """A line for each number of starts."""
    _, header = load_model(study / "models/network.eqx")
    features = model_features(header)
    exact = marginal_score_column(header["parameters"][0])
    table = read_table(study / "events/exact.parquet", "events", (*features, exact))
    truth, weight = table.data[exact.name].to_numpy(), table.data["weight"].to_numpy()
    scores = scores_of_sets(study, header, table.array(feature.name for feature in features))
    means = scores.mean(axis=(1, 2))

    def size(square: np.ndarray) -> float:
        return float(np.sqrt(np.average(square, weights=weight)))

    scatter = size(means.var(axis=0, ddof=1))
    print(f"score {size(truth**2):.4f}, scatter of the mean {scatter:.4f}")
    print(f"mean over the sets minus exact score {size((means.mean(axis=0) - truth) ** 2):.4f}")
    for n_starts in (1, 2, N_STARTS):
        draws = scores[:, :, :n_starts].mean(axis=2)
        mean, std = draws.mean(axis=1), draws.std(axis=1, ddof=1)
        stated = size((std**2).mean(axis=0))
        inside = [np.average(np.abs(truth - m) < s, weights=weight) for m, s in zip(mean, std, strict=True)]
        covered = f"{np.mean(inside):.3f} +- {np.std(inside, ddof=1) / len(inside) ** 0.5:.3f}"
        print(f"{n_starts} starts: stated {stated:.4f}, {stated / scatter:.2f} of the scatter; within 68 %: {covered}")


def scores_of_sets(
    study: Path, header: dict, at: Float[np.ndarray, "event feature"]
) -> Float[np.ndarray, "set replica start event"]:
    """Scores of all networks at the features `at`."""
    features = model_features(header)
    every = jax.tree.map(
        np.asarray, gather(target_batches(study / "events/train.parquet", features, learned_column(header)))
    )
    spec = MLPSpec.model_validate(header["spec"] | {"width": WIDTH})
    method = ReplicasSpec(n_replicas=N_REPLICAS, n_starts=N_STARTS, training=TRAINING).build()
    method = method.learning(learned_task(header), header["precision"])
    found = []
    for number in range(N_SETS):
        rows = slice(number * N_EVENTS, (number + 1) * N_EVENTS)
        events = jax.tree.map(lambda column, rows=rows: jnp.asarray(column[rows]), every)
        network = spec.build(tuple(f.name for f in features), key=jax.random.key(0)).standardise(events)
        weights = method.sample(network, events, key=jax.random.key(number)).weights
        each = jax.jit(jax.vmap(NetworkDraws(network, jnp.asarray(weights.reshape(-1, weights.shape[-1])))))(at)
        found.append(np.asarray(each).T.reshape(*weights.shape[:2], len(at)))
    return np.stack(found)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
