"""Flow matching, diffusion and a transformer of PyTorch's packages, for `generators.py`: what each does in a second.

Runs in an environment of its own (``generator_peers.txt``), on one core, and writes one line of JSON for each package.
Networks, batches, solvers and numbers of steps are those of `generators.py`.
"""

import json
import math
from collections.abc import Callable
from importlib.metadata import version
from itertools import pairwise

import torch
from azula.denoise import SimpleDenoiser
from azula.noise import CosineSchedule
from azula.sample import DDIMSampler
from flow_matching.path import CondOTProbPath
from flow_matching.solver import ODESolver
from peer_clock import best
from x_transformers import ContinuousTransformerWrapper, Decoder

DIM, WIDTH, DEPTH, BATCH, N_STEPS, N_EVENTS, N_SOLVER, N_DDIM = 4, 64, 3, 1024, 100, 16384, 20, 100
TOKEN, LAYERS, HEADS, COMPONENTS = 32, 2, 4, 16


class Network(torch.nn.Module):
    """Hidden layers that read a position and three functions of the time."""

    def __init__(self) -> None:
        super().__init__()
        sizes = [DIM + 3, *[WIDTH] * DEPTH, DIM]
        layers: list[torch.nn.Module] = []
        for n_in, n_out in pairwise(sizes):
            layers += [torch.nn.Linear(n_in, n_out), torch.nn.GELU(approximate="tanh")]
        self.inner = torch.nn.Sequential(*layers[:-1])

    def forward(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        times = torch.stack([t, torch.cos(math.pi * t), torch.sin(math.pi * t)], -1).expand(len(x), 3)
        return self.inner(torch.cat([x, times], -1))


class Mixtures(torch.nn.Module):
    """A decoder that states a mixture of normal distributions for every feature, given those before it."""

    def __init__(self) -> None:
        super().__init__()
        layers = Decoder(dim=TOKEN, depth=LAYERS, heads=HEADS, attn_dim_head=TOKEN // HEADS, ff_mult=2)
        self.inner = ContinuousTransformerWrapper(dim_in=1, dim_out=3 * COMPONENTS, max_seq_len=DIM, attn_layers=layers)

    def mixtures(self, x: torch.Tensor) -> torch.distributions.Distribution:
        """Of every feature; a zero stands before the first."""
        before = torch.nn.functional.pad(x[:, :-1], (1, 0))
        share, place, width = self.inner(before[..., None]).chunk(3, -1)
        normal = torch.distributions.Normal(place, torch.nn.functional.softplus(width) + 1e-3)
        return torch.distributions.MixtureSameFamily(torch.distributions.Categorical(logits=share), normal)

    def log_prob(self, x: torch.Tensor) -> torch.Tensor:
        return self.mixtures(x).log_prob(x).sum(-1)

    def sample(self, n: int) -> torch.Tensor:
        x = torch.zeros(n, DIM)
        for i in range(DIM):
            x[:, i] = self.mixtures(x[:, : i + 1]).sample()[:, i]
        return x


def training(model: torch.nn.Module, loss: Callable[[torch.Tensor], torch.Tensor]) -> float:
    """Steps of Adam a second."""
    optimiser, batch = torch.optim.Adam(model.parameters(), lr=1e-3), torch.randn(BATCH, DIM)

    def steps() -> None:
        for _ in range(N_STEPS):
            optimiser.zero_grad()
            loss(batch).backward()
            optimiser.step()

    return N_STEPS / best(steps)


def of_flow_matching() -> dict[str, float]:
    """Meta's package, with its path, its loss and its solver."""
    network, path = Network(), CondOTProbPath()

    def loss(x: torch.Tensor) -> torch.Tensor:
        at = path.sample(t=torch.rand(len(x)), x_0=torch.randn_like(x), x_1=x)
        return ((network(at.x_t, at.t) - at.dx_t) ** 2).mean()

    found = {"training steps": training(network, loss)}
    events, solver = torch.randn(N_EVENTS, DIM), ODESolver(velocity_model=network)
    equal = {"step_size": 1 / N_SOLVER, "method": "midpoint"}
    found["samples"] = N_EVENTS / best(lambda: solver.sample(events, **equal))

    def log_p0(z: torch.Tensor) -> torch.Tensor:
        return torch.distributions.Normal(0.0, 1.0).log_prob(z).sum(-1)

    densities = best(lambda: solver.compute_likelihood(events, log_p0, exact_divergence=True, **equal))
    return found | {"densities": N_EVENTS / densities}


def of_azula() -> dict[str, float]:
    """Diffusion with a cosine schedule, and DDIM."""
    denoiser = SimpleDenoiser(Network(), CosineSchedule())
    found = {"training steps": training(denoiser, lambda x: denoiser.loss(x, torch.rand(len(x))))}
    sampler, base = DDIMSampler(denoiser, steps=N_DDIM, silent=True), torch.randn(N_EVENTS, DIM)
    return found | {"samples": N_EVENTS / best(lambda: sampler(base))}


def of_transformers() -> dict[str, float]:
    """A decoder with mixtures."""
    model = Mixtures()
    found = {"training steps": training(model, lambda x: -model.log_prob(x).mean())}
    events = torch.randn(N_EVENTS, DIM)
    with torch.no_grad():
        found["densities"] = N_EVENTS / best(lambda: model.log_prob(events))
        found["samples"] = N_EVENTS / best(lambda: model.sample(N_EVENTS))
    return found


def main() -> None:
    """All three."""
    torch.set_num_threads(1)
    cases = {"flow-matching": of_flow_matching, "azula": of_azula, "x-transformers": of_transformers}
    for name, measure in cases.items():
        torch.manual_seed(0)
        print(json.dumps({"name": f"{name} {version(name)}", **measure()}), flush=True)


if __name__ == "__main__":
    main()
