"""A temperature scan: thermodynamics at many β from fresh draws of a family, beside what is exactly known."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from nmcmc import plots
from nmcmc.atomic import atomic, check_output
from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.lattice import LatticeEnergy
from nmcmc.experiment.chains import draw_stage
from nmcmc.experiment.grid import betas_of, points
from nmcmc.experiment.options import Options
from nmcmc.experiment.summary import deviation, draw_numbers, finite, known_exactly, summarize
from nmcmc.random import Rng
from nmcmc.samplers.family import Family, family_file, load_family
from nmcmc.samplers.pretrained import sha256_of
from nmcmc.types import Floats

COLUMNS = (
    "ess_fraction",
    "energy_per_spin",
    "specific_heat",
    "entropy_per_spin",
    "free_energy_per_spin",
    "abs_magnetization",
    "susceptibility",
    "binder",
    "log_z",
)
FACTS = ("value", "error", "exact", "reliable", "why")
FILES = ("scan.csv", "scan.png", "scan.json")
CURVE_POINTS = 121
LEAST_DRAWS = 100


def scan_command(model: str, betas: str, n_samples: int, out: Path | None, options: Options) -> dict[str, Any]:
    """Return the table of a scan, and write it as JSON, CSV and a figure into the folder ``out`` if there is one.

    Parameters
    ----------
    model : a family's file, or the name of a shipped one. betas : as `betas_of`; "" for 31 over the whole range.
    n_samples : fresh draws at every β. out : a folder, or None.

    Raises
    ------
    ValueError : for β outside the family's range, or too few draws. FileExistsError : if there is such output.
    """
    if n_samples < LEAST_DRAWS:
        raise ValueError(f"n_samples is {n_samples}; at least {LEAST_DRAWS} draws are needed, 10000 to trust the ess")
    path = family_file(model)
    family, _ = load_family(path, options.device)
    chosen = betas_of(betas) if betas else points(family.betas[0], family.betas[-1])
    for beta in (chosen[0], chosen[-1]):
        family.at(beta)  # raises what the user should hear before any work
    for name in FILES if out else ():
        check_output(Path(str(out)) / name, options.overwrite)
    rows = scan_rows(family, chosen, n_samples, Rng(options.seed).child("scan"), options)
    found = summarize(
        "scan",
        Boltzmann(family.energy, chosen[0]),
        beta=None,
        seed=options.seed,
        model=model,
        weights_sha256=sha256_of(path),
        n_draws=n_samples,
        **extremes(rows),
        scan=rows,
    )
    if out:
        _write(out, found, family.energy)
    return found


def scan_rows(family: Family, betas: Sequence[float], n: int, rng: Rng, options: Options) -> dict[str, dict[str, Any]]:
    """Return a row for every β, by β as text: {"beta": β, name: {value, error, exact, reliable, why} …}.

    Every β has n draws and a random stream of its own, so that errors at different β are independent.
    """
    rows, silent = {}, replace(options, quiet=True)
    with options.bar(len(betas), "scan", "beta") as bar:
        for beta in betas:
            target = Boltzmann(family.energy, beta)
            draws = draw_stage(family.at(beta), target, n, rng.child(repr(beta)), silent)
            found = draw_numbers(draws, target)
            found |= found.pop("observables")
            rows[repr(beta)] = {"beta": beta} | {name: brief(found[name]) for name in COLUMNS if name in found}
            bar.update(1)
    return rows


def brief(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a row keeps of a number."""
    return {fact: entry.get(fact) for fact in FACTS}


def extremes(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, float | None]:
    """Return the least ess_fraction and the largest deviation from an exact value in σ, over all rows."""
    entries = [row[name] for row in rows.values() for name in COLUMNS if name in row]
    known = [deviation(entry) for entry in entries if entry.get("exact") is not None]
    return {
        "least_ess_fraction": min(row["ess_fraction"]["value"] for row in rows.values()),
        "largest_deviation": finite(max(known)) if known else None,
    }


def _write(out: Path, found: Mapping[str, Any], energy: LatticeEnergy) -> None:
    rows = list(found["scan"].values())
    contents: dict[str, Callable[[], bytes]] = {
        "scan.csv": lambda: table(rows).encode(),
        "scan.png": lambda: plots.png(plots.scan(rows, exact_curves(energy, rows[0]["beta"], rows[-1]["beta"]))),
        "scan.json": lambda: json.dumps(found, indent=1, allow_nan=False).encode(),
    }
    for name in FILES:
        with atomic(out / name) as temporary:
            temporary.write_bytes(contents[name]())


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] = COLUMNS) -> str:
    """Return rows as CSV: beta, and every quantity with its error and its exact value, empty where unknown."""
    names = [name for name in columns if all(name in row for row in rows)]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["beta", *(name + ending for name in names for ending in ("", "_error", "_exact"))])
    for row in rows:
        cells = [row[name][fact] for name in names for fact in ("value", "error", "exact")]
        writer.writerow([row["beta"], *("" if cell is None else repr(cell) for cell in cells)])
    return text.getvalue()


def exact_curves(energy: LatticeEnergy, low: float, high: float) -> dict[str, Floats]:
    """Return "beta" and what is exactly known along it, each (121,); of an unsolved system only "beta"."""
    betas = np.linspace(low, high, CURVE_POINTS)
    known = [known_exactly(Boltzmann(energy, float(beta))) for beta in betas]
    names = [name for name in COLUMNS if all(name in values for values in known)]
    return {"beta": betas} | {name: np.array([values[name] for values in known]) for name in names}
