"""How many patterns does a Hopfield network remember? Overlap of a chain that starts at a pattern, by load.

Heat bath at temperature 1/β from a stored pattern, --sweeps sweeps of --chains chains for each load α = P/N and each
β; the overlap m = Σ ξ_i s_i/N is the mean of the second half. Infinitely large systems at T = 0 lose their patterns at
α = 0.138 (Amit, Gutfreund, Sompolinsky 1985).
"""

import numpy as np
import torch
from record import note, parser, record

from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.mean_field import hopfield
from nmcmc.random import Rng
from nmcmc.updates.heat_bath import HeatBath

LOADS, BETAS = (0.01, 0.04, 0.07, 0.1, 0.12, 0.14, 0.16, 0.2, 0.3), (20.0, 4.0, 2.0)


def retrieval(n, load, beta, sweeps, chains, seed):
    """Return the mean overlap with the pattern at the start, its error over chains, and the largest other overlap."""
    energy, rng = hopfield(n, max(1, round(load * n)), seed), Rng(seed).child("chain", round(1e4 * load))
    update = HeatBath(Boltzmann(energy, beta))
    start = np.arange(chains) % len(energy.patterns)
    state = update.init(energy.patterns[start])
    overlaps = []
    for sweep in range(sweeps):
        state, _ = update.step(state, rng)
        if sweep >= sweeps // 2:
            overlaps.append(energy.overlaps(state.spins))
    means = np.mean(overlaps, axis=0)
    own = means[np.arange(chains), start]
    means[np.arange(chains), start] = 0
    return {
        "load": load,
        "beta": beta,
        "overlap": float(own.mean()),
        "error": float(own.std(ddof=1) / chains**0.5),
        "largest_other": float(np.abs(means).max(axis=1).mean()),
    }


def main():
    options = parser(__doc__)
    options.add_argument("--n-spins", type=int, default=500)
    options.add_argument("--sweeps", type=int, default=60)
    options.add_argument("--chains", type=int, default=8)
    args = options.parse_args()
    if args.quick:
        args.n_spins, args.sweeps = 100, 20
    torch.set_num_threads(1)
    rows = []
    for beta in BETAS:
        for load in LOADS:
            rows.append(retrieval(args.n_spins, load, beta, args.sweeps, args.chains, args.seed))
        note(f"beta {beta}: " + ", ".join(f"{row['overlap']:.3f}" for row in rows[-len(LOADS) :]))
    record("hopfield", {"rows": rows, "critical_load": 0.138}, args)


if __name__ == "__main__":
    main()
