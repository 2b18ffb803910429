"""How good is each trained model that nmcmc ships, measured on fresh draws, and what did it cost?

Writes a card NAME.json beside every model file given (all shipped ones if none is), and all cards together into
results/models.json, from which docs/tables.py makes the README's table. What a file does not say of its own training,
the time it took and the cores, is read from NAME.train.json beside it, the output of `nmcmc train --json`, or else
from the card that it has already.
"""

import datetime
import json
from pathlib import Path

from record import machine, note, parser, record

from nmcmc.experiment import summary as numbers
from nmcmc.experiment.build import observables
from nmcmc.experiment.chains import draw_stage
from nmcmc.experiment.options import Options
from nmcmc.random import Rng
from nmcmc.samplers.hierarchical.sampler import HierarchicalSampler
from nmcmc.samplers.pretrained import ENDING, FOLDER, sha256_of
from nmcmc.samplers.store import kind_of, load_sampler
from nmcmc.updates.independence import Independence
from nmcmc.updates.run import run

SMALL_SPINS, DRAWS_SMALL, DRAWS_LARGE = 32**2, 100_000, 20_000
CHAINS, WARMUP = 16, 100
SYSTEM = ("lattice", "boundary", "coupling", "field", "beta")
NOTES = ("seed", "steps", "objective", "grown_from")


def measured(sampler, target, n, seed, name):
    """Return the numbers of n fresh draws and those of a neural chain of about n draws, as dictionaries."""
    rng = Rng(seed).child("models", name)
    draws = draw_stage(sampler, target, n, rng.child("draws"), Options(seed))
    start = sampler.sample(CHAINS, rng.child("start")).spins.numpy()
    chain = run(
        Independence(sampler, target),
        n // CHAINS,
        rng.child("chain"),
        observables=observables(target),
        start=start,
        warmup=WARMUP,
    )
    return numbers.draw_numbers(draws, target), numbers.chain_numbers(chain, target)


def card_of(path, n_draws, seed):
    """Return the card of a model file after measuring it."""
    name = path.name.removesuffix(ENDING)
    sampler, target, notes = load_sampler(path)
    n = n_draws or (DRAWS_SMALL if target.n_spins <= SMALL_SPINS else DRAWS_LARGE)
    note(f"{name}: {n} draws, and a chain of as many")
    drawn, chained = measured(sampler, target, n, seed, name)
    whole = numbers.summarize("card", target)
    return {
        "name": name,
        **{key: whole[key] for key in SYSTEM},
        "sampler": kind_of(sampler),
        "options": sampler.options,
        "command": f"{notes['command']} --out={path.name}" if "command" in notes else None,
        **{key: notes.get(key) for key in NOTES},
        **cost(path, notes),
        "n_draws": n,
        "ess_fraction": pick(drawn["ess_fraction"]),
        "kl": drawn["kl"] and pick(drawn["kl"]),
        "kl_per_level": levels(sampler, target, seed),
        "log_z": {**pick(drawn["log_z"]), "exact": drawn["log_z"]["exact"]},
        "acceptance_rate": pick(chained["acceptance_rate"]),
        "tau_int": {key: tau_of(chained["observables"][key]) for key in ("energy_per_spin", "abs_magnetization")},
        "unreliable": [*numbers.unreliable(drawn), *numbers.unreliable(chained)],
        "parameters": sum(p.numel() for p in sampler.parameters()),
        "bytes": path.stat().st_size,
        "weights_sha256": sha256_of(path),
        "versions": numbers.versions(),
        "machine": {key: value for key, value in machine().items() if key != "load_average"},
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }


def levels(sampler, target, seed):
    """Return the share of every net in KL; null for a sampler without levels."""
    if not isinstance(sampler, HierarchicalSampler):
        return None
    shares = numbers.level_numbers(sampler, target, Rng(seed).child("levels"))
    return {key: pick(entry) for key, entry in shares.items()}


def cost(path, notes):
    """Return the seconds and cores of the training from the first place that knows them; null where none does."""
    trained, old = path.with_name(path.name.removesuffix(ENDING) + ".train.json"), card_file(path)
    if "seconds" in notes:
        return {"seconds": notes["seconds"], "cores": notes.get("cores")}
    if trained.exists():
        summary = json.loads(trained.read_text())
        alone = summary["objective"] == "by-level"  # seconds of work, summed over processes of one thread
        return {"seconds": summary["seconds"]["train"], "cores": 1 if alone else summary["threads"]}
    if old.exists() and (card := json.loads(old.read_text()))["weights_sha256"] == sha256_of(path):
        return {"seconds": card["seconds"], "cores": card["cores"]}
    return {"seconds": None, "cores": None}


def card_file(path):
    return path.with_name(path.name.removesuffix(ENDING) + ".json")


def check(path):
    """Stop if a file is no model by its name, or if its card would replace something else."""
    old = card_file(path)
    if not path.name.endswith(ENDING) or not path.is_file():
        raise SystemExit(f"{path} is not there or does not end in {ENDING}; give model files named NAME{ENDING}")
    if old.exists() and "weights_sha256" not in json.loads(old.read_text()):
        raise SystemExit(f"{old} is no card and would be replaced; name the output of training NAME.train.json")


def pick(entry):
    return {"value": entry["value"], "error": entry["error"]}


def tau_of(entry):
    return {"value": entry["tau_int"], "error": entry["tau_int_error"]}


def main():
    options = parser(__doc__)
    options.add_argument("models", nargs="*", type=Path, help="model files (default: all shipped ones)")
    options.add_argument("--n-draws", type=int, default=0, help="draws (default 100000, above 32x32 spins 20000)")
    args = options.parse_args()
    shipped = sorted(FOLDER.glob(f"*{ENDING}"))
    cards, paths = {}, args.models or shipped
    for path in paths:
        check(path)
    for path in paths:
        card = card_of(path, 2000 if args.quick else args.n_draws, args.seed)
        cards[card["name"]] = card
        if not args.quick:
            card_file(path).write_text(json.dumps(card, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    others = [card_file(path) for path in shipped if path.name.removesuffix(ENDING) not in cards]
    cards |= {card["name"]: card for card in (json.loads(path.read_text()) for path in others if path.exists())}
    args.models = [path.name for path in args.models]
    record("models", dict(sorted(cards.items())), args)


if __name__ == "__main__":
    main()
