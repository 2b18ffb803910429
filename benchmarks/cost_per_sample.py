"""What does an effectively independent configuration cost on one core: the neural chain of a shipped model, or Wolff?

Cost = seconds per update · 2 τ_int, τ_int by the Γ-method for E and m² and the worse of the two taken. The neural
update is everything that the chain does: uniforms, lines, leaves, energies, decisions. A Wolff update is one cluster,
timed without recording configurations in between, and over so many that their sizes average out. Timings alternate
between the two in one run, some tenths of a second each, on one thread and in its processor time, and medians are
compared. Training of the model, and of those that it took nets from, is added to tell after how many effective
samples it has paid for itself.
"""

import math
import time

import numpy as np
import torch
from record import note, parser, record

from nmcmc.analysis.observables import derive
from nmcmc.energies.boltzmann import BETA_CRITICAL
from nmcmc.experiment.build import observables
from nmcmc.random import Rng
from nmcmc.samplers.pretrained import card, load_pretrained, pretrained_names
from nmcmc.updates.independence import Independence
from nmcmc.updates.run import BLOCK_DRAWS, BLOCK_SPINS, run
from nmcmc.updates.wolff import Wolff

EXTENTS = (32, 64, 128)
NAMES = ("energy_per_spin", "m2")
CHAINS = 16
BLOCKS = 4
"""Blocks of one timing, as large as chains make them: what was in the caches before costs either of the two little."""


def timers(sampler, target, clusters, seed):
    """Return two functions that time some updates and return seconds per update: neural and Wolff."""
    rng, batch = Rng(seed), min(BLOCK_DRAWS, BLOCK_SPINS // target.n_spins)
    neural, wolff = Independence(sampler, target), Wolff(target, clusters)
    first = sampler.sample(1, rng.child("start")).spins.numpy()
    states = {"neural": neural.init(first), "wolff": wolff.init(first)}

    def one(name, update, steps, per_step, stream):
        begin = time.thread_time()
        for _ in range(BLOCKS):
            states[name], _, _ = update.block(states[name], stream, steps)
        return (time.thread_time() - begin) / (BLOCKS * steps * per_step)

    streams = rng.child("neural"), rng.child("wolff")
    return {
        "neural": lambda: one("neural", neural, batch, 1, streams[0]),
        "wolff": lambda: one("wolff", wolff, 1, clusters, streams[1]),
    }


def tau_int(update, target, n, start, rng):
    """Return τ_int of E and m² in updates: name → value and error."""
    energy = target.energy
    chain = run(
        update,
        max(n // CHAINS, 50),
        rng,
        observables=observables(target),
        start=start,
        warmup=max(20, n // CHAINS // 20),
    )
    found = derive(chain.series, energy.n_spins, target.beta, energy.lattice.extents)
    return {name: {"value": found[name].tau_int, "error": found[name].tau_int_error} for name in NAMES}


def measure(name, args):
    """Return times, τ_int, costs and their ratio for one shipped model."""
    sampler, target = load_pretrained(name)
    clusters = args.clusters
    clocks = timers(sampler, target, clusters, args.seed)
    seconds = {kind: [] for kind in clocks}
    for number in range(args.repeats + 1):
        for kind, clock in clocks.items():
            spent = clock()
            if number:  # the first compiles
                seconds[kind].append(spent)
    rng = Rng(args.seed).child("tau", name)
    start = sampler.sample(CHAINS, rng.child("start")).spins.numpy()
    taus = {
        "neural": tau_int(Independence(sampler, target), target, args.n_draws, start, rng.child("neural")),
        "wolff": tau_int(Wolff(target), target, args.n_draws, start, rng.child("wolff")),
    }
    worst = {kind: max(taus[kind].values(), key=lambda tau: tau["value"]) for kind in taus}
    update = {kind: float(np.median(seconds[kind])) for kind in seconds}
    cost = {kind: update[kind] * 2 * worst[kind]["value"] for kind in update}
    spread = math.hypot(*(worst[kind]["error"] / worst[kind]["value"] for kind in worst))
    timing = math.hypot(*(np.std(seconds[kind]) / update[kind] / math.sqrt(args.repeats) for kind in update))
    trained = sum(each["seconds"] * each["cores"] for each in ancestry(card(name)))
    gain = cost["wolff"] - cost["neural"]
    return {
        "seconds_per_update": update,
        "fastest": {kind: min(seconds[kind]) for kind in seconds},
        "slowest": {kind: max(seconds[kind]) for kind in seconds},
        "draws_per_second": 1 / update["neural"],
        "tau_int": taus,
        "seconds_per_effective_sample": cost,
        "ratio_neural_over_wolff": cost["neural"] / cost["wolff"],
        "ratio_error_from_tau": cost["neural"] / cost["wolff"] * spread,
        "ratio_error": cost["neural"] / cost["wolff"] * math.hypot(spread, timing),
        "training_seconds_of_one_core": trained,
        "effective_samples_to_break_even": trained / gain if gain > 0 else None,
    }


def ancestry(of):
    """Return a card and those of all shipped models that it took nets from, each once."""
    found, sources = {of["name"]: of}, set((of["grown_from"] or {}).values())
    for name in pretrained_names():
        if card(name)["weights_sha256"] in sources:
            found |= {each["name"]: each for each in ancestry(card(name))}
    return list(found.values())


def main():
    options = parser(__doc__)
    options.add_argument("--repeats", type=int, default=41)
    options.add_argument("--clusters", type=int, default=1500, help="clusters per timed Wolff step")
    options.add_argument("--n-draws", type=int, default=600_000, help="updates of the chains that tau is taken from")
    args = options.parse_args()
    extents = EXTENTS
    if args.quick:
        args.repeats, args.n_draws, extents = 3, 8000, EXTENTS[:1]
    torch.set_num_threads(1)
    result = {"threads": 1, "beta": BETA_CRITICAL, "rows": []}
    for extent in extents:
        found = measure(f"ising2d-{extent}-critical", args)
        result["rows"].append({"lattice": f"{extent}x{extent}"} | found)
        note(f"{extent}x{extent}: neural/Wolff {found['ratio_neural_over_wolff']:.3f}")
    result["ratio_neural_over_wolff"] = result["rows"][-1]["ratio_neural_over_wolff"]
    record("cost_per_sample", result, args)


if __name__ == "__main__":
    main()
