"""One run over a whole range of temperatures: train at one β, go on from there to the next."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import torch

from nmcmc.random import Rng
from nmcmc.training.loop import Plan, TrainableSampler, train
from nmcmc.training.objectives import Objective
from nmcmc.training.schedule import constant_rate
from nmcmc.types import ThermalTarget

S = TypeVar("S", bound=TrainableSampler)
SPREAD_DRAWS = 1000


@dataclass(frozen=True)
class Annealing:
    """The temperatures of a run, rising in β, and how to train at the first of them and at all others.

    Attributes
    ----------
    betas : the temperatures. first, others : plans for the first of them, and for each of the others.
    gentle : whether rates are multiplied by the standard deviation of ln w wherever a β begins with one below 1. Adam
        moves every weight by the rate, however small the noise of its gradient: a sampler that is close already would
        only lose by it.
    rounds : how often the plan is gone through at each β, each time with a rate by the spread that is left.

    Raises
    ------
    ValueError : for no β, or one that is not above the one before, or fewer rounds than 1.
    """

    betas: tuple[float, ...]
    first: Plan
    others: Plan
    gentle: bool = False
    rounds: int = 1

    def __post_init__(self) -> None:
        if not self.betas or any(b <= a for a, b in zip(self.betas, self.betas[1:], strict=False)):
            raise ValueError(f"betas are {self.betas}; give at least one, each above the one before")
        if self.rounds < 1:
            raise ValueError(f"rounds is {self.rounds}; give at least 1")


def published() -> Annealing:
    """Return the run of the publication, for batches of 2000: β = 0.1 … 2.0 by 0.05, 5000 steps and then 1000 each.

    Adam at a constant 1e-3. I. Biazzo (2023), arXiv:2302.08347.
    """
    plan = Plan(steps=1000, learning_rate=1e-3, clip=1e9, evaluate_every=0, schedule=constant_rate)
    first = Plan(steps=5000, learning_rate=1e-3, clip=1e9, evaluate_every=0, schedule=constant_rate)
    return Annealing(tuple(round(0.1 + 0.05 * k, 2) for k in range(39)), first, plan)


def brisk(
    betas: Sequence[float], steps: int = 150, learning_rate: float = 0.01, *, gentle: bool = False, rounds: int = 1
) -> Annealing:
    """Return a run of few steps at each β, whose rate is ten times that of `published` and falls to 0 in each round."""
    plan = Plan(steps=steps, learning_rate=learning_rate, warmup=min(20, steps // 5 + 1), evaluate_every=0)
    return Annealing(tuple(betas), plan, plan, gentle, rounds)


def train_along(
    sampler: S,
    target: ThermalTarget,
    objective: Objective,
    annealing: Annealing,
    rng: Rng,
    at: Callable[[S, float], S],
) -> Iterator[S]:
    """Yield the sampler of every β when it is trained; the next one starts from its weights.

    Parameters
    ----------
    sampler : where to start; it is not changed. target, objective : as in `loop.train`; β is that of the annealing.
    rng : the k-th β uses ``rng.child("beta", k)`` and ``rng.child("spread", k)``, later rounds r their r-th children.
    at : (sampler, β) → a sampler at another β with the same weights, such as `samplers.store.at_beta`, or with what is
        known of their change, such as `samplers.response.follow_response`.

    Raises
    ------
    FloatingPointError, RuntimeError, ValueError : as `loop.train`.

    Examples
    --------
    The variational free energy of every β, and log Z by importance sampling, in one run:

    >>> from functools import partial
    >>> from nmcmc import Boltzmann, CavitySampler, log_z, reverse_kl, sherrington_kirkpatrick
    >>> from nmcmc.samplers.store import at_beta
    >>> energy, rng = sherrington_kirkpatrick(10, seed=1), Rng(1)
    >>> target, start = Boltzmann(energy, 0.2), CavitySampler(energy, 0.2)
    >>> objective, run = partial(reverse_kl, batch=100), brisk((0.2, 0.4, 0.6), steps=10)
    >>> for sampler in train_along(start, target, objective, run, rng.child("train"), at_beta):
    ...     draw = sampler.sample(1000, rng)
    ...     log_weight = (target.at(sampler.beta).log_density(draw.spins) - draw.log_prob).numpy()
    ...     print(sampler.beta, f"{-log_weight.mean() / sampler.beta:.2f}", f"{log_z(log_weight).value:.2f}")
    0.2 -35.11 7.02
    0.4 -18.21 7.28
    0.6 -12.85 7.71
    """
    for k, beta in enumerate(annealing.betas):
        sampler = at(sampler, beta)
        for key in [(k,), *((k, r) for r in range(1, annealing.rounds))]:
            train_round(sampler, target.at(beta), objective, annealing, rng, key)
        yield sampler


def train_round(
    sampler: TrainableSampler,
    target: ThermalTarget,
    objective: Objective,
    annealing: Annealing,
    rng: Rng,
    key: tuple[int, ...],
    *,
    checkpoint: Path | None = None,
    fingerprint: str = "",
    progress: Callable[[int, dict[str, float]], None] | None = None,
) -> None:
    """Train a sampler in place for one round at one β of a run.

    Parameters
    ----------
    target : at this β. key : (k,) in the first round at the k-th β, (k, r) in the r-th after it.
    rng : of the whole run, see `train_along`. checkpoint, fingerprint, progress : as in `loop.train`.

    Raises
    ------
    CorruptFileError, FloatingPointError, RuntimeError, ValueError : as `loop.train`.
    """
    plan = annealing.others if key[0] else annealing.first
    if annealing.gentle:
        noise = min(1.0, spread(sampler, target, rng.child("spread", *key)))
        plan = replace(plan, learning_rate=plan.learning_rate * noise)
    train(
        sampler,
        target,
        objective,
        plan,
        rng.child("beta", *key),
        checkpoint=checkpoint,
        fingerprint=fingerprint,
        progress=progress,
    )


@torch.no_grad()
def spread(sampler: TrainableSampler, target: ThermalTarget, rng: Rng) -> float:
    """Return the standard deviation of ln w over fresh draws, never 0."""
    draw = sampler.sample(SPREAD_DRAWS, rng)
    return max(float((target.log_density(draw.spins) - draw.log_prob).std()), 1e-6)
