"""What does it gain, and what does it cost, to average a model over translations of its lattice?

For every model (shipped names or files) and K = 1, 2, 4, 8: ess_fraction, KL and log Z of fresh draws, τ_int of the
neural chain for E and |m|, and the seconds of a draw, the best of several rounds that alternate between all K.
"""

import time
from pathlib import Path

import torch
from models import CHAINS, measured, pick, tau_of
from record import note, parser, record

from nmcmc.random import Rng
from nmcmc.samplers.pretrained import model_file
from nmcmc.samplers.store import load_sampler
from nmcmc.samplers.symmetrized import SymmetrizedSampler, translations

MODELS = ("ising2d-32-critical", "ising2d-64-critical", "ising2d-128-critical")
NUMBERS, DRAWS, ROUNDS, ROUND_SPINS = (1, 2, 4, 8), 20_000, 5, 2**22


def seconds_per_draw(samplers, rounds, seed):
    """Return the least seconds of one draw, log q included, of every sampler."""
    best = dict.fromkeys(samplers, float("inf"))
    for number in range(rounds):
        for k, sampler in samplers.items():
            n = max(64, ROUND_SPINS // sampler.n_spins // k)
            begin = time.perf_counter()
            sampler.sample(n, Rng(seed).child("time", number))
            best[k] = min(best[k], (time.perf_counter() - begin) / n)
    return best


def rows_of(model, args):
    """Return the rows of one model."""
    sampler, target, _ = load_sampler(model_file(model))
    n = 1000 if args.quick else DRAWS
    averages = {k: SymmetrizedSampler(sampler, translations(target.energy, k)) if k > 1 else sampler for k in NUMBERS}
    spent = seconds_per_draw(averages, 1 if args.quick else ROUNDS, args.seed)
    rows = []
    for k, average in averages.items():
        drawn, chained = measured(average, target, n, args.seed, f"{Path(model).name} {k}")
        rows.append(
            {
                "model": Path(model).name.removesuffix(".safetensors"),
                "translations": k,
                "n_draws": n,
                "ess_fraction": pick(drawn["ess_fraction"]),
                "kl": pick(drawn["kl"]),
                "log_z": {**pick(drawn["log_z"]), "exact": drawn["log_z"]["exact"]},
                "acceptance_rate": pick(chained["acceptance_rate"]),
                "tau_int": {o: tau_of(chained["observables"][o]) for o in ("energy_per_spin", "abs_magnetization")},
                "seconds_per_draw": spent[k],
            }
        )
        note(f"{rows[-1]['model']}, {k}: ess {rows[-1]['ess_fraction']['value']:.4f}, {1e3 * spent[k]:.3g} ms a draw")
    return rows


def main():
    options = parser(__doc__)
    options.add_argument("models", nargs="*", default=list(MODELS), help="files or names (default: critical ones)")
    args = options.parse_args()
    torch.set_num_threads(1)
    models = MODELS[:1] if args.quick else args.models
    rows = [row for model in models for row in rows_of(model, args)]
    args.models = [Path(model).name for model in args.models]
    record("translations", {"chains": CHAINS, "rows": rows}, args)


if __name__ == "__main__":
    main()
