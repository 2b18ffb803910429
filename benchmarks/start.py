"""How long until nmcmc does something: `nmcmc --help`, and a short `nmcmc run` with and without compiled kernels?

Every command runs in a process of its own, `--repeats` times. The first run has an empty kernel cache; the others find
what it compiled. A run of one training step and few samples bounds from above how long the second `nmcmc run` takes
to start computing.
"""

import os
import pty
import statistics
import subprocess
import sys
import tempfile
import time

from record import note, parser, record

SHORT = ["run", "--lattice", "16x16", "--steps", "1", "--n-samples", "1000", "--quiet", "--overwrite"]


def seconds(arguments, environment):
    """Return how long a command of nmcmc takes; exit codes 0 and 3 (too short to be reliable) are fine."""
    begin = time.perf_counter()
    command = [sys.executable, "-m", "nmcmc.cli", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 3):
        raise SystemExit(f"nmcmc {' '.join(arguments)} failed: {done.stderr}")
    return time.perf_counter() - begin


def seconds_to_progress(arguments, environment):
    """Return how long it takes until a command tells a terminal that it is at work; it is stopped then."""
    ours, theirs = pty.openpty()
    begin = time.perf_counter()
    command = [sys.executable, "-m", "nmcmc.cli", *arguments]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=theirs) as process:
        os.read(ours, 1)
        spent = time.perf_counter() - begin
        process.kill()
    os.close(theirs)
    os.close(ours)
    return spent


def main():
    options = parser(__doc__)
    options.add_argument("--repeats", type=int, default=7)
    args = options.parse_args()
    if args.quick:
        args.repeats = 1
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"NUMBA_CACHE_DIR": f"{folder}/cache"}
        short = [*SHORT, "--out", f"{folder}/run"]
        first = seconds(short, environment)
        note(f"first run {first:.1f} s")
        times = {"help": [], "progress_of_second_run": [], "second_run": []}
        for _ in range(args.repeats):
            times["help"].append(seconds(["--help"], environment))
            loud = [word for word in short if word != "--quiet"]
            times["progress_of_second_run"].append(seconds_to_progress(loud, environment))
            times["second_run"].append(seconds(short, environment))
    result = {"first_run": first}
    for name, values in times.items():
        result[name] = {"median": statistics.median(values), "fastest": min(values)}
    record("start", result, args)


if __name__ == "__main__":
    main()
