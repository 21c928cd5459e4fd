"""Spline flows of zuko and nflows, for `coupling_flow.py`: training steps, densities and samples a second.

Runs in an environment of its own (``flow_peers.txt``), on one core, and writes one line of JSON for each package.
"""

import json
import sys
from collections.abc import Callable
from importlib.metadata import version

import nflows.distributions
import nflows.flows
import nflows.transforms
import torch
import zuko
from peer_clock import best

DIM, N_BLOCKS, N_BINS, WIDTH, BATCH, N_STEPS, N_EVENTS, BOUND = 4, 8, 16, 64, 1024, 30, 16384, 6.0


def network(n_in: int, n_out: int) -> torch.nn.Module:
    """Two hidden layers."""
    layers = [torch.nn.Linear(n_in, WIDTH), torch.nn.SiLU(), torch.nn.Linear(WIDTH, WIDTH), torch.nn.SiLU()]
    return torch.nn.Sequential(*layers, torch.nn.Linear(WIDTH, n_out))


class Context(torch.nn.Module):
    """A network as nflows calls it."""

    def __init__(self, n_in: int, n_out: int):
        super().__init__()
        self.inner = network(n_in, n_out)

    def forward(self, inputs: torch.Tensor, context: torch.Tensor | None = None) -> torch.Tensor:
        return self.inner(inputs)


def of_nflows() -> tuple[torch.nn.Module, Callable, Callable]:
    """Blocks that move one half and then the other, as ours."""
    blocks = [
        nflows.transforms.PiecewiseRationalQuadraticCouplingTransform(
            torch.tensor([1, 1, 0, 0] if block % 2 else [0, 0, 1, 1]),
            Context,
            num_bins=N_BINS,
            tails="linear",
            tail_bound=BOUND,
        )
        for block in range(N_BLOCKS)
    ]
    base = nflows.distributions.StandardNormal([DIM])
    flow = nflows.flows.Flow(nflows.transforms.CompositeTransform(blocks), base)
    return flow, flow.log_prob, flow.sample


def of_zuko() -> tuple[torch.nn.Module, Callable, Callable]:
    """Two passes make a coupling of what is autoregressive otherwise."""
    flow = zuko.flows.NSF(
        DIM, transforms=N_BLOCKS, bins=N_BINS, hidden_features=(WIDTH, WIDTH), passes=2, activation=torch.nn.SiLU
    )
    return flow, lambda x: flow().log_prob(x), lambda n: flow().sample((n,))


def measure(flow: torch.nn.Module, log_prob: Callable, sample: Callable) -> dict[str, float]:
    """All three rates."""
    optimiser = torch.optim.Adam(flow.parameters(), lr=1e-3)
    batch, events = torch.randn(BATCH, DIM), torch.randn(N_EVENTS, DIM)

    def steps() -> None:
        for _ in range(N_STEPS):
            optimiser.zero_grad()
            loss = -log_prob(batch).mean()
            loss.backward()
            optimiser.step()

    found = {"training steps": N_STEPS / best(steps)}
    with torch.no_grad():
        found["densities"] = N_EVENTS / best(lambda: log_prob(events))
        found["samples"] = N_EVENTS / best(lambda: sample(N_EVENTS))
    return found


def main() -> None:
    """Both packages, or the one that is named."""
    torch.set_num_threads(1)
    for name, build in (("nflows", of_nflows), ("zuko", of_zuko)):
        if name in sys.argv[1:] or len(sys.argv) == 1:
            torch.manual_seed(0)
            print(json.dumps({"name": f"{name} {version(name)}", **measure(*build())}), flush=True)


if __name__ == "__main__":
    main()
