"""What a chain records of its states, and the physical quantities that follow from the recorded series."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from nmcmc.analysis.autocorrelation import estimate_function
from nmcmc.types import Energy, Estimate, Floats, Spins

Formula = tuple[Callable[..., float], tuple[str, ...]]
"""A function of means, and the names of the moments whose means it takes."""


RECORDED = ("energy", "magnetization", "structure_factor")
"""Series from which `derive` makes all it can; of others a chain has the mean."""


def measurements(energy: Energy, extents: tuple[int, ...] | None = None) -> dict[str, Callable[[Spins], Floats]]:
    """Return the functions spins (batch, n_spins) → (batch,) that a chain records of its states.

    energy : total H. magnetization : m = Σ_x s_x/N. structure_factor (for a periodic lattice): the mean over the
    axes a of F_a = |Σ_x s_x exp(2πi x_a/L_a)|²/N.

    Parameters
    ----------
    energy : the Hamiltonian.
    extents : extents of a lattice that is periodic along every axis, sites row-major; None for any other system.

    Raises
    ------
    ValueError : if the extents do not hold n_spins sites.
    """
    functions: dict[str, Callable[[Spins], Floats]] = {"energy": energy, "magnetization": energy.magnetization}
    if extents is not None:
        if math.prod(extents) != energy.n_spins:
            raise ValueError(f"extents {extents} hold {math.prod(extents)} sites; the energy has {energy.n_spins}")
        functions["structure_factor"] = lambda spins: structure_factor(spins, extents)
    return functions


def structure_factor(spins: Spins, extents: tuple[int, ...]) -> Floats:
    """Return the mean over axes a of |Σ_x s_x exp(2πi x_a/L_a)|²/N, (batch,), for spins (batch, n_spins)."""
    lattice = spins.reshape(-1, *extents)
    total = np.zeros(len(spins))
    for axis, extent in enumerate(extents):
        others = tuple(k + 1 for k in range(len(extents)) if k != axis)
        profile = np.sum(lattice, axis=others, dtype=np.int64)
        angle = 2 * np.pi * np.arange(extent) / extent
        # Row sums instead of a matrix product, whose rounding would depend on the batch size.
        total += np.sum(profile * np.cos(angle), axis=1) ** 2 + np.sum(profile * np.sin(angle), axis=1) ** 2
    total /= len(extents) * spins.shape[1]
    return total


def derive(
    series: Mapping[str, Floats], n_spins: int, beta: float, extents: tuple[int, ...] | None = None
) -> dict[str, Estimate]:
    """Return the physical quantities that recorded series determine, with errors and τ_int by the Γ-method.

    energy_per_spin ⟨H⟩/N · specific_heat β²(⟨H²⟩ − ⟨H⟩²)/N · magnetization ⟨m⟩ · abs_magnetization ⟨|m|⟩ · m2 ⟨m²⟩ ·
    m4 ⟨m⁴⟩ · binder 1 − ⟨m⁴⟩/(3⟨m²⟩²) · susceptibility βN(⟨m²⟩ − ⟨|m|⟩²) · correlation_length
    √(N⟨m²⟩/F − 1)/(2 sin(π/L)) (second moment; only for a periodic lattice of equal extents L, and only without a
    field, since ⟨m⟩ is not subtracted; with a remark on an ordered lattice, see `beyond_lattice`). At β = 0 specific
    heat, susceptibility and correlation length are left out: they vanish.

    Parameters
    ----------
    series : "energy", "magnetization" and perhaps "structure_factor" as recorded by `measurements`,
        (n_chains, n_draws).
    n_spins, beta : number of spins N and inverse temperature.
    extents : as in `measurements`.

    Raises
    ------
    KeyError : if energy or magnetization is missing. ValueError, FloatingPointError : as `estimate_function`.
    """
    recorded = moments(series["energy"] / n_spins, series["magnetization"], series.get("structure_factor"))
    found = {
        name: estimate_function(function, [recorded[moment] for moment in names])
        for name, (function, names) in formulas(n_spins, beta, extents).items()
        if all(moment in recorded for moment in names)
    }
    if extents is not None and "correlation_length" in found:
        found["correlation_length"] = beyond_lattice(found["correlation_length"], extents)
    return found


def beyond_lattice(length: Estimate, extents: tuple[int, ...]) -> Estimate:
    """Return a second-moment correlation length, with a remark if it exceeds the extent L of its lattice by 2 errors.

    √(N⟨m²⟩/F − 1) is the formula of the symmetric phase. On an ordered lattice N⟨m²⟩ is mostly N⟨|m|⟩², which grows
    with the volume and is no fluctuation, and ξ/L grows without bound. Up to the critical point, where it is universal,
    ξ/L stays below 1: 0.905 for the Ising model on the square torus (J. Salas and A. D. Sokal, J. Stat. Phys. 98, 551
    (2000), cond-mat/9904038), less in three dimensions. In one nothing orders, and on a ring the formula is exact.
    """
    if len(extents) < 2 or not length.value - 2 * length.error > extents[0]:
        return length
    why = f"longer than the lattice, {extents[0]}: it is ordered, and the second moment measures the order"
    return replace(length, why=f"{length.why}; {why}" if length.why else why)


def moments(energy_per_spin: Floats, m: Floats, structure_factor: Floats | None = None) -> dict[str, Floats]:
    """Return the series whose means enter `formulas`; "shifted" is e − c and "shifted2" (e − c)², c a constant.

    The variance of e is taken about c, the mean of e, lest ⟨e²⟩ − ⟨e⟩² cancel.
    """
    shifted = energy_per_spin - np.mean(energy_per_spin)
    series = {"e": energy_per_spin, "shifted": shifted, "shifted2": shifted**2}
    series |= {"m": m, "abs_m": np.abs(m), "m2": m**2, "m4": m**4}
    return series if structure_factor is None else series | {"F": structure_factor}


def formulas(n_spins: int, beta: float, extents: tuple[int, ...] | None = None) -> dict[str, Formula]:
    """Return name → (function of means, names of the moments) for every quantity of `derive`."""
    table: dict[str, Formula] = {
        "energy_per_spin": (lambda e: e, ("e",)),
        "specific_heat": (lambda e, e2: beta**2 * n_spins * (e2 - e**2), ("shifted", "shifted2")),
        "magnetization": (lambda m: m, ("m",)),
        "abs_magnetization": (lambda abs_m: abs_m, ("abs_m",)),
        "m2": (lambda m2: m2, ("m2",)),
        "m4": (lambda m4: m4, ("m4",)),
        "binder": (lambda m2, m4: 1 - m4 / (3 * m2**2), ("m2", "m4")),
        "susceptibility": (lambda m2, abs_m: beta * n_spins * (m2 - abs_m**2), ("m2", "abs_m")),
    }
    if beta == 0:  # nothing responds and nothing is correlated: no errors could be given
        return {name: row for name, row in table.items() if name not in ("specific_heat", "susceptibility")}
    if extents is not None and len(set(extents)) == 1:
        sine = 2 * math.sin(math.pi / extents[0])
        table["correlation_length"] = (lambda m2, f: np.sqrt(n_spins * m2 / f - 1) / sine, ("m2", "F"))
    return table
