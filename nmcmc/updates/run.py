"""The loop that runs any update: blocks of bounded memory, observables measured on the fly, segments, warm-up."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from nmcmc.random import Rng
from nmcmc.types import Chain, Floats, Info, Spins, State, Update

S = TypeVar("S", bound=State)
Observables = Mapping[str, Callable[[Spins], Floats]]
"""Name → function of spins (batch, n_spins) int8 that returns (batch,) float64."""

logger = logging.getLogger(__name__)

BLOCK_SPINS = 2**22
"""Spins of one block in memory, over all chains and draws."""
BLOCK_DRAWS = 4096
"""Draws of one block at most, so that progress shows."""
_MOVES = ("accepted", "flip_fraction", "moved")


def run(
    update: Update[S],
    n_draws: int,
    rng: Rng,
    *,
    observables: Observables,
    n_chains: int | None = None,
    start: Spins | None = None,
    warmup: int = 0,
    thin: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Chain:
    """Run n_chains chains side by side for n_draws steps and return their record.

    Parameters
    ----------
    update : the Markov transition.
    n_draws : recorded steps per chain, ≥ 1.
    rng : a stream of its own; each chain has its own part of it.
    observables : name → function of spins (batch, n_spins) that returns (batch,) float64; at least one.
    n_chains : number of chains; 1, or as many as ``start`` has, unless given.
    start : initial configurations (n_chains, n_spins); random ones unless given.
    warmup : steps made first and not recorded.
    thin : keep every thin-th configuration; 0 keeps none.
    progress : called with the number of draws just recorded.

    Raises
    ------
    ValueError : for numbers out of range, or an observable of another shape.

    Examples
    --------
    >>> from nmcmc.energies.boltzmann import Boltzmann
    >>> from nmcmc.energies.lattice import Lattice, LatticeEnergy
    >>> from nmcmc.updates.wolff import Wolff
    >>> energy = LatticeEnergy(Lattice((4, 4)))
    >>> chain = run(Wolff(Boltzmann(energy, 0.44)), 100, Rng(1), observables={"energy": energy}, n_chains=2, warmup=10)
    >>> chain.series["energy"].shape, chain.stats["cluster_size"].shape
    ((2, 100), (2, 100))
    """
    if n_chains is None:
        n_chains = 1 if start is None else len(start)
    if warmup < 0:
        raise ValueError(f"warmup is {warmup}; it must be ≥ 0 steps")
    _check(n_draws, n_chains, observables, thin)
    if start is None:
        start = random_start(n_chains, update.n_spins, rng)
    if len(start) != n_chains:
        raise ValueError(f"start has {len(start)} configurations for {n_chains} chains; give one per chain")
    state = warm_up(update, update.init(start), warmup, rng)
    chains = []
    for chain, _ in segments(update, state, n_draws, rng, observables, _block_draws(state), thin):
        chains.append(chain)
        if progress is not None:
            progress(chain.n_draws)
    whole = concatenate(chains)
    warn_if_stuck(whole)
    return whole


def segments(
    update: Update[S],
    state: S,
    n_draws: int,
    rng: Rng,
    observables: Observables,
    segment_draws: int,
    thin: int = 0,
) -> Iterator[tuple[Chain, S]]:
    """Return an iterator over successive pieces of ``segment_draws`` draws, each with the state that it ends in.

    Of each chain's draws 1, 2, … those whose number is a multiple of ``thin`` are kept, whatever the segments. To
    continue in another call as if there had been one, stop at a multiple of ``thin``.

    Raises
    ------
    ValueError : for numbers out of range, at once; for an observable of another shape, when it is measured.
    """
    _check(n_draws, len(state.spins), observables, thin)
    if segment_draws < 1:
        raise ValueError(f"segment_draws is {segment_draws}; it must be ≥ 1")
    return _segments(update, state, n_draws, rng, observables, segment_draws, thin)


def warm_up(update: Update[S], state: S, n: int, rng: Rng) -> S:
    """Make n steps that are not recorded and return the state they end in."""
    while n > 0:
        size = min(n, _block_draws(state))
        state, _, _ = _advance(update, state, rng, size)
        n -= size
    return state


def random_start(n_chains: int, n_spins: int, rng: Rng) -> Spins:
    """Return uniformly random configurations, int8 ±1 (n_chains, n_spins)."""
    return 2 * rng.generator.integers(0, 2, (n_chains, n_spins), dtype=np.int8) - 1


def concatenate(chains: Sequence[Chain]) -> Chain:
    """Return successive pieces of the same chains as one.

    Raises
    ------
    ValueError : if there is none, or they were thinned differently.
    """
    if not chains or len({(chain.thin, chain.spins is None) for chain in chains}) != 1:
        raise ValueError("chains to concatenate must be at least one, all thinned alike")
    kept = [chain.spins for chain in chains if chain.spins is not None]
    return Chain(
        {name: np.concatenate([chain.series[name] for chain in chains], axis=1) for name in chains[0].series},
        {name: np.concatenate([chain.stats[name] for chain in chains], axis=1) for name in chains[0].stats},
        np.concatenate(kept, axis=1) if kept else None,
        chains[0].thin,
    )


def warn_if_stuck(chain: Chain) -> None:
    """Log a warning for every kind of move that some chain never made: its draws say nothing about the target."""
    for name, values in chain.stats.items():
        stuck = np.flatnonzero(~np.any(values > 0, axis=1)) if name.endswith(_MOVES) else np.empty(0)
        if stuck.size:
            logger.warning(
                "STUCK: %d of %d chains (first: %d) have %s = 0 in all %d draws; do not trust their averages",
                *(stuck.size, chain.n_chains, stuck[0], name, chain.n_draws),
            )


def _check(n_draws: int, n_chains: int, observables: Observables, thin: int) -> None:
    for name, value, least in (("n_draws", n_draws, 1), ("n_chains", n_chains, 1), ("thin", thin, 0)):
        if value < least:
            raise ValueError(f"{name} is {value}; it must be ≥ {least}")
    if not observables:
        raise ValueError("observables are empty; name at least one function of the spins to record")


def _block_draws(state: State) -> int:
    return max(1, min(BLOCK_DRAWS, BLOCK_SPINS // state.spins.size))


def _segments(
    update: Update[S], state: S, n_draws: int, rng: Rng, observables: Observables, segment_draws: int, thin: int
) -> Iterator[tuple[Chain, S]]:
    for first in range(0, n_draws, segment_draws):
        last = min(first + segment_draws, n_draws)
        chains = []
        while first < last:
            size = min(last - first, _block_draws(state))
            state, spins, info = _advance(update, state, rng, size)
            chains.append(_measure(spins, info, observables, thin, first))
            first += size
        yield concatenate(chains), state


def _advance(update: Update[S], state: S, rng: Rng, n: int) -> tuple[S, Spins, Info]:
    """Make n steps, by the update's own fast path if it has one."""
    block: Any = getattr(update, "block", None)
    if block is not None:
        state, spins, info = block(state, rng, n)
        return state, spins, info
    configurations, infos = [], []
    for _ in range(n):
        state, info = update.step(state, rng)
        configurations.append(state.spins)
        infos.append(info)
    return (
        state,
        np.stack(configurations, axis=1),
        {name: np.stack([info[name] for info in infos], axis=1) for name in infos[0]},
    )


def _measure(spins: Spins, info: Info, observables: Observables, thin: int, first: int) -> Chain:
    """Record a block (n_chains, n, n_spins) whose first draw has index ``first``."""
    n_chains, n, n_spins = spins.shape
    series = {}
    for name, observable in observables.items():
        values = np.asarray(observable(spins.reshape(-1, n_spins)), dtype=np.float64)
        if values.shape != (n_chains * n,):
            raise ValueError(
                f"observable {name!r} gave shape {values.shape} for {n_chains * n} configurations; return one each"
            )
        series[name] = values.reshape(n_chains, n)
    kept = spins[:, (-1 - first) % thin :: thin].copy() if thin else None
    return Chain(series, info, kept, thin or 1)
