"""The packages vegas and madnis on an integrand of this project, for `integrators.py`."""

import importlib.util
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from saggiatore.integrate.base import BATCH, over_events
from saggiatore.physics.process import AbstractProcess, n_theta, weight

Quality = Callable[[np.ndarray, np.ndarray, int], str]
N_CALLS = 1 << 20


class Channels:
    """The integrand behind each mapping, in batches of one compiled shape, for packages that call back."""

    def __init__(self, process: AbstractProcess):
        theta = jnp.zeros(n_theta(process))
        self.dim, self.n_mappings = process.dim, len(process.mappings)

        def part(y: jax.Array, mapping: jax.Array) -> tuple[jax.Array, ...]:
            """f(u), u, log|du/dy| and log of all densities at u, for the y of a mapping; -1 is none."""
            branches = [lambda point: (point, jnp.zeros(()))] + [
                lambda point, m=m: m.forward(point) for m in process.mappings
            ]
            u, log_forward = jax.lax.switch(mapping + 1, branches, y)
            logs = jnp.stack([m.inverse(u)[1] for m in process.mappings])
            return weight(process, u, theta), u, log_forward, logs

        self._part = jax.jit(lambda y, mapping: over_events(part, y, mapping))
        self(np.full((1, self.dim), 0.5), np.zeros(1, int))

    def __call__(self, y: np.ndarray, mapping: np.ndarray) -> tuple[np.ndarray, ...]:
        """What `part` gives for all points."""
        n_more = -len(y) % BATCH
        padded = np.concatenate([y, np.full((n_more, self.dim), 0.5)]).reshape(-1, BATCH, self.dim)
        numbers = np.concatenate([mapping, np.zeros(n_more, int)]).reshape(-1, BATCH)
        found = [self._part(*batch) for batch in zip(padded, numbers, strict=True)]
        return tuple(np.concatenate(column)[: len(y)] for column in zip(*found, strict=True))


def measure_all(process: AbstractProcess, n_test: int, quality: Quality) -> None:
    """Each package that is installed."""
    channels = Channels(process)
    if importlib.util.find_spec("vegas"):
        measure_vegas(channels, 1, n_test, quality)
        measure_vegas(channels, channels.n_mappings, n_test, quality)
    if importlib.util.find_spec("madnis"):
        measure_madnis(channels, (300, 400), n_test, quality)


def measure_vegas(channels: Channels, n_channels: int, n_test: int, quality: Quality) -> None:
    """The package vegas; with several channels a further coordinate chooses the mapping."""
    import vegas

    def places(x: np.ndarray) -> np.ndarray:
        return np.minimum((x[:, -1] * n_channels).astype(int), n_channels - 1)

    def integrand(x: np.ndarray) -> np.ndarray:
        x = np.asarray(x)
        if n_channels == 1:
            return channels(x, np.full(len(x), -1))[0]
        value, _, _, logs = channels(x[:, :-1], places(x))
        return n_channels * value / np.exp(logs).sum(axis=1)  # f du/dy times the channel's weight q_i / sum q

    integrator = vegas.Integrator((channels.dim + (n_channels > 1)) * [[0, 1]])
    start = time.process_time()
    integrator(vegas.lbatchintegrand(integrand), nitn=10, neval=N_CALLS // 10)
    seconds = time.process_time() - start
    found: list[np.ndarray] = []
    origin: list[np.ndarray] = []
    while sum(map(len, found)) < n_test:
        parts = [(np.array(points), np.array(shares)) for points, shares in integrator.random_batch()]
        points, shares = (np.concatenate(column) for column in zip(*parts, strict=True))
        found.append(integrand(points) * shares * len(shares))  # shares of one iteration sum to its volume
        origin.append(places(points))
    text = quality(np.concatenate(found), np.concatenate(origin), n_channels)
    print(f"vegas, {n_channels} mappings {seconds:6.1f} s   {text}", flush=True)


def measure_madnis(channels: Channels, steps: tuple[int, ...], n_test: int, quality: Quality) -> None:
    """The package madnis from its VEGAS start, after so many further steps each; otherwise its defaults."""
    import torch
    from madnis.integrator import Integrand, Integrator, VegasPreTraining

    torch.manual_seed(1)
    torch.set_num_threads(1)
    n = channels.n_mappings

    def function(y: torch.Tensor, mapping: torch.Tensor) -> tuple[torch.Tensor, ...]:
        value, u, log_forward, logs = channels(y.detach().numpy().astype(float), mapping.numpy())
        prior = np.exp(logs - np.logaddexp.reduce(logs, axis=1, keepdims=True))
        return tuple(torch.as_tensor(each, dtype=y.dtype) for each in (value * np.exp(log_forward), u, prior))

    integrand = Integrand(
        function, channels.dim, channel_count=n, remapped_dim=channels.dim, has_channel_weight_prior=True
    )
    integrator = Integrator(integrand, batch_size=1024, learning_rate=1e-3, buffer_capacity=0)
    start = time.process_time()
    pretraining = VegasPreTraining(integrator)
    pretraining.train([20_000] * 7)
    pretraining.initialize_integrator()
    for n_steps in steps:
        integrator.train(n_steps)
        seconds = time.process_time() - start
        with torch.no_grad():
            batch = integrator.sample(n_test, channel_weight_mode="mean")
        text = quality(batch.weights.numpy().astype(float), batch.channels.numpy(), n)
        print(f"madnis, +{n_steps} steps {seconds:6.1f} s   {text}", flush=True)
