"""Finite-size scaling: exponents and crossings by least squares, with errors that know what values have in common.

Values enter as `Estimate`, then they are taken for independent of all others, or as `Quantity`, whose fluctuations say
what values of one chain share: those at several β by reweighting, or two crossings with one lattice in both. Weights
are the errors of single values; correlations enter errors and the χ² to be expected, not the weights, since inverse
covariance matrices of few noisy data are worse than none (M. Bruno and R. Sommer 2023, arXiv:2209.14188).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from nmcmc.analysis.quantity import Quantity, checked_values, covariance, function_of, independent, mean_of
from nmcmc.analysis.reliability import chi_square_deviate
from nmcmc.types import Estimate, Floats

SIGNIFICANT = 5.0
"""Standard errors beyond which χ² is too large, or a slope is not zero."""


@dataclass(frozen=True)
class Fit:
    """A linear least-squares fit.

    Attributes
    ----------
    parameters : with the fluctuations of all values that entered.
    chi_square, n_free : χ² = Σ (residual/error)², and how many values there are more than parameters.
    residuals : covariance (n, n) of residual/error; its trace is the χ² to be expected, n_free of independent values.
    reasons : why values that entered must not be believed; then no parameter is.
    """

    parameters: tuple[Quantity, ...]
    chi_square: float
    n_free: int
    residuals: Floats
    reasons: tuple[str, ...] = ()

    def estimate(self, k: int) -> Estimate:
        """Return parameter k with its error; not reliable if a value is not, or if χ² is too large.

        That is 5 σ more than expected, and more than n_free: of values that move together a misfit far below their
        errors is seen too, and does no harm. Errors are not blown up by √(χ²/n_free): a fit that does not describe the
        data has no error that could.
        """
        return replace(self.parameters[k], reasons=self.complaints).estimate()

    @property
    def complaints(self) -> tuple[str, ...]:
        """Why no parameter must be believed; nothing if they may."""
        if not (self.excess > SIGNIFICANT and self.chi_square > self.n_free):
            return self.reasons
        chi = f"chi² is {self.chi_square:.1f} where {float(np.trace(self.residuals)):.3g} is expected"
        return (*self.reasons, f"{chi}: leave out small lattices, or points far off")

    @property
    def excess(self) -> float:
        """The normal deviate of χ², a sum with the mean tr C and the variance 2 tr C²; 0 without degrees of freedom."""
        mean, square = float(np.trace(self.residuals)), float(np.sum(self.residuals**2))
        if self.n_free < 1 or not (mean > 0 and square > 0):
            return 0.0
        return chi_square_deviate(self.chi_square * mean / square, mean**2 / square)


def least_squares(design: Floats, values: Mapping[str, Estimate | Quantity]) -> Fit:
    """Return the fit of values ≈ design @ parameters that minimises χ² = Σ (residual/error)².

    Parameters
    ----------
    design : (n, n_parameters).
    values : name → value, n of them; names are said where a value is not reliable.

    Raises
    ------
    ValueError : for fewer values than parameters, other shapes, or errors that are not positive and finite.
    """
    design, names = np.asarray(design, dtype=np.float64), list(values)
    estimates = [_estimate(value) for value in values.values()]
    bad = [name for name, e in zip(names, estimates, strict=True) if not 0 < e.error < math.inf]
    if design.ndim != 2 or len(design) != len(names) or len(design) < design.shape[1] or bad:
        raise ValueError(
            f"the fit has a design of shape {design.shape} and {len(names)} values, without a positive, finite error "
            f"{bad or 'none'}; give a row for each value, and at least as many values as parameters"
        )
    quantities = [_quantity(value, f"value {k}") for k, value in enumerate(values.values())]
    errors = np.array([e.error for e in estimates])
    white = design / errors[:, None]
    solve = np.linalg.pinv(white)
    parameters = _combine(solve / errors, quantities)
    residuals = _combine((np.eye(len(names)) - white @ solve) / errors, quantities)
    reasons = tuple(f"{n}: {e.why or 'not reliable'}" for n, e in zip(names, estimates, strict=True) if not e.reliable)
    chi_square = sum(residual.value**2 for residual in residuals)
    return Fit(tuple(parameters), chi_square, len(design) - design.shape[1], covariance(residuals), reasons)


def _estimate(value: Estimate | Quantity) -> Estimate:
    return value.estimate() if isinstance(value, Quantity) else value


def _quantity(value: Estimate | Quantity, source: str) -> Quantity:
    if isinstance(value, Quantity):
        return value
    reasons = () if value.reliable else (value.why or "not reliable",)
    return replace(independent(value.value, value.error, source), reasons=reasons)


def _combine(matrix: Floats, quantities: Sequence[Quantity]) -> list[Quantity]:
    """Return the linear combinations of quantities that the rows of a matrix name, without reasons of their own."""
    plain = [replace(quantity, reasons=()) for quantity in quantities]
    return [
        sum((c * q for c, q in zip(row.tolist(), plain, strict=True)), Quantity(0.0)) for row in np.atleast_2d(matrix)
    ]


def power_law(values: Mapping[int, Estimate | Quantity], smallest: int = 0) -> Fit:
    """Return the fit of ln y = ln a + x ln L over the sizes L ≥ smallest: parameter 0 is ln a, parameter 1 is x.

    At the critical point χ ~ L^(γ/ν), ⟨|m|⟩ ~ L^(−β/ν), dU/dβ ~ L^(1/ν); in two dimensions γ/ν = 7/4, β/ν = 1/8, ν = 1.
    What small lattices add to the power shows in χ²; leave them out by ``smallest``. A size whose value is not reliable
    makes the parameters unreliable.

    Raises
    ------
    ValueError : for fewer than two sizes, or a value or error that is not positive and finite.
    """
    chosen = {size: value for size, value in sorted(values.items()) if size >= smallest}
    bad = [size for size, v in chosen.items() if not (0 < v.value < math.inf and 0 < _estimate(v).error < math.inf)]
    if len(chosen) < 2 or bad:
        raise ValueError(f"sizes are {list(chosen)}, those without a positive value and error {bad}; give two or more")
    design = np.stack([np.ones(len(chosen)), np.log(list(chosen))], axis=1)
    quantities = {f"size {size}": _quantity(value, f"size {size}") for size, value in chosen.items()}
    logarithms = {name: replace(q * (1 / q.value), value=math.log(q.value)) for name, q in quantities.items()}
    return least_squares(design, logarithms)


def binder_slope(energies: Floats, m: Floats, source: str = "chain") -> Quantity:
    """Return dU/dβ of the Binder cumulant U = 1 − ⟨m⁴⟩/(3⟨m²⟩²), which grows like L^(1/ν) at the critical point.

    From one chain at one β by dA/dβ = ⟨A⟩⟨H⟩ − ⟨A H⟩ for A = m², m⁴; (n_chains, n_draws), H of the whole system.
    """
    energies, m = checked_values(energies), checked_values(m)
    shifted = energies - energies.mean()  # the constant drops out, its rounding error too
    names: Sequence[Floats] = (m**2, m**4, shifted, m**2 * shifted, m**4 * shifted)
    return function_of(_slope, [mean_of(values, source) for values in names])


def _slope(m2: float, m4: float, e: float, m2_e: float, m4_e: float) -> float:
    m2_slope, m4_slope = m2 * e - m2_e, m4 * e - m4_e
    return float(-(m4_slope / m2**2 - 2 * m4 * m2_slope / m2**3) / 3)


def crossing(
    x: Sequence[float], first: Sequence[Estimate | Quantity], second: Sequence[Estimate | Quantity]
) -> Quantity:
    """Return where two curves cross, by a straight line through their differences at the points x.

    For the Binder cumulants, or ξ/L, of two sizes this is a pseudo-critical β. Give few points close to the crossing:
    the fit's χ² says if a line is too stiff. Points of one curve from one chain (by reweighting) are to be given as
    quantities. Not reliable if one of the values is not, or if the crossing lies outside the points.

    Raises
    ------
    ValueError : for fewer than two points, or curves that are parallel within their errors (5 σ).
    """
    if not len(x) == len(first) == len(second) or len(x) < 2:
        raise ValueError(
            f"there are {len(x)}, {len(first)} and {len(second)} points; give as many of each, two or more"
        )
    centre = float(np.mean(x))
    differences = {
        f"at {at:g}": _quantity(a, f"first at {at!r}") - _quantity(b, f"second at {at!r}")
        for at, a, b in zip(x, first, second, strict=True)
    }
    fit = least_squares(np.stack([np.ones(len(x)), np.asarray(x) - centre], axis=1), differences)
    height, slope = fit.parameters
    if not abs(slope.value) > SIGNIFICANT * slope.estimate().error:
        raise ValueError("the curves are parallel within their errors; measure more, or farther apart")
    place = centre + function_of(lambda h, s: -h / s, [height, slope])
    reasons = fit.complaints
    if not min(x) <= place.value <= max(x):
        where = f"the curves cross at {place.value:.6g}, outside the points {min(x):g} … {max(x):g}"
        reasons = (*reasons, f"{where}: add points there")
    return replace(place, reasons=reasons)
