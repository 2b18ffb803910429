"""Quantities: sums of correlated and of independent ones, functions, what is refused."""

import numpy as np
import pytest
from sticky import assert_calibrated, sticky

from nmcmc.analysis.autocorrelation import estimate_function, estimate_mean
from nmcmc.analysis.intervals import degrees_of_freedom
from nmcmc.analysis.quantity import Quantity, covariance, function_of, independent, mean_of

X = np.random.default_rng(1).standard_normal((2, 2000))


def test_a_mean_is_that_of_the_gamma_method():
    found, wanted = mean_of(X, "x").estimate(), estimate_mean(X)
    assert (found.value, found.error, found.tau_int) == (wanted.value, wanted.error, wanted.tau_int)
    assert found.error_error == pytest.approx(wanted.error_error)


def test_the_error_of_independent_draws_knows_its_own_error():
    """The error of a mean of 60 exponential numbers scatters about as its own error says, and ν is finite."""
    series = np.random.default_rng(5).exponential(size=(4000, 60))
    found = [mean_of(draws, "draws").estimate() for draws in series]
    errors = np.array([each.error for each in found])
    assert abs(np.mean(errors**2) * 60 - 1) < 5 * np.sqrt(8 / 60 / 4000)
    told = np.sqrt(np.mean([each.error_error**2 for each in found]))
    assert 0.6 < told / errors.std() < 1.1
    assert np.median([degrees_of_freedom(each) for each in found]) < 60


def test_one_source_adds_before_the_error_and_two_add_in_quadrature():
    x, y = mean_of(X, "x"), mean_of(X, "y")
    assert (x + x).estimate().error == pytest.approx(2 * x.estimate().error)
    assert (x + y).estimate().error == pytest.approx(np.sqrt(2) * x.estimate().error)
    assert (3 - 2 * x).estimate().value == pytest.approx(3 - 2 * X.mean())
    assert (x - x).influences["x"].max() == 0


def test_functions_propagate_as_the_gamma_method_does():
    x, y = mean_of(X + 3, "x"), mean_of((X + 3) ** 2, "x")
    found = function_of(lambda a, b: b / a**2, [x, y]).estimate()
    expected = estimate_function(lambda a, b: b / a**2, [X + 3, (X + 3) ** 2])
    assert (found.value, found.error) == pytest.approx((expected.value, expected.error), rel=1e-4)


def test_a_function_of_independent_quantities_is_calibrated():
    rng, found, p = np.random.default_rng(2), [], np.array([0.2, 0.3, 0.5])
    for _ in range(100):
        a, b = (mean_of(1.0 + sticky(p, 2, 1000, 0.5, rng), name) for name in "ab")
        found.append(function_of(lambda a, b: a / b, [a, b]).estimate())
    assert_calibrated(found, 1.0)


def test_systematic_errors_add_up_and_reasons_stay():
    a, b = Quantity(1.0, systematic=0.1, reasons=("bad",)), Quantity(2.0, systematic=0.2, reasons=("bad", "worse"))
    estimate = (a - b).estimate()
    assert (estimate.value, estimate.error, estimate.reliable) == (-1.0, pytest.approx(0.3), False)
    assert estimate.why == "bad; worse"


def test_other_shapes_of_one_source_are_refused():
    with pytest.raises(ValueError, match="different names"):
        mean_of(X, "x") + mean_of(X[:, :100], "x")


def test_what_is_not_finite_is_said():
    assert "not finite" in function_of(lambda x: float(np.log(x)), [Quantity(-1.0)]).estimate().why
    with pytest.raises(FloatingPointError, match="value 0"):
        mean_of(np.full(3, np.nan), "x")
    with pytest.raises(ValueError, match="shape"):
        mean_of(np.zeros((2, 2, 2)), "x")


def test_a_constant_energy_is_no_sign_of_a_stuck_chain_where_spins_move():
    values, moves = np.random.default_rng(3).choice([0.0, 8.0], (4, 500), p=[0.99, 0.01]), X[:, :500].repeat(2, axis=0)
    values[1] = 0.0
    assert "chain 1 never moves" in mean_of(values, "x").estimate().why
    assert mean_of(values, "x").moving({"x": moves}).estimate().reliable
    still = np.where(np.arange(4)[:, None] == 1, 1.0, moves)
    assert "chain 1 never moves" in mean_of(values, "x").moving({"x": still}).estimate().why
    assert (2 * mean_of(values, "x").moving({"x": moves}) + mean_of(X, "y")).estimate().reliable
    assert mean_of(np.zeros((4, 500)), "x").moving({"x": moves}).estimate().reliable
    assert not mean_of(np.zeros((4, 500)), "x").estimate().reliable


def test_a_known_error_is_kept_and_shared_with_nothing_else():
    a, b = independent(2.0, 0.3, "a"), independent(1.0, 0.4, "b")
    assert ((a + b).estimate().value, (a + b).estimate().error) == (3.0, pytest.approx(0.5))
    assert (a - a).estimate().error == 0
    np.testing.assert_allclose(covariance([a, b, a + b]), [[0.09, 0, 0.09], [0, 0.16, 0.16], [0.09, 0.16, 0.25]])


def test_the_covariance_of_one_chain_is_that_of_its_fluctuations():
    x = np.random.default_rng(4).standard_normal((2, 20_000))
    y = 0.6 * x + 0.8 * np.random.default_rng(5).standard_normal((2, 20_000))
    found = covariance([mean_of(x, "chain"), mean_of(y, "chain"), mean_of(x, "other")])
    np.testing.assert_allclose(found * x.size, [[1, 0.6, 0], [0.6, 1, 0], [0, 0, 1]], atol=0.05)
