"""Write the tables of README and docs from benchmarks/results/*.json, so that text and numbers cannot drift apart.

`python docs/tables.py` rewrites the tables, `--check` only says whether they are as they should be.
"""

import argparse
import json
import re
from pathlib import Path

from nmcmc.notation import compact

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    ROOT / "README.md",
    *(ROOT / "docs" / f"{name}.md" for name in ("errors", "experiments", "free-energy", "graphs", "performance")),
]
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


def checked(card):
    """Return how far log Z is off, or where it is not known how far the chain is off one of another kind."""
    if "reference" not in card:
        return f"log Z {off(card['log_z'])}"
    return f"{card['reference']['worst_deviation']:.1f} σ from {card['reference']['update']}"


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


def signed(value, error):
    text = compact(value, error)
    return text if text.startswith(("-", "−")) else f"+{text}"


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


def optimize():
    whole = load("optimize")
    programs = ("nmcmc", "dwave-samplers")
    rows = [
        "| graph | exact | " + " | ".join(f"{p}: best | mean | hits/annealings" for p in programs) + " |",
        "|---|---|" + "---|" * 6,
    ]
    for row in whole["result"]["rows"]:
        cells = [f"{row['graph']}, {row['seed']}", compact(row["exact"])]
        for found in (row[p] for p in programs):
            hits = f"{found['hits_of_best_known']}/{found['annealings']}"
            cells += [f"{found['best']:.0f}", f"{found['mean']:.1f}", hits]
        rows.append(f"| {' | '.join(cells)} |")
    options = whole["options"]
    walls = [sum(row[p]["wall_seconds"] for row in whole["result"]["rows"]) for p in programs]
    text = (
        f"{options['sweeps']} sweeps, {options['seconds']:g} s of processor time each, one thread, on a busy "
        f"machine: all graphs together took {walls[0]:.0f} s and {walls[1]:.0f} s of wall time"
    )
    return "\n".join([*rows, "", f"{text} ({where(whole)})."])


def mean_field():
    """Return errors of the free energy, Curie–Weiss beside the published ones, and SK of 20 spins with ess."""
    whole = load("mean_field")
    means = {(m["system"], m["n"], m["net"], m["beta"]): m for m in whole["result"]["means"]}
    known = {(r["n"], r["net"], r["beta"]): r.get("published") for r in whole["result"]["rows"]}
    betas = sorted({beta for system, *_, beta in means if system == "curie-weiss"})
    rows = [f"| Curie–Weiss | {' | '.join(f'β = {beta:g}' for beta in betas)} |", "|---" * (len(betas) + 1) + "|"]
    for n, net in sorted({(n, net) for system, n, net, _ in means if system == "curie-weiss"}):
        cells = []
        for beta in betas:
            error, other = 1e4 * means["curie-weiss", n, net, beta]["relative_error"], known[n, net, beta]
            text = f"{error:.1e}" if abs(error) < 1e-3 else f"{error:.3g}"
            cells.append(text if other is None else f"{text} ({1e4 * other:.3g})")
        rows.append(f"| {n}, {net} | {' | '.join(cells)} |")
    betas = sorted({beta for system, *_, beta in means if system == "sk"})
    rows += ["", f"| SK, 20 spins | {' | '.join(f'β = {beta:g}' for beta in betas)} | seconds |"]
    rows += ["|---" * (len(betas) + 2) + "|"]
    nets = dict.fromkeys(r["net"] for r in whole["result"]["rows"] if r["system"] == "sk" and r["n"] == 20)
    for net in nets:
        found = [means["sk", 20, net, beta] for beta in betas]
        cells = [f"{1e4 * m['relative_error']:.2g}; {m['ess_fraction']:.3f}" for m in found]
        rows.append(f"| {net} | {' | '.join(cells)} | {found[0]['seconds']:.1f} |")
    options, instances = whole["options"], max(m["instances"] for m in means.values())
    text = (
        f"10⁴ (F_q − F)/\\|F\\|, published values in brackets; of SK means over {instances} instances and, "
        f"after the semicolon, ess_fraction, {options['steps']} steps of {options['batch']} draws at each of 8 β "
        f"({where(whole)})."
    )
    return "\n".join([*rows, "", text])


def baselines():
    whole = load("baselines")
    found = whole["result"]
    titles = {
        "metropolis": "Metropolis, 512×512, ns per attempted flip",
        "swendsen_wang": "Swendsen–Wang, 512×512, ns per spin",
        "wolff": "Wolff, 128×128, ns per flipped spin",
    }
    rows = ["| program | ns, median | ns, fastest | times ours |", "|---|---|---|---|"]
    for job, title in titles.items():
        rows += [
            f"| {title}: {name} | {row['ns']:.3g} | {row['fastest']:.3g} | {row['ratio']:.3g} |"
            for name, row in found[job].items()
        ]
    fraction = found["energy_fraction_of_bandwidth"]
    text = f"Energies of 128×128 read {100 * fraction:.0f} % of the bytes per second that a plain sum of words reads"
    return "\n".join([*rows, "", f"One thread each, rounds alternating. {text} ({where(whole)})."])


def kernels():
    whole = load("kernels")
    rows = ["| kernel | ns per leaf or line | multiply-adds per ns | of a matrix product |", "|---|---|---|---|"]
    for name, entry in whole["result"].items():
        if isinstance(entry, dict):
            rate = f"{entry['multiply_adds_per_ns']:.3g}" if "fraction" in entry else "—"
            share = f"{100 * entry['fraction']:.0f} %" if "fraction" in entry else "—"
            rows.append(f"| {name} | {entry['ns']:.4g} | {rate} | {share} |")
    return "\n".join([*rows, "", f"One thread ({where(whole)})."])


def cores():
    whole = load("cores")
    found = dict(whole["result"])
    threads = found.pop("threads")
    rows = [f"| | speed-up by {threads} threads | of the fastest rounds |", "|---|---|---|"]
    rows += [f"| {name} | {row['ratio']:.2f} | {row['ratio_of_fastest']:.2f} |" for name, row in found.items()]
    return "\n".join([*rows, "", f"On the clock, rounds alternating ({where(whole)})."])


def start():
    whole = load("start")
    found = whole["result"]
    return (
        f"`nmcmc --help`: {found['help']['median']:.2f} s. The first `nmcmc run` of one training step: "
        f"{found['first_run']:.0f} s with compilation; the second is at work after "
        f"{found['progress_of_second_run']['median']:.1f} s and takes {found['second_run']['median']:.1f} s in all "
        f"({where(whole)})."
    )


def roofline():
    """Return the parts of a 128×128 draw."""
    whole = load("roofline")
    found = whole["result"]
    adds, product = found["multiply_adds"], found["rates"]["square product"]
    rows = ["| part | µs, median | µs, fastest | multiply-adds | of the product rate |", "|---|---|---|---|---|"]
    for name, t in found["seconds"].items():
        n = adds["by_net"].get(name.removeprefix("net "))
        share = f"{100 * n / t['median'] / product:.0f} %" if n else "—"
        label = name.rsplit("_", 1)[0] if n else name
        rows.append(
            f"| {label} | {1e6 * t['median']:.2f} | {1e6 * t['fastest']:.2f} | {f'{n:.3g}' if n else '—'} | {share} |"
        )
    text = (
        f"Per configuration, one thread. Nets: {adds['nets']:.3g} multiply-adds, at "
        f"{100 * found['nets_fraction_of_product_rate']:.0f} % of the rate of torch's float32 matrix product "
        f"({product / 1e9:.0f} G per second) and {100 * found['nets_fraction_of_register_rate']:.0f} % of that of a "
        f"loop in registers ({found['rates']['multiply-adds in registers'] / 1e9:.0f} G per second). Leaves: "
        f"{adds['leaves']:.3g} multiply-adds. Floor: {1e6 * found['floor_seconds']:.0f} µs at the rate of the product "
        f"and {found['rates']['memory'] / 1e9:.0f} GB/s; a draw takes {found['draw_over_floor']:.2f} times as long"
    )
    return "\n".join([*rows, "", f"{text} ({where(whole)})."])


def cost_model():
    """Return the modelled cost of larger lattices and on GPUs."""
    whole = load("roofline")
    model = whole["result"]["model"]
    gpus = model["assumed"]["gpus"]
    titles = ["L", "multiply-adds of nets", "this core, ms", *(f"{name}, ms" for name in gpus)]
    rows = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    for extent, row in model["rows"].items():
        cells = [f"{1e3 * row[name]:.3g}" for name in ("this core", *gpus)]
        rows.append(f"| {extent} | {row['net_multiply_adds']:.3g} | {' | '.join(cells)} |")
    text = (
        f"A model, not a measurement: per configuration; on GPUs {model['assumed']['batch']} at once, "
        f"{100 * model['assumed']['share_of_peak']:.0f} % of the peak rates, "
        f"{1e6 * model['assumed']['seconds_per_step']:.0f} µs for each step that waits for the one before"
    )
    sources = "; ".join(f"{name}: {gpu['source']}, {gpu['bytes'] / 1e12:.3g} TB/s" for name, gpu in gpus.items())
    return "\n".join([*rows, "", f"{text}. {sources} ({where(whole)})."])


def free_energy():
    whole = load("free_energy")
    found = whole["result"]
    names = list(next(iter(found.values()))["estimators"])
    rows = ["| L | seconds | " + " | ".join(names) + " |", "|---" * (len(names) + 2) + "|"]
    for size, entry in found.items():
        cells = []
        for name in names:
            of = entry["estimators"][name]
            marks = f", {of['unreliable']} of {entry['repeats']} unreliable" if of["unreliable"] else ""
            cells.append(f"{of['error']:.2g} ({of['rms_pull']:.1f}{marks})")
        rows.append(f"| {size} | {entry['seconds']:.0f} | " + " | ".join(cells) + " |")
    first = next(iter(found.values()))
    text = (
        f"Error of log Z, in brackets the root mean square of (log Z − exact)/error over {first['repeats']} runs with "
        f"{first['n_samples']} samples"
    )
    return "\n".join([*rows, "", f"{text} ({where(whole)})."])


def graph_nets():
    whole = load("graph_nets")
    rows = [
        "| net, 16×16 torus, β_c | parameters | draws per second | n passes / a draw | ess_fraction | KL | training |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, row in whole["result"]["rows"].items():
        trained = row.get("trained", {"ess_fraction": None, "kl": None, "seconds": None})
        seconds = "—" if trained["seconds"] is None else f"{trained['seconds']:.0f} s"
        cells = [str(row["parameters"]), f"{row['draws_per_second']:.0f}", f"{row['passes_over_draw']:.0f}"]
        cells += [spread(trained["ess_fraction"]), spread(trained["kl"]), seconds]
        rows.append(f"| {' | '.join([name, *cells])} |")
    options = whole["options"]
    text = f"After {options['steps']} steps of reverse KL with {options['batch']} draws each; draws on one thread"
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
        *(one_level, line_nets, averages, levels, scaling, scan, knots, cost_per_sample, free_energy, coverage),
        *(optimize, graph_nets, mean_field, baselines, kernels, cores, start, roofline, cost_model),
    )
}


def filled(text):
    """Return a page with every table written anew between its two marks."""
    for name, table in TABLES.items():
        mark = f"<!-- results: {name} -->\n"
        if mark in text:
            pattern = re.compile(rf"({re.escape(mark)}).*?(<!-- end -->)", re.DOTALL)
            text = pattern.sub(lambda match, table=table: f"{match[1]}{written(table)}\n{match[2]}", text)
    return text


def written(table):
    """Return a table, or that its numbers are still to be measured."""
    try:
        return table()
    except FileNotFoundError as error:
        return f"Not measured yet: `python benchmarks/{Path(error.filename).stem}.py` does it."


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
