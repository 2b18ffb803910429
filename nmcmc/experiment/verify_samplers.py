"""Self-test of the samplers: are they normalised, is log q that of the draws, do draws come as often as q says?"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.exact.enumeration import all_states
from nmcmc.experiment.checks import Check, Checks, exact, frequencies
from nmcmc.random import Rng
from nmcmc.samplers.hierarchical.sampler import HierarchicalSampler
from nmcmc.samplers.made import MADESampler
from nmcmc.samplers.store import AnySampler
from nmcmc.types import Floats

BETA, FIELD = 0.4, 0.1
N_DRAWS = 200_000
KINDS = ("hierarchical", "made")


def small_sampler(kind: str, energy: LatticeEnergy, beta: float, rng: Rng, device: str) -> AnySampler:
    """Return a sampler whose weights are some way off the physics they start at, so that q is nothing special."""
    sampler: AnySampler
    if kind == "made":
        sampler = MADESampler(energy, beta, width=2, depth=2, rng=rng)
    else:
        sampler = HierarchicalSampler(energy, beta, leaf=1, width=3, rng=rng)
    generator = rng.child("off").torch_generator()
    with torch.no_grad():
        for parameter in sampler.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.1)
    return sampler.to(device)


def log_prob(sampler: AnySampler, spins: Tensor) -> Floats:
    """Return log q of configurations on any device, float64 (n,), without a gradient."""
    with torch.no_grad():
        values: Floats = sampler.log_prob(spins.to(sampler.device)).cpu().numpy()
    return values


def sampler_checks(rng: Rng, device: str) -> Checks:
    """Yield the checks of both samplers on the 4×4 torus, with a field and without, and of long sums of log q."""
    for kind in KINDS:
        for field in (0.0, FIELD):
            energy = LatticeEnergy(Lattice((4, 4)), field=field)
            name = f"{kind}{' in a field' if field else ''}, 4x4"
            yield from _small(name, small_sampler(kind, energy, BETA, rng.child(kind), device), rng.child(name))
    yield _independent_spins(rng.child("long made"), device)
    yield from _long_hierarchical(rng.child("long hierarchical"), device)


def _small(name: str, sampler: AnySampler, rng: Rng) -> Checks:
    log_q = log_prob(sampler, torch.from_numpy(all_states(sampler.n_spins)))
    yield exact(f"{name}: sum of q over all states", math.fsum(np.exp(log_q)), 1.0, 1e-5)
    draw = sampler.sample(N_DRAWS, rng)
    returned, spins = draw.log_prob.cpu().numpy(), draw.spins.cpu()
    recomputed = log_prob(sampler, spins)
    yield exact(f"{name}: log q of draws, recomputed", np.abs(returned - recomputed).max(), 0.0, 1e-5)
    states = (spins.numpy() > 0) @ (1 << np.arange(sampler.n_spins))
    yield exact(f"{name}: log q of draws, enumerated", np.abs(returned - log_q[states]).max(), 0.0, 1e-5)
    q = np.exp(log_q).reshape(256, 256)
    for part, axis, index in (("first", 0, states % 256), ("last", 1, states // 256)):
        counts = np.bincount(index, minlength=256)
        yield frequencies(f"{name}: frequencies of the {part} 8 spins", counts, q.sum(axis=axis) / q.sum())
    with torch.enable_grad():
        by_torch = sampler.log_prob(draw.spins[:1000]).detach().cpu().numpy()
    yield exact(f"{name}: log q by torch", np.abs(by_torch - recomputed[:1000]).max(), 0.0, 1e-4)


def _independent_spins(rng: Rng, device: str) -> Check:
    """Spins without couplings: log q = Σ_i (βh s_i − ln 2cosh βh), exact to float64 if it is summed in float64.

    The logit 2βh = 0.5 has no rounding error, so that what is left is that of the sum over 1024 spins.
    """
    energy = LatticeEnergy(Lattice((32, 32)), coupling=0.0, field=0.5)
    sampler = MADESampler(energy, 0.5, width=1, depth=1, rng=rng).to(device)
    draw = sampler.sample(64, rng)
    total = draw.spins.cpu().numpy().sum(axis=1, dtype=np.float64)
    expected = 0.25 * total - energy.n_spins * math.log(2 * math.cosh(0.25))
    error = max(
        np.abs(values - expected).max() for values in (draw.log_prob.cpu().numpy(), log_prob(sampler, draw.spins))
    )
    return exact("made, 1024 spins: log q of independent spins", error, 0.0, 1e-9)


def _long_hierarchical(rng: Rng, device: str) -> Checks:
    """Flipping a spin inside a leaf changes log q by −βΔH, exactly, for leaves are: a test of sums in float64."""
    energy, beta = LatticeEnergy(Lattice((64, 64))), BETA
    sampler = HierarchicalSampler(energy, beta, width=1, rng=rng).to(device)
    draw = sampler.sample(16, rng)
    spins = draw.spins.cpu()
    flipped = spins.clone()
    flipped[:, int(sampler.whole.leaves[0].sites[0, 0])] *= -1
    log_q = log_prob(sampler, spins)
    expected = -beta * (energy(flipped.numpy()) - energy(spins.numpy()))
    error = np.abs(log_prob(sampler, flipped) - log_q - expected).max()
    yield exact("hierarchical, 64x64: log q of a spin inside a leaf", error, 0.0, 1e-9)
    # Away from the CPU logits are float32 sums whose order differs between drawing and evaluating.
    tolerance = 1e-9 if device == "cpu" else 1e-2
    error = np.abs(draw.log_prob.cpu().numpy() - log_q).max()
    yield exact("hierarchical, 64x64: log q of draws, recomputed", error, 0.0, tolerance)
