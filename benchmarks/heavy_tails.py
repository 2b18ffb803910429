"""When can an ess_fraction be believed? Coverage of its intervals for weights of known, ever heavier tails.

Lognormal weights exp(σz), z normal, whose ess_fraction is exactly exp(−σ²). For every σ: how often the 68.27 % and 95 %
intervals cover it, the mean of the estimates over it, how many sets are called reliable, how often the 95 % interval
of those covers, and how many of all sets are called reliable and miss by more than 1.96 errors.
"""

import math

import numpy as np
from record import note, parser, record

from nmcmc.analysis.importance import ess_fraction
from nmcmc.analysis.intervals import interval

SIGMAS, DRAWS = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0), 10_000


def row_of(sigma, sets, rng):
    """Return the row of one σ."""
    exact = math.exp(-(sigma**2))
    found = [ess_fraction(sigma * rng.standard_normal(DRAWS)) for _ in range(sets)]
    reliable = np.array([estimate.reliable for estimate in found])
    covered = {}
    for name, level in (("coverage68", 0.6827), ("coverage95", 0.95)):
        ends = np.array([interval(estimate, level) for estimate in found])
        covered[name] = (ends[:, 0] <= exact) & (exact <= ends[:, 1])
    far = np.array([abs(estimate.deviation(exact)) > 1.96 for estimate in found])
    return {
        "sigma": sigma,
        "ess_fraction": exact,
        **{name: float(hits.mean()) for name, hits in covered.items()},
        "mean_over_exact": float(np.mean([estimate.value for estimate in found]) / exact),
        "reliable": float(reliable.mean()),
        "coverage95_of_reliable": float(covered["coverage95"][reliable].mean()) if reliable.any() else None,
        "reliable_and_far": float((reliable & far).mean()),
    }


def main():
    options = parser(__doc__)
    options.add_argument("--sets", type=int, default=500)
    args = options.parse_args()
    if args.quick:
        args.sets = 50
    rows = []
    for sigma in SIGMAS:
        rows.append(row_of(sigma, args.sets, np.random.default_rng([args.seed, round(100 * sigma)])))
        note(f"sigma {sigma}: {rows[-1]}")
    record("heavy_tails", {"draws": DRAWS, "rows": rows}, args)


if __name__ == "__main__":
    main()
