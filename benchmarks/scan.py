"""How good is the shipped family of samplers at temperatures that training did not use?

Draws from the family (a file or a shipped name) at 61 β strictly between its knots, and writes ess_fraction and the
deviations of energy, specific heat, entropy and log Z from Kaufman's exact values into results/scan.json. With --train
the family is trained first, by one thread, and written to that file: the default settings of
`nmcmc train --lattice 32x32 --betas 0.3:0.6`. A training that was killed goes on. The least ess_fraction is measured
with knots left out too: how far apart may they be?
"""

import json
import time
from pathlib import Path

import torch
from record import ROOT, note, parser, record

from nmcmc.analysis.importance import ess_fraction
from nmcmc.atomic import discard
from nmcmc.config import SamplerConfig, SystemConfig, TrainingConfig
from nmcmc.experiment.family import prepare_family, train_knots
from nmcmc.experiment.grid import spread
from nmcmc.experiment.options import Options, leftovers_of
from nmcmc.experiment.scan import scan_rows
from nmcmc.experiment.summary import deviation
from nmcmc.random import Rng
from nmcmc.samplers.family import Family, family_file, load_family, save_family
from nmcmc.samplers.pretrained import sha256_of
from nmcmc.samplers.store import at_beta

LOW, HIGH, POINTS, DRAWS, FEWER_DRAWS = 0.3, 0.6, 61, 20_000, 10_000
KEPT = ("ess_fraction", "energy_per_spin", "specific_heat", "entropy_per_spin", "log_z", "susceptibility", "binder")
EXACT = ("energy_per_spin", "specific_heat", "entropy_per_spin", "log_z")


def train(path, seed, quick):
    """Train the family into a file; return the seconds of work and those of the processor, None if it was resumed."""
    torch.set_num_threads(1)
    system = SystemConfig("8x8" if quick else "32x32")
    training = TrainingConfig(steps=20 if quick else 0)
    job = prepare_family(system, SamplerConfig(), training, spread(LOW, HIGH, system.beta), Options(seed))
    folder = leftovers_of(path, "checkpoint")
    whole, start = not folder.exists(), time.process_time()
    family, seconds = train_knots(job, folder)
    spent = time.process_time() - start
    save_family(path, family, job.notes)
    discard(folder)
    return {"seconds": seconds, "core_seconds": spent if whole else None}


def known_cost(path):
    """Return what the last record says of the training of this very file."""
    old = ROOT / "benchmarks" / "results" / "scan.json"
    if old.exists() and (result := json.loads(old.read_text())["result"])["weights_sha256"] == sha256_of(path):
        return result["training"]
    return {"seconds": None, "core_seconds": None}


def unused(betas):
    """Return 61 β, equally spaced between the ends of the range and off every knot."""
    step = (betas[-1] - betas[0]) / (POINTS + 1)
    grid = [round(betas[0] + k * step, 10) for k in range(1, POINTS + 1)]
    if set(grid) & set(betas):
        raise ValueError("a point of the grid is a knot; change POINTS")
    return grid


def measured(rows):
    """Return the least ess_fraction and the largest deviation of each exactly known quantity, and where they are."""
    least = min(rows.values(), key=lambda row: row["ess_fraction"]["value"])
    worst = {name: max(rows.values(), key=lambda row, name=name: deviation(row[name])) for name in EXACT}
    return {
        "least_ess_fraction": {"beta": least["beta"], **least["ess_fraction"]},
        "largest_deviation": {
            name: {"beta": row["beta"], "sigma": deviation(row[name])} for name, row in worst.items()
        },
    }


def least_ess(sampler_at, betas, rng):
    """Return the least ess_fraction over the grid of what a function β → sampler gives, and where it is."""
    found = {}
    for beta in betas:
        weights = sampler_at(beta).sample_log_weight(FEWER_DRAWS, rng.child(repr(beta))).numpy()
        found[beta] = ess_fraction(weights)
    beta = min(found, key=lambda beta: found[beta].value)
    return {"beta": beta, "value": found[beta].value, "error": found[beta].error}


def with_less(family, betas, rng):
    """Return the least ess_fraction with some knots left out, and with the nearest knot alone, its leaves at β."""
    less = {}
    for every in (k for k in (1, 2, 4) if (len(family.knots) - 1) % k == 0):  # both ends are kept
        kept = Family(family.knots[::every])
        less[f"every {every}"] = {"knots": kept.betas, **least_ess(kept.at, betas, rng)}

    def nearest(beta):
        return at_beta(min(family.knots, key=lambda knot: abs(knot.beta - beta)), beta)

    return less | {"nearest knot alone": {"knots": family.betas, **least_ess(nearest, betas, rng)}}


def main():
    options = parser(__doc__)
    options.add_argument("family", nargs="?", default="ising2d-32-scan", help="file or shipped name")
    options.add_argument("--train", action="store_true", help="train it first, into that file")
    args = options.parse_args()
    cost = train(Path(args.family), args.seed, args.quick) if args.train else None
    path = family_file(args.family)
    family, notes = load_family(path)
    betas = unused(family.betas)
    n = 1000 if args.quick else DRAWS
    note(f"{n} draws at each of {len(betas)} beta, knots at {family.betas}")
    rows = scan_rows(family, betas, n, Rng(args.seed).child("benchmark"), Options(args.seed))
    args.family = path.name
    result = {
        "lattice": str(family.energy.lattice),
        "knots": family.betas,
        "command": notes.get("command"),
        "weights_sha256": sha256_of(path),
        "bytes": path.stat().st_size,
        "parameters": sum(p.numel() for knot in family.knots for p in knot.parameters()),
        "training": cost or known_cost(path),
        "n_draws": n,
        **measured(rows),
        "with_less": with_less(family, betas, Rng(args.seed).child("less")),
        "rows": [{"beta": row["beta"]} | {name: row[name] for name in KEPT} for row in rows.values()],
    }
    record("scan", result, args)


if __name__ == "__main__":
    main()
