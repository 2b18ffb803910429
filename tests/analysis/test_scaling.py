"""Fits against closed forms, their errors against replicas, and the exponents of the two-dimensional Ising model."""

import functools
import math
from dataclasses import replace

import numpy as np
import pytest
from series import ar1
from sticky import assert_calibrated, sticky

from nmcmc.analysis.autocorrelation import estimate_mean
from nmcmc.analysis.quantity import Quantity, function_of, independent, mean_of
from nmcmc.analysis.reliability import chi_square_deviate
from nmcmc.analysis.reweighting import reweighted
from nmcmc.analysis.scaling import binder_slope, crossing, least_squares, power_law
from nmcmc.energies.boltzmann import BETA_CRITICAL, Boltzmann
from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.exact.enumeration import all_states, enumerate_system, probabilities
from nmcmc.random import Rng
from nmcmc.types import Estimate
from nmcmc.updates.run import run
from nmcmc.updates.swendsen_wang import SwendsenWang

RNG = np.random.default_rng(1)


def line_of(values, errors):
    """Return a straight line through values at 0, 1, 2, …, independent of each other."""
    design = np.stack([np.ones(len(values)), np.arange(len(values))], axis=1)
    return least_squares(design, {f"{k}": Estimate(v, e) for k, (v, e) in enumerate(zip(values, errors, strict=True))})


def test_a_straight_line_is_that_of_the_textbook():
    x, y, errors = np.arange(5.0), np.array([1.0, 2.9, 5.2, 7.1, 8.8]), np.full(5, 0.2)
    fit = line_of(y, errors)
    slope = np.sum((x - 2) * y) / 10
    assert [p.value for p in fit.parameters] == pytest.approx([y.mean() - 2 * slope, slope])
    assert fit.estimate(1).error == pytest.approx(0.2 / math.sqrt(10))
    assert fit.estimate(0).error == pytest.approx(0.2 * math.sqrt(0.2 + 4 / 10))
    residual = y - fit.parameters[0].value - slope * x
    assert (fit.chi_square, fit.n_free) == (pytest.approx(np.sum(residual**2) / 0.04), 3)
    assert np.trace(fit.residuals) == pytest.approx(3)
    assert fit.excess == pytest.approx(chi_square_deviate(fit.chi_square, 3))


def test_weights_are_those_of_the_errors():
    fit = line_of([1.0, 2.0, 30.0], [0.1, 0.1, 1e6])
    assert [p.value for p in fit.parameters] == pytest.approx([1, 1])
    assert fit.estimate(1).error == pytest.approx(0.1 * math.sqrt(2))


def test_correlated_data_are_calibrated_and_ignoring_the_correlation_is_not():
    n, design = 6, np.stack([np.ones(6), np.arange(6.0)], axis=1)
    root = np.linalg.cholesky(0.04 * (0.7 ** np.abs(np.subtract.outer(np.arange(n), np.arange(n)))))
    data = design @ [1.0, 2.0] + RNG.standard_normal((400, n)) @ root.T
    errors = np.sqrt(np.diag(root @ root.T))

    def together(row):
        return {
            f"{i}": Quantity(row[i], {f"noise {k}": root[i, k] * np.array([1.0, -1.0]) for k in range(n)})
            for i in range(n)
        }

    fits = [least_squares(design, together(row)) for row in data]
    for k, truth in enumerate((1.0, 2.0)):
        assert_calibrated([fit.estimate(k) for fit in fits], truth)
    expected, spread = np.trace(fits[0].residuals), math.sqrt(2 * np.sum(fits[0].residuals ** 2))
    assert expected < 3  # of neighbours alike less is left than of strangers
    assert abs(np.mean([fit.chi_square for fit in fits]) - expected) < 5 * spread / 20
    assert max(fit.excess for fit in fits) < 5
    naive = [line_of(row, errors).estimate(0).deviation(1.0) for row in data]
    assert np.mean(np.square(naive)) > 1 + 5 * math.sqrt(2 / 400)


def test_a_fit_that_does_not_describe_the_data_says_so():
    fit = least_squares(np.ones((10, 1)), {f"{k}": Estimate(k, 0.1) for k in range(10)})
    assert "chi² is 8250.0 where 9 is expected" in fit.estimate(0).why
    exact = power_law({L: Estimate(2 * L**1.5, 0.1) for L in (8, 16, 32)})
    assert exact.estimate(1).reliable
    assert [p.value for p in exact.parameters] == pytest.approx([math.log(2), 1.5])


def test_small_sizes_can_be_left_out():
    data = {4: Estimate(100.0, 0.1), 8: Estimate(8.0, 0.1), 16: Estimate(16.0, 0.1), 32: Estimate(32.0, 0.1)}
    assert power_law(data, smallest=8).parameters[1].value == pytest.approx(1)
    assert not power_law(data).estimate(1).reliable


@pytest.mark.parametrize(
    ("design", "error", "message"),
    [
        (np.ones((2, 3)), 1.0, "at least as many values"),
        (np.ones((3, 1)), 1.0, "a row for each value"),
        (np.ones((2, 1)), 0.0, "positive, finite error"),
        (np.ones((2, 1)), math.inf, "positive, finite error"),
    ],
)
def test_bad_fits_are_refused(design, error, message):
    with pytest.raises(ValueError, match=message):
        least_squares(design, {"a": Estimate(1.0, 1.0), "b": Estimate(1.0, error)})


def test_what_two_sizes_share_is_in_the_error_of_the_exponent():
    """A common factor, such as a β_c measured elsewhere, moves ln a and leaves the exponent alone."""
    common = independent(1.0, 0.3, "β_c")
    own = {size: independent(0.0, 0.01 * size, f"size {size}") for size in (8, 16, 32)}
    fit = power_law({size: float(size) * common + own[size] for size in own})
    alone = power_law({size: Estimate(float(size), 0.01 * size) for size in own})
    assert fit.estimate(1).error == pytest.approx(alone.estimate(1).error)
    assert fit.estimate(0).error == pytest.approx(math.hypot(alone.estimate(0).error, 0.3))


def test_unreliable_values_make_unreliable_fits_and_crossings():
    bad = Estimate(11.4, 0.1, reliable=False, why="chain 0 never moves in 10 draws")
    data = {4: Estimate(8.0, 0.1), 8: Estimate(22.6, 0.1), 16: Estimate(64.0, 0.1)}
    assert power_law(data).estimate(1).reliable
    assert power_law(data | {5: bad}).estimate(1).why == "size 5: chain 0 never moves in 10 draws"
    assert power_law(data | {5: bad}, smallest=8).estimate(1).reliable
    short = mean_of(11.4 + np.sin(np.arange(20.0))[None] / 9, "chain")
    why = power_law(data | {5: short}).estimate(1).why
    assert why.startswith("size 5: chain: chains of 20 draws are shorter")
    assert why.count("shorter") == 1
    flat, steep = [Estimate(1.0, 0.01)] * 3, [Estimate(v, 0.01) for v in (0.5, 1.0, 1.5)]
    assert crossing([0.1, 0.2, 0.3], flat, steep).estimate().reliable
    found = crossing([0.1, 0.2, 0.3], [flat[0], replace(bad, value=1.0), flat[2]], steep).estimate()
    assert "at 0.2: chain 0" in found.why


def test_a_crossing_outside_its_points_is_not_believed():
    flat, steep = [Estimate(1.0, 0.01)] * 2, [Estimate(v, 0.01) for v in (1.5, 2.0)]
    found = crossing([0.2, 0.3], flat, steep)
    assert found.value == pytest.approx(0.1)
    assert "outside the points 0.2 … 0.3" in found.estimate().why


def test_bad_power_laws_and_crossings_are_refused():
    with pytest.raises(ValueError, match="give two or more"):
        power_law({8: Estimate(-1.0, 0.1), 16: Estimate(1.0, 0.1)})
    flat = [Estimate(1.0, 0.1), Estimate(1.0, 0.1)]
    with pytest.raises(ValueError, match="parallel"):
        crossing([0.1, 0.2], flat, flat)
    with pytest.raises(ValueError, match="as many of each"):
        crossing([0.1], flat, flat)


def test_the_crossing_of_two_lines_is_calibrated():
    x, found = np.array([0.43, 0.44, 0.45]), []
    for _ in range(300):
        noise = 0.002 * RNG.standard_normal((2, 3))
        curves = [
            [Estimate(v, 0.002) for v in slope * (x - 0.441) + e] for slope, e in zip((5, 10), noise, strict=True)
        ]
        found.append(crossing(x, *curves).estimate())
    assert_calibrated(found, 0.441)


def test_points_of_one_chain_are_taken_together_and_as_strangers_they_are_not_calibrated():
    """Curves that a chain moves up and down as a whole; each point has little noise of its own."""
    x, together, strangers = np.array([0.43, 0.44, 0.45]), [], []
    for k in range(200):
        curves = []
        for name, slope, seed in (("small", 5, 2 * k), ("large", 10, 2 * k + 1)):
            shift = mean_of(0.05 * ar1(0.6, 2, 1000, seed=seed), name)
            own = [independent(v, 1e-4, f"{name} {i}") for i, v in enumerate(1e-4 * RNG.standard_normal(3))]
            curves.append([v + shift + o for v, o in zip(slope * (x - 0.441), own, strict=True)])
        together.append(crossing(x, *curves).estimate())
        strangers.append(crossing(x, *([q.estimate() for q in curve] for curve in curves)).estimate())
    assert_calibrated(together, 0.441)
    pulls = np.square([found.deviation(0.441) for found in strangers])
    assert pulls.mean() > 1 + 5 * math.sqrt(2 / 200)


def test_reweighted_binder_cumulants_of_two_chains_cross_where_the_exact_ones_do():
    beta = 0.355
    tori = [LatticeEnergy(Lattice((4, length))) for length in (2, 4)]
    chains, rng = [], np.random.default_rng(3)
    for torus in tori:
        index = sticky(probabilities(torus, beta), 4, 40_000, 0.5, rng)
        states = all_states(torus.n_spins)
        chains.append((torus(states)[index], torus.magnetization(states)[index]))

    def meeting(x):
        curves = [[binder(*chain, b - beta, f"{k}") for b in x] for k, chain in enumerate(chains)]
        exact = [[Estimate(enumerate_system(torus, b).binder, 1e-4) for b in x] for torus in tori]
        return crossing(x, *curves).estimate(), crossing(x, *exact).estimate()

    found, exact = meeting([0.34, 0.355, 0.37])
    assert found.reliable, found.why
    assert abs(found.deviation(exact.value)) < 5
    assert abs(found.deviation(1.15 * exact.value)) > 5
    assert "or points far off" in meeting([0.31, 0.355, 0.40])[0].why  # too stiff a line for such a range


def binder(energies, m, step, name):
    means = [reweighted(values, energies, step, name) for values in (m**2, m**4)]
    return function_of(lambda m2, m4: 1 - m4 / (3 * m2**2), means)


def test_the_slope_of_the_binder_cumulant_is_calibrated():
    energy, beta, h = LatticeEnergy(Lattice((3, 3))), 0.4, 1e-4
    states, rng, found = all_states(9), np.random.default_rng(2), []
    e, m, p = energy(states), energy.magnetization(states), probabilities(energy, beta)
    exact = np.subtract(*(enumerate_system(energy, beta + d).binder for d in (h, -h))) / (2 * h)
    for _ in range(150):
        index = sticky(p, 2, 1000, 0.5, rng)
        found.append(binder_slope(e[index], m[index]).estimate())
    assert_calibrated(found, exact)


@functools.cache
def critical(size):
    """Return energies and magnetisations of Swendsen–Wang chains at the critical point."""
    energy = LatticeEnergy(Lattice((size, size)))
    observables = {"energy": energy, "m": energy.magnetization}
    update = SwendsenWang(Boltzmann(energy, BETA_CRITICAL))
    chain = run(update, 4000, Rng(1).child(size), observables=observables, n_chains=8, warmup=200)
    return chain.series["energy"], chain.series["m"]


@pytest.mark.parametrize(("quantity", "exponent"), [("m2", -0.25), ("|m|", -0.125), ("binder slope", 1.0)])
def test_the_exponents_of_the_two_dimensional_ising_model(quantity, exponent):
    """γ/ν − 2 = −1/4, −β/ν = −1/8, 1/ν = 1 from tori of 8 to 32; a twin exponent that is off must be refused."""
    functions = {
        "m2": lambda e, m: estimate_mean(m**2),
        "|m|": lambda e, m: estimate_mean(np.abs(m)),
        "binder slope": lambda e, m: binder_slope(e, m).estimate(),
    }
    fit = power_law({size: functions[quantity](*critical(size)) for size in (8, 12, 16, 24, 32)})
    found = fit.estimate(1)
    assert found.reliable, found.why
    assert abs(found.deviation(exponent)) < 5
    assert abs(found.deviation(1.3 * exponent)) > 5
