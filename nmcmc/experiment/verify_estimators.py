"""Self-test of the estimators: known autocorrelation times, log Z, lost modes, and whether errors are what they say."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch

from nmcmc.analysis import free_energy, importance
from nmcmc.analysis.autocorrelation import autocorrelation, estimate_mean
from nmcmc.analysis.integration import integrated_log_z, nodes
from nmcmc.analysis.observables import derive, measurements
from nmcmc.analysis.quantity import mean_of
from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.exact import enumeration
from nmcmc.exact.known import exact_values
from nmcmc.experiment.checks import Check, Checks, calibration, exact, statistical
from nmcmc.experiment.verify_samplers import BETA, KINDS, log_prob, small_sampler
from nmcmc.experiment.verify_updates import IN_FIELD, PLAIN, exact_draws
from nmcmc.random import Rng
from nmcmc.samplers.pretrained import load_pretrained
from nmcmc.samplers.store import AnySampler
from nmcmc.types import Draw, Estimate, Floats, Spins
from nmcmc.updates.independence import Independence
from nmcmc.updates.run import run
from nmcmc.updates.swendsen_wang import SwendsenWang
from nmcmc.updates.walk import walk
from nmcmc.updates.wolff import Wolff

MEMORY = 0.8
N_REPLICAS = 400
N_SHIPPED = 100_000


def estimator_checks(rng: Rng, device: str) -> Checks:
    """Yield the checks of the Γ-method, of importance sampling, and of the certificate against missing modes."""
    yield from _gamma_method(rng.child("gamma"))
    yield from _derived(rng.child("derived"))
    for kind in KINDS:
        yield from _importance(kind, small_sampler(kind, IN_FIELD, BETA, rng.child(kind), device), rng.child(kind))
    yield from _free_energies(small_sampler("made", PLAIN, BETA, rng.child("free q"), device), rng.child("free energy"))
    yield from _shipped(rng.child("shipped"), device)
    yield from _certificate(small_sampler("hierarchical", PLAIN, BETA, rng.child("q"), device), rng.child("modes"))


def _gamma_method(rng: Rng) -> Checks:
    """AR(1), x' = a x + noise of variance 1 − a²: variance 1, ρ(t) = a^t, τ_int = ½ + a (1 − a^W)/(1 − a) up to lag W.

    The rest of the sum, which the window leaves out, is by construction about as large as the statistical error.
    """
    series = ar1((40, 10_000), rng.child("long"))
    found = autocorrelation(series)
    tau = 0.5 + MEMORY * (1 - MEMORY**found.window) / (1 - MEMORY)
    yield statistical("Γ-method, AR(1): tau_int", Estimate(found.tau_int, found.tau_int_error), tau)
    error = math.sqrt(2 * tau / series.size)
    yield statistical("Γ-method, AR(1): error", Estimate(found.error, found.error_error), error)
    pulls = [estimate_mean(row).deviation(0.0) for row in ar1((N_REPLICAS, 4, 2000), rng.child("short"))]
    yield calibration("Γ-method, AR(1): squared pulls", np.array(pulls))


def ar1(shape: tuple[int, ...], rng: Rng, memory: float = MEMORY) -> Floats:
    """Return series of mean 0, variance 1 and ρ(t) = memory^t along the last axis."""
    noise = rng.generator.standard_normal(shape)
    series = np.empty(shape)
    series[..., 0] = noise[..., 0]
    for t in range(1, shape[-1]):
        series[..., t] = memory * series[..., t - 1] + math.sqrt(1 - memory**2) * noise[..., t]
    return series


def _derived(rng: Rng) -> Checks:
    """Quantities that are functions of means, from exact independent draws."""
    spins = exact_draws(PLAIN, BETA, 100_000, rng)
    series = {"energy": PLAIN(spins).reshape(10, -1), "magnetization": PLAIN.magnetization(spins).reshape(10, -1)}
    known = enumeration.enumerate_system(PLAIN, BETA)
    found = derive(series, PLAIN.n_spins, BETA)
    for name in ("energy_per_spin", "specific_heat", "binder", "susceptibility", "abs_magnetization"):
        yield statistical(f"exact draws, 4x4: {name}", found[name], getattr(known, name))


def _importance(kind: str, sampler: AnySampler, rng: Rng) -> Checks:
    """log Z, ⟨H⟩ and entropy of the 4×4 torus in a field from weighted draws, once and in many replicas."""
    known = enumeration.enumerate_system(IN_FIELD, BETA)
    energies, weights = (values.reshape(N_REPLICAS, -1) for values in _weights(sampler, 500 * N_REPLICAS, rng))
    n = IN_FIELD.n_spins
    yield statistical(f"importance, {kind}: log Z", importance.log_z(weights.ravel()), known.log_z)
    mean = importance.importance_mean(energies.ravel() / n, weights.ravel())
    yield statistical(f"importance, {kind}: E/N", mean, known.energy_per_spin)
    entropy = importance.entropy_per_spin(energies.ravel(), weights.ravel(), n, BETA)
    yield statistical(f"importance, {kind}: S/N", entropy, known.entropy_per_spin)
    pulls = [importance.log_z(row).deviation(known.log_z) for row in weights]
    yield calibration(f"importance, {kind}: squared pulls of log Z", np.array(pulls))


def _weights(sampler: AnySampler, n: int, rng: Rng) -> tuple[Floats, Floats]:
    draw = sampler.sample(n, rng)
    energies = IN_FIELD(draw.spins.cpu().numpy())
    return energies, -BETA * energies - draw.log_prob.cpu().numpy()


def _free_energies(sampler: AnySampler, rng: Rng) -> Checks:
    """log Z of the 4×4 torus by every estimator; the chain's states are exact draws, in one row as if they were one."""
    known = enumeration.enumerate_system(PLAIN, BETA)
    target, n, n_states = Boltzmann(PLAIN, BETA), PLAIN.n_spins, 20_000
    draw = sampler.sample(n_states, rng.child("draws"))
    draws = target.log_density(draw.spins.cpu().numpy()) - draw.log_prob.cpu().numpy()
    states = exact_draws(PLAIN, BETA, n_states, rng.child("states"))
    chain = (target.log_density(states) - log_prob(sampler, torch.from_numpy(states))).reshape(4, -1)
    points = nodes(BETA, 8)
    energies = [PLAIN(exact_draws(PLAIN, beta, n_states, rng.child(k))) for k, beta in enumerate(points.tolist())]
    start = exact_draws(PLAIN, 0.0, n_states // 4, rng.child("walkers"))
    path = np.linspace(0, BETA, 9).tolist()
    walkers = walk(lambda beta: SwendsenWang(target.at(beta)), PLAIN, path, start, rng.child("annealing"))
    log_z0 = n * math.log(2)
    means = [mean_of(values, f"{k}") for k, values in enumerate(energies)]
    found = {
        "reciprocal weights": free_energy.reciprocal_log_z(chain),
        "bridge": free_energy.bridge_log_z(draws, chain),
        "all temperatures": log_z0 + free_energy.temperatures_log_z(points.tolist(), energies)[-1],
        "annealing": log_z0 + free_energy.importance_log_z(walkers.log_weight),
        "integration": integrated_log_z(BETA, means, n),
    }
    for name, quantity in found.items():
        yield statistical(f"log Z, {name}", quantity.estimate(), known.log_z)
    entropy = (BETA * means[-1] + found["integration"]).estimate()
    yield statistical("S, integration", entropy, known.entropy)


def _shipped(rng: Rng, device: str) -> Checks:
    """A model that comes with the package: log Z and energy of the critical 16×16 torus by Kaufman's formula."""
    sampler, target = load_pretrained("ising2d-16-critical", device)
    energy, known = sampler.energy, exact_values(sampler.energy, target.beta)
    draw = sampler.sample(N_SHIPPED, rng)
    energies = energy(draw.spins.cpu().numpy())
    weights = target.log_density(draw.spins.cpu().numpy()) - draw.log_prob.cpu().numpy()
    yield statistical("shipped model, 16x16: log Z", importance.log_z(weights), known["log_z"])
    mean = importance.importance_mean(energies / energy.n_spins, weights)
    yield statistical("shipped model, 16x16: E/N by weights", mean, known["energy_per_spin"])
    chain = run(
        Independence(sampler, target),
        N_SHIPPED // 16,
        rng.child("chain"),
        observables=measurements(energy),
        start=draw.spins[:16].cpu().numpy(),
    )
    found = derive(chain.series, energy.n_spins, target.beta)
    for name in ("energy_per_spin", "specific_heat"):
        yield statistical(f"shipped model, 16x16: {name} of its chain", found[name], known[name])


class Collapsed:
    """The draws of a sampler with q(s) = q(−s), turned to the side of positive magnetisation but for one in 10⁹.

    It stands for a network that has lost half of the states: small there, not zero, and normalised.
    """

    LEAK = 1e-9

    def __init__(self, sampler: AnySampler):
        self.sampler, self.n_spins = sampler, sampler.n_spins

    def sample(self, n: int, rng: Rng) -> Draw:
        """Draw n configurations with their log q."""
        spins = self.sampler.sample(n, rng).spins.cpu()
        spins = torch.where(_positive(spins), 1, -1).to(torch.int8)[:, None] * spins
        return Draw(spins, torch.from_numpy(self.log_prob(spins)))

    def log_prob(self, spins: torch.Tensor) -> Floats:
        """Return log q, (n,)."""
        share = np.where(_positive(spins).numpy(), 1 - self.LEAK, self.LEAK)
        found: Floats = log_prob(self.sampler, spins) + np.log(2 * share)
        return found


def _positive(spins: torch.Tensor) -> torch.Tensor:
    return 2 * spins.sum(dim=1, dtype=torch.int64) + spins[:, 0] > 0


def _certificate(sampler: AnySampler, rng: Rng) -> Checks:
    """Whether `mode_drop` finds nothing lost where nothing is, and the lost half where half is."""
    target = Boltzmann(PLAIN, BETA)
    start = exact_draws(PLAIN, BETA, 20, rng.child("start"))
    chain = run(Wolff(target), 1000, rng.child("chain"), observables={"E": PLAIN}, start=start, thin=1)
    if chain.spins is None:
        raise RuntimeError("the chain kept no configurations")
    collapsed = Collapsed(sampler)
    draws = sampler.sample(20_000, rng.child("draws"))
    lost = collapsed.sample(20_000, rng.child("draws"))
    yield from _coverage("all states", draws, log_prob(sampler, torch.from_numpy(_flat(chain.spins))), chain.spins, 0.0)
    of_chain = collapsed.log_prob(torch.from_numpy(_flat(chain.spins)))
    yield from _coverage("half of the states", lost, of_chain, chain.spins, -math.log(2))


def _coverage(name: str, draws: Draw, log_q: Floats, spins: Spins, expected: float) -> Iterator[Check]:
    of_draws = -BETA * PLAIN(draws.spins.cpu().numpy()) - draws.log_prob.cpu().numpy()
    of_chain = (-BETA * PLAIN(_flat(spins)) - log_q).reshape(spins.shape[:2])
    drop = importance.mode_drop(of_draws, of_chain)
    yield statistical(f"mode_drop, {name}: log of the share of p", drop, expected)
    yield exact(f"mode_drop, {name}: reliable", float(drop.reliable), 1.0, 0.0)


def _flat(spins: Spins) -> Spins:
    return spins.reshape(-1, spins.shape[-1])
