"""Summaries as plain text for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nmcmc.notation import compact


def text_of(summary: Mapping[str, Any]) -> str:
    """Return a summary as aligned lines: one per number, a table of observables; what is unknown is left out."""
    return "\n".join(_lines(summary)) + "\n"


def _lines(summary: Mapping[str, Any], indent: str = "") -> Iterator[str]:
    for name, value in summary.items():
        if value is None or value == {}:
            continue
        if name == "observables":
            yield from _table(value, indent)
        elif name == "rows":
            yield from _rows(value, indent)
        elif isinstance(value, Mapping) and "value" in value:
            yield f"{indent}{name:<24}{_estimate(value)}"
        elif isinstance(value, Mapping):
            yield f"{indent}{name}"
            yield from _lines(value, indent + "  ")
        else:
            yield f"{indent}{name:<24}{compact(value) if isinstance(value, float) else value}"


def _estimate(value: Mapping[str, Any]) -> str:
    text = compact(value["value"], value.get("error"))
    if value.get("exact") is not None:
        text += f"   exact {compact(value['exact'])}"
    return text + ("" if value.get("reliable", True) else "   UNRELIABLE")


def _table(observables: Mapping[str, Mapping[str, Any]], indent: str) -> Iterator[str]:
    yield f"{indent}{'observable':<22}{'value':>22}{'tau_int':>14}{'exact':>14}"
    for name, entry in observables.items():
        tau = compact(entry.get("tau_int"), entry.get("tau_int_error")) if "tau_int" in entry else "—"
        mark = "" if entry.get("reliable", True) else "  UNRELIABLE"
        value, exact = compact(entry["value"], entry.get("error")), compact(entry.get("exact"))
        yield f"{indent}{name:<22}{value:>22}{tau:>14}{exact:>14}{mark}"


def _rows(rows: list[Mapping[str, Any]], indent: str) -> Iterator[str]:
    yield f"{indent}{'observable':<22}{'A':>20}{'B':>20}{'exact':>14}{'A − B in σ':>12}"
    for row in rows:
        a, b = (compact(row[k]["value"], row[k]["error"]) if row[k] else "—" for k in ("a", "b"))
        deviation = "—" if row["deviation"] is None else f"{row['deviation']:+.1f}".replace("-", "−")
        yield f"{indent}{row['name']:<22}{a:>20}{b:>20}{compact(row['exact']):>14}{deviation:>12}"
