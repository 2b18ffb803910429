"""Do the intervals that nmcmc prints cover the exact value as often as they say?

Thousands of short experiments, each a chain (or a set of draws) of its own, are estimated one by one with the very
functions that every command uses; counted is how often the 68.27 % and the 95 % interval contain the exact value.
Chains of spins are those of four kinds of updates on the critical 4×4 and a warmer 8×8 torus; AR(1) series have a known
τ_int up to 100. Every experiment counts, whether its estimate calls itself reliable or not. The limits are 3 and 1.5
points. --quick has fewer experiments, and leaves out the chains at many temperatures on 8×8.
"""

import math
import os
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context

import numpy as np
import torch
from record import note, parser, record

from nmcmc.analysis import free_energy, importance
from nmcmc.analysis.autocorrelation import estimate_function, estimate_mean
from nmcmc.analysis.integration import integrated_log_z, nodes
from nmcmc.analysis.intervals import ONE_SIGMA, interval
from nmcmc.analysis.observables import formulas, moments
from nmcmc.analysis.quantity import mean_of
from nmcmc.analysis.resampling import binned_mean, jackknife_function
from nmcmc.analysis.windows import SokalWindow
from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.exact.known import exact_values
from nmcmc.experiment.chains import draw_stage
from nmcmc.experiment.options import Options
from nmcmc.random import Rng
from nmcmc.samplers.hierarchical.sampler import HierarchicalSampler
from nmcmc.samplers.pretrained import load_pretrained
from nmcmc.samplers.store import at_beta
from nmcmc.types import Estimate
from nmcmc.updates.compose import Cycle
from nmcmc.updates.heat_bath import HeatBath
from nmcmc.updates.independence import Independence
from nmcmc.updates.metropolis import Metropolis
from nmcmc.updates.run import random_start, run
from nmcmc.updates.swendsen_wang import SwendsenWang
from nmcmc.updates.walk import walk
from nmcmc.updates.wolff import Wolff

if __name__ == "coverage":  # numba, started from this folder, looks for the package of that name
    raise ImportError("this is nmcmc's benchmark, not the package coverage")

EXPERIMENTS, QUICK_EXPERIMENTS = 2000, 400
LEVELS, LIMITS = (ONE_SIGMA, 0.95), (0.03, 0.015)
TAUS, TAUS_PER_SERIES = (0.5, 5.0, 100.0), 150
SYSTEMS = {"4x4": ((4, 4), 0.44), "8x8": ((8, 8), 0.38)}
KINDS = {
    "neural": (lambda sampler, target: Independence(sampler, target), 4000),
    "metropolis": (lambda sampler, target: Metropolis(target, sweeps=2), 2000),
    "heat-bath": (lambda sampler, target: HeatBath(target, sweeps=2), 2000),
    "wolff": (lambda sampler, target: Wolff(target, clusters=2), 1000),
    "swendsen-wang": (lambda sampler, target: SwendsenWang(target), 1000),
    "hybrid": (lambda sampler, target: Cycle([Independence(sampler, target), HeatBath(target)]), 800),
}
"""Updates, and draws of one experiment: some hundreds of τ_int."""
KINDS_OF = {
    "4x4": ("neural", "heat-bath", "wolff", "hybrid"),
    "8x8": ("neural", "metropolis", "swendsen-wang", "hybrid"),
}
WARMUP, DRAWS = 300, 2000
DERIVED = ("specific_heat", "susceptibility", "binder")

LOG_Z = {
    "log_z": (lambda draws, chain: importance.log_z(draws), "log_z"),
    "mode_drop": (lambda draws, chain: importance.mode_drop(draws, chain), "zero"),
    "reciprocal": (lambda draws, chain: free_energy.reciprocal_log_z(chain).estimate(), "log_z"),
    "bridge": (lambda draws, chain: free_energy.bridge_log_z(draws, chain).estimate(), "log_z"),
}
"""Estimators of log Z: name → (function of the log weights of draws (n,) and of a chain (1, n), what is exact)."""
PANELS, DRAWS_PER_BETA, WALKERS, WALK_STEPS = 8, 600, 200, 64
"""Temperatures above β = 0 and draws at each of one experiment; walkers of one, and temperatures on their path."""
FROM_ZERO = ("integration", "all temperatures", "annealing")
MEANS = {
    "gamma": estimate_mean,
    "sokal": lambda series: estimate_mean(series, SokalWindow()),
    "binning": binned_mean,
    "jackknife": lambda series: jackknife_function(lambda mean: mean, [series]),
}
FUNCTIONS = {"gamma": estimate_function, "jackknife": jackknife_function}


@dataclass
class Tally:
    """How often intervals of one estimator contained the exact value."""

    exact: float
    experiments: int = 0
    reliable: int = 0
    covered: list[int] = field(default_factory=lambda: [0, 0])
    pulls: list[float] = field(default_factory=list)

    def count(self, estimate: Estimate) -> None:
        """Count one experiment."""
        self.experiments += 1
        self.reliable += estimate.reliable
        for k, level in enumerate(LEVELS):
            low, high = interval(estimate, level)
            self.covered[k] += low <= self.exact <= high
        self.pulls.append(estimate.deviation(self.exact))

    def row(self, estimator: str, chain: str) -> dict:
        """Return the shares."""
        return {
            "estimator": estimator,
            "chain": chain,
            "experiments": self.experiments,
            "coverage68": self.covered[0] / self.experiments,
            "coverage95": self.covered[1] / self.experiments,
            "reliable": self.reliable / self.experiments,
            "mean_pull": float(np.mean(self.pulls)),
        }


def tally(chain, exact, experiments):
    """Return a row for every estimator; experiments yields dictionaries of estimates, exact has the true values."""
    counts = {}
    for estimates in experiments:
        for (estimator, quantity), estimate in estimates.items():
            counts.setdefault((estimator, quantity), Tally(exact[quantity])).count(estimate)
    rows = [found.row(name_of(*key), chain) for key, found in counts.items()]
    note(f"{chain}: " + ", ".join(f"{r['estimator']} {r['coverage68']:.3f} {r['coverage95']:.3f}" for r in rows))
    return rows


def name_of(estimator, quantity):
    return estimator if quantity in ("mean", "zero") or estimator in (*LOG_Z, *FROM_ZERO) else f"{estimator} {quantity}"


def ar1(tau, n_draws, n_series, rng):
    """Return x_t = a x_{t−1} + √(1 − a²) ξ_t, (n_series, n_draws), with τ_int = (1 + a)/(2 − 2a), from equilibrium."""
    a = (2 * tau - 1) / (2 * tau + 1)
    series = rng.generator.standard_normal((n_series, n_draws))
    series[:, 1:] *= math.sqrt(1 - a * a)
    lag = 1
    while lag < n_draws and a**lag > 1e-18:  # (1 + aL)(1 + a²L²)(1 + a⁴L⁴) … = 1/(1 − aL)
        series[:, lag:] += a**lag * series[:, :-lag]
        lag *= 2
    return series


def ar1_rows(tau, n_experiments, rng):
    n_draws, rng = int(max(TAUS_PER_SERIES * tau, 200)), rng.child("ar1", round(10 * tau))
    pieces = (ar1(tau, n_draws, 1, rng.child(k)) for k in range(n_experiments))
    means = ({(f"mean {name}", "mean"): f(series) for name, f in MEANS.items()} for series in pieces)
    return tally(f"AR(1) tau {tau:g}", {"mean": 0.0}, means)


def exact_of(target, extents):
    """Return exact values by name; those of |m| from the distribution of the number of up spins."""
    values = exact_values(target.energy, target.beta) | {"zero": 0.0, "magnetization": 0.0}
    probability, m = magnetization_distribution(extents[0], target.beta)
    if abs(probability @ m**2 - values["m2"]) > 1e-10:
        raise SystemExit("the distribution of the magnetisation does not agree with the transfer matrix")
    values["abs_magnetization"] = float(probability @ np.abs(m))
    values["susceptibility"] = target.beta * target.n_spins * (values["m2"] - values["abs_magnetization"] ** 2)
    return values


def magnetization_distribution(size, beta):
    """Return P(m) and m of the size × size torus: Fourier transform of Tr T(θ)^L, T a transfer matrix in a field iθ."""
    n = size * size
    states = 1 - 2 * (np.arange(2**size)[:, None] >> np.arange(size) & 1)
    inside = np.sum(states * np.roll(states, 1, axis=1), axis=1)
    matrix = np.exp(beta * (states @ states.T + 0.5 * (inside[:, None] + inside) - 2 * size))
    up, angles = np.sum(states > 0, axis=1), 2 * np.pi * np.arange(n // 2 + 1) / (n + 1)
    halves = (np.linalg.matrix_power(matrix * np.exp(1j * angle * up), size // 2) for angle in angles)
    probability = np.fft.hfft([np.sum(half * half.T) for half in halves], n + 1)
    return probability / probability.sum(), 2 * np.arange(n + 1) / n - 1


def estimates_of_chain(energy, m, n_spins, beta):
    """Return the estimates of one experiment, series (1, n_draws)."""
    recorded = moments(energy / n_spins, m)
    found = {(f"mean {name}", "energy_per_spin"): f(recorded["e"]) for name, f in MEANS.items()}
    found["mean gamma", "abs_magnetization"] = estimate_mean(recorded["abs_m"])
    table = formulas(n_spins, beta)
    for name in DERIVED:
        function, names = table[name]
        for kind, estimator in FUNCTIONS.items():
            found[kind, name] = estimator(function, [recorded[moment] for moment in names])
    return found


def estimates_of_draws(energy, m, log_weight, chain, n_spins, beta):
    """Return the estimates of one experiment of independent draws, arrays (n,), and of a chain's log weights (1, n)."""
    weighted = importance.derive_importance(energy, m, log_weight, n_spins, beta)
    names = ("energy_per_spin", "abs_magnetization", *DERIVED)
    found = {("nis", name): weighted[name] for name in names}
    found["nis", "entropy_per_spin"] = importance.entropy_per_spin(energy, log_weight, n_spins, beta)
    return found | {(name, exact): f(log_weight, chain) for name, (f, exact) in LOG_Z.items()}


def imperfect_sampler(target, rng):
    """Return nets without training on 4×4, and those of another temperature on 8×8: weights that vary."""
    if target.n_spins == 16:
        return HierarchicalSampler(target.energy, target.beta, leaf=1, width=2, rng=rng)
    return at_beta(load_pretrained("ising2d-8-critical")[0], target.beta)


def lattice_rows(system, n_experiments, rng):
    extents, beta = SYSTEMS[system]
    energy = LatticeEnergy(Lattice(extents))
    target, rng = Boltzmann(energy, beta), rng.child(system)
    sampler = imperfect_sampler(target, rng.child("net"))
    exact, rows = exact_of(target, extents), []
    start = sampler.sample(n_experiments, rng.child("start")).spins.numpy()
    for kind in KINDS_OF[system]:
        update, n_draws = KINDS[kind]
        observables = {"energy": energy, "magnetization": energy.magnetization}
        chain = run(
            update(sampler, target),
            n_draws,
            rng.child(kind),
            observables=observables,
            start=start,
            warmup=WARMUP,
        )
        if kind == "neural":
            log_weights = chain.stats["log_weight"]
        pairs = zip(chain.series["energy"], chain.series["magnetization"], strict=True)
        estimates = (estimates_of_chain(e[None], m[None], target.n_spins, beta) for e, m in pairs)
        rows += tally(f"{kind} {system}", exact, estimates)
    draws = draw_stage(sampler, target, n_experiments * DRAWS, rng.child("draws"), Options(1, quiet=True))
    columns = [draws[name].reshape(n_experiments, DRAWS) for name in ("energy", "magnetization", "log_weight")]
    pairs = zip(*columns, log_weights, strict=True)
    estimates = (estimates_of_draws(e, m, w, c[None], target.n_spins, beta) for e, m, w, c in pairs)
    return rows + tally(f"draws {system}", exact, estimates)


def temperature_rows(system, n_experiments, rng):
    """Return rows of the estimators of log Z that begin at β = 0: one chain at each β, or 200 walkers."""
    extents, beta = SYSTEMS[system]
    energy = LatticeEnergy(Lattice(extents))
    target, rng, betas = Boltzmann(energy, beta), rng.child("temperatures", system), nodes(beta, PANELS)
    spins = random_start(n_experiments, energy.n_spins, rng.child("start"))
    hot = random_start(n_experiments * DRAWS_PER_BETA, energy.n_spins, rng.child("hot"))
    series = [energy(hot).reshape(n_experiments, DRAWS_PER_BETA)]
    for k, each in enumerate(betas[1:], 1):
        update, observables = SwendsenWang(target.at(each)), {"energy": energy}
        chain = run(update, DRAWS_PER_BETA, rng.child(k), observables=observables, start=spins, warmup=50)
        series.append(chain.series["energy"])
    path = np.linspace(0, beta, WALK_STEPS + 1).tolist()
    walkers = random_start(n_experiments * WALKERS, energy.n_spins, rng.child("walkers"))
    walked = walk(lambda each: SwendsenWang(target.at(each)), energy, path, walkers, rng.child("walk"))
    work = walked.log_weight.reshape(n_experiments, WALKERS)
    pairs = zip(*series, work, strict=True)
    exact = {"log_z": exact_values(energy, beta)["log_z"]}
    return tally(f"temperatures {system}", exact, (estimates_from_zero(betas, *p, energy.n_spins) for p in pairs))


def estimates_from_zero(betas, hot, *rest):
    """Return the estimates of one experiment: H at β = 0 (n,), at every other β (n,), log weights, number of spins."""
    *colder, log_weight, n_spins = rest
    series, log_z0 = [hot, *(h[None] for h in colder)], n_spins * math.log(2)
    names = [f"beta {k}" for k in range(len(series))]
    means = [mean_of(h, name) for h, name in zip(series, names, strict=True)]
    found = {
        "integration": integrated_log_z(betas[-1], means, n_spins),
        "all temperatures": log_z0 + free_energy.temperatures_log_z(betas.tolist(), series, names)[-1],
        "annealing": log_z0 + free_energy.importance_log_z(log_weight),
    }
    return {(name, "log_z"): quantity.estimate() for name, quantity in found.items()}


def timed(make, what, n_experiments, rng):
    """Return the rows of one piece of work, which has a process to itself, and its processor seconds."""
    torch.set_num_threads(1)
    began = time.process_time()
    return make(what, n_experiments, rng), time.process_time() - began


def main():
    options = parser(__doc__)
    options.add_argument("--experiments", type=int, default=None, help=f"of every kind (default {EXPERIMENTS})")
    options.add_argument("--processes", type=int, default=os.cpu_count(), help="side by side (default: all cores)")
    args = options.parse_args()
    args.experiments = args.experiments or (QUICK_EXPERIMENTS if args.quick else EXPERIMENTS)
    rng = Rng(args.seed).child("coverage")
    jobs = [(lattice_rows, system) for system in SYSTEMS]
    jobs += [(temperature_rows, system) for system in SYSTEMS if not (args.quick and system == "8x8")]
    jobs += [(ar1_rows, tau) for tau in reversed(TAUS)]
    with ProcessPoolExecutor(args.processes, get_context("spawn")) as pool:
        done = [pool.submit(timed, make, what, args.experiments, rng) for make, what in jobs]
        found, seconds = zip(*(job.result() for job in done), strict=True)
    del args.processes  # how many there were does not matter to the rows
    rows = [row for each in found for row in each]
    noise = [math.sqrt(p * (1 - p) / args.experiments) for p in LEVELS]
    outside = [
        row
        for row in rows
        if any(
            abs(row[key] - p) > limit
            for key, p, limit in zip(("coverage68", "coverage95"), LEVELS, LIMITS, strict=True)
        )
    ]
    result = {"levels": LEVELS, "limits": LIMITS, "noise": noise, "cpu_seconds": sum(seconds)}
    record("coverage", result | {"outside": outside, "rows": rows}, args)


if __name__ == "__main__":
    main()
