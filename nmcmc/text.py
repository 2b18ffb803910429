"""Summaries as plain text for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nmcmc.notation import MISSING, compact

WIDTH = 24
ERRORS_WIDTH = 15
"""Of columns that hold seconds."""
NOT_SHOWN = ("command", "versions", "baseline", "fingerprint")
"""What is said elsewhere: in the user's own words, by `nmcmc doctor`, and beside the observables; or to nmcmc only."""
SCAN_COLUMNS = {
    "ess_fraction": "ess",
    "energy_per_spin": "E/N",
    "specific_heat": "c",
    "entropy_per_spin": "S/N",
    "free_energy_per_spin": "F/N",
    "abs_magnetization": "<|m|>",
    "susceptibility": "chi",
    "binder": "U",
}
"""What a scan shows, and the heads of its columns."""
ANNEAL_COLUMNS = {
    "variational_free_energy_per_spin": "F_q/N",
    "free_energy_per_spin": "F/N",
    "log_z": "log Z",
    "kl": "KL",
    "ess_fraction": "ess",
}
"""What a run along β shows, before the exact log Z."""


def text_of(summary: Mapping[str, Any]) -> str:
    """Return a summary as aligned lines: one per number, a table of observables; what is unknown is left out."""
    return "\n".join(_lines(summary, "", () if summary.get("command") == "doctor" else NOT_SHOWN)) + "\n"


def _lines(summary: Mapping[str, Any], indent: str, hidden: tuple[str, ...] = ()) -> Iterator[str]:
    for name, value in summary.items():
        if name in hidden or value is None or value == {}:
            continue
        if name == "observables":
            yield from _table(value, summary.get("baseline"))
        elif name == "errors":
            yield from _errors(value)
            if "errors" in (summary.get("baseline") or {}):
                yield from _errors(summary["baseline"]["errors"], f", {summary['baseline']['name']}")
        elif name == "models":
            yield from _models(value)
        elif name == "rows":
            yield from _rows(value)
        elif name == "scan":
            yield from _scan(value)
        elif name == "anneal":
            yield from _anneal(value)
        elif name == "free_energy":
            yield from _free_energy(value)
        elif name == "checks":
            yield from _checks(value)
        elif isinstance(value, Mapping) and "value" in value:
            yield f"{indent}{name:<{WIDTH - 1}} {_estimate(value)}"
        elif isinstance(value, Mapping):
            known = {key: item for key, item in value.items() if item is not None}
            if known:
                yield f"{indent}{name}"
                yield from _lines(known, indent + "  ")
        else:
            yield f"{indent}{name:<{WIDTH - 1}} {compact(value) if isinstance(value, float) else value}"


def _estimate(value: Mapping[str, Any]) -> str:
    text = compact(value["value"], value.get("error"))
    if value.get("exact") is not None:
        text += f"   exact {compact(value['exact'])}"
    return text + _marks([value])


def _marks(entries: Sequence[Mapping[str, Any]]) -> str:
    """Return what stands behind a line: is an entry not reliable, or is there a remark on one, which follows below."""
    if not all(entry.get("reliable", True) for entry in entries):
        return "  UNRELIABLE"
    return "  NOTE" if any(entry.get("why") for entry in entries) else ""


def _table(observables: Mapping[str, Any], baseline: Mapping[str, Any] | None) -> Iterator[str]:
    """Yield a line per observable; a run has two chains side by side."""
    others = {} if baseline is None else baseline["observables"]
    heads = ["exact", "neural" if baseline else "value", "tau_int"]
    yield _line("observable", [*heads, baseline["name"], "tau_int"] if baseline else heads)
    for name, entry in observables.items():
        entries = [entry, others[name]] if name in others else [entry]
        cells = [compact(entry.get("exact"))]
        for each in entries:
            cells += [compact(each["value"], each["error"]), compact(each["tau_int"], each["tau_int_error"])]
        yield _line(name, cells) + _marks(entries)


def _errors(quantities: Mapping[str, Mapping[str, Any]], whose: str = "") -> Iterator[str]:
    """Yield a few lines per quantity with the rules for its error side by side, and whether its chains have mixed."""
    rules = next(({rule: row for rule, row in found.items() if "window" in row} for found in quantities.values()), {})
    yield _line(f"errors{whose}", [*rules], ERRORS_WIDTH)
    for name, found in quantities.items():
        rows = [found[rule] for rule in rules]
        marked = [key for key, row in found.items() if not row["reliable"]]
        line = _line(name, [compact(row["value"], row["error"]) for row in rows], ERRORS_WIDTH)
        yield line + (f"  UNRELIABLE: {', '.join(marked)}" if marked else "")
        yield _line("  tau_int", [compact(row["tau_int"], row["tau_int_error"]) for row in rows], ERRORS_WIDTH)
        for unit in ("sweeps", "seconds"):
            if any(row[f"tau_{unit}"] is not None for row in rows):
                cells = [compact(row[f"tau_{unit}"], row[f"tau_{unit}_error"]) for row in rows]
                yield _line(f"  in {unit}", cells, ERRORS_WIDTH)
        yield _line("  window or bin", [str(row["window"]) for row in rows], ERRORS_WIDTH)
        for key in [key for key in found if key not in rules]:
            yield _line(f"  {key}", [compact(found[key]["value"], found[key]["error"])], ERRORS_WIDTH)


def _models(cards: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield a line per model: what it is for, how good it is, what it cost."""
    columns = ["lattice", "beta", "ess_fraction", "kl", "training", "size"]
    yield f"{'name':<{WIDTH}}" + "".join(f" {head:>14}" for head in columns)
    for name, card in cards.items():
        ess, kl, seconds = card["ess_fraction"], card["kl"], card["seconds"]
        cells = [
            card["lattice"],
            compact(card["beta"]),
            compact(ess["value"], ess["error"]),
            compact(kl["value"], kl["error"]) if kl else compact(None),
            compact(None) if seconds is None else f"{seconds:.0f} s",
            f"{card['bytes'] / 1024:.0f} KiB",
        ]
        marks = "  UNRELIABLE" if card["unreliable"] else ""
        yield f"{name:<{WIDTH}}" + "".join(f" {cell:>14}" for cell in cells) + marks


def _rows(rows: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    yield _line("observable", ["exact", "A", "B", "A − B in σ"])
    for name, row in rows.items():
        both = [row[k] for k in ("a", "b") if row[k]]
        values = [compact(row[k]["value"], row[k]["error"]) if row[k] else compact(None) for k in ("a", "b")]
        deviation = compact(None) if row["deviation"] is None else f"{row['deviation']:+.1f}".replace("-", "−")
        line = _line(name, [compact(row["exact"]), *values, deviation])
        yield line + _marks(both)


def _scan(rows: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield a line per β."""
    yield from _by_beta(rows, SCAN_COLUMNS, {})


def _anneal(rows: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield a line per β, with the exact log Z where it is known, in the many digits that it may be compared in."""
    exact = {beta: row["log_z"]["exact"] for beta, row in rows.items() if row["log_z"].get("exact") is not None}
    texts = {beta: f"{value:.10g}".replace("-", "−") for beta, value in exact.items()}
    yield from _by_beta(rows, ANNEAL_COLUMNS, {"exact log Z": texts} if texts else {})


def _by_beta(
    rows: Mapping[str, Mapping[str, Any]], columns: Mapping[str, str], more: Mapping[str, Mapping[str, str]]
) -> Iterator[str]:
    """Yield a line per β: numbers with the heads of their columns, then texts by head and β."""
    names = [name for name in columns if any(name in row for row in rows.values())]
    yield f"{'beta':<9}" + "".join(f" {head:>15}" for head in [*(columns[name] for name in names), *more])
    for beta, row in rows.items():
        entries = [row.get(name) or {"value": None} for name in names]
        cells = [compact(entry["value"], entry.get("error")) for entry in entries]
        cells += [texts.get(beta, MISSING) for texts in more.values()]
        yield f"{beta:<9.9}" + "".join(f" {cell:>15}" for cell in cells) + _marks(entries)


def _free_energy(methods: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield a line per estimator, and one with the exact values."""
    names = ("log_z", "free_energy_per_spin", "entropy_per_spin")
    yield f"{'estimator':<{WIDTH}}" + "".join(f"{head:>19}" for head in ("log Z", "F/N", "S/N"))
    for method, entries in methods.items():
        cells = "".join(f"{compact(entries[name]['value'], entries[name]['error']):>19}" for name in names)
        yield f"{method:<{WIDTH}}{cells}{_marks([entries['log_z']])}"
    for entries in [*methods.values()][:1]:
        exact = [entries[name]["exact"] for name in names]
        texts = [compact(None) if value is None else f"{value:.10g}".replace("-", "−") for value in exact]
        yield f"{'exact':<{WIDTH}}" + "".join(f"{text:>19}" for text in texts)


def _checks(checks: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield a line per check: what was found, what must be, how far apart, verdict."""
    width = max(map(len, checks), default=0)
    yield f"{'check':<{width}}" + "".join(f"{head:>14}" for head in ("value", "expected", "deviation", "limit"))
    for name, check in checks.items():
        off, unit = check["deviation"], "σ" if check["statistical"] else ""
        distance = compact(None) if off is None else f"{off:+.1f} σ" if unit else f"{off:.1e}"
        limit = f"{check['limit']:g}{' ' if unit else ''}{unit}"
        cells = [
            compact(check["value"]),
            compact(check["expected"]),
            distance.replace("-", "−"),
            limit.replace("-", "−"),
        ]
        verdict = "ok" if check["passed"] else "FAILED" + (f" ({check['why']})" if check["why"] else "")
        yield f"{name:<{width}}" + "".join(f"{cell:>14}" for cell in cells) + f"  {verdict}"


def _line(name: str, cells: list[str], width: int = 13) -> str:
    return f"{name:<18}" + "".join(f" {cell:>{width}}" for cell in cells)
