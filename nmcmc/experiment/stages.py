"""The long stages of a run: train, draw, run a chain. Interrupted, they continue as if nothing had happened."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from nmcmc.config import ChainConfig, SamplerConfig, SystemConfig, TrainingConfig, to_toml
from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.experiment.build import (
    build_objective,
    build_sampler,
    build_target,
    default_objective,
    lattice_energy,
    observables,
)
from nmcmc.random import Rng
from nmcmc.samplers.store import AnySampler
from nmcmc.storage.record import Snapshot
from nmcmc.storage.segments import SegmentStore
from nmcmc.training.checkpoint import planned_steps
from nmcmc.training.loop import RECORD_NAMES, Plan, steps_within, train
from nmcmc.types import Chain, Floats, Spins
from nmcmc.updates.run import concatenate, random_start, segments, warm_up, warn_if_stuck

DEFAULT_SECONDS = 60.0
N_SEGMENTS, SEGMENT_SPINS, DRAW_SPINS = 8, 2**28, 2**22


@dataclass(frozen=True)
class Options:
    """What every stage is told: seed, device, whether to continue an interrupted run, and whether to be silent."""

    seed: int = 1
    device: str = "cpu"
    resume: bool = False
    overwrite: bool = False
    quiet: bool = False

    def bar(self, total: int, title: str, unit: str, done: int = 0) -> tqdm[Any]:
        """Return a progress bar on standard error; silent in batch logs."""
        return tqdm(total=total, desc=title, unit=unit, initial=done, disable=True if self.quiet else None, leave=True)


@dataclass(frozen=True)
class Trained:
    """A trained sampler with its target, the training curve and the seconds that it took."""

    sampler: AnySampler
    target: Boltzmann
    training: dict[str, Floats]
    objective: str
    steps: int
    seconds: float


def train_stage(
    system: SystemConfig, net: SamplerConfig, training: TrainingConfig, options: Options, checkpoint: Path
) -> Trained:
    """Train a new sampler, or continue from the checkpoint if told to resume.

    Raises
    ------
    ValueError : for settings that do not fit together, or a checkpoint of another run.
    """
    target, rng = build_target(system), Rng(options.seed).child("train")
    energy = lattice_energy(target)
    sampler = build_sampler(net, energy, target.beta, rng.child("init")).to(options.device)
    objective_name = default_objective(training, sampler)
    if not any(p.requires_grad for p in sampler.parameters()):
        return Trained(sampler, target, {name: np.empty(0) for name in RECORD_NAMES}, objective_name, 0, 0.0)
    objective = build_objective(training, sampler, target, rng)
    mark = hashlib.sha256("\n".join([to_toml(system), to_toml(net), to_toml(training), str(options.seed)]).encode())
    plan = Plan(
        steps=training.steps or planned_steps(checkpoint) or 1,
        learning_rate=training.learning_rate,
        beta_start=_anneal_from(training, net, objective_name, target.beta),
    )
    if not training.steps and not checkpoint.exists():
        seconds = training.seconds or DEFAULT_SECONDS
        plan = replace(plan, steps=steps_within(seconds, sampler, target, objective, plan, rng))
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    with options.bar(plan.steps, f"training ({objective_name})", "step") as bar:
        records = train(
            sampler,
            target,
            objective,
            plan,
            rng.child("steps"),
            checkpoint=checkpoint,
            fingerprint=mark.hexdigest(),
            progress=lambda done, record: _show(bar, done, record),
        )
    return Trained(sampler, target, records, objective_name, plan.steps, float(records["seconds"][-1]))


def _anneal_from(training: TrainingConfig, net: SamplerConfig, objective: str, beta: float) -> float | None:
    if net.sampler != "made" or objective != "reverse-kl":
        return None
    return training.anneal_from if training.anneal_from >= 0 else beta / 2


def _show(bar: tqdm[Any], done: int, record: dict[str, float]) -> None:
    bar.update(done - bar.n)
    if record:
        bar.set_postfix(
            ess=f"{record['ess_fraction']:.3f}", F=f"{record['variational_free_energy']:.3f}", refresh=False
        )


def refuse_leftovers(path: Path, options: Options) -> None:
    """Make sure that a checkpoint or segments of an interrupted run are either continued or gone.

    Raises
    ------
    FileExistsError : if there are some, and neither resume nor overwrite is asked for.
    """
    if not path.exists() or options.resume:
        return
    if not options.overwrite:
        raise FileExistsError(f"{path} is left from an interrupted run; --resume continues it, --overwrite discards it")
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def draw_stage(sampler: AnySampler, target: Boltzmann, n: int, rng: Rng, options: Options) -> dict[str, Floats]:
    """Return energy, magnetization, log_prob, log_density and log_weight of n fresh draws, each (n,)."""
    energy, pieces = lattice_energy(target), []
    size = max(1, DRAW_SPINS // target.n_spins)
    with options.bar(n, "fresh draws", "draw") as bar:
        for first in range(0, n, size):
            draw = sampler.sample(min(size, n - first), rng)
            spins, log_prob = draw.spins.cpu().numpy(), draw.log_prob.cpu().numpy()
            values = energy(spins)
            pieces.append((values, spins.mean(axis=1), log_prob, -target.beta * values))
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
class ChainResult:
    """A finished chain, where it stands, and the seconds that this process spent on it."""

    chain: Chain
    snapshot: Snapshot
    seconds: float


def chain_stage(
    title: str,
    update: Any,
    target: Boltzmann,
    config: ChainConfig,
    rng: Rng,
    options: Options,
    store: SegmentStore,
    start: Callable[[Rng], Spins] | None = None,
) -> ChainResult:
    """Run chains in segments that are kept on disk until the caller has written the whole.

    Parameters
    ----------
    title : for the progress bar. update : the Markov transition. target : what it leaves invariant.
    config : how many states of how many chains.
    rng : a stream of its own. store : where the segments go, and what is there already.
    start : rng → initial configurations; random ones unless given.
    """
    began, snapshot = time.monotonic(), store.last()
    if snapshot is None:
        spins = start(rng) if start else random_start(config.chains, target.n_spins, rng)
        state = warm_up(update, update.init(spins), config.warmup, rng)
    else:
        rng = Rng.restore(dict(snapshot.rng))
        arrays = dict(snapshot.state)
        state = dataclasses.replace(update.init(arrays["spins"]), **arrays)
    left = config.n_draws - store.n_draws
    with options.bar(config.n_draws, title, "draw", store.n_draws) as bar:
        if left > 0:
            size = _segment_draws(config, target.n_spins)
            measured = observables(lattice_energy(target))
            for piece, held in segments(update, state, left, rng, measured, size, config.thin):
                state = held
                store.append(piece, _arrays(state), rng.state())
                bar.update(piece.n_draws)
    chain = concatenate(list(store.load()))
    warn_if_stuck(chain)
    return ChainResult(chain, Snapshot(_arrays(state), rng.state(), len(store)), time.monotonic() - began)


def _segment_draws(config: ChainConfig, n_spins: int) -> int:
    """Return draws per segment: an eighth of the run, less if that is much data; a multiple of ``thin``."""
    size = min(-(-config.n_draws // N_SEGMENTS), max(1, SEGMENT_SPINS // (config.chains * n_spins)))
    step = max(config.thin, 1)
    return max(1, -(-size // step)) * step


def _arrays(state: Any) -> dict[str, np.ndarray[Any, Any]]:
    return {item.name: getattr(state, item.name) for item in dataclasses.fields(state)}
