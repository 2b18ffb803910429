"""How much do two parts of a critical torus know of each other, by draws of the shipped models and by a chain?

Exact sums of one part given the other, state by state, for halves and for both colours of a chessboard; and bounds for
halves, which hold what the sums give. Exact values of halves are those of transfer matrices, up to a width of 9.
"""

import time

import torch
from record import note, parser, record

from nmcmc.energies.boltzmann import BETA_CRITICAL, Boltzmann
from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.experiment.information import mutual_information_command
from nmcmc.experiment.options import Options
from nmcmc.samplers.pretrained import load_pretrained, pretrained_names

RUNS = (
    *(("halves", size, "sums", 1600) for size in (8, 12, 16, 32)),
    *(("halves", size, "sums", 400) for size in (64, 128)),
    *(("halves", size, "bracket", 400) for size in (8, 16, 32)),
    *(("checkerboard", size, "sums", 4000) for size in (8, 12, 16, 32, 64)),
)
QUICK = (("halves", 8, "sums", 400), ("halves", 8, "bracket", 400), ("checkerboard", 32, "sums", 400))
ENDS = ("at least", "at most")


def rows_of(part, size, method, states, seed):
    """Return a row for each source of states."""
    name = f"ising2d-{size}-critical"
    if name in pretrained_names():
        sampler, target = load_pretrained(name)
    else:
        sampler, target = None, Boltzmann(LatticeEnergy(Lattice((size, size))), BETA_CRITICAL)
    began = time.perf_counter()
    summary = mutual_information_command(target, sampler, part, states, Options(seed, quiet=True), method)
    seconds, found = time.perf_counter() - began, summary["mutual_information"]
    for source in [key for key in found if "," not in key]:
        entry = found[source]
        row = {"part": part, "size": size, "method": method, "states": states, "source": source, "seconds": seconds}
        row |= {key: entry[key] for key in ("value", "error", "exact", "reliable")}
        row |= {end: found.get(f"{source}, {end}", {"value": None})["value"] for end in ENDS}
        note(f"{part} of {size}x{size} by {method}, {source}: I = {row['value']:.4f} ± {row['error']:.4f}")
        yield row


def main():
    args = parser(__doc__).parse_args()
    torch.set_num_threads(1)
    runs = QUICK if args.quick else RUNS
    record("mutual_information", {"rows": [row for run in runs for row in rows_of(*run, args.seed)]}, args)


if __name__ == "__main__":
    main()
