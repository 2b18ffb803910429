"""The training loop: a pure function of seed and step, so that a run resumes bit for bit from any checkpoint."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import nn

from nmcmc.random import Rng
from nmcmc.training.checkpoint import HasState, TrainingState, load_state, save_state
from nmcmc.training.objectives import Objective
from nmcmc.training.schedule import annealed_beta, learning_rate as rise_and_fall
from nmcmc.types import Floats, Sampler, Target, ThermalTarget

RECORD_NAMES = ("step", "beta", "variational_free_energy", "variational_free_energy_std", "ess_fraction", "seconds")


class TrainableSampler(Sampler, HasState, Protocol):
    """A sampler that is a torch module."""

    def parameters(self) -> Iterator[nn.Parameter]:
        """Return the parameters, as torch modules do."""
        ...

    def modules(self) -> Iterator[nn.Module]:
        """Return the module and all modules in it."""
        ...


@dataclass(frozen=True)
class Plan:
    """How long and how to train.

    Attributes
    ----------
    steps : optimiser steps.
    learning_rate : peak of the schedule. warmup : steps of linear rise before the cosine falls.
    schedule : (step, steps, learning_rate, warmup) → rate; the default rises and falls as said.
    clip : largest norm of each net's gradient.
    beta_start : where annealing starts; None trains at the target's β throughout.
    evaluate_every, n_evaluate : a record is made of this many fresh draws whenever so many steps are done; never
        if evaluate_every is 0.
    checkpoint_seconds : least time between checkpoints.
    """

    steps: int
    learning_rate: float = 0.01
    warmup: int = 50
    clip: float = 1.0
    beta_start: float | None = None
    evaluate_every: int = 100
    n_evaluate: int = 2000
    checkpoint_seconds: float = 10.0
    schedule: Callable[[int, int, float, int], float] = rise_and_fall

    def __post_init__(self) -> None:
        for name, least in (("steps", 1), ("evaluate_every", 0), ("n_evaluate", 2)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be ≥ {least}")
        if not (0 < self.learning_rate < float("inf") and self.clip > 0):
            raise ValueError(f"learning_rate {self.learning_rate} and clip {self.clip} must be positive and finite")


def train(
    sampler: TrainableSampler,
    target: ThermalTarget,
    objective: Objective,
    plan: Plan,
    rng: Rng,
    *,
    checkpoint: str | PathLike[str] | None = None,
    fingerprint: str = "",
    progress: Callable[[int, dict[str, float]], None] | None = None,
) -> dict[str, Floats]:
    """Minimise an objective in place with Adam (Kingma, Ba 2015, arXiv:1412.6980), and return the records.

    Parameters
    ----------
    sampler : its parameters are trained, but for those that are frozen (``requires_grad`` is False).
    target : what to approximate; annealing takes it at smaller β first.
    objective : (sampler, target, rng, step) → loss.
    plan : steps, learning rate, annealing, evaluation.
    rng : step k uses ``rng.child("step", k)``, whatever happened before.
    checkpoint : file to write now and then, and to continue from if it exists with the same fingerprint.
    progress : called as progress(steps done, latest record) after every step.

    Returns
    -------
    One array per name in ``RECORD_NAMES``, one entry per evaluation. variational_free_energy is −E_q[log w]/β in
    units of energy, its _std the spread of single draws.

    Raises
    ------
    FloatingPointError : if loss or gradient is not finite. RuntimeError : if training diverges.
    CorruptFileError, ValueError : if the checkpoint is damaged or belongs to another run.
    ValueError : if all parameters are frozen.
    """
    if not any(p.requires_grad for p in sampler.parameters()):
        raise ValueError("there is nothing to train: the sampler has no parameters, or all of them are frozen")
    optimizer = torch.optim.Adam(sampler.parameters(), lr=plan.learning_rate, betas=(0.9, 0.99))
    path = Path(checkpoint) if checkpoint else None
    state = load_state(path, fingerprint, sampler, optimizer)
    records, start, saved = list(state.records), time.monotonic() - state.seconds, time.monotonic()

    def save(done: int) -> None:
        if path:
            kept = TrainingState(done, plan.steps, tuple(records), time.monotonic() - start)
            save_state(path, fingerprint, kept, sampler, optimizer)

    if state.step == 0:
        save(0)
    for step in range(state.step, plan.steps):
        present = target.at(_beta_of(step, plan, target.beta))
        _make_step(sampler, objective, present, plan, step, optimizer, rng.child("step", step))
        done = step + 1
        if plan.evaluate_every and (done % plan.evaluate_every == 0 or done == plan.steps):
            records.append(_evaluate(sampler, present, plan, done, rng, start))
            _check_divergence(records, sampler.n_spins, _independent_spins(present, plan.n_evaluate, rng.child("free")))
        if time.monotonic() - saved > plan.checkpoint_seconds or done == plan.steps:
            save(done)
            saved = time.monotonic()
        if progress:
            progress(done, records[-1] if records else {})
    return {name: np.array([record[name] for record in records]) for name in RECORD_NAMES}


def steps_within(
    seconds: float,
    sampler: TrainableSampler,
    target: Target,
    objective: Objective,
    plan: Plan,
    rng: Rng,
    least: float = 2.0,
) -> int:
    """Return how many steps of training fit into a time, by timing some on a copy of the sampler.

    The steps are timed for ``least`` seconds or a tenth of the time, whichever is less, after one that compiles.
    """
    trial = copy.deepcopy(sampler)
    optimizer = torch.optim.Adam(trial.parameters(), lr=plan.learning_rate)
    _make_step(trial, objective, target, plan, 0, optimizer, rng.child("trial", 0))
    start, done = time.monotonic(), 0
    while (elapsed := time.monotonic() - start) < min(least, seconds / 10) or done < 3:
        done += 1
        _make_step(trial, objective, target, plan, done, optimizer, rng.child("trial", done))
    return max(1, int(seconds * done / max(elapsed, 1e-9)))


def _beta_of(step: int, plan: Plan, beta: float) -> float:
    return beta if plan.beta_start is None else annealed_beta(step, plan.steps, beta, plan.beta_start)


def _make_step(
    sampler: TrainableSampler,
    objective: Objective,
    target: Target,
    plan: Plan,
    step: int,
    optimizer: torch.optim.Optimizer,
    rng: Rng,
) -> None:
    for group in optimizer.param_groups:
        group["lr"] = plan.schedule(step, plan.steps, plan.learning_rate, plan.warmup)
    loss = objective(sampler, target, rng, step)
    _check_finite("loss", loss, step, plan)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    for parameters in _nets(sampler):
        _check_finite("gradient's norm", nn.utils.clip_grad_norm_(parameters, plan.clip), step, plan)
    optimizer.step()


def _check_finite(name: str, value: torch.Tensor, step: int, plan: Plan) -> None:
    if not bool(torch.isfinite(value)):
        raise FloatingPointError(
            f"the {name} is {float(value.detach())} at step {step}; lower the learning rate ({plan.learning_rate:g}) "
            "or check couplings and beta; the last checkpoint is still good"
        )


def _nets(sampler: TrainableSampler) -> Iterator[list[nn.Parameter]]:
    """Yield the trained parameters of each net: nets are independent, so each is clipped on its own."""
    for module in sampler.modules():
        parameters = [p for p in module.parameters(recurse=False) if p.grad is not None]
        if parameters:
            yield parameters


@torch.no_grad()
def _evaluate(
    sampler: Sampler,
    target: ThermalTarget,
    plan: Plan,
    done: int,
    rng: Rng,
    start: float,
) -> dict[str, float]:
    draw = sampler.sample(plan.n_evaluate, rng.child("evaluate", done))
    log_weight = target.log_density(draw.spins) - draw.log_prob
    weight = (log_weight - log_weight.max()).exp()
    free = -log_weight / target.beta if target.beta > 0 else torch.full_like(log_weight, float("nan"))
    return {
        "step": float(done),
        "beta": target.beta,
        "variational_free_energy": float(free.mean()),
        "variational_free_energy_std": float(free.std()),
        "ess_fraction": float(weight.sum() ** 2 / (weight**2).sum() / len(weight)),
        "seconds": time.monotonic() - start,
    }


@torch.no_grad()
def _independent_spins(target: ThermalTarget, n: int, rng: Rng) -> float:
    """Return βF_q of independent random spins, −N ln 2 − E[log_density], from n of them."""
    spins = 2 * rng.generator.integers(0, 2, (n, target.n_spins), dtype=np.int8) - 1
    return float(-target.n_spins * np.log(2) - target.log_density(spins).mean())


def _check_divergence(records: list[dict[str, float]], n_spins: int, worst: float) -> None:
    """Stop if βF_q is above that of independent random spins, or has risen above its best at the present β.

    The margin is 5 % of N ln 2, and 5 nats. A sampler that froze shows no spread of weights and ess_fraction 1.
    """
    beta = records[-1]["beta"]
    values = [r["variational_free_energy"] * beta for r in records if r["beta"] == beta]
    least, margin = min([*values, worst]), 0.05 * n_spins * np.log(2) + 5
    if values[-1] - least > margin:
        raise RuntimeError(
            f"training diverges: beta·F is {values[-1]:.3f} nats at step {records[-1]['step']:.0f}, and was or could "
            f"be {least:.3f}; lower the learning rate or raise the batch"
        )
