"""Write the README's tables from benchmarks/results/*.json, so that text and numbers cannot drift apart.

`python docs/tables.py` rewrites the tables, `--check` only says whether they are as they should be.
"""

import argparse
import json
import re
from pathlib import Path

from nmcmc.notation import compact

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
SYMBOLS = {
    "energy_per_spin": "E/N",
    "specific_heat": "c",
    "abs_magnetization": "⟨\\|m\\|⟩",
    "m2": "⟨m²⟩",
    "binder": "U",
    "susceptibility": "χ",
    "correlation_length": "ξ",
}


def load(name):
    return json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text())


def main_job():
    whole = load("main_job")
    found = whole["result"]
    rows = ["| | neural chain | Wolff | exact | τ_int neural | τ_int Wolff |", "|---|---|---|---|---|---|"]
    for name, symbol in SYMBOLS.items():
        entry = found["observables"][name]
        values = [compact(entry[k]["value"], entry[k]["error"]) for k in ("neural", "wolff")]
        taus = [compact(entry[k]["tau_int"], entry[k]["tau_int_error"]) for k in ("neural", "wolff")]
        rows.append(f"| {symbol} | {values[0]} | {values[1]} | {compact(entry['exact'])} | {taus[0]} | {taus[1]} |")
    ess, log_z = found["ess_fraction"], found["log_z"]
    text = (
        f"ess_fraction {compact(ess['value'], ess['error'])} from {found['n_draws']} fresh draws, "
        f"log Z {compact(log_z['value'], log_z['error'])} (exact {compact(log_z['exact'])}; "
        f"{(log_z['value'] - log_z['exact']) / log_z['error']:+.1f} σ off), "
        f"acceptance {compact(found['acceptance_rate']['value'], found['acceptance_rate']['error'])}. "
        f"Wall time {found['wall_seconds_cold_cache']:.0f} s with compilation, "
        f"{found['wall_seconds_warm_cache']:.0f} s the second time, of which training "
        f"{found['seconds']['train']:.0f} s with compilation; {where(whole)}."
    )
    return "\n".join([*rows, "", text])


def wolff():
    whole = load("wolff")
    name = "ns_per_flipped_spin"
    ours = whole["result"]["nmcmc"]
    return f"Wolff, 128×128 at β_c, one thread: {ours[name]:.1f} ns per flipped spin ({where(whole)})."


def incremental_sampling():
    whole = load("incremental_sampling")
    ratio = whole["result"]["ratio"]
    return (
        f"Drawing 1000 configurations of a 16×16 MADE of the published width: {ratio:.0f} times faster than n full "
        f"forward passes of the same weights ({where(whole)})."
    )


def models():
    whole = load("models")
    rows = [
        "| model | L | β | ess_fraction | KL | log Z off by | τ_E | τ_\\|m\\| | training | parameters |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for card in sorted(whole["result"].values(), key=lambda card: (card["beta"], card["parameters"])):
        log_z, kl = card["log_z"], card["kl"]
        off = "—" if log_z["exact"] is None else f"{(log_z['value'] - log_z['exact']) / log_z['error']:+.1f} σ"
        taus = [compact(tau["value"], tau["error"]) for tau in card["tau_int"].values()]
        cells = [
            f"`{card['name']}`",
            card["lattice"].split("x")[0],
            compact(card["beta"]),
            compact(card["ess_fraction"]["value"], card["ess_fraction"]["error"]),
            compact(kl["value"], kl["error"]) if kl else "—",
            off.replace("-", "−"),
            *taus,
            "—"
            if card["seconds"] is None
            else f"{card['seconds']:.0f} s, {card['cores']} core{'s' * (card['cores'] != 1)}",
            str(card["parameters"]),
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join([*rows, "", f"Each from fresh draws and a neural chain of its own ({where(whole)})."])


def scan():
    whole = load("scan")
    found, names = whole["result"], ("energy_per_spin", "specific_heat", "entropy_per_spin", "log_z")
    rows = ["| β | ess_fraction | E/N | off by | c | off by | χ | U |", "|---|---|---|---|---|---|---|---|"]
    for row in found["rows"][5::10]:
        cells = [f"{row['beta']:.4f}", of(row["ess_fraction"])]
        for name in names[:2]:
            sigma = (row[name]["value"] - row[name]["exact"]) / row[name]["error"]
            cells += [of(row[name]), f"{sigma:+.1f} σ".replace("-", "−")]
        rows.append(f"| {' | '.join([*cells, of(row['susceptibility']), of(row['binder'])])} |")
    least, cost = found["least_ess_fraction"], found["training"]
    worst = max((found["largest_deviation"][name]["sigma"], name) for name in names)
    text = (
        f"Least ess_fraction {of(least)} at β = {least['beta']:.4f}, of {len(found['rows'])} β at which nothing was "
        f"trained; largest deviation of E/N, c, S/N and log Z from Kaufman's values {worst[0]:.1f} σ "
        f"({found['n_draws']} draws at each β). {len(found['knots'])} knots, {found['parameters']} parameters, "
        f"{found['bytes'] / 2**20:.1f} MiB; training {cost['core_seconds']:.0f} s of one core ({where(whole)})."
    )
    return "\n".join([*rows, "", text])


def of(entry):
    return compact(entry["value"], entry["error"])


def where(whole):
    machine = whole["machine"]
    return f"{machine['cpu']}, {machine['cores']} cores, {whole['date']}, commit {whole['commit']}"


TABLES = {
    "main_job": main_job,
    "wolff": wolff,
    "incremental_sampling": incremental_sampling,
    "models": models,
    "scan": scan,
}


def filled(text):
    """Return the README with every table written anew between its two marks."""
    for name, table in TABLES.items():
        pattern = re.compile(rf"(<!-- results: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        text = pattern.sub(lambda match, table=table: f"{match[1]}{table()}\n{match[2]}", text)
    return text


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--check", action="store_true", help="change nothing; exit 1 if a table is out of date")
    args = options.parse_args()
    text = README.read_text(encoding="utf-8")
    if args.check:
        raise SystemExit(0 if filled(text) == text else "README.md is out of date: run python docs/tables.py")
    README.write_text(filled(text), encoding="utf-8")


if __name__ == "__main__":
    main()
