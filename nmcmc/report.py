"""One self-contained HTML page that shows a run to somebody who has never seen nmcmc."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from nmcmc.analysis.compare import Row, compare, worst
from nmcmc.atomic import atomic, check_output
from nmcmc.notation import MISSING, compact
from nmcmc.types import Estimate

FIGURES = (
    "training_curve",
    "log_weight_histogram",
    "observable_comparison",
    "autocorrelation_functions",
    "tau_against_length",
    "magnetization_histogram",
    "overlap_histogram",
    "configurations",
)
"""Figures that the page explains, in its order; each is named after the function of `nmcmc.plots` that draws it."""


def write_report(
    path: str | PathLike[str],
    title: str,
    summary: Mapping[str, Any],
    figures: Mapping[str, bytes],
    warnings: Sequence[str] = (),
    overwrite: bool = False,
) -> None:
    """Write the page with the run's numbers, its plots, and what to make of them; whole or not at all.

    Parameters
    ----------
    path : the HTML file.
    title : heading of the page.
    summary : the run's ``summary.json``: lattice, beta, n_samples, ess_fraction, kl, var_log_weight, log_z,
        free_energy_per_spin, entropy_per_spin, acceptance_rate, predicted_acceptance, mode_drop, observables,
        baseline {name, observables} (a chain of other updates), seconds, versions, seed. Estimates are {value,
        error, …}; what is missing or None shows as "—". An estimate with reliable = False is listed as a warning
        with its "why"; that of a reliable one is a remark below the table.
    figures : name → PNG image as `nmcmc.plots.png` returns it, names from `FIGURES`.
    warnings : further sentences for the box of warnings.
    overwrite : replace an existing file.

    Raises
    ------
    FileExistsError : if the file exists and overwrite is False.
    ValueError : for a figure that the page does not know.
    """
    path = check_output(path, overwrite)
    unknown = [name for name in figures if name not in FIGURES]
    if unknown:
        raise ValueError(f"the report has no place for {unknown}; it knows {list(FIGURES)}")
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters.update(number=_number, exact=_exact, sigma=_sigma, duration=_duration)
    rows, times = _rows(summary), {**(summary.get("seconds") or {})}
    total = times.pop("total", sum(times.values()) if times and None not in times.values() else None)
    page = environment.get_template("report.html.j2").render(
        title=title,
        summary=summary,
        images={name: base64.b64encode(figures[name]).decode() for name in FIGURES if name in figures},
        rows=rows,
        times=times,
        total=total,
        worst=worst(rows),
        n_known=sum(row.exact is not None for row in rows),
        warnings=[*warnings, *_said(summary, reliable=False)],
        remarks=[*_said(summary, reliable=True)],
    )
    with atomic(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _rows(summary: Mapping[str, Any]) -> list[Row]:
    """Return the observables of the neural chain (a) and of the baseline (b) with their deviations."""
    neural, baseline = summary.get("observables") or {}, (summary.get("baseline") or {}).get("observables") or {}
    exact = {name: _field(entry, "exact") for name, entry in {**baseline, **neural}.items()}
    known = {name: value for name, value in exact.items() if value is not None}
    rows = {row.name: row for row in compare(_estimates(neural), _estimates(baseline), known)}
    return [rows.get(name, Row(name, None, None, known.get(name))) for name in {**neural, **baseline}]


def _estimates(observables: Mapping[str, Any]) -> dict[str, Estimate]:
    known = {name: entry for name, entry in observables.items() if _field(entry, "value") is not None}
    return {name: _estimate(entry) for name, entry in known.items()}


def _estimate(entry: Any) -> Estimate:
    value, error, tau_int, tau_int_error = (
        math.nan if (number := _field(entry, key)) is None else float(number)
        for key in ("value", "error", "tau_int", "tau_int_error")
    )
    return Estimate(value, error, tau_int, tau_int_error)


def _field(entry: Any, name: str) -> Any:
    """Return one field of an estimate {value, error, …}; a bare number is its own value."""
    if isinstance(entry, Mapping):
        return entry.get(name)
    return entry if name == "value" else None


def _said(entry: Any, reliable: bool, name: str = "") -> Iterator[str]:
    """Yield a sentence for every estimate that must not be believed, or for every remark on one that may be."""
    if not isinstance(entry, Mapping):
        return
    if entry.get("reliable") is reliable and (entry.get("why") or not reliable):
        yield f"{name.strip().replace('_', ' ')}: {entry.get('why') or 'not reliable'}"
    for key, inner in entry.items():
        yield from _said(inner, reliable, name if key == "observables" else f"{name} {key}")


def _number(entry: Any) -> str:
    """Return an estimate, a number or None as text."""
    return compact(_field(entry, "value"), _field(entry, "error"))


def _exact(value: float | None) -> str:
    return MISSING if value is None else f"{value:.9g}".replace("-", "−")


def _sigma(deviation: float | None) -> str:
    if deviation is None or math.isnan(deviation):
        return MISSING
    return f"{round(deviation, 1) + 0.0:+.1f}".replace("-", "−")  # + 0.0 turns −0.0 into 0.0


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return MISSING
    return f"{seconds:.3g} s" if seconds < 120 else f"{seconds / 60:.3g} min"
