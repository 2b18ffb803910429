"""z tests of Markov chains against exact values, with errors that need no autocorrelation time.

Chains run side by side are independent, so the spread of their means is the error of the grand mean, however strongly
successive draws of one chain are correlated.
"""

import math

LIMIT = 5.0
"""Standard errors beyond which a result is taken for wrong."""


def z_score(series, exact):
    """Return (mean − exact)/error of independent chains, series (n_chains, n_draws); needs many chains (≥ 100)."""
    means = series.mean(axis=1)
    error = means.std(ddof=1) / math.sqrt(len(means))
    return float((means.mean() - exact) / error)
