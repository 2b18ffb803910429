"""How estimators, networks for other systems and optimisation do."""

from statistics import fmean

from cells import load, spread, where

from nmcmc.notation import compact

PUBLISHED_GLASS = {  # 10⁴ (F_q − F_2RSB)/|F_2RSB| at β = 0.5, 1, 1.5, 2: I. Biazzo (2023), arXiv:2302.08347
    (50, "SK_RS"): (0.24, 8.7, 15.5, 12.9),
    (50, "SK_1RSB"): (-0.14, 0.55, 0.70, 0.70),
    (50, "one-layer"): (0.11, 8.9, 14.6, 12.6),
    (50, "MADE_23"): (0.08, 5.4, 5.7, 2.1),
    (200, "SK_RS"): (0.30, 15.6, 16.9, 8.3),
    (200, "SK_1RSB"): (-0.42, 0.08, 0.33, 0.20),
    (200, "one-layer"): (0.05, 13.4, 13.0, 6.3),
    (200, "MADE_23"): (0.70, 14.5, 5.9, 0.62),
}
BESIDE = ("cavity", "SK_1RSB", "SK_2RSB", "one-layer")
COVERAGES = ("coverage68", "coverage95")
TAUS, INDEPENDENT = ("tau_energy", "tau_overlap"), "seconds_per_independent_sample"


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


def heavy_tails():
    """Return how often intervals of ess_fraction cover it, for lognormal weights."""
    whole = load("heavy_tails")
    rows = [
        "| σ | ess | 68.27 % covers | 95 % covers | mean over exact | called reliable | of these 95 % covers | "
        "reliable, but off by more than 1.96 errors |",
        "|---" * 8 + "|",
    ]
    for row in whole["result"]["rows"]:
        names = ("coverage68", "coverage95", "reliable", "coverage95_of_reliable", "reliable_and_far")
        shares = ["—" if row[name] is None else f"{100 * row[name]:.0f} %" for name in names]
        cells = [f"{row['sigma']:g}", f"{row['ess_fraction']:.2g}", *shares[:2], f"{row['mean_over_exact']:.2f}"]
        rows.append(f"| {' | '.join([*cells, *shares[2:]])} |")
    text = f"{whole['options']['sets']} sets of {whole['result']['draws']} draws each"
    return "\n".join([*rows, "", f"{text} ({where(whole)})."])


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


def decimation():
    """Return D per original spin of tori after every decimation, and what a state costs."""
    whole = load("decimation")
    rows = ["| L | decimations | spins left | 10⁴ D/N | 10⁴ exact | largest table | ms per state |", "|---" * 7 + "|"]
    for row in whole["result"]["rows"]:
        scale = 1e4 / row["size"] ** 2
        exact = "—" if row["exact"] is None else f"{scale * row['exact']:.3f}"
        divergence = compact(scale * row["divergence"], scale * row["error"]) + (
            "" if row["reliable"] else " UNRELIABLE"
        )
        cells = [row["size"], row["step"], row["n_spins"], divergence, exact, f"2^{row['bits']}"]
        rows.append(f"| {' | '.join(map(str, cells))} | {1e3 * row['seconds']:.2g} |")
    states, (first, second) = whole["options"]["states"], whole["result"]["betas"]
    text = f"Tori at β = {first:.4f} against {second:.4f}, {states} states of each, one thread"
    return "\n".join([*rows, "", f"{text} ({where(whole)})."])


def mutual_information():
    """Return I of two parts of critical tori, by draws and by a chain, with the bounds that it lies between."""
    whole, found = load("mutual_information"), {}
    for row in whole["result"]["rows"]:
        found.setdefault((row["part"], row["method"], row["size"]), []).append(row)
    heads = ("parts", "log Z of a part", "L", "states", "draws", "chain", "bounds, chain", "exact", "seconds")
    rows = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for (part, method, size), entries in found.items():
        cells = {"draws": "—"}
        for row in entries:
            cells[row["source"]] = compact(row["value"], row["error"]) + ("" if row["reliable"] else " UNRELIABLE")
        chain = entries[-1]
        exact = "—" if chain["exact"] is None else f"{chain['exact']:.5f}"
        bounds = "—" if chain["at least"] is None else f"{chain['at least']:.3f} … {chain['at most']:.3f}"
        line = [part, method, size, chain["states"], cells["draws"], cells["chain"], bounds, exact]
        rows.append(f"| {' | '.join(map(str, line))} | {chain['seconds']:.0f} |")
    text = "In nats, at β_c; states of each source, seconds of both together, one thread"
    return "\n".join([*rows, "", f"{text} ({where(whole)})."])


def mean_field():
    """Return errors of the free energy, Curie–Weiss beside the published ones, and SK of 20 spins with ess."""
    whole = load("mean_field")
    means = _means(whole)
    known = {(r["n"], r["net"], r["beta"]): r.get("published") for r in whole["result"]["rows"]}
    betas = sorted({beta for system, *_, beta in means if system == "curie-weiss"})
    rows = [
        f"| Curie–Weiss | {' | '.join(f'β = {beta:g}' for beta in betas)} | seconds |",
        "|---" * (len(betas) + 2) + "|",
    ]
    for n, net in sorted({(n, net) for system, n, net, _ in means if system == "curie-weiss"}):
        cells = []
        for beta in betas:
            error, other = 1e4 * means["curie-weiss", n, net, beta]["relative_error"], known[n, net, beta]
            text = f"{error:.1e}" if abs(error) < 1e-3 else f"{error:.3g}"
            cells.append(text if other is None else f"{text} ({1e4 * other:.3g})")
        rows.append(f"| {n}, {net} | {' | '.join(cells)} | {means['curie-weiss', n, net, betas[0]]['seconds']:.1f} |")
    return "\n".join([*rows, "", *_glass_rows(whole, means), _mean_field_text(whole, means)])


def mean_field_glasses():
    """Return distances of the free energy of SK of more spins from that of SK_2RSB, with ess."""
    whole = load("mean_field_glasses")
    means = _means(whole)
    return "\n".join([*_glass_rows(whole, means), _mean_field_text(whole, means)])


def mean_field_tap():
    """Return distances from log Z of the TAP network, and of the nets of the other records on the same instances."""
    whole, others = load("mean_field_tap"), [load("mean_field"), load("mean_field_glasses")]
    found = whole["result"]["rows"]
    log_z = {_instance(r): r["log_z"] if r["exact_log_z"] is None else r["exact_log_z"] for r in found}
    rows = found + [
        r for other in others for r in other["result"]["rows"] if r["net"] in BESIDE and r["system"] == "sk"
    ]
    betas = sorted({r["beta"] for r in found})
    lines = [f"| SK | {' | '.join(f'β = {beta:g}' for beta in betas)} | seconds |", "|---" * (len(betas) + 2) + "|"]
    for n, net in [(n, net) for n in sorted({r["n"] for r in found}) for net in ("TAP", *BESIDE)]:
        cells, same = [], [r for r in rows if (r["n"], r["net"]) == (n, net)]
        for beta in betas if same else ():
            here = [r for r in same if r["beta"] == beta]
            off = fmean(1 - r["log_f"] / log_z[_instance(r)] for r in here)
            ess = [r["ess_fraction"] for r in here]
            cells.append(f"{1e4 * off:.2g}; {fmean(ess):.3f} ({min(ess):.2g})")
        if same:
            lines.append(f"| {n}, {net} | {' | '.join(cells)} | {fmean(r['seconds'] for r in same):.0f} |")
    text = (
        f"10⁴ (F_q − F)/\\|F\\|, F from log Z (exact for 20 spins, else by importance sampling from TAP), then mean "
        f"(and least) ess_fraction of {max(r['instance'] for r in found)} instances; {found[0]['n_draws']} draws of "
        f"TAP; seconds of one core per instance, over all β, measurements included"
    )
    return "\n".join([*lines, "", f"{text} ({where(whole)}; the other nets as in the tables above)."])


def mean_field_published():
    """Return how far from log Z two nets end that are trained as published, and how far ours are from the second."""
    whole, ours = load("mean_field_published"), load("mean_field_glasses")["result"]["rows"]
    found = {(*_instance(r), r["net"].removesuffix("-published")): r for r in whole["result"]["rows"]}
    heads = (
        "SK, β = 0.5",
        "as published: SK_1RSB",
        "SK_2RSB",
        "difference",
        "publication",
        "ours, from SK_2RSB as published",
    )
    lines = [f"| {' | '.join(heads)} | seconds |", "|---" * (len(heads) + 1) + "|"]
    for n in sorted({n for n, *_ in found}):
        nets = {k: [r for key, r in found.items() if (key[0], key[-1]) == (n, k)] for k in ("SK_1RSB", "SK_2RSB")}
        first, second = (fmean(1e4 * r["relative_error"] for r in nets[k]) for k in nets)
        same = {_instance(r) for r in nets["SK_2RSB"]}
        own = fmean(1e4 * (1 - r["log_f"] / r["log_z"]) for r in ours if _instance(r) in same and r["net"] == "SK_1RSB")
        known = PUBLISHED_GLASS[n, "SK_1RSB"][0]
        cells = f"{first:.2f} | {second:.2f} | {first - second:.2f} | {known:g} | {own - second:.2f}"
        seconds = " + ".join(f"{fmean(r['seconds'] for r in rows):.0f}" for rows in nets.values())
        lines.append(f"| {n} spins | {cells} | {seconds} |")
    text = (
        "10⁴ (F_q − F)/\\|F\\|, F from log Z of the draws of each net; 2000 draws per step, Adam at a constant 0.001, "
        "50 spins: from random weights along β = 0.1 … 0.5, 13 000 steps; 200 spins: 100 steps from linear response; "
        f"ours: SK_1RSB of the tables above; instance {', '.join(sorted({str(key[2]) for key in found}))}; "
        "seconds of one core"
    )
    return "\n".join([*lines, "", f"{text} ({where(whole)})."])


def _instance(row):
    return row["n"], row["beta"], row["instance"]


def _means(whole):
    return {(m["system"], m["n"], m["net"], m["beta"]): m for m in whole["result"]["means"]}


def _mean_field_text(whole, means):
    instances, batch = max(m["instances"] for m in means.values()), whole["options"]["batch"]
    return (
        f"10⁴ (F_q − F)/\\|F\\|, published values in brackets; of SK means over {instances} instances, beyond 20 "
        f"spins from F_q of SK_2RSB, and, after the semicolon, ess_fraction; {batch} draws per step of "
        f"SK; seconds of one core per net and instance, over all β ({where(whole)})."
    )


def _glass_rows(whole, means):
    """Return the tables of SK, one of each size: distances, published ones in brackets, and ess_fraction."""
    for n in sorted({n for system, n, *_ in means if system == "sk"}):
        yield from _glass_rows_of(n, whole["result"]["rows"], means)
        yield ""


def _glass_rows_of(n, rows, means):
    """Return the table of SK of n spins: distances, published ones in brackets, and ess_fraction."""
    betas = sorted({beta for system, size, _, beta in means if (system, size) == ("sk", n)})
    yield f"| SK, {n} spins | {' | '.join(f'β = {beta:g}' for beta in betas)} | seconds |"
    yield "|---" * (len(betas) + 2) + "|"
    for net in dict.fromkeys(r["net"] for r in rows if (r["system"], r["n"]) == ("sk", n)):
        found, known = [means["sk", n, net, beta] for beta in betas], PUBLISHED_GLASS.get((n, net))
        cells = []
        for k, m in enumerate(found):
            other = f" ({known[k]:g})" if known else ""
            cells.append(f"{1e4 * m['relative_error']:.2g}{other}; {m['ess_fraction']:.3f}")
        yield f"| {net} | {' | '.join(cells)} | {found[0]['seconds']:.1f} |"


def glass_chain():
    """Return acceptance, ess_fraction, τ_int and cost of all methods, one row for each at each β."""
    whole = load("glass_chain")
    found, rows = whole["result"]["rows"], ["| β | method | acceptance | ess_fraction | τ_int of H | τ_int of q² |"]
    rows = [f"{rows[0]} ms per update | ms per independent state | training | reliable |", "|---" * 10 + "|"]
    for beta, method, net in sorted({(r["beta"], r["method"], r["net"] or "") for r in found}, key=_by_method):
        same = [r for r in found if (r["beta"], r["method"], r["net"] or "") == (beta, method, net)]
        mark = " *" if any(r["ess_why"] for r in same) else ""
        cells = [f"{beta:g}", f"{net}: {method}" if net else method, _range(r["acceptance"] for r in same)]
        cells += [_range(r["ess_fraction"] for r in same) + mark, *(_range(r[k] for r in same) for k in TAUS)]
        good = [r for r in same if r["reliable"]]
        cells += [_range(1e3 * r["seconds_per_update"] for r in same), _range(1e3 * r[INDEPENDENT] for r in good)]
        cells += [f"{max(r['training_seconds'] for r in same):.0f} s", f"{len(good)} of {len(same)}"]
        rows.append(f"| {' | '.join(cells)} |")
    options = whole["options"]
    text = (
        f"SK of {options['n_spins']} spins, least … largest of instances {', '.join(map(str, options['instances']))}; "
        f"training as in the table above, up to this β; an update of Metropolis is {options['sweeps']} sweeps, after a "
        f"neural one {options['mixed_sweeps']}, before an exchange {options['exchange_sweeps']}; one thread"
    )
    return "\n".join([*rows, "", f"{text} ({where(whole)})."])


def _by_method(key):
    beta, method, net = key
    return beta, net != "", net, method


def _range(values):
    """Return least … largest of numbers, "—" if there are none."""
    known = [value for value in values if value is not None]
    ends = dict.fromkeys(f"{end(known):.2g}" for end in (min, max)) if known else ["—"]
    return " … ".join(ends)


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
