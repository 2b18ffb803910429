"""Checks of a self-test: a number, what it must be, and how far apart the two may lie."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from nmcmc.types import Estimate, Floats, Ints

SIGMA = 5.0
"""Standard errors beyond which a statistical check has failed: by chance once in two million."""


@dataclass(frozen=True)
class Check:
    """A number held against what it must be.

    Attributes
    ----------
    name : what is checked, as GROUP: WHAT.
    value, expected : the number and the exact answer.
    deviation : their distance, in standard errors if ``statistical``, else as it is.
    limit : the largest distance that passes.
    statistical : whether the number has a statistical error.
    why : what went wrong, if the check could not be made at all.
    """

    name: str
    value: float
    expected: float
    deviation: float
    limit: float
    statistical: bool
    why: str = ""

    @property
    def passed(self) -> bool:
        """Whether the distance is within the limit; NaN never is."""
        return abs(self.deviation) <= self.limit

    def to_json(self) -> dict[str, Any]:
        """Return the check as JSON values; a number that is not finite is None."""
        numbers = {name: getattr(self, name) for name in ("value", "expected", "deviation", "limit")}
        kept = {name: float(number) if math.isfinite(number) else None for name, number in numbers.items()}
        return {**kept, "statistical": self.statistical, "passed": self.passed, "why": self.why}


Checks = Iterator[Check]


def exact(name: str, value: float, expected: float, tolerance: float) -> Check:
    """Return the check of a number without statistical error, |value − expected| ≤ tolerance."""
    return Check(name, float(value), float(expected), float(value) - float(expected), tolerance, False)


def statistical(name: str, estimate: Estimate, expected: float) -> Check:
    """Return the check of an estimate, |value − expected| ≤ 5 errors."""
    return Check(name, estimate.value, expected, estimate.deviation(expected), SIGMA, True)


def of_chains(name: str, series: Floats, expected: float) -> Check:
    """Return the check of a mean over independent chains (n_chains ≥ 100, n_draws).

    Its error is the spread between chains, which needs no autocorrelation time.
    """
    means = series.mean(axis=1)
    error = float(means.std(ddof=1)) / math.sqrt(len(means))
    return statistical(name, Estimate(float(means.mean()), error), expected)


def frequencies(name: str, counts: Ints, probabilities: Floats) -> Check:
    """Return the check of χ²/k of counts against probabilities, k degrees of freedom, expected 1.

    The deviation is the normal deviate z = ((χ²/k)^⅓ − 1 + 2/(9k))/√(2/(9k)) (Wilson and Hilferty 1931). Cells in which
    fewer than ten counts are expected are taken together.
    """
    expected = probabilities * counts.sum()
    small = expected < 10
    cells = [(counts[~small], expected[~small])]
    if small.any():
        cells.append((counts[small].sum(keepdims=True), expected[small].sum(keepdims=True)))
    chi_square = sum(float(np.sum((seen - mean) ** 2 / np.maximum(mean, 1e-300))) for seen, mean in cells)
    k = sum(len(seen) for seen, _ in cells) - 1
    z = ((chi_square / k) ** (1 / 3) - 1 + 2 / (9 * k)) / math.sqrt(2 / (9 * k))
    return Check(name, chi_square / k, 1.0, z, SIGMA, True)


def calibration(name: str, pulls: Floats) -> Check:
    """Return the check that pulls (value − exact)/error (n,) have mean square 1, within 5 √(2/n)."""
    square = float(np.mean(np.square(pulls)))
    return statistical(name, Estimate(square, math.sqrt(2 / len(pulls))), 1.0)


def guarded(group: str, checks: Callable[[], Checks]) -> Checks:
    """Yield a group's checks; one that raises ends the group with a failed check that says why."""
    try:
        for check in checks():
            yield Check(**{**check.__dict__, "name": f"{group}: {check.name}"})
    except (ArithmeticError, ValueError, RuntimeError, OSError) as error:
        why = f"{type(error).__name__}: {error}"
        yield Check(f"{group}: stopped by an error", math.nan, math.nan, math.nan, 0.0, False, why)
