"""What everything costs."""

from cells import load, where

from nmcmc.notation import compact


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


def cost_per_sample():
    whole = load("cost_per_sample")
    titles = [
        *("lattice, β_c", "draws per second", "2 τ_int neural", "2 τ_int Wolff"),
        *("neural / Wolff, per effective sample", "training, s", "paid for after effective samples"),
    ]
    rows = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    for row in whole["result"]["rows"]:
        taus = [max(row["tau_int"][kind].values(), key=lambda tau: tau["value"]) for kind in ("neural", "wolff")]
        even = row["effective_samples_to_break_even"]
        cells = [
            row["lattice"],
            f"{row['draws_per_second']:.0f}",
            *(compact(2 * tau["value"], 2 * tau["error"]) for tau in taus),
            compact(row["ratio_neural_over_wolff"], row["ratio_error"]),
            f"{row['training_seconds_of_one_core']:.0f}",
            "never" if even is None else f"{even:.1e}",
        ]
        rows.append(f"| {' | '.join(cells)} |")
    text = (
        "Seconds per update times 2 τ_int, the worse of E and m², one thread. Training, of one core and with that of "
        "the models that it took nets from, counts in the last column only"
    )
    return "\n".join([*rows, "", f"{text} ({where(whole)})."])


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
    rows = [
        f"| | ms, one thread | ms, {threads} threads | speed-up | of the fastest rounds |",
        "|---|---|---|---|---|",
    ]
    for name, row in found.items():
        times = f"{1e3 * row['seconds_one_thread']:.1f} | {1e3 * row['seconds']:.1f}"
        rows.append(f"| {name} | {times} | {row['ratio']:.2f} | {row['ratio_of_fastest']:.2f} |")
    text = f"On the clock, rounds alternating; {whole['options']['batch']} draws, and as many steps of the neural chain"
    return "\n".join([*rows, "", f"{text} ({where(whole)})."])


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
    adds = found["multiply_adds"]
    counts = adds["by_net"] | {"all nets": adds["nets"], "leaves": adds["leaves"]}
    products = {name: rate for name, rate in found["rates"].items() if name.startswith("square product")}
    spent = {name.removeprefix("net "): t["median"] for name, t in found["seconds"].items()}
    spent["all nets"] = sum(spent[name] for name in adds["by_net"])
    names = ("uniforms", *adds["by_net"], "all nets", "leaves", "energies", "draw", "chain", "leaves, log Z alone")
    rows = ["| part | µs | of the draw | multiply-adds | of the product rate |", "|---|---|---|---|---|"]
    for name in names:
        n, t = counts.get(name), spent[name]
        label = f"net {name.rsplit('_', 1)[0]}" if name in adds["by_net"] else name
        work = f"{n:.3g} | {100 * n / t / max(products.values()):.0f} %" if n else "— | —"
        rows.append(f"| {label} | {1e6 * t:.2f} | {100 * t / spent['draw']:.0f} % | {work} |")
    rates = {"all nets": adds["nets"] / spent["all nets"], **products}
    rates["a loop in registers"] = found["rates"]["multiply-adds in registers"]
    listed = ", ".join(f"{name} {rate / 1e9:.0f}" for name, rate in rates.items())
    text = (
        f"Per configuration, one thread, medians. 10⁹ multiply-adds per second: {listed}. Floor: "
        f"{1e6 * found['floor_seconds']:.0f} µs, all multiply-adds at the rate of the fastest product and "
        f"{found['bytes'] / 1e3:.0f} kB at {found['rates']['memory'] / 1e9:.0f} GB/s; a draw takes "
        f"{found['draw_over_floor']:.2f} times as long"
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
