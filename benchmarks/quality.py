"""How good does training get beyond the shipped models: without data, away from criticality, on other systems?

Every case is one `nmcmc train` command, run with the seed given and kept in a folder, so that a run that was stopped
goes on; its model is then measured as the shipped ones are (benchmarks/models.py), from fresh draws and a neural
chain. Where nothing is exactly known the chain is held against one of clusters, or in a field of heat bath.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from models import card_of
from record import note, parser, record

from nmcmc.analysis.compare import compare, worst
from nmcmc.experiment.build import lattice_energy, observables
from nmcmc.experiment.chains import draw_stage
from nmcmc.experiment.options import Options
from nmcmc.experiment.summary import chain_estimates
from nmcmc.random import Rng
from nmcmc.samplers.store import load_sampler
from nmcmc.updates.heat_bath import HeatBath
from nmcmc.updates.independence import Independence
from nmcmc.updates.run import run
from nmcmc.updates.wolff import Wolff

LEVELS = "--objective by-level --steps"
CASES = {
    "no-data-16": "--lattice 16x16 --objective block-local --steps 2000",
    "no-data-32": "--lattice 32x32 --objective block-local --steps 3000",
    "field-32": f"--lattice 32x32 --beta 0.44 --field 0.05 {LEVELS} 1500",
    **{
        f"beta-{beta}-64": f"--lattice 64x64 --beta {beta} {LEVELS} {steps}"
        for beta, steps in {0.3: 1000, 0.4: 2500, 0.42: 2500, 0.46: 2500, 0.5: 2500, 0.6: 1000}.items()
    },
    "no-data-64": "--lattice 64x64 --objective block-local --steps 8000",
    "no-data-128": "--lattice 128x128 --objective block-local --steps 8000",
    "grown-256": f"--lattice 256x256 --grow-from ising2d-128-critical {LEVELS} 4000",
    "rectangle-24x40": f"--lattice 24x40 {LEVELS} 1000",
    "odd-31x33": f"--lattice 31x33 {LEVELS} 1000",
    "open-32": f"--lattice 32x32 --boundary open {LEVELS} 1000",
    "anisotropic-32": f"--lattice 32x32 --coupling 1,0.5 --beta 0.6 {LEVELS} 1000",
    "antiferromagnet-32": f"--lattice 32x32 --coupling -1 {LEVELS} 1000",
}
QUICK = {"quick-16": f"--lattice 16x16 {LEVELS} 50"}
CHAINS, DRAWS, CLUSTERS = 32, 4000, 3


def train(name, words, folder, args):
    """Run the command of a case, or go on with it, and return the model file."""
    path = folder / f"{name}.safetensors"
    output, settings = path.with_name(f"{name}.train.json"), path.with_name(f"{name}.settings")
    words = f"{words} --seed={args.seed}"
    if settings.exists() and settings.read_text() != words:
        raise SystemExit(f"{settings} says {settings.read_text()!r}, not {words!r}; delete it and the model beside it")
    settings.write_text(words)
    if path.exists() and output.exists():
        return path
    command = [sys.executable, "-m", "nmcmc.cli", "train", *words.split(), "--resume", "--json", "--quiet"]
    command += [f"--threads={args.threads}", f"--out={path}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 3):
        raise SystemExit(f"{name} failed: {done.stderr}")
    output.write_text(done.stdout)
    return path


def share_up(path, seed):
    """Return the share of fresh draws whose magnetisation is positive."""
    sampler, target, _ = load_sampler(path)
    draws = draw_stage(sampler, target, 4000, Rng(seed).child("signs"), Options(seed, quiet=True))
    return float(np.mean(draws["magnetization"] > 0))


def against_reference(path, seed):
    """Return the largest deviation between the neural chain and another one, in combined errors, and both E/N.

    The other chain is of clusters, or in a field of heat bath.
    """
    sampler, target, _ = load_sampler(path)
    energy, rng = lattice_energy(target), Rng(seed).child("reference")
    reference = HeatBath(target) if energy.has_field else Wolff(target, CLUSTERS)
    start = sampler.sample(CHAINS, rng.child("start")).spins.numpy()
    estimates = []
    for update, sweeps in ((Independence(sampler, target), 1), (reference, 2)):
        chain = run(update, DRAWS * sweeps, rng.child(sweeps), observables=observables(target), start=start, warmup=500)
        estimates.append(chain_estimates(chain, target))
    rows = compare(*estimates, {})
    energies = {n: e["energy_per_spin"] for n, e in zip(("neural", "reference"), estimates, strict=True)}
    return {
        "update": type(reference).__name__,
        "worst_deviation": worst(rows),
        **{name: {"value": e.value, "error": e.error} for name, e in energies.items()},
    }


def main():
    options = parser(__doc__)
    options.add_argument("--folder", type=Path, default=Path("quality-models"), help="where models are kept")
    options.add_argument("--threads", type=int, default=torch.get_num_threads())
    options.add_argument("--only", nargs="*", choices=list(CASES), help="these cases (default: all)")
    args = options.parse_args()
    cases = QUICK if args.quick else {name: CASES[name] for name in args.only or CASES}
    args.folder.mkdir(parents=True, exist_ok=True)
    rows = {}
    for name, words in cases.items():
        path = train(name, words, args.folder, args)
        card = card_of(path, 2000 if args.quick else 0, args.seed)
        card["share_up"] = share_up(path, args.seed)
        if card["log_z"]["exact"] is None:
            card["reference"] = against_reference(path, args.seed)
        rows[name] = card
        note(f"{name}: ess {card['ess_fraction']['value']:.4f}, {card['seconds']} s")
    args.folder = None
    record("quality", rows, args)


if __name__ == "__main__":
    main()
