"""How large are the errors of each estimator of log Z on critical tori, and are they what they say?"""

import time

import numpy as np
from record import note, parser, record

from nmcmc.experiment.free_energy import free_energy_command
from nmcmc.experiment.options import Options
from nmcmc.samplers.pretrained import load_pretrained


def main():
    args = parser(__doc__).parse_args()
    sizes, repeats, n_samples = ((8,), 2, 4000) if args.quick else ((8, 16, 32), 6, 20_000)
    record("free_energy", {str(size): of_size(size, repeats, n_samples, args.seed) for size in sizes}, args)


def of_size(size, repeats, n_samples, seed):
    """Return for each estimator the typical error, the pulls of repeated runs, and how many said unreliable."""
    sampler, target = load_pretrained(f"ising2d-{size}-critical")
    runs, began = [], time.perf_counter()
    for k in range(repeats):
        note(f"{size}x{size}, run {k + 1} of {repeats}")
        summary = free_energy_command(target, sampler, n_samples, Options(seed * 1000 + k, quiet=True))
        runs.append(summary["free_energy"])
    seconds = (time.perf_counter() - began) / repeats
    return {
        "n_samples": n_samples,
        "repeats": repeats,
        "seconds": seconds,
        "n_betas": summary["n_betas"],
        "estimators": {name: of_estimator([run[name] for run in runs]) for name in runs[0]},
    }


def of_estimator(runs):
    log_z = [run["log_z"] for run in runs]
    pulls = [pull(run["log_z"]) for run in runs]
    return {
        "error": float(np.median([entry["error"] for entry in log_z])),
        "pulls": pulls,
        "rms_pull": float(np.sqrt(np.mean(np.square(pulls)))),
        "rms_pull_entropy": float(np.sqrt(np.mean([pull(run["entropy_per_spin"]) ** 2 for run in runs]))),
        "unreliable": sum(not entry["reliable"] for entry in log_z),
    }


def pull(entry):
    return (entry["value"] - entry["exact"]) / entry["error"]


if __name__ == "__main__":
    main()
