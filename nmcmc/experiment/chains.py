"""Fresh draws of a sampler, and Markov chains as jobs that go on after an interruption as if nothing had happened."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from nmcmc.config import ChainConfig
from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.experiment.build import observables, pairwise_energy
from nmcmc.experiment.options import Options
from nmcmc.random import Rng
from nmcmc.storage.record import Snapshot
from nmcmc.storage.segments import SegmentStore
from nmcmc.types import Chain, Floats, Sampler, Spins
from nmcmc.updates.independence import Independence
from nmcmc.updates.run import concatenate, random_start, segments, warm_up, warn_if_stuck

N_SEGMENTS, SEGMENT_SPINS, DRAW_SPINS = 8, 2**28, 2**22


def draw_stage(sampler: Sampler, target: Boltzmann, n: int, rng: Rng, options: Options) -> dict[str, Floats]:
    """Return energy, magnetization, log_prob, log_density and log_weight of n fresh draws, each (n,)."""
    energy, pieces = pairwise_energy(target), []
    size = max(1, DRAW_SPINS // target.n_spins)
    with options.bar(n, "fresh draws", "draw") as bar:
        for first in range(0, n, size):
            draw = sampler.sample(min(size, n - first), rng)
            spins, log_prob = draw.spins.cpu().numpy(), draw.log_prob.cpu().numpy()
            values = energy(spins)
            pieces.append((values, energy.magnetization(spins), log_prob, -target.beta * values))
            bar.update(len(spins))
    values, magnetization, log_prob, log_density = (np.concatenate(column) for column in zip(*pieces, strict=True))
    return {
        "energy": values,
        "magnetization": magnetization,
        "log_prob": log_prob,
        "log_density": log_density,
        "log_weight": log_density - log_prob,
    }


@dataclass(frozen=True)
class ChainJob:
    """A chain to be run.

    Attributes
    ----------
    title : for the progress bar. update : the Markov transition. target : what it leaves invariant.
    settings : how many states of how many chains. rng : a stream of its own.
    start : rng → initial configurations.
    """

    title: str
    update: Any
    target: Boltzmann
    settings: ChainConfig
    rng: Rng
    start: Callable[[Rng], Spins]


def neural_job(sampler: Sampler, target: Boltzmann, settings: ChainConfig, rng: Rng) -> ChainJob:
    """Return the chain whose proposals, and first states, are draws of a sampler."""

    def start(stream: Rng) -> Spins:
        spins: Spins = sampler.sample(settings.chains, stream.child("start")).spins.cpu().numpy()
        return spins

    return ChainJob("neural chain", Independence(sampler, target), target, settings, rng, start)


def baseline_job(name: str, update: Any, target: Boltzmann, settings: ChainConfig, rng: Rng) -> ChainJob:
    """Return the chain of a local or cluster update, from random configurations."""
    return ChainJob(
        f"{name} chain", update, target, settings, rng, lambda r: random_start(settings.chains, target.n_spins, r)
    )


@dataclass(frozen=True)
class ChainResult:
    """A finished chain, where it stands, the seconds that this process spent on it, and the updates that it made."""

    chain: Chain
    snapshot: Snapshot
    seconds: float
    updates: int

    @property
    def seconds_per_update(self) -> float | None:
        """Seconds for one update of one chain, None if this process made no updates."""
        return self.seconds / (self.updates * self.chain.n_chains) if self.updates else None


def chain_stage(job: ChainJob, store: SegmentStore, options: Options) -> ChainResult:
    """Run chains in segments, from the last one in the store on, and return all of them joined."""
    began, snapshot, rng, settings = time.monotonic(), store.last(), job.rng, job.settings
    if snapshot is None:
        state = warm_up(job.update, job.update.init(job.start(rng)), settings.warmup, rng)
    else:
        rng = Rng.restore(dict(snapshot.rng))
        arrays = dict(snapshot.state)
        state = dataclasses.replace(job.update.init(arrays["spins"]), **arrays)
    left = settings.n_draws - store.n_draws
    updates = left + (settings.warmup if snapshot is None else 0)
    with options.bar(settings.n_draws, job.title, "draw", store.n_draws) as bar:
        if left > 0:
            size = _segment_draws(settings, job.target.n_spins)
            measured = observables(job.target)
            for piece, held in segments(job.update, state, left, rng, measured, size, settings.thin):
                state = held
                store.append(piece, _arrays(state), rng.state())
                bar.update(piece.n_draws)
    chain = concatenate(list(store.load()))
    warn_if_stuck(chain)
    return ChainResult(chain, Snapshot(_arrays(state), rng.state(), len(store)), time.monotonic() - began, updates)


def _segment_draws(settings: ChainConfig, n_spins: int) -> int:
    """Return draws per segment: an eighth of the run, less if that is much data; a multiple of ``thin``."""
    size = min(-(-settings.n_draws // N_SEGMENTS), max(1, SEGMENT_SPINS // (settings.chains * n_spins)))
    step = max(settings.thin, 1)
    return max(1, -(-size // step)) * step


def _arrays(state: Any) -> dict[str, np.ndarray[Any, Any]]:
    return {item.name: getattr(state, item.name) for item in dataclasses.fields(state)}
