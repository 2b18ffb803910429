"""How long does the default `nmcmc run` take from nothing, compilation included, and how good is its result?"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from record import note, parser, record

NUMBERS = ("ess_fraction", "kl", "log_z", "acceptance_rate", "predicted_acceptance", "mode_drop")


def main():
    args = parser(__doc__).parse_args()
    short = ["--lattice", "8x8", "--steps", "50", "--n-samples", "4000"] if args.quick else []
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"NUMBA_CACHE_DIR": f"{folder}/cache"}
        seconds = []
        for name in ("cold", "warm"):
            command = [sys.executable, "-m", "nmcmc.cli", "run", "--quiet", "--seed", str(args.seed), *short]
            note(f"{name} kernel cache: nmcmc run {' '.join(short)}")
            start = time.perf_counter()
            done = subprocess.run([*command, "--out", f"{folder}/{name}"], env=environment, check=False)
            seconds.append(time.perf_counter() - start)
            if done.returncode not in (0, 3):
                raise SystemExit(f"nmcmc run failed with exit code {done.returncode}")
        summary = json.loads(Path(folder, "cold", "summary.json").read_text())
    record("main_job", result_of(summary, seconds), args)


def result_of(summary, seconds):
    """Return wall times, quality and observables of both chains against the exact values."""
    observables = {
        name: {
            "neural": pick(entry),
            "wolff": pick(summary["baseline"]["observables"][name]),
            "exact": entry["exact"],
        }
        for name, entry in summary["observables"].items()
    }
    return {
        "wall_seconds_cold_cache": seconds[0],
        "wall_seconds_warm_cache": seconds[1],
        "threads": len(os.sched_getaffinity(0)),
        "seconds": summary["seconds"],
        "n_samples": summary["n_samples"],
        "n_draws": summary["n_draws"],
        **{name: summary[name] for name in NUMBERS},
        "observables": observables,
    }


def pick(entry):
    return {name: entry[name] for name in ("value", "error", "tau_int", "tau_int_error")}


if __name__ == "__main__":
    main()
