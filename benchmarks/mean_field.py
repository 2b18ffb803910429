"""How close do networks derived from the Hamiltonian come to the free energy, and to the distribution?

Curie–Weiss of 50, 200 and 800 spins against the sum over magnetisations, Sherrington–Kirkpatrick (SK) of 20 spins
against enumeration; --only sk-50, sk-100, sk-200 against the net of two levels, as in the publication: Biazzo (2023),
arXiv:2302.08347. relative_error is (F_q − F)/|F|, or its distance from F_q of SK_2RSB; log_z is measured by importance
sampling besides. All nets of an instance get the same β and draws per step in one run from the smallest β to the
largest; for 20 spins the same steps, for more spins no more time than SK_1RSB gets (but for the cavity at 50). "-long"
has three times the steps, "-random" starts at random. The Curie–Weiss nets have exact F_q; others are measured from
fresh draws by E_q[w/Z − 1 − ln w/Z] = KL(q‖p). --only tap-20 … tap-200 fits the TAP network to parallel tempering of
the same instances; its relative_error is from log Z, beyond 20 spins that of its own draws. So is that of --only
published-50, published-200: nets at β = 0.5 with the batches and the rate of the publication. Every piece (a net of an
instance) leaves a file in --parts, so that an interrupted run goes on; without --only curie-weiss and sk-20 run, and
are kept in mean_field.json, larger glasses in mean_field_glasses.json, others in mean_field_tap.json and
mean_field_published.json.
"""

import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from record import kept_rows, note, parser, record

from nmcmc.analysis import importance
from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.disorder import sherrington_kirkpatrick
from nmcmc.energies.mean_field import CurieWeissEnergy
from nmcmc.exact.known import exact_values
from nmcmc.random import Rng
from nmcmc.samplers.curie_weiss import ExactCurieWeissSampler, InfiniteCurieWeissSampler, SaddleCurieWeissSampler
from nmcmc.samplers.made import MADESampler, start_at_order
from nmcmc.samplers.partial_fields import OneLayerSampler, OneParameterSampler, start_at_random
from nmcmc.samplers.response import follow_response, start_at_response
from nmcmc.samplers.sk import CavitySampler, ReplicaSampler
from nmcmc.samplers.store import at_beta
from nmcmc.samplers.tap import TAPSampler, fitted
from nmcmc.training.annealing import Annealing, brisk, published, train_along
from nmcmc.training.objectives import reverse_kl
from nmcmc.updates.parallel_tempering import ParallelTempering
from nmcmc.updates.run import run

CURIE_WEISS_BETAS, SK_BETAS = (1.0, 1.1, 1.3, 1.5, 2.0), (0.5, 1.0, 1.5, 2.0)
MADE_LADDERS = {50: (CURIE_WEISS_BETAS,), 200: ((1.0, 1.05, 1.1), (1.3,), (1.5,), (2.0,))}
"""Where training follows β from one to the next. Two phases are hardly apart at β = 1.1; beyond, 200 spins get closer
when they start at two phases anew."""
MADE_PLANS = {
    50: {"steps": 400, "learning_rate": 0.003, "rounds": 2},
    200: {"steps": 250, "learning_rate": 0.005, "rounds": 3},
}
LADDER = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0)
PUBLISHED = {  # 10⁴ (F_q − F)/|F| at CURIE_WEISS_BETAS
    (50, "CW_N"): (0.000, 0.000, 0.001, 0.000, 0.002),
    (50, "CW_inf"): (15.3, 25.3, 15.7, 3.5, 0.12),
    (50, "MADE"): (0.15, 0.33, 1.7, 3.2, 1.8),
    (200, "CW_N"): (0.000, -0.001, 0.003, 0.005, 0.007),
    (200, "CW_inf"): (12.8, 15.7, 1.7, 0.41, 0.05),
    (200, "MADE"): (0.43, 2.0, 2.1, 0.54, 0.03),
    (800, "CW_inf"): (7.0, 3.1, 0.34, 0.08, 0.04),
}
SK_NETS = {
    "one-parameter": OneParameterSampler,
    "one-layer": OneLayerSampler,
    "MADE_23": lambda energy, beta: MADESampler(energy, beta, width=3, depth=2, rng=Rng(1)),
    "SK_RS": partial(ReplicaSampler, levels=0),
    "SK_1RSB": partial(ReplicaSampler, levels=1),
    "SK_2RSB": partial(ReplicaSampler, levels=2),
    "cavity": CavitySampler,
    "TAP": TAPSampler,
}
COMPARISONS = ("SK_RS-random", "SK_1RSB-random", "MADE_23-long")
OTHER_NETS = {"tap": ("TAP",), "published": ("SK_1RSB-published", "SK_2RSB-published")}
"""Nets of groups other than sk."""
SETTLED = 100
"""Steps at the published rate from which on the distance of 200 spins no longer grows."""
GLASS_RATES = {20: 0.01, 50: 0.01, 100: 0.001, 200: 0.0004}
"""The more weights there are, the smaller the rate has to be, since the noise of each moves log q."""
GLASS_STEPS = {20: 100, 50: 1000, 100: 400, 200: 300}
NET_STEPS = {"one-parameter": 0.25, "one-layer": 2, "MADE_23": 1.25, "SK_RS": 1.2, "SK_2RSB": 0.6, "cavity": 0.1}
"""Steps for each one of SK_1RSB: SK_2RSB gets as much time, the other nets at most as much (the cavity at 50 spins)."""
NET_RATES = {"one-parameter": 3, "one-layer": 3, "MADE_23": 2}
"""Rates of nets with fewer weights, for one of SK_1RSB, up to the rate of 20 spins."""
RESPONDING = ("one-layer", "SK_RS", "SK_1RSB", "SK_2RSB")
"""The nets that start at linear response, and follow it from one β to the next."""
TEMPERING = (0.5, 0.6, 0.72, 0.86, 1.0, 1.2, 1.5, 1.73, 2.0)
"""Temperatures that exchange configurations, for TAP to learn from."""
LADDERS, WARMUP, KEPT, THIN = 32, 1000, 192, 8
"""Ladders, and of each the updates before the first, the number kept and the updates between two."""
RECORDS = {
    "mean_field": ("curie-weiss", "sk-20"),
    "mean_field_glasses": ("sk-50", "sk-100", "sk-200"),
    "mean_field_tap": ("tap-20", "tap-50", "tap-100", "tap-200"),
    "mean_field_published": ("published-50", "published-200"),
}
"""The groups of each stored result."""


def measured(sampler, target, n, rng, exact):
    """Return free energy, quality, and the distance from log Z, by default that of the draws, of n draws.

    It is never negative: the mean of w/Z − 1 − ln w/Z, whose slope in log Z is 0: an error of that hardly counts.
    """
    with torch.no_grad():
        draw = sampler.sample(n, rng)
        weights = (target.log_density(draw.spins) - draw.log_prob).numpy()
    ess, log_z = importance.ess_fraction(weights), importance.log_z(weights)
    row = {"log_f": float(weights.mean()), "log_f_error": float(weights.std() / n**0.5), "n_draws": n}
    row |= {"log_z": log_z.value, "log_z_error": log_z.error, "exact_log_z": exact}
    row |= {"ess_fraction": ess.value, "ess_error": ess.error}
    base = log_z.value if exact is None else exact
    off = weights - base
    distance = np.expm1(off) - off
    return row | {"relative_error": float(distance.mean() / base), "error": float(distance.std() / n**0.5 / base)}


def curie_weiss_row(sampler, n, beta, net, args, exact_divergence):
    exact = exact_values(sampler.energy, beta)["log_z"]
    row = measured(sampler, Boltzmann(sampler.energy, beta), args.draws, Rng(args.seed).child(net, n), exact)
    if exact_divergence:
        with torch.no_grad():
            row |= {"log_f": -float(sampler.divergence()), "log_f_error": 0.0, "error": 0.0}
        row["relative_error"] = (exact - row["log_f"]) / exact
    known = PUBLISHED.get((n, net.split(",")[0]))
    row["published"] = None if known is None else 1e-4 * known[CURIE_WEISS_BETAS.index(beta)]
    return {"system": "curie-weiss", "n": n, "beta": beta, "net": net} | row


def exact_net(n, args):
    energy = CurieWeissEnergy(n)
    return [
        curie_weiss_row(ExactCurieWeissSampler(energy, beta), n, beta, "CW_N", args, True) for beta in CURIE_WEISS_BETAS
    ]


def saddle_net(n, kind, name, args):
    """Minimise the exact divergence, a function of N + 1, 2N or 3N parameters, from the physics."""
    rows, most = [], args.iterations * max(1, 400 // n)
    for beta in CURIE_WEISS_BETAS:
        sampler = kind(CurieWeissEnergy(n), beta)
        if name == "CW_inf, one slope":
            sampler.slope = torch.nn.Parameter(sampler.slope.detach()[:1])
        optimizer = torch.optim.LBFGS(sampler.parameters(), max_iter=most, line_search_fn="strong_wolfe")

        def closure(sampler=sampler, optimizer=optimizer):
            optimizer.zero_grad()
            loss = sampler.divergence()
            loss.backward()
            return loss

        optimizer.step(closure)
        rows.append(curie_weiss_row(sampler, n, beta, name, args, True))
    return rows


def made_net(n, args):
    """Train the net of two hidden layers from two phases, with larger batches than those of the glass."""
    rows, objective = [], partial(reverse_kl, batch=1000)
    for ladder in MADE_LADDERS[n]:
        start = MADESampler(CurieWeissEnergy(n), ladder[0], width=4 if n < 100 else 2, depth=2, rng=Rng(args.seed))
        start_at_order(start)
        plan, rng = brisk(ladder, gentle=True, **MADE_PLANS[n]), Rng(args.seed).child(n, str(ladder[0]))
        for sampler in train_along(start, Boltzmann(start.energy, ladder[0]), objective, plan, rng, at_beta):
            if sampler.beta in CURIE_WEISS_BETAS:
                rows.append(curie_weiss_row(sampler, n, sampler.beta, "MADE", args, False))
    return rows


def glass_samplers(energy, net, rng, batch, steps=None):
    """Yield a net trained along β at each β of LADDER; ``steps`` of SK_1RSB, by default those of the size.

    TAP is fitted at each of SK_BETAS instead.
    """
    n, name, at = energy.n_spins, net.split("-long")[0].split("-random")[0], at_beta
    start = SK_NETS[name](energy, LADDER[0])
    target, objective = Boltzmann(energy, LADDER[0]), partial(reverse_kl, batch=batch)
    if name == "TAP":
        configurations = tempered(energy, rng.child("tempering"))
        for beta in SK_BETAS:
            yield fitted(at_beta(start, beta), configurations[beta])
        return
    if net.endswith("-random"):
        start_at_random(start, rng.child("start"))
    elif name in RESPONDING:
        start_at_response(start)
        at = follow_response
    share = 1 if n == 20 else NET_STEPS.get(name, 1)
    steps = (steps or GLASS_STEPS[n]) * share * (3 if net.endswith("-long") else 1)
    rate = min(GLASS_RATES[20], GLASS_RATES[n] * NET_RATES.get(name, 1))
    plan = brisk(LADDER, steps=max(1, round(steps)), learning_rate=rate, gentle=True)
    yield from train_along(start, target, objective, plan, rng.child("steps"), at)


def trained_as_published(energy, net, rng):
    """Return SK_1RSB or SK_2RSB at β = 0.5, trained with batches of 2000 and Adam at a constant 1e-3.

    50 spins: from weights of spread 1/N along β = 0.1, 0.15, …, 0.5, as the publication does. 200 spins, for which that
    takes hours: `SETTLED` steps from linear response, until the noise of that rate is there.
    """
    start, objective = SK_NETS[net](energy, LADDER[0]), partial(reverse_kl, batch=2000)
    whole = published()
    if energy.n_spins <= 50:
        start_at_random(start, rng.child("start"), scale=1 / energy.n_spins)
        plan = Annealing(tuple(beta for beta in whole.betas if beta <= LADDER[0]), whole.first, whole.others)
    else:
        start_at_response(start)
        settling = replace(whole.others, steps=SETTLED)
        plan = Annealing(LADDER[:1], settling, settling)
    *_, sampler = train_along(start, Boltzmann(energy, LADDER[0]), objective, plan, rng.child("steps"), at_beta)
    return sampler


def tempered(energy, rng):
    """Return configurations (LADDERS · KEPT, n_spins) of parallel tempering at every β of `TEMPERING`."""
    update, size = ParallelTempering(energy, TEMPERING, 1), {"n_chains": LADDERS * len(TEMPERING), "thin": THIN}
    chain = run(update, KEPT * THIN, rng, observables={"energy": energy}, warmup=WARMUP, **size)
    rungs = (chain.spins[k :: len(TEMPERING)].reshape(-1, energy.n_spins) for k in range(len(TEMPERING)))
    return dict(zip(TEMPERING, map(torch.from_numpy, rungs), strict=True))


def sk_net(n, instance, net, args):
    """Train one net on one instance along β, and measure it at SK_BETAS."""
    energy, rng, rows = sherrington_kirkpatrick(n, instance), Rng(args.seed).child(net, n, instance), []
    if net.endswith("-published"):
        samplers = [trained_as_published(energy, net.removesuffix("-published"), rng)]
    else:
        samplers = glass_samplers(energy, net, rng, args.batch, args.steps)
    for sampler in samplers:
        if sampler.beta in SK_BETAS:
            target = Boltzmann(energy, sampler.beta)
            exact = exact_values(energy, sampler.beta).get("log_z")
            row = measured(sampler, target, args.draws, rng.child("draws"), exact)
            rows.append({"system": "sk", "n": n, "beta": sampler.beta, "net": net, "instance": instance} | row)
    return rows


def nets_of(n):
    """Return the nets for SK of n spins: comparisons for 20 only, and the cavity, whose draw takes N³, up to 100."""
    nets = tuple(net for net in SK_NETS if net != "TAP" and (n <= 100 or net != "cavity"))
    return (*nets, *COMPARISONS) if n == 20 else nets


def pieces(args):
    """Yield the names of all pieces of work, and what does them."""
    if "curie-weiss" in args.only:
        for n in (50,) if args.quick else (50, 200, 800):
            yield f"curie-weiss-{n}-CW_N", partial(exact_net, n, args)
        for n in () if args.quick else (50, 200, 800):
            for net in ("CW_inf", "CW_inf, one slope"):
                yield f"curie-weiss-{n}-{net}", partial(saddle_net, n, InfiniteCurieWeissSampler, net, args)
            yield f"curie-weiss-{n}-CW_saddle", partial(saddle_net, n, SaddleCurieWeissSampler, "CW_saddle", args)
        for n in () if args.quick else (50, 200):
            yield f"curie-weiss-{n}-MADE", partial(made_net, n, args)
    for group in args.only:
        kind, size = group.split("-")
        if kind in ("sk", "tap", "published"):
            n = int(size)
            nets = OTHER_NETS.get(kind) or (("MADE_23", "SK_1RSB", "cavity") if args.quick else nets_of(n))
            for instance in range(1, (args.instances if n == 20 else args.large_instances) + 1):
                for net in nets:
                    yield f"sk-{n}-{instance}-{net}", partial(sk_net, n, instance, net, args)


def timed_rows(name, work):
    """Return rows with the processor time of them all, and tell what was found."""
    began = time.process_time()
    rows = work()
    seconds = time.process_time() - began
    note(f"{name}: {seconds:.1f} s, ess {', '.join(format(row['ess_fraction'], '.4f') for row in rows)}")
    return [row | {"seconds": seconds} for row in rows]


def rows_of(name, work, args):
    """Return the rows of a piece, kept in a file."""
    settings = {key: getattr(args, key) for key in ("seed", "draws", "iterations")}
    if name.startswith("curie-weiss"):
        settings["plans"] = {str(n): (MADE_LADDERS[n], MADE_PLANS[n]) for n in MADE_PLANS}
    if name.startswith("sk"):
        plans = SETTLED, LADDER, GLASS_RATES, GLASS_STEPS, NET_STEPS, NET_RATES, TEMPERING, LADDERS, WARMUP, KEPT, THIN
        settings |= {"steps": args.steps, "batch": args.batch, "plans": plans}
    return kept_rows(args.parts / f"{name}.json", settings, lambda: timed_rows(name, work), args)


def with_distances(rows):
    """Give rows without exact log Z their distance from SK_2RSB of the same instance, as the publication does.

    TAP, and nets trained as published, keep their distance from log Z.
    """
    reference = {(r["n"], r["beta"], r["instance"]): r["log_f"] for r in rows if r["net"] == "SK_2RSB"}
    for row in rows:
        if row["system"] == "sk" and row["exact_log_z"] is None and row["net"] in SK_NETS and row["net"] != "TAP":
            base = reference.get((row["n"], row["beta"], row["instance"]))
            row["relative_error"] = None if base is None else (base - row["log_f"]) / base
            row["error"] = None if base is None else row["log_f_error"] / base
    return rows


def summary_of(rows):
    """Return means over instances, one entry per system, size, net and β."""
    keys = sorted({(r["system"], r["n"], r["net"], r["beta"]) for r in rows})
    found = []
    for key in keys:
        same = [r for r in rows if (r["system"], r["n"], r["net"], r["beta"]) == key]
        distances = [r["relative_error"] for r in same if r["relative_error"] is not None]
        entry = dict(zip(("system", "n", "net", "beta"), key, strict=True)) | {"instances": len(same)}
        entry["relative_error"] = float(np.mean(distances)) if distances else None
        entry["ess_fraction"] = float(np.mean([r["ess_fraction"] for r in same]))
        entry["least_ess_fraction"] = min(r["ess_fraction"] for r in same)
        entry["seconds"] = float(np.mean([r["seconds"] for r in same]))
        found.append(entry)
    return found


def record_of(options, args):
    """Return the name of the record that holds the groups of --only."""
    for name, groups in RECORDS.items():
        if set(args.only) <= set(groups):
            return name
    kept = "; ".join(f"{' '.join(groups)} in {name}.json" for name, groups in RECORDS.items())
    return options.error(f"--only {' '.join(args.only)}: results are kept apart ({kept}); run them one after the other")


def main():
    options = parser(__doc__)
    groups = [group for together in RECORDS.values() for group in together]
    options.add_argument("--only", nargs="+", choices=groups, default=list(RECORDS["mean_field"]), help="groups to run")
    options.add_argument("--instances", type=int, default=10, help="instances of SK of 20 spins (default 10)")
    options.add_argument("--large-instances", type=int, default=10, help="instances of larger SK (default 10)")
    options.add_argument("--steps", type=int, help="steps of SK_1RSB at each beta (default: by size, 100 to 1000)")
    options.add_argument("--batch", type=int, default=300, help="draws per step (default 300)")
    options.add_argument("--draws", type=int, default=20_000, help="draws for each measurement (default 20000)")
    options.add_argument(
        "--iterations",
        type=int,
        default=100,
        help="iterations for CW_inf and CW_saddle of 800 spins; more for fewer (default 100)",
    )
    options.add_argument("--parts", type=Path, default=Path("mean-field-parts"), help="folder of finished pieces")
    args = options.parse_args()
    name = record_of(options, args)
    if args.quick:
        args.instances, args.large_instances, args.steps, args.draws = 1, 1, 20, 10_000
    torch.set_num_threads(1)
    rows = with_distances([row for name, work in pieces(args) for row in rows_of(name, work, args)])
    del args.parts  # where pieces were kept says nothing about the result
    missing = [group for group in RECORDS[name] if group not in args.only]
    record(name, {"rows": rows, "means": summary_of(rows), "not_run": missing, "threads": 1}, args)


if __name__ == "__main__":
    main()
