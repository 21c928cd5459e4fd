"""Every density and network on the events of `quick`: ``python benchmarks/quick_models.py EVENTS``, a table of events.

EVENTS is `results/quick/events/train.parquet`. Prints the seconds of one training, by the clock and of the processor,
compilation included, imports not.
"""

import sys
import time
from pathlib import Path

import jax
import numpy as np

from saggiatore.learn.loop import TrainingSpec, train
from saggiatore.models.initial import initial
from saggiatore.registry import load
from saggiatore.steps.models import gather
from saggiatore.tables import read_table
from saggiatore.tasks.density import Density
from saggiatore.tasks.joint_score import JointScore

FEATURES = ("x_p1", "x_p2", "delta_eta", "delta_phi")
EDGES = {"periodic": ["delta_phi"], "lower": {"x_p1": 0.16, "x_p2": 0.16, "delta_eta": 2}}
SCORE = {"odd_in": ["delta_phi"], "periodic": ["delta_phi"], "log": ["x_p1", "x_p2", "delta_eta"]}
# networks of `quick` and `wbf_density_score`
CASES = {
    "mlp": ({"width": 64, "depth": 3, **SCORE}, {"n_epochs": 16, "batch_size": 256, "learning_rate": 0.002}),
    "spline_flow": ({"n_blocks": 4, "n_bins": 8, **EDGES}, {"n_epochs": 16, "learning_rate": 0.003}),
    "flow_matching": (EDGES, {"n_epochs": 40, "learning_rate": 0.003}),
    "diffusion": (EDGES, {"n_epochs": 40, "learning_rate": 0.003}),
    "transformer": (EDGES, {"n_epochs": 12, "learning_rate": 0.003}),
}


def main(path: Path) -> None:
    """A line for each model."""
    table = read_table(path, "events")
    for kind, (options, training) in CASES.items():
        task = JointScore(("c_wwt",)) if kind == "mlp" else Density(())
        data = gather(table, FEATURES, (), task)
        spec = TrainingSpec.model_validate({"batch_size": 1000, **training})
        clock, processor = time.perf_counter(), time.process_time()
        build = load("model", kind).model_validate(options).build
        model = initial(build, FEATURES, (), key=jax.random.key(1)).standardise(data)
        _, losses = train(model, task, data, spec, seed=2)
        clock, processor = time.perf_counter() - clock, time.process_time() - processor
        best = float(np.min(losses["validation_loss"]))
        print(f"{kind:15s} {clock:6.1f} s by the clock, {processor:6.1f} of the processor, loss {best:.5f}", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
