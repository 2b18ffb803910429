"""Two sets of estimates side by side, with each other and with exact values, in units of their errors."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from nmcmc.types import Estimate


@dataclass(frozen=True)
class Row:
    """One quantity in two simulations; what is unknown is None.

    ``deviation`` is (a − b)/√(error_a² + error_b²); ``deviation_a`` and ``deviation_b`` are from the exact value.
    """

    name: str
    a: Estimate | None
    b: Estimate | None
    exact: float | None = None
    deviation: float | None = None
    deviation_a: float | None = None
    deviation_b: float | None = None


def compare(
    a: Mapping[str, Estimate], b: Mapping[str, Estimate], exact: Mapping[str, float] | None = None
) -> list[Row]:
    """Return one row per name in a or b, in that order; ``exact`` may know some of the names."""
    exact = {} if exact is None else exact
    rows = []
    for name in dict.fromkeys([*a, *b]):
        left, right, truth = a.get(name), b.get(name), exact.get(name)
        between = None if left is None or right is None else _difference(left, right)
        rows.append(Row(name, left, right, truth, between, _from_exact(left, truth), _from_exact(right, truth)))
    return rows


def worst(rows: Iterable[Row]) -> float:
    """Return the largest absolute deviation in the rows, in σ; 0 if there is nothing to compare."""
    deviations = [d for row in rows for d in (row.deviation, row.deviation_a, row.deviation_b) if d is not None]
    return max((abs(d) for d in deviations), default=0.0)


def to_json(estimate: Estimate) -> dict[str, float | bool | str | None]:
    """Return {value, error, error_error, tau_int, tau_int_error, reliable, why}; a number not finite is None."""
    names = ("value", "error", "error_error", "tau_int", "tau_int_error")
    numbers = {name: _finite(getattr(estimate, name)) for name in names}
    return {**numbers, "reliable": estimate.reliable, "why": estimate.why}


def _difference(a: Estimate, b: Estimate) -> float | None:
    return _from_exact(Estimate(a.value, math.hypot(a.error, b.error)), b.value)


def _from_exact(estimate: Estimate | None, exact: float | None) -> float | None:
    if estimate is None or exact is None:
        return None
    known = math.isfinite(estimate.value) and math.isfinite(estimate.error) and math.isfinite(exact)
    return estimate.deviation(exact) if known else None


def _finite(number: float) -> float | None:
    return float(number) if math.isfinite(number) else None
