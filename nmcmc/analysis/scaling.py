"""Finite-size scaling: exponents by least squares over lattices of several sizes, with χ² and propagated errors."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from nmcmc.analysis.quantity import Quantity, checked_values, function_of, mean_of
from nmcmc.types import Estimate, Floats


@dataclass(frozen=True)
class Fit:
    """A linear least-squares fit.

    Attributes
    ----------
    parameters, covariance : (n_parameters,) and (n_parameters, n_parameters), from the errors of the data alone.
    chi_square, n_free : χ² and its degrees of freedom.
    reasons : why values that entered must not be believed; then no parameter is.
    """

    parameters: Floats
    covariance: Floats
    chi_square: float
    n_free: int
    reasons: tuple[str, ...] = ()

    def estimate(self, k: int) -> Estimate:
        """Return parameter k with its error; not reliable if χ² is too large for its degrees of freedom at 5 σ.

        Nor if one of the values that entered is not.
        Errors are not blown up by √(χ²/n_free): a fit that does not describe the data has no error that could.
        """
        error, why = math.sqrt(float(self.covariance[k, k])), "; ".join(self.reasons)
        if self.excess > 5:
            chi = f"chi² is {self.chi_square:.1f} for {self.n_free} degrees of freedom: leave out small lattices"
            why = f"{why}; {chi}" if why else chi
        return Estimate(
            float(self.parameters[k]), error, n=self.n_free + len(self.parameters), reliable=not why, why=why
        )

    @property
    def excess(self) -> float:
        """The normal deviate of χ² (Wilson and Hilferty 1931), 0 without degrees of freedom."""
        if self.n_free < 1:
            return 0.0
        k = 2 / (9 * self.n_free)
        return float(((self.chi_square / self.n_free) ** (1 / 3) - 1 + k) / math.sqrt(k))


def least_squares(design: Floats, values: Floats, covariance: Floats) -> Fit:
    """Return the fit of values ≈ design @ parameters that minimises χ² = rᵀ C⁻¹ r.

    Parameters
    ----------
    design : (n, n_parameters). values : (n,). covariance : of the values, (n, n), or their errors (n,) if independent.

    Raises
    ------
    ValueError : for shapes that do not fit, fewer values than parameters, or a covariance that is not positive.
    """
    design, values = np.asarray(design, dtype=np.float64), np.asarray(values, dtype=np.float64)
    covariance = np.asarray(covariance, dtype=np.float64)
    covariance = np.diag(covariance**2) if covariance.ndim == 1 else covariance
    n, n_parameters = design.shape
    if values.shape != (n,) or covariance.shape != (n, n) or n < n_parameters:
        raise ValueError(
            f"the fit has {n_parameters} parameters, values {values.shape} and covariance {covariance.shape}; give at "
            "least as many values as parameters, and one error for each or their covariance"
        )
    try:
        root = np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError as error:
        raise ValueError("the errors or the covariance of the values are not positive and finite") from error
    white, target = np.linalg.solve(root, design), np.linalg.solve(root, values)
    inverse = np.linalg.inv(white.T @ white)
    parameters: Floats = inverse @ (white.T @ target)
    residual = target - white @ parameters
    return Fit(parameters, inverse, float(residual @ residual), n - n_parameters)


def power_law(estimates: Mapping[int, Estimate], smallest: int = 0) -> Fit:
    """Return the fit of ln y = ln a + x ln L over the sizes L ≥ smallest: parameter 0 is ln a, parameter 1 is x.

    At the critical point χ ~ L^(γ/ν), ⟨|m|⟩ ~ L^(−β/ν), dU/dβ ~ L^(1/ν); in two dimensions γ/ν = 7/4, β/ν = 1/8, ν = 1.
    The sizes are taken for independent, from simulations of their own. What small lattices add to the power shows in
    χ²; leave them out by ``smallest``. A size whose estimate is not reliable makes the parameters unreliable.

    Raises
    ------
    ValueError : for fewer than two sizes, or a value or error that is not positive and finite.
    """
    chosen = {size: e for size, e in sorted(estimates.items()) if size >= smallest}
    bad = [size for size, e in chosen.items() if not (0 < e.value < math.inf and 0 < e.error < math.inf)]
    if len(chosen) < 2 or bad:
        raise ValueError(f"sizes are {list(chosen)}, those without a positive value and error {bad}; give two or more")
    design = np.stack([np.ones(len(chosen)), np.log(list(chosen))], axis=1)
    values = np.array([e.value for e in chosen.values()])
    errors = np.array([e.error for e in chosen.values()])
    reasons = tuple(f"size {size}: {e.why or 'not reliable'}" for size, e in chosen.items() if not e.reliable)
    return replace(least_squares(design, np.log(values), errors / values), reasons=reasons)


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


def crossing(x: Sequence[float], first: Sequence[Estimate], second: Sequence[Estimate]) -> Estimate:
    """Return where two curves cross, by a straight line through their differences at the points x.

    For the Binder cumulants, or ξ/L, of two sizes this is a pseudo-critical β. Give few points close to the crossing:
    the fit's χ² says if a line is too stiff. All estimates are taken for independent. Not reliable if one of them is
    not, or if the crossing lies outside the points.

    Raises
    ------
    ValueError : for fewer than two points, or curves that are parallel within their errors (5 σ).
    """
    if not len(x) == len(first) == len(second) or len(x) < 2:
        raise ValueError(
            f"there are {len(x)}, {len(first)} and {len(second)} points; give as many of each, two or more"
        )
    points = list(zip(x, first, second, strict=True))
    centre = float(np.mean(x))
    design = np.stack([np.ones(len(x)), np.asarray(x) - centre], axis=1)
    values = np.array([a.value - b.value for a, b in zip(first, second, strict=True)])
    errors = np.array([math.hypot(a.error, b.error) for a, b in zip(first, second, strict=True)])
    fit = least_squares(design, values, errors)
    height, slope = fit.parameters
    if not abs(slope) > 5 * math.sqrt(fit.covariance[1, 1]):
        raise ValueError("the curves are parallel within their errors; measure more, or farther apart")
    gradient = np.array([-1 / slope, height / slope**2])
    place, error = centre - float(height / slope), math.sqrt(float(gradient @ fit.covariance @ gradient))
    reasons = [f"at {at:g}: {e.why or 'not reliable'}" for at, *pair in points for e in pair if not e.reliable]
    if not min(x) <= place <= max(x):
        reasons.append(f"the curves cross at {place:.6g}, outside the points {min(x):g} … {max(x):g}: add points there")
    why = replace(fit, reasons=tuple(reasons)).estimate(0).why
    return Estimate(place, error, n=len(x), reliable=not why, why=why)
