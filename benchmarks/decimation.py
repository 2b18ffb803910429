"""What is left of the relative entropy of two temperatures when every second spin is dropped, again and again?

Swendsen–Wang chains of tori at β_c against 1.05 β_c; the spins that are dropped are summed out exactly, state by state
(`decimated_log_ratios`), as often as the tables allow. Tori up to 4×4 are in the tests, by enumeration.
"""

import time

import torch
from record import note, parser, record

from nmcmc.analysis.information import relative_entropy
from nmcmc.energies.boltzmann import BETA_CRITICAL, Boltzmann
from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.exact.decimation import kept_spins
from nmcmc.exact.elimination import check_order, log_z_given
from nmcmc.exact.information import divergence
from nmcmc.exact.kaufman import torus
from nmcmc.random import Rng
from nmcmc.updates.run import run
from nmcmc.updates.swendsen_wang import SwendsenWang

BETAS = (BETA_CRITICAL, 1.05 * BETA_CRITICAL)
STEPS = {8: 6, 12: 3, 16: 2}
CHAINS, THIN = 4, 5


def flow(size, args):
    """Return a row for each number of decimations of a torus."""
    energy, rng = LatticeEnergy(Lattice((size, size))), Rng(args.seed).child(size)
    update, length = SwendsenWang(Boltzmann(energy, BETAS[0])), args.states // CHAINS
    chain = run(update, length * THIN, rng, observables={"E": energy}, n_chains=CHAINS, warmup=100, thin=THIN)
    states, rows = chain.spins.reshape(-1, energy.n_spins), []
    here, there = (torus((size, size), beta) for beta in BETAS)
    for step in range(STEPS[size] + 1):
        kept, began = kept_spins(energy.lattice, step), time.process_time()
        first, second = (log_z_given(energy, beta, states, kept) for beta in BETAS)
        seconds = (time.process_time() - began) / len(BETAS) / len(states)
        found = relative_entropy((second - first).reshape(CHAINS, length)).estimate()
        row = {"size": size, "step": step, "n_spins": int(kept.sum()), "bits": check_order(energy, BETAS[0], kept)}
        row |= {"divergence": found.value, "error": found.error, "reliable": found.reliable, "seconds": seconds}
        row["exact"] = None
        if step == 0:
            row["exact"] = divergence(here.energy_per_spin * energy.n_spins, here.log_z, there.log_z, BETAS)
        rows.append(row)
        note(f"{size}x{size}, {step} decimations: D = {found.value:.5f}, {1e3 * seconds:.2f} ms a state")
    return rows


def main():
    options = parser(__doc__)
    options.add_argument("--states", type=int, default=800, help="states of each torus, in 4 chains (default 800)")
    args = options.parse_args()
    if args.quick:
        args.states = 400
    torch.set_num_threads(1)
    sizes = (8,) if args.quick else STEPS
    record("decimation", {"betas": BETAS, "rows": [row for size in sizes for row in flow(size, args)]}, args)


if __name__ == "__main__":
    main()
