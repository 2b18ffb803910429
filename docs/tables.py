"""Write the tables of README and docs from benchmarks/results/*.json, so that text and numbers cannot drift apart.

`python docs/tables.py` rewrites the tables, `--check` only says whether they are as they should be.
"""

import argparse
import json
import re
from pathlib import Path

from nmcmc.notation import compact

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "docs" / "experiments.md", ROOT / "docs" / "errors.md"]
SYMBOLS = {
    "energy_per_spin": "E/N",
    "specific_heat": "c",
    "abs_magnetization": "⟨\\|m\\|⟩",
    "m2": "⟨m²⟩",
    "binder": "U",
    "susceptibility": "χ",
    "correlation_length": "ξ",
}


COVERAGES = ("coverage68", "coverage95")


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
    for card in sorted(whole["result"].values(), key=lambda card: (-card["beta"], card["parameters"])):
        taus = [spread(tau) for tau in card["tau_int"].values()]
        cells = [
            f"`{card['name']}`",
            card["lattice"].split("x")[0],
            compact(card["beta"]),
            spread(card["ess_fraction"]),
        ]
        cells += [spread(card["kl"]), off(card["log_z"]), *taus, cost(card), str(card["parameters"])]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join([*rows, "", f"Each from fresh draws and a neural chain of its own ({where(whole)})."])


def scan():
    whole = load("scan")
    found, names = whole["result"], ("energy_per_spin", "specific_heat", "entropy_per_spin", "log_z")
    rows = ["| β | ess_fraction | E/N | off by | c | off by | χ | U |", "|---|---|---|---|---|---|---|---|"]
    for row in found["rows"][5::10]:
        cells = [f"{row['beta']:.4f}", spread(row["ess_fraction"])]
        for name in names[:2]:
            cells += [spread(row[name]), off(row[name])]
        rows.append(f"| {' | '.join([*cells, spread(row['susceptibility']), spread(row['binder'])])} |")
    least, spent = found["least_ess_fraction"], found["training"]
    worst = max((found["largest_deviation"][name]["sigma"], name) for name in names)
    text = (
        f"Least ess_fraction {spread(least)} at β = {least['beta']:.4f}, of {len(found['rows'])} β where nothing "
        f"was trained; largest deviation of E/N, c, S/N and log Z from Kaufman's values {worst[0]:.1f} σ "
        f"({found['n_draws']} draws at each β). {len(found['knots'])} knots, {found['parameters']} parameters, "
        f"{found['bytes'] / 2**20:.1f} MiB; training {spent['core_seconds']:.0f} s of one core ({where(whole)})."
    )
    return "\n".join([*rows, "", text])


def published():
    """Return our models at β = 0.44 beside what others published."""
    ours, others = load("models")["result"], json.loads((ROOT / "benchmarks" / "published.json").read_text())
    rows = [
        "| L | nmcmc: ess, KL, τ_E, τ_\\|m\\| | HAN | RiGCS | training: nmcmc, RiGCS |",
        "|---|---|---|---|---|",
    ]
    for card in sorted(ours.values(), key=lambda card: card["parameters"]):
        extent = card["lattice"].split("x")[0]
        if card["beta"] != 0.44 or extent not in others["RiGCS"]:
            continue
        taus = [compact(card["tau_int"][name]["value"], card["tau_int"][name]["error"]) for name in card["tau_int"]]
        mine = ", ".join([spread(card["ess_fraction"]), spread(card["kl"]), *taus])
        theirs = [_published(others[name].get(extent)) for name in ("HAN", "RiGCS")]
        seconds = sum(each["seconds"] * each["cores"] for each in ancestry(card, ours))
        training = f"{seconds:.0f} s of one core; {others['RiGCS'][extent].get('training', '—')}"
        rows.append(f"| {extent} | {mine} | {' | '.join(theirs)} | {training} |")
    sources = "; ".join(f"{name}: {others[name]['source']}; {others[name]['hardware']}" for name in ("HAN", "RiGCS"))
    ours = "Training of nmcmc: seconds of work with those of every model that it grew from, on a busy machine"
    return "\n".join([*rows, "", f"{ours}. {sources}."])


def ancestry(card, cards):
    """Return a card and those of all models that it grew from, each once."""
    found = {card["weights_sha256"]: card}
    sources = set((card["grown_from"] or {}).values())
    for other in cards.values():
        if other["weights_sha256"] in sources:
            found |= {each["weights_sha256"]: each for each in ancestry(other, cards)}
    return list(found.values())


def _published(entry):
    if entry is None:
        return "—"
    best = f" ({entry['best']:g})" if "best" in entry else ""
    taus = [f"{tau:g}" for tau in entry.get("tau", ())]
    return ", ".join([f"{entry['ess']:.3g}{best}", f"{entry['kl']:g}", *taus])


def spread(entry):
    return compact(entry["value"], entry["error"]) if entry else "—"


def cost(card):
    """Return what a training cost, in words."""
    if card["seconds"] is None:
        return "—"
    return f"{card['seconds']:.0f} s, {card['cores']} core{'s' * (card['cores'] != 1)}"


def off(log_z):
    """Return how far a log Z is off its exact value, in σ."""
    if log_z["exact"] is None:
        return "—"
    return f"{(log_z['value'] - log_z['exact']) / log_z['error']:+.1f} σ".replace("-", "−")


def quality():
    whole = load("quality")
    rows = ["| case | ess_fraction | KL | log Z off by | m > 0 | training | command |", "|---|---|---|---|---|---|---|"]
    for name, card in whole["result"].items():
        command = card["command"].removeprefix("nmcmc train ").split(" --out")[0]
        cells = [name, spread(card["ess_fraction"]), spread(card["kl"]), off(card["log_z"])]
        rows.append(f"| {' | '.join(cells)} | {100 * card['share_up']:.0f} % | {cost(card)} | `{command}` |")
    return "\n".join([*rows, "", f"Measured as the shipped models are ({where(whole)})."])


def one_level():
    whole = load("one_level")
    rows = ["| variant | KL of a block | steps | blocks seen |", "|---|---|---|---|"]
    for name, entry in whole["result"]["variants"].items():
        seen = f"{entry['blocks'] / 1e6:.1f} M"
        rows.append(f"| {name} | {compact(entry['kl'], entry['error'])} | {entry['steps']} | {seen} |")
    seconds = whole["result"]["seconds"]
    return "\n".join([*rows, "", f"{seconds:.0f} s of processor time each, one thread ({where(whole)})."])


def levels():
    """Return the share of every net in KL, of the critical models."""
    rows = ["| model | shares in KL, from the largest level to the smallest (blocks of it) |", "|---|---|"]
    for card in sorted(load("models")["result"].values(), key=lambda card: card["parameters"]):
        if card["kl_per_level"] and card["beta"] != 0.44:
            shares = [f"{key.split('_')[1]}: {spread(e)}" for key, e in card["kl_per_level"].items()]
            rows.append(f"| `{card['name']}` | {'; '.join(shares)} |")
    return "\n".join(rows)


def scaling():
    whole = load("scaling")
    rows = [
        "| L | draw, ms | log_prob, ms | step of block-local reverse KL, s | step of forward KL, s | peak memory, GB | "
        "parameters | dense net: draw, ms |",
        "|---|---|---|---|---|---|---|---|",
    ]
    ours, dense = (whole["result"][kind]["lattices"] for kind in ("hierarchical", "dense"))
    for extent, entry in ours.items():
        t, peak = entry["seconds"], max(entry["peak_bytes"].values()) / 1e9
        other = f"{1e3 * dense[extent]['seconds']['draw']:.3g}" if extent in dense else "does not fit"
        rows.append(
            f"| {extent} | {1e3 * t['draw']:.3g} | {1e3 * t['log_prob']:.3g} | {t['block_local_reverse_kl']:.3g} | "
            f"{t['forward_kl']:.3g} | {peak:.2g} | {entry['parameters']:.0f} | {other} |"
        )
    found = whole["result"]["hierarchical"]["exponents_from_32"]
    fits = ", ".join(f"{name.replace('_', ' ')} ∝ L^{value:.2f}" for name, value in found.items())
    return "\n".join([*rows, "", f"Untrained weights, one thread; from L = 32: {fits} ({where(whole)})."])


def cost_per_sample():
    whole = load("cost_per_sample")
    rows = [
        "| lattice, β_c | draws per second | 2 τ_int neural | 2 τ_int Wolff | neural / Wolff, per effective sample |",
        "|---|---|---|---|---|",
    ]
    for row in whole["result"]["rows"]:
        taus = [max(row["tau_int"][kind].values(), key=lambda tau: tau["value"]) for kind in ("neural", "wolff")]
        cells = [compact(2 * tau["value"], 2 * tau["error"]) for tau in taus]
        ratio = compact(row["ratio_neural_over_wolff"], row["ratio_error_from_tau"])
        rows.append(f"| {row['lattice']} | {row['draws_per_second']:.0f} | {' | '.join(cells)} | {ratio} |")
    text = "Seconds per update times 2 τ_int, the worse of E and m², one thread, training not counted"
    return "\n".join([*rows, "", f"{text} ({where(whole)})."])


def coverage():
    whole = load("coverage")
    found = whole["result"]
    kinds = {}
    for row in found["rows"]:
        kinds.setdefault(row["estimator"], []).append(row)
    rows = ["| estimator | chains | 68.27 % | 95 % |", "|---|---|---|---|"]
    for name, entries in kinds.items():
        cells = [" … ".join(f"{100 * f(e[k] for e in entries):.1f}" for f in (min, max)) for k in COVERAGES]
        rows.append(f"| {name} | {len(entries)} | {' | '.join(cells)} |")
    each, total = found["rows"][0]["experiments"], len(found["rows"])
    text = (
        f"Least and largest coverage over the kinds of chains, in per cent, {each} experiments of each; "
        f"{len(found['outside'])} of {total} rows are outside the limits; {found['cpu_seconds']:.0f} s of one core"
    )
    return "\n".join([*rows, "", f"{text} ({where(whole)})."])


def where(whole):
    machine = whole["machine"]
    return f"{machine['cpu']}, {machine['cores']} cores, {whole['date']}, commit {whole['commit']}"


TABLES = {
    table.__name__: table
    for table in (
        *(main_job, wolff, incremental_sampling, models, published, quality),
        *(one_level, levels, scaling, scan, cost_per_sample, coverage),
    )
}


def filled(text):
    """Return a page with every table written anew between its two marks."""
    for name, table in TABLES.items():
        mark = f"<!-- results: {name} -->\n"
        if mark in text:
            pattern = re.compile(rf"({re.escape(mark)}).*?(<!-- end -->)", re.DOTALL)
            text = pattern.sub(lambda match, table=table: f"{match[1]}{table()}\n{match[2]}", text)
    return text


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--check", action="store_true", help="change nothing; exit 1 if a table is out of date")
    args = options.parse_args()
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        if args.check and filled(text) != text:
            raise SystemExit(f"{page.name} is out of date: run python docs/tables.py")
        if not args.check:
            page.write_text(filled(text), encoding="utf-8")


if __name__ == "__main__":
    main()
