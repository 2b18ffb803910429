"""Draw the figures of results, each from results/NAME.json and `BESIDE`, and store it beside its numbers as NAME.png.

A benchmark's figure is drawn when its result is recorded. `python benchmarks/figures.py` draws all of them anew,
`--check` only says whether each is made from the numbers beside it: a figure carries their digest.
"""

import argparse
import hashlib
import json
import math
from pathlib import Path

RESULTS = Path(__file__).resolve().parent / "results"
PUBLISHED = RESULTS.parent / "published.json"
BESIDE = {"models": PUBLISHED, "mean_field_tap": RESULTS / "mean_field_glasses.json"}
"""Other numbers that a figure shows."""
DIGEST = "Source"
"""The entry of a PNG file's text, of those that the format names, that holds the digest of the numbers."""


def panels(n, width=4.5, height=3.6):
    """Return a figure and its n axes side by side."""
    from matplotlib.figure import Figure  # here, so that benchmarks do not measure it

    figure = Figure(figsize=(n * width, height), layout="constrained")
    return figure, figure.subplots(1, n)


def mark_extents(axes, extents):
    """Put a tick for every L on a logarithmic axis, and no others."""
    axes.set_xticks(sorted(extents), [str(extent) for extent in sorted(extents)])
    axes.tick_params(axis="x", which="minor", bottom=False, labelbottom=False)
    axes.set_xlabel("L")


def baselines(result):
    """Draw the time per flip, spin or flipped spin of every program, ours in another colour."""
    titles = {
        "metropolis": "Metropolis, per attempted flip",
        "swendsen_wang": "Swendsen–Wang, per spin",
        "wolff": "Wolff, per flipped spin",
    }
    others = ("mcising", "peapods", "plain loop")
    figure, axes = panels(3, width=4.2, height=2.8)
    for job, one in zip(titles, axes, strict=True):
        times = {name.replace(", ", ",\n"): row["ns"] for name, row in result[job].items()}
        bars = one.barh(list(times), list(times.values()), color=["C7" if name in others else "C0" for name in times])
        one.bar_label(bars, fmt="{:.3g}", padding=3, fontsize=7)
        one.set(title=titles[job], xlabel="ns, one thread")
        one.set_xscale("log" if job == "metropolis" else "linear")
        one.margins(x=0.2)
        one.invert_yaxis()
    return figure


def cores(result):
    """Draw how much faster several threads are."""
    found = {name: row["ratio"] for name, row in result.items() if isinstance(row, dict)}
    figure, axes = panels(1, height=2.2)
    axes.bar_label(axes.barh(list(found), list(found.values())), fmt="{:.2f}", label_type="center", color="w")
    axes.axvline(result["threads"], color="k", linestyle=":")
    axes.set(xlabel=f"speed-up by {result['threads']} threads", xlim=(0, 1.1 * result["threads"]))
    axes.invert_yaxis()
    return figure


def cost_per_sample(result):
    """Draw the cost of an effective sample per spin against L, and neural over Wolff with the training of the model."""
    figure, (left, right) = panels(2)
    rows = {int(row["lattice"].split("x")[0]): row for row in result["rows"]}
    for kind, label, marker in (("neural", "neural chain", "o"), ("wolff", "Wolff", "s")):
        cost = [1e9 * row["seconds_per_effective_sample"][kind] / extent**2 for extent, row in rows.items()]
        tau = [max(row["tau_int"][kind].values(), key=lambda t: t["value"]) for row in rows.values()]
        error = [c * t["error"] / t["value"] for c, t in zip(cost, tau, strict=True)]
        left.errorbar(list(rows), cost, error, marker=marker, capsize=2, label=label)
    counts = [10.0 ** (power / 4) for power in range(24, 45)]
    for extent, row in rows.items():
        cost, trained = row["seconds_per_effective_sample"], row["training_seconds_of_one_core"]
        ratio = [(trained / n + cost["neural"]) / cost["wolff"] for n in counts]
        right.loglog(counts, ratio, label=f"{extent}×{extent}")
    right.axhline(1, color="k", linestyle=":")
    left.set(xscale="log", ylabel="ns per effective sample and spin, one core", ylim=(0, None))
    right.set(xlabel="effective samples", ylabel="neural / Wolff, training included")
    mark_extents(left, rows)
    left.legend(fontsize=8)
    right.legend(fontsize=8)
    return figure


def hopfield(result):
    """Draw the overlap with the stored pattern against the load."""
    figure, axes = panels(1, width=6, height=4)
    for beta in dict.fromkeys(row["beta"] for row in result["rows"]):
        same = [row for row in result["rows"] if row["beta"] == beta]
        x, y, error = ([row[name] for row in same] for name in ("load", "overlap", "error"))
        axes.errorbar(x, y, error, marker="o", capsize=2, label=f"T = {1 / beta:g}")
    axes.axvline(result["critical_load"], color="grey", linestyle=":", label="α_c at T = 0, N → ∞")
    axes.set(xlabel="load α = P/N", ylabel="overlap with the stored pattern")
    axes.legend()
    return figure


def mean_field(result):
    """Draw errors of the free energy against β: Curie–Weiss beside published ones, and SK of 20 spins."""
    means, rows = result["means"], result["rows"]
    figure, axes = panels(3)
    for one, (system, n) in zip(axes, (("curie-weiss", 50), ("curie-weiss", 200), ("sk", 20)), strict=True):
        here = [m for m in means if (m["system"], m["n"]) == (system, n) and m["net"] != "CW_N"]
        for k, net in enumerate(dict.fromkeys(m["net"] for m in here)):
            same = [m for m in here if m["net"] == net]
            one.semilogy([m["beta"] for m in same], [m["relative_error"] for m in same], f"C{k}o-", label=net)
            known = [r for r in rows if (r["system"], r["n"], r["net"]) == (system, n, net) and r.get("published")]
            one.semilogy([r["beta"] for r in known], [r["published"] for r in known], f"C{k}x:")
        one.set(title=f"{system}, {n} spins", xlabel="β")
        one.legend(fontsize=6, loc="center left", bbox_to_anchor=(1, 0.5))
    axes[0].set(ylabel="(F_q − F)/|F|; dotted: published")
    return figure


def mean_field_tap(result):
    """Draw distances of F_q from log Z against β: the TAP network and the published nets on the same glasses."""
    own = result["rows"]
    others = json.loads(BESIDE["mean_field_tap"].read_text())["result"]["rows"]
    log_z = {(r["n"], r["beta"], r["instance"]): r["log_z"] for r in own}
    sizes, betas = (50, 100, 200), sorted({r["beta"] for r in own})
    figure, axes = panels(len(sizes))
    for one, n in zip(axes, sizes, strict=True):
        for net in ("one-layer", "MADE_23", "SK_1RSB", "SK_2RSB", "cavity", "TAP"):
            same = [r for r in own + others if (r["n"], r["net"]) == (n, net)]
            points = []
            for beta in betas if same else ():
                off = [1 - r["log_f"] / log_z[n, beta, r["instance"]] for r in same if r["beta"] == beta]
                points.append((beta, sum(off) / len(off)))
            seen = [point for point in points if point[1] > 0]  # the others are 0 within their noise
            if seen:
                one.semilogy(*zip(*seen, strict=True), "ko-" if net == "TAP" else "o-", label=net)
        one.set(title=f"SK, {n} spins", xlabel="β")
    axes[0].set(ylabel="(F_q − F)/|F|, F from log Z")
    axes[-1].legend(fontsize=7)
    return figure


def models(result):
    """Draw ess_fraction and τ_int of E of the shipped models against L, beside what others published."""
    curves = {"nmcmc, β_c": [], "nmcmc, β = 0.44": []}
    for card in sorted(result.values(), key=lambda card: card["parameters"]):
        tau = card["tau_int"]["energy_per_spin"]["value"]
        entry = (int(card["lattice"].split("x")[0]), card["ess_fraction"]["value"], tau)
        curves["nmcmc, β = 0.44" if card["beta"] == 0.44 else "nmcmc, β_c"].append(entry)
    published = json.loads(PUBLISHED.read_text())
    for name in ("HAN", "RiGCS"):
        entries = {int(extent): entry for extent, entry in published[name].items() if extent.isdigit()}
        curves[f"{name}, β = 0.44"] = [(e, entry["ess"], entry.get("tau", [None])[0]) for e, entry in entries.items()]
    figure, (left, right) = panels(2)
    for (name, rows), marker in zip(curves.items(), "os^v", strict=True):
        if rows:
            extents, ess, tau = zip(*rows, strict=True)
            left.semilogx(extents, ess, marker=marker, label=name)
            right.loglog(extents, [math.nan if t is None else t for t in tau], marker=marker, label=name)
    for axes in (left, right):
        mark_extents(axes, {row[0] for rows in curves.values() for row in rows})
    left.set(ylabel="ess_fraction", ylim=(0, 1.03))
    right.set(ylabel="τ_int of E, in updates of the neural chain")
    left.legend(fontsize=8)
    return figure


def roofline(result):
    """Draw the parts of a 128×128 draw beside the floor, and the model of larger lattices and GPUs against L."""
    figure, (left, right) = panels(2)
    spent = {name: 1e6 * t["median"] for name, t in result["seconds"].items()}
    nets = [name for name in spent if name.startswith("net ")]
    parts = {name.rsplit("_", 1)[0]: spent[name] for name in ("uniforms", *nets, "leaves", "energies")}
    left.barh(list(parts), list(parts.values()))
    left.axvline(1e6 * result["floor_seconds"], color="k", linestyle=":", label="floor of the whole draw")
    left.axvline(spent["draw"], color="k", label="the whole draw")
    left.set(xlabel="µs per configuration, 128×128")
    left.invert_yaxis()
    left.legend(fontsize=7)
    rows = result["model"]["rows"]
    for name in ("this core", *result["model"]["assumed"]["gpus"]):
        right.loglog([int(e) for e in rows], [row[name] for row in rows.values()], marker="o", label=name)
    mark_extents(right, [int(e) for e in rows])
    right.set(ylabel="seconds per configuration (a model)")
    right.legend(fontsize=7)
    return figure


def scaling(result):
    """Draw seconds per configuration and per step, and peak memory, against L."""
    figure, (left, right) = panels(2)
    for kind, marker in (("hierarchical", "o"), ("dense", "s")):
        lattices = result[kind]["lattices"]
        extents = [int(extent) for extent in lattices]
        for name in next(iter(lattices.values()))["seconds"]:
            values = [entry["seconds"][name] for entry in lattices.values()]
            left.loglog(extents, values, marker=marker, label=f"{kind}: {name.replace('_', ' ')}")
        peaks = [max(entry["peak_bytes"].values()) / 1e9 for entry in lattices.values()]
        right.loglog(extents, peaks, marker=marker, label=kind)
    for axes in (left, right):
        mark_extents(axes, [int(extent) for extent in result["hierarchical"]["lattices"]])
    left.set(ylabel="seconds (per configuration or step)")
    right.set(ylabel="peak memory / GB")
    left.legend(fontsize=7)
    right.legend(fontsize=7)
    return figure


DRAWN = (baselines, cores, cost_per_sample, hopfield, mean_field, mean_field_tap, models, roofline, scaling)
FIGURES = {each.__name__: each for each in DRAWN}


def digest(name):
    """Return the digest of the numbers that a figure is made from."""
    sources = [RESULTS / f"{name}.json", *([BESIDE[name]] if name in BESIDE else [])]
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()


def draw(name):
    """Draw a result's figure from its stored numbers and store it beside them."""
    figure = FIGURES[name](json.loads((RESULTS / f"{name}.json").read_text())["result"])
    figure.savefig(RESULTS / f"{name}.png", dpi=130, metadata={DIGEST: digest(name)})


def is_current(name):
    """Return whether a figure is made from the numbers beside it."""
    from PIL import Image

    path = RESULTS / f"{name}.png"
    if not path.exists():
        return False
    with Image.open(path) as image:
        return image.info.get(DIGEST) == digest(name)


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(FIGURES)} (default: all)")
    options.add_argument("--check", action="store_true", help="change nothing; exit 1 if a figure is out of date")
    args = options.parse_args()
    if unknown := set(args.names) - set(FIGURES):
        options.error(f"no figure {', '.join(sorted(unknown))}; choose from {', '.join(FIGURES)}")
    for name in args.names or FIGURES:
        if args.check and not is_current(name):
            raise SystemExit(f"{name}.png is out of date: run python benchmarks/figures.py")
        if not args.check:
            draw(name)


if __name__ == "__main__":
    main()
