"""Fits against closed forms, their errors against replicas, and the exponents of the two-dimensional Ising model."""

import functools
import math
from dataclasses import replace

import numpy as np
import pytest
from sticky import assert_calibrated, sticky

from nmcmc.analysis.autocorrelation import estimate_mean
from nmcmc.analysis.scaling import binder_slope, crossing, least_squares, power_law
from nmcmc.energies.boltzmann import BETA_CRITICAL, Boltzmann
from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.exact.enumeration import all_states, enumerate_system, probabilities
from nmcmc.random import Rng
from nmcmc.types import Estimate
from nmcmc.updates.run import run
from nmcmc.updates.swendsen_wang import SwendsenWang

RNG = np.random.default_rng(1)


def test_a_straight_line_is_that_of_the_textbook():
    x, y, errors = np.arange(5.0), np.array([1.0, 2.9, 5.2, 7.1, 8.8]), np.full(5, 0.2)
    fit = least_squares(np.stack([np.ones(5), x], axis=1), y, errors)
    slope = np.sum((x - 2) * y) / 10
    assert fit.parameters == pytest.approx([y.mean() - 2 * slope, slope])
    assert fit.covariance[1, 1] == pytest.approx(0.04 / 10)
    residual = y - fit.parameters[0] - slope * x
    assert (fit.chi_square, fit.n_free) == (pytest.approx(np.sum(residual**2) / 0.04), 3)


def test_correlated_data_are_calibrated_and_ignoring_the_correlation_is_not():
    n, design = 6, np.stack([np.ones(6), np.arange(6.0)], axis=1)
    covariance = 0.04 * (0.7 ** np.abs(np.subtract.outer(np.arange(n), np.arange(n))))
    data = RNG.multivariate_normal(design @ [1.0, 2.0], covariance, 400)
    fits = [least_squares(design, row, covariance) for row in data]
    for k, truth in enumerate((1.0, 2.0)):
        assert_calibrated([fit.estimate(k) for fit in fits], truth)
    chi = np.array([fit.chi_square for fit in fits])
    assert abs(chi.mean() - 4) < 5 * math.sqrt(8 / 400)
    naive = [least_squares(design, row, np.sqrt(np.diag(covariance))).estimate(0).deviation(1.0) for row in data]
    assert np.mean(np.square(naive)) > 1 + 5 * math.sqrt(2 / 400)


def test_a_fit_that_does_not_describe_the_data_says_so():
    fit = least_squares(np.ones((10, 1)), np.arange(10.0), np.full(10, 0.1))
    assert "chi²" in fit.estimate(0).why
    exact = power_law({L: Estimate(2 * L**1.5, 0.1) for L in (8, 16, 32)})
    assert exact.estimate(1).reliable
    assert exact.parameters == pytest.approx([math.log(2), 1.5])


def test_small_sizes_can_be_left_out():
    data = {4: Estimate(100.0, 0.1), 8: Estimate(8.0, 0.1), 16: Estimate(16.0, 0.1), 32: Estimate(32.0, 0.1)}
    assert power_law(data, smallest=8).parameters[1] == pytest.approx(1)
    assert not power_law(data).estimate(1).reliable


@pytest.mark.parametrize(
    ("design", "errors", "message"),
    [(np.ones((2, 3)), np.ones(2), "at least as many values"), (np.ones((2, 1)), np.zeros(2), "not positive")],
)
def test_bad_fits_are_refused(design, errors, message):
    with pytest.raises(ValueError, match=message):
        least_squares(design, np.ones(2), errors)


def test_unreliable_values_make_unreliable_fits_and_crossings():
    bad = Estimate(11.4, 0.1, reliable=False, why="chain 0 never moves in 10 draws")
    data = {4: Estimate(8.0, 0.1), 8: Estimate(22.6, 0.1), 16: Estimate(64.0, 0.1)}
    assert power_law(data).estimate(1).reliable
    assert power_law(data | {5: bad}).estimate(1).why == "size 5: chain 0 never moves in 10 draws"
    assert power_law(data | {5: bad}, smallest=8).estimate(1).reliable
    flat, steep = [Estimate(1.0, 0.01)] * 3, [Estimate(v, 0.01) for v in (0.5, 1.0, 1.5)]
    assert crossing([0.1, 0.2, 0.3], flat, steep).reliable
    assert "at 0.2: chain 0" in crossing([0.1, 0.2, 0.3], [flat[0], replace(bad, value=1.0), flat[2]], steep).why


def test_a_crossing_outside_its_points_is_not_believed():
    flat, steep = [Estimate(1.0, 0.01)] * 2, [Estimate(v, 0.01) for v in (1.5, 2.0)]
    found = crossing([0.2, 0.3], flat, steep)
    assert found.value == pytest.approx(0.1)
    assert "outside the points 0.2 … 0.3" in found.why


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
        found.append(crossing(x, *curves))
    assert_calibrated(found, 0.441)


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
