"""How good models are: theirs and ours, by level, by size, by what was tried."""

import json

from cells import ROOT, cost, load, off, signed, spread, where

from nmcmc.notation import compact

SYMBOLS = {
    "energy_per_spin": "E/N",
    "specific_heat": "c",
    "abs_magnetization": "⟨\\|m\\|⟩",
    "m2": "⟨m²⟩",
    "binder": "U",
    "susceptibility": "χ",
    "correlation_length": "ξ",
}


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


def quality():
    whole = load("quality")
    rows = [
        "| case | ess_fraction | KL | off by at most | m > 0 | training | command |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, card in whole["result"].items():
        command = card["command"].removeprefix("nmcmc train ").split(" --out")[0]
        cells = [name, spread(card["ess_fraction"]), spread(card["kl"]), checked(card)]
        rows.append(f"| {' | '.join(cells)} | {100 * card['share_up']:.0f} % | {cost(card)} | `{command}` |")
    return "\n".join([*rows, "", f"Measured as the shipped models are ({where(whole)})."])


def checked(card):
    """Return how far log Z is off, or where it is not known how far the chain is off one of another kind."""
    if "reference" not in card:
        return f"log Z {off(card['log_z'])}"
    return f"{card['reference']['worst_deviation']:.1f} σ from {card['reference']['update']}"


def averages():
    """Return what averages over translations gain and cost."""
    whole = load("translations")
    rows = [
        "| model | translations | ess_fraction | KL | log Z off by | τ_int of E, \\|m\\| | ms per draw |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in whole["result"]["rows"]:
        tau = ", ".join(spread(row["tau_int"][name]) for name in ("energy_per_spin", "abs_magnetization"))
        cells = [row["model"], str(row["translations"]), spread(row["ess_fraction"]), spread(row["kl"])]
        cells += [off(row["log_z"]), tau, f"{1e3 * row['seconds_per_draw']:.3g}"]
        rows.append(f"| {' | '.join(cells)} |")
    draws = whole["result"]["rows"][0]["n_draws"]
    return "\n".join([*rows, "", f"{draws} draws and a chain of as many; one thread ({where(whole)})."])


def levels():
    """Return the share of every net in KL, of the critical models."""
    rows = ["| model | shares in KL, from the largest level to the smallest (blocks of it) |", "|---|---|"]
    for card in sorted(load("models")["result"].values(), key=lambda card: card["parameters"]):
        if card["kl_per_level"] and card["beta"] != 0.44:
            shares = [f"{key.split('_')[1]}: {spread(e)}" for key, e in card["kl_per_level"].items()]
            rows.append(f"| `{card['name']}` | {'; '.join(shares)} |")
    return "\n".join(rows)


def one_level():
    whole = load("one_level")
    rows = ["| variant | KL of a block | steps | blocks seen |", "|---|---|---|---|"]
    for name, entry in whole["result"]["variants"].items():
        seen = f"{entry['blocks'] / 1e6:.1f} M"
        rows.append(f"| {name} | {compact(entry['kl'], entry['error'])} | {entry['steps']} | {seen} |")
    seconds = whole["result"]["seconds"]
    return "\n".join([*rows, "", f"{seconds:.0f} s of processor time each, one thread ({where(whole)})."])


def line_nets():
    """Return what variants of a line's net lose beside the usual one, in thousandths of a nat per line."""
    whole = load("line_nets")
    sides = whole["result"]["sides"]
    blocks = " | ".join(f"{side}×{side}, {entry['seconds']:.0f} s" for side, entry in sides.items())
    rows = [f"| variant | {blocks} |", "|---" * (1 + len(sides)) + "|"]
    for name in next(iter(sides.values()))["variants"]:
        found = [entry["variants"][name] for entry in sides.values()]
        cells = [entry.get("excess", entry) for entry in found]
        sign = -1 if "symmetry" in name else 1
        numbers = [signed(1e3 * sign * cell["value"], 1e3 * cell["error"]) for cell in cells if name != "usual"]
        rows.append(f"| {name} | {' | '.join(numbers or ['0'] * len(sides))} |")
    text = "KL(p‖q) of a line in 10⁻³ nats, less that of the usual net; seconds of processor time for each, one thread"
    return "\n".join([*rows, "", f"{text} ({where(whole)})."])


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


def knots():
    """Return what a family loses with knots left out."""
    rows = ["| knots | least ess_fraction | at β |", "|---|---|---|"]
    words = {
        "every 1": "all",
        "every 2": "every second",
        "every 4": "every fourth",
        "nearest knot alone": "all, the nearest one alone with exact leaves at β",
    }
    for name, entry in load("scan")["result"]["with_less"].items():
        chosen = "" if "alone" in name else f": {', '.join(f'{beta:.4g}' for beta in entry['knots'])}"
        rows.append(f"| {words[name]}{chosen} | {spread(entry)} | {entry['beta']:.3f} |")
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
