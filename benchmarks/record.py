"""What all benchmarks share: their options, and a record with machine, versions, commit and seed in results/*.json."""

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import figures

from nmcmc.atomic import atomic

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("nmcmc", "numpy", "numba", "llvmlite", "torch")


def parser(description):
    """Return a parser with the options that every benchmark takes; a benchmark may add its own."""
    options = argparse.ArgumentParser(description=description)
    options.add_argument("--quick", action="store_true", help="a small run that shows it works; writes no result file")
    options.add_argument("--json", action="store_true", help="print the whole record as one JSON object")
    options.add_argument("--seed", type=int, default=1)
    return options


def record(name, result, args, packages=()):
    """Print the result, a dict of plain numbers, strings, lists and dicts, and write it to results/<name>.json.

    Where `figures` has a figure of it, that is drawn anew.

    packages: distributions besides nmcmc's own whose versions belong into the record; absent ones are null.
    A quick run writes no file. Returns the record.
    """
    options = {key: value for key, value in vars(args).items() if key not in ("json", "quick")}
    whole = {
        "benchmark": name,
        "quick": args.quick,
        "options": options,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "commit": _commit(),
        "machine": machine(),
        "versions": {"python": platform.python_version()} | {p: _version(p) for p in (*PACKAGES, *packages)},
        "result": result,
    }
    if "rows" in result:  # a table is found without knowing the benchmark
        whole["rows"] = result["rows"]
    text = json.dumps(whole, indent=1, allow_nan=False)
    if not args.quick:
        figures.RESULTS.mkdir(exist_ok=True)
        (figures.RESULTS / f"{name}.json").write_text(text + "\n")
        if name in figures.FIGURES:
            figures.draw(name)
    if args.json:
        print(text)
    else:
        for key, value in result.items():
            print(f"{key}: {json.dumps(value)}")
    return whole


def kept_rows(path, settings, work, args):
    """Return the rows of a piece of work, from its file if it has the same settings; a quick run keeps none."""
    settings = json.loads(json.dumps(settings))
    if path.exists() and not args.quick:
        kept = json.loads(path.read_text())
        if kept["settings"] == settings:
            return kept["rows"]
    rows = work()
    if not args.quick:
        with atomic(path) as temporary:
            temporary.write_text(json.dumps({"settings": settings, "rows": rows}))
    return rows


def note(message):
    """Tell how far the run is, on stderr: stdout is for the result."""
    print(message, file=sys.stderr, flush=True)


def _commit():
    """Return the commit, with -dirty behind it if tracked files but results differ; None outside a repository."""
    commit = _git("rev-parse", "--short=12", "HEAD")
    changed = commit and _git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!benchmarks/results")
    return f"{commit}-dirty" if changed else commit


def _git(*words):
    try:
        done = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def _version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def machine():
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "load_average": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    }
