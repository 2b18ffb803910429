"""Numbers with errors that remember where the errors come from, so that sums of correlated ones are right."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from nmcmc.analysis import reliability
from nmcmc.analysis.autocorrelation import checked_series, estimate_mean, linearise
from nmcmc.analysis.intervals import error_of_mean
from nmcmc.types import Estimate, Floats


@dataclass(frozen=True)
class Quantity:
    """A value and its linearised fluctuation in every independent source of noise: x − ⟨x⟩ ≈ Σ_sources mean(influence).

    Two quantities of one chain have the same source, and their fluctuations add draw by draw before the error is
    taken: β⟨H⟩ + log Z has the error of the sum, not that of two strangers.

    Attributes
    ----------
    value : the value.
    influences : source → fluctuation of every draw, mean 0: (n,) for independent draws, (n_chains, n_draws) for a
        chain, whose error is that of the Γ-method.
    systematic : a further error that is not statistical (rounding, quadrature); those of a sum add up.
    reasons : why the value or its error must not be believed.
    moves : source → series (n_chains, n_draws) that change whenever the chain's state does; see `moving`.

    Examples
    --------
    >>> draws = np.random.default_rng(1).standard_normal(1000)
    >>> x = mean_of(draws, "draws")
    >>> (x - x).estimate().error, round((x + x).estimate().error / x.estimate().error)
    (0.0, 2)
    """

    value: float
    influences: Mapping[str, Floats] = field(default_factory=dict)
    systematic: float = 0.0
    reasons: tuple[str, ...] = ()
    moves: Mapping[str, Floats] = field(default_factory=dict)

    def moving(self, moves: Mapping[str, Floats]) -> Quantity:
        """Return the quantity with series that tell whether the chains of its sources move.

        An energy that stays while spins move, in one of two ground states, is no sign of a chain that is stuck.
        """
        return replace(self, moves={**self.moves, **moves})

    def __add__(self, other: Quantity | float) -> Quantity:
        if not isinstance(other, Quantity):
            return replace(self, value=self.value + other)
        influences = dict(self.influences)
        for source, influence in other.influences.items():
            if source in influences and influences[source].shape != influence.shape:
                raise ValueError(
                    f"two quantities have draws of shape {influences[source].shape} and {influence.shape} from one "
                    f"source {source!r}; give different sources different names"
                )
            influences[source] = influences[source] + influence if source in influences else influence
        reasons = tuple(dict.fromkeys(self.reasons + other.reasons))
        systematic, moves = self.systematic + other.systematic, {**self.moves, **other.moves}
        return Quantity(self.value + other.value, influences, systematic, reasons, moves)

    def __mul__(self, factor: float) -> Quantity:
        influences = {source: factor * influence for source, influence in self.influences.items()}
        return Quantity(factor * self.value, influences, abs(factor) * self.systematic, self.reasons, self.moves)

    def __sub__(self, other: Quantity | float) -> Quantity:
        return self + other * -1.0

    __radd__, __rmul__ = __add__, __mul__

    def __rsub__(self, other: float) -> Quantity:
        return self * -1.0 + other

    def estimate(self) -> Estimate:
        """Return the value with the error of all sources; τ_int is that of the source that contributes most."""
        variance, largest, tau, tau_error, spread = self.systematic**2, 0.0, 0.5, 0.0, 0.0
        reasons, n = list(self.reasons), 0
        for source, influence in self.influences.items():
            part = _part(influence, self.moves.get(source))
            variance, n = variance + part.error**2, n + influence.size
            spread += (part.error * part.error_error) ** 2
            if part.error > largest:
                largest, tau, tau_error = part.error, part.tau_int, part.tau_int_error
            said = f"{source}: {part.why}"
            if not (part.reliable or any(said in reason for reason in reasons)):
                reasons.append(said)
        if not (math.isfinite(self.value) and math.isfinite(variance)):
            reasons.append("the quantity is not finite")
        why, error = "; ".join(reasons), math.sqrt(variance)
        error_error = math.sqrt(spread) / error if error > 0 else 0.0
        return Estimate(self.value, error, tau, tau_error, n, not why, why, error_error)


def mean_of(values: Floats, source: str) -> Quantity:
    """Return the mean of independent draws (n,) or of a chain (n_chains, n_draws)."""
    values = checked_values(values)
    mean = float(values.mean())
    return Quantity(mean, {source: values - mean})


def independent(value: float, error: float, source: str) -> Quantity:
    """Return a value with a known error from a source of its own, for which two draws, ±error, stand."""
    return Quantity(value, {source: np.array([error, -error])})


def covariance(quantities: Sequence[Quantity]) -> Floats:
    """Return cov(a, b) = ½ (var(a + b) − var a − var b) of quantities, (n, n), variances by `Quantity.estimate`."""
    n = len(quantities)
    result = np.diag([quantity.estimate().error ** 2 for quantity in quantities])
    for i in range(n):
        for j in range(i):
            if set(quantities[i].influences) & set(quantities[j].influences):
                both = (quantities[i] + quantities[j]).estimate().error ** 2
                result[i, j] = result[j, i] = 0.5 * (both - result[i, i] - result[j, j])
    return result


def function_of(function: Callable[..., float], arguments: Sequence[Quantity]) -> Quantity:
    """Return f(a, b, …) of quantities by linear propagation; slopes are differences over one naive error.

    Where f or a slope is not finite, neither is the value's error, and the reason is given.
    """
    steps = np.array([_scatter(argument) for argument in arguments])
    means = np.array([argument.value for argument in arguments])
    value, slopes = linearise(function, means, steps)
    if not (math.isfinite(value) and np.all(np.isfinite(slopes))):
        return Quantity(value, {}, math.inf, ("the quantity or its slope is not finite at the measured means",))
    total = sum((slope * a for slope, a in zip(slopes.tolist(), arguments, strict=True)), Quantity(0.0))
    return replace(total, value=value)


def checked_values(values: Floats) -> Floats:
    """Return the values as float64, (n ≥ 2,) or (n_chains, n_draws ≥ 4), all finite; raise otherwise.

    Raises
    ------
    ValueError : for another shape. FloatingPointError : for a value that is not finite.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.ndim == 2:
        return checked_series(values)
    if values.ndim != 1 or len(values) < 2:
        raise ValueError(f"values have shape {values.shape}; give draws (n,) or a chain (n_chains, n_draws)")
    if not np.all(np.isfinite(values)):
        raise FloatingPointError(f"value {np.flatnonzero(~np.isfinite(values))[0]} is not finite")
    return values


def _scatter(quantity: Quantity) -> float:
    """Return the error that the value would have if all draws were independent."""
    return math.sqrt(sum(float(np.mean(x**2)) / x.size for x in quantity.influences.values()) + quantity.systematic**2)


def _part(influence: Floats, moves: Floats | None) -> Estimate:
    """Return the error of the mean of one source's fluctuation."""
    if influence.ndim == 1:
        error, error_error = error_of_mean(influence)
        return Estimate(0.0, error, error_error=error_error)
    watched = influence if moves is None else moves
    if not np.any(influence):
        unchanged = reliability.share_unchanged([watched], reliability.longest_run([watched]))
        why = reliability.stuck(reliability.longest_runs([watched]), influence.shape[1], 0.5, unchanged)
        return Estimate(0.0, 0.0, n=influence.size, reliable=not why, why=why)
    return estimate_mean(influence, moves=moves)
