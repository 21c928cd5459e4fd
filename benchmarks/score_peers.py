"""Regression on the joint score by MadMiner and by a plain loop in PyTorch, for `score_regression.py`.

Runs in an environment of its own (``score_peers.txt``): reads arrays, trains on one core, writes the seconds of each
as one line of JSON and its scores of the test events as ``NAME.npy`` beside the arrays.
"""

import argparse
import gc
import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from tempfile import TemporaryDirectory

import numpy as np
import torch
from madminer.ml import ScoreEstimator

LEARNING_RATES = (2e-3, 2e-5)  # first and last, for all
Score = Callable[[np.ndarray], np.ndarray]


def madminer(data: dict[str, np.ndarray], width: int, depth: int, n_epochs: int, batch_size: int) -> Score:
    """MadMiner's SALLY with its defaults, but for the sizes, the rates and the share of validation events."""
    logging.getLogger("madminer").setLevel(logging.ERROR)
    estimator = ScoreEstimator(n_hidden=(width,) * depth, activation="tanh")
    with TemporaryDirectory() as folder:
        paths = {name: str(Path(folder) / f"{name}.npy") for name in ("x", "t_xz")}
        for name, path in paths.items():
            np.save(path, data[name])
        first, last = LEARNING_RATES
        rates = {"initial_lr": first, "final_lr": last}
        sizes = {"n_epochs": n_epochs, "batch_size": batch_size, "validation_split": 0.1}
        estimator.train("sally", **paths, **sizes, **rates, verbose="few", n_workers=0)
    return estimator.evaluate_score


def plain(data: dict[str, np.ndarray], width: int, depth: int, n_epochs: int, batch_size: int) -> Score:
    """A loop over shuffled batches of tensors that lie in memory: AdamW, cosine decay, squared error."""
    x, t = (torch.as_tensor(data[name], dtype=torch.float32) for name in ("x", "t_xz"))
    mean, std, scale = x.mean(0), x.std(0), t.std()
    x, t = (x - mean) / std, t / scale
    layers: list[torch.nn.Module] = []
    for n_inputs in (x.shape[1], *(width,) * (depth - 1)):
        layers += [torch.nn.Linear(n_inputs, width), torch.nn.GELU(approximate="tanh")]
    network = torch.nn.Sequential(*layers, torch.nn.Linear(width, 1))
    optimiser = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATES[0], weight_decay=1e-4)
    n_steps = len(x) // batch_size * n_epochs
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, n_steps, LEARNING_RATES[1])
    for _ in range(n_epochs):
        order = torch.randperm(len(x))[: len(x) // batch_size * batch_size].reshape(-1, batch_size)
        for rows in order:
            optimiser.zero_grad()
            loss = torch.mean((network(x[rows]) - t[rows]) ** 2)
            loss.backward()
            optimiser.step()
            schedule.step()

    def score(x: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return (scale * network((torch.as_tensor(x, dtype=torch.float32) - mean) / std)).numpy()

    return score


def main() -> None:
    """Both peers."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    for name in ("width", "depth", "n_epochs", "batch_size", "seed"):
        parser.add_argument(f"--{name}", type=int, required=True)
    options = vars(parser.parse_args())
    path = options.pop("data")
    data = dict(np.load(path))
    seed = options.pop("seed")
    torch.set_num_threads(1)
    for name, function in (("plain PyTorch", plain), ("MadMiner", madminer)):
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002  (MadMiner draws from it)
        gc.collect()
        gc.freeze()
        wall, processor = time.perf_counter(), time.process_time() + getrusage(RUSAGE_CHILDREN).ru_utime
        score = function(data, **options)
        wall = time.perf_counter() - wall
        processor = time.process_time() + getrusage(RUSAGE_CHILDREN).ru_utime - processor
        np.save(path.with_name(f"{name}.npy"), score(data["x_test"])[:, 0])
        print(json.dumps({"name": name, "processor": processor, "wall": wall}), flush=True)


if __name__ == "__main__":
    main()
