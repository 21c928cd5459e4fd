"""Markov chains advanced block by block, so that those that a scheduler ends go on from the block they were in."""

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import jax
from tqdm import tqdm

from saggiatore.errors import InterruptionError
from saggiatore.learn.checkpoint import load_checkpoint, save_checkpoint
from saggiatore.learn.interruption import SAVE_EVERY, Interruption, deferred_signals

State = TypeVar("State")
Draws = TypeVar("Draws")


def collect(
    advance: Callable[[State], tuple[State, Draws]],
    state: State,
    draws: Draws,
    *,
    checkpoint: Path | None = None,
    identity: str = "",
) -> Draws:
    """Fill `draws`, shape (block, transition, ...), block after block, and return them.

    `advance` maps a state to the state a block later and the block's draws, all of them arrays (no typed random keys).
    State and draws are kept in `checkpoint` when a signal comes, and every half minute; chains that go on from there
    make the draws of uninterrupted ones, if nothing of `identity` changed. Who calls removes the file.

    Raises:
        InterruptionError: if a scheduler ended it (SIGTERM, SIGUSR1) and `checkpoint` was written.
    """
    n_blocks = len(jax.tree.leaves(draws)[0])
    (state, draws), progress = load_checkpoint(checkpoint, (state, draws), identity) or ((state, draws), {"n_done": 0})
    saved = time.monotonic()
    with (
        deferred_signals() if checkpoint else contextlib.nullcontext(Interruption()) as interruption,
        tqdm(total=n_blocks, initial=progress["n_done"], unit="block", mininterval=1, desc="chains") as bar,
    ):
        for n_done in range(progress["n_done"] + 1, n_blocks + 1):
            state, found = advance(state)
            _keep(draws, found, n_done - 1)
            bar.update()
            told = interruption.name  # read once: a signal may come between the next two lines
            if checkpoint and (told or time.monotonic() - saved > SAVE_EVERY):
                save_checkpoint(checkpoint, (state, draws), identity, {"n_done": n_done})
                saved = time.monotonic()
            if told and n_done < n_blocks:
                raise _interrupted(told, n_done, n_blocks, checkpoint)
    return draws


def _interrupted(told: str, n_done: int, n_blocks: int, checkpoint: Path | None) -> InterruptionError:
    return InterruptionError(
        f"the chains received {told} and stopped after block {n_done} of {n_blocks}. Their state is in {checkpoint}; "
        "run the same command again and they go on from there, to the draws of uninterrupted ones."
    )


def _keep(draws: Draws, found: Draws, block: int) -> None:
    for kept, each in zip(jax.tree.leaves(draws), jax.tree.leaves(found), strict=True):
        kept[block] = each
