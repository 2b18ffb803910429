"""How soon does a chain with a neural proposal forget a spin glass, beside Metropolis with parallel tempering?

Sherrington–Kirkpatrick instances at β = 1.5 and 2. Methods: independence Metropolis–Hastings with a net that is
trained along β (TAP: fitted to parallel tempering of its own; "TAP-start": as derived); the same in turn with sweeps
of Metropolis; Metropolis in parallel tempering; Metropolis alone. τ_int, in updates of the method, of the energy and
of the square of the overlap q = Σ s_a s_b/N of two independent chains (q itself changes its sign with any of the two).
One thread; times are processor time of updates alone, not of what is measured. An update of parallel tempering is one
of its whole ladder, an independent state takes 2τ updates of the slower of both observables. Half of the neural chains
start from draws of the net, half from states of parallel tempering, which a net may hardly ever propose: such chains
stand still, and then the row says reliable false. So does a row that is 5 σ off parallel tempering (energy: off the
exact value of up to 24 spins). log_coverage is the log of the share of p that the net covers, from its draws and those
states. Every instance leaves a file in --parts, so that an interrupted run goes on.
"""

import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from mean_field import GLASS_STEPS, SK_NETS, glass_samplers
from record import kept_rows, note, parser, record

from nmcmc.analysis import importance
from nmcmc.analysis.autocorrelation import estimate_mean
from nmcmc.analysis.modes import replica_overlaps
from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.disorder import sherrington_kirkpatrick
from nmcmc.exact.known import exact_values
from nmcmc.random import Rng
from nmcmc.samplers.tap import settled
from nmcmc.types import Estimate
from nmcmc.updates.compose import Cycle
from nmcmc.updates.independence import Independence
from nmcmc.updates.metropolis import Metropolis
from nmcmc.updates.parallel_tempering import ParallelTempering
from nmcmc.updates.run import random_start, segments, warm_up

BETAS = (1.5, 2.0)
TEMPERING = (0.5, 0.6, 0.72, 0.86, 1.03, 1.24, 1.5, 1.73, 2.0)
NETS = (*SK_NETS, "TAP-start")
SEGMENT, KEPT, LARGEST_DEVIATION = 500, 4000, 5.0


@dataclass(frozen=True)
class Run:
    """What chains of one β left: energy (chains, draws), overlap (chains // 2, draws), diagnostics, some states."""

    energy: np.ndarray
    overlap: np.ndarray
    stats: dict
    states: np.ndarray
    seconds: float


def run_chains(update, start, draws, rng, energy, temperatures=1):
    """Return a `Run` for every temperature of an update whose chains are temperatures of ladders (1: all alike)."""
    warmup = max(1, draws // 10)
    state, ladders = update.init(start), len(start) // temperatures
    update.step(state, Rng(0))  # kernels are compiled before the clock starts
    began = time.thread_time()
    state = warm_up(update, state, warmup, rng)
    seconds = (time.thread_time() - began) / warmup / ladders
    parts, stride = [], -(-draws * ladders // KEPT)
    for chain, _ in segments(update, state, draws, rng, {"energy": energy}, SEGMENT, thin=1):
        parts.append([split(chain, k, temperatures, stride) for k in range(temperatures)])
    return [joined(pieces, seconds) for pieces in zip(*parts, strict=True)]


def split(chain, k, temperatures, stride):
    """Return energies, overlaps, diagnostics and every stride-th state of the k-th temperature."""
    spins = chain.spins[k::temperatures]
    stats = {name: values[k::temperatures] for name, values in chain.stats.items()}
    return chain.series["energy"][k::temperatures], replica_overlaps(spins), stats, spins[:, ::stride].copy()


def joined(pieces, seconds):
    energy, overlap, stats, states = zip(*pieces, strict=True)
    named = {name: np.concatenate([part[name] for part in stats], axis=1) for name in stats[0]}
    return Run(*(np.concatenate(parts, axis=1) for parts in (energy, overlap)), named, np.hstack(states), seconds)


def trained(energy, net, args):
    """Return {β: (sampler, processor time of its training from the first β on)} for `BETAS`."""
    rng, found, began = Rng(args.seed).child("train", net), {}, time.process_time()
    if net == "TAP-start":
        return {beta: (settled(SK_NETS["TAP"](energy, beta), rng.child("settle")), 0.0) for beta in BETAS}
    for sampler in glass_samplers(energy, net, rng, args.batch, args.steps):
        if sampler.beta in BETAS:
            found[sampler.beta] = sampler, time.process_time() - began
    return found


def neural_rows(energy, beta, net, sampler, seconds, other, args):
    """Return the rows of both chains of a net; ``other`` is the `Run` of parallel tempering."""
    target, rng = Boltzmann(energy, beta), Rng(args.seed).child("chain", net, round(1000 * beta))
    fresh, quality = quality_of(sampler, target, other.states, args.fresh, rng.child("fresh"))
    half = args.chains // 2
    start = np.concatenate([fresh[:half], other.states[half:, -1]])
    independence = Independence(sampler, target)
    mixed = Cycle([independence, Metropolis(target, sweeps=args.mixed_sweeps)])
    methods = {"neural": (independence, args.draws), "neural + Metropolis": (mixed, args.mixed_draws)}
    for method, (update, draws) in methods.items():
        (run,) = run_chains(update, start, draws, rng.child(method), energy)
        acceptance = {"acceptance": float(run.stats["accepted"].mean()), "exchanged": None}
        yield row(energy, beta, method, run) | acceptance | quality | {"net": net, "training_seconds": seconds}


def quality_of(sampler, target, states, n, rng):
    """Return n draws, and their ess_fraction with the net's log_coverage of the states (chains, kept, n_spins)."""
    with torch.no_grad():
        draw = sampler.sample(n, rng)
        log_prob = sampler.log_prob(torch.from_numpy(states.reshape(-1, states.shape[2]))).numpy()
    spins = draw.spins.numpy()
    weights = target.log_density(spins) - draw.log_prob.numpy()
    ess = importance.ess_fraction(weights)
    on_chain = target.log_density(states.reshape(-1, states.shape[2])) - log_prob
    coverage = importance.mode_drop(weights, on_chain.reshape(states.shape[:2]))
    found = {"ess_fraction": ess.value, "ess_error": ess.error, "ess_why": ess.why}
    return spins, found | {"log_coverage": coverage.value, "log_coverage_error": finite(coverage.error)}


def local_rows(energy, beta, other, args):
    """Return the rows of parallel tempering, whose `Run` is given, and of Metropolis alone."""
    update, rng = Metropolis(Boltzmann(energy, beta), sweeps=args.sweeps), Rng(args.seed).child("local", str(beta))
    start = random_start(args.chains, energy.n_spins, rng.child("start"))
    (alone,) = run_chains(update, start, args.draws, rng, energy)
    for method, run in (("parallel tempering", other), ("Metropolis", alone)):
        exchanged = float(run.stats["exchanged"].mean()) if "exchanged" in run.stats else None
        acceptance = {"acceptance": float(run.stats["flip_fraction"].mean()), "exchanged": exchanged}
        blank = dict.fromkeys(("ess_fraction", "ess_error", "log_coverage", "log_coverage_error", "net"))
        yield row(energy, beta, method, run) | acceptance | blank | {"ess_why": "", "training_seconds": 0.0}


def row(energy, beta, method, run):
    """Return means, τ_int and cost of a method's chains, with the verdict on them."""
    e, q2 = estimate_mean(run.energy / energy.n_spins), estimate_mean(run.overlap**2)
    why = "; ".join(f"{name}: {x.why}" for name, x in (("energy", e), ("overlap", q2)) if x.why)
    slowest = max(e.tau_int, q2.tau_int) if e.error > 0 and q2.error > 0 else math.nan
    found = {"n": energy.n_spins, "beta": beta, "method": method}
    found |= {"chains": len(run.energy), "draws": run.energy.shape[1]}
    for name, x in (("energy", e), ("overlap", q2)):
        found[{"energy": "energy_per_spin", "overlap": "overlap_squared"}[name]] = x.value
        found |= {f"{name}_error": x.error, f"tau_{name}": finite(x.tau_int)}
        found[f"tau_{name}_error"] = finite(x.tau_int_error)
    found |= {"seconds_per_update": run.seconds, "seconds_per_independent_sample": finite(2 * slowest * run.seconds)}
    return found | {"reliable": not why, "why": why}


def finite(x):
    """Return x, or None for what JSON has no number for."""
    return float(x) if math.isfinite(x) else None


def compared(rows, exact):
    """Return the rows of one β with their deviations from parallel tempering or the exact energy, in σ.

    A method is off, and no longer reliable, at 5 σ from a reference that is reliable itself.
    """
    base = next(r for r in rows if r["method"] == "parallel tempering")
    known = {name: Estimate(base[key], base[f"{name}_error"]) for name, key in OBSERVABLES.items()}
    if exact is not None:
        known["energy"] = Estimate(exact, 0.0)
    return [with_deviations(r, base["reliable"], known) for r in rows]


OBSERVABLES = {"energy": "energy_per_spin", "overlap": "overlap_squared"}


def with_deviations(found, trusted, known):
    found = dict(found)
    for name, key in OBSERVABLES.items():
        error = math.hypot(found[f"{name}_error"], known[name].error)
        same = found["method"] == "parallel tempering" and known[name].error > 0
        off = None if same or error == 0 else (found[key] - known[name].value) / error
        found[f"{name}_deviation"] = off
        if off is not None and abs(off) > LARGEST_DEVIATION and (trusted or known[name].error == 0):
            said = f"{name} is {off:+.1f} sigma off the reference"
            found |= {"reliable": False, "why": f"{found['why']}; {said}" if found["why"] else said}
    return found


def instance_rows(n, instance, args):
    """Return the rows of one instance: all methods at both β."""
    energy, rng = sherrington_kirkpatrick(n, instance), Rng(args.seed).child("tempering", instance)
    tempering = ParallelTempering(energy, TEMPERING, args.exchange_sweeps)
    start = random_start(args.chains * len(TEMPERING), n, rng.child("start"))
    runs = run_chains(tempering, start, args.draws, rng, energy, len(TEMPERING))
    others = {beta: runs[TEMPERING.index(beta)] for beta in BETAS}
    found = {beta: list(local_rows(energy, beta, others[beta], args)) for beta in BETAS}
    for net in args.nets:
        for beta, (sampler, seconds) in trained(energy, net, args).items():
            found[beta] += neural_rows(energy, beta, net, sampler, seconds, others[beta], args)
    exact = {beta: exact_values(energy, beta).get("energy_per_spin") for beta in BETAS}
    rows = [r for beta in BETAS for r in compared(found[beta], exact[beta])]
    return [{"system": "sk", "instance": instance} | r for r in rows]


def told_rows(instance, args):
    """Return the rows of an instance, and tell of each."""
    rows = instance_rows(args.n_spins, instance, args)
    for r in rows:
        name = r["method"] if r["net"] is None else f"{r['method']}, {r['net']}"
        note(f"{instance}, β = {r['beta']}, {name}: τ {r['tau_energy']}, {r['tau_overlap']} {r['why']}")
    return rows


def rows_of(instance, args):
    """Return the rows of an instance, kept in a file."""
    settings = {key: value for key, value in vars(args).items() if key not in ("instances", "parts", "json", "quick")}
    return kept_rows(
        args.parts / f"glass-{args.n_spins}-{instance}.json", settings, lambda: told_rows(instance, args), args
    )


def agreement_of(rows):
    """Return, for every β, the largest deviations of reliable rows, and how many rows are not reliable."""
    found = []
    for beta in BETAS:
        same = [r for r in rows if r["beta"] == beta]
        entry = {"beta": beta, "rows": len(same), "unreliable": sum(not r["reliable"] for r in same)}
        for name in OBSERVABLES:
            off = [abs(r[f"{name}_deviation"]) for r in same if r["reliable"] and r[f"{name}_deviation"] is not None]
            entry[f"largest_{name}_deviation"] = max(off, default=None)
        found.append(entry)
    return found


def main():
    options = parser(__doc__)
    options.add_argument("--n-spins", type=int, default=100, choices=sorted(GLASS_STEPS))
    options.add_argument("--instances", type=int, nargs="+", default=[1, 2, 3], help="seeds of the couplings")
    options.add_argument("--nets", nargs="+", choices=NETS, default=["SK_1RSB", "TAP", "TAP-start"])
    options.add_argument("--steps", type=int, help="steps of SK_1RSB at each beta (default: those of mean_field.py)")
    options.add_argument("--batch", type=int, default=300, help="draws per training step (default 300)")
    options.add_argument("--chains", type=int, default=16, help="chains or ladders, a multiple of 4 (default 16)")
    options.add_argument("--draws", type=int, default=6000, help="updates of each chain (default 6000)")
    options.add_argument("--mixed-draws", type=int, default=2000, help="those of neural + Metropolis (default 2000)")
    options.add_argument("--sweeps", type=int, default=10, help="sweeps of an update of Metropolis (default 10)")
    options.add_argument("--mixed-sweeps", type=int, default=10, help="those after a neural update (default 10)")
    options.add_argument("--exchange-sweeps", type=int, default=1, help="sweeps before an exchange (default 1)")
    options.add_argument("--fresh", type=int, default=20_000, help="draws for ess_fraction (default 20000)")
    options.add_argument("--parts", type=Path, default=Path("glass-chain-parts"), help="folder of finished instances")
    args = options.parse_args()
    if args.quick:
        args.n_spins, args.instances, args.steps = 20, [1], 20
        args.draws, args.mixed_draws, args.fresh = 2000, 1000, 10_000
    if args.chains < 4 or args.chains % 4:
        options.error(f"--chains is {args.chains}; half of them start elsewhere, in pairs: give a multiple of 4")
    torch.set_num_threads(1)
    rows = [r for instance in args.instances for r in rows_of(instance, args)]
    del args.parts  # where pieces were kept says nothing about the result
    record("glass_chain", {"rows": rows, "agreement": agreement_of(rows), "betas": TEMPERING, "threads": 1}, args)


if __name__ == "__main__":
    main()
