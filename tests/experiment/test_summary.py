"""Summaries: the same keys everywhere, no NaN, and nothing believed that must not be."""

import json

import numpy as np
import pytest

from nmcmc.analysis.compare import Row
from nmcmc.config import SystemConfig
from nmcmc.experiment.build import build_target
from nmcmc.experiment.summary import (
    KEYS,
    acceptance_rate,
    draw_numbers,
    mixing_numbers,
    row_numbers,
    said_once,
    summarize,
    tau_times,
    unreliable,
    weight_numbers,
)
from nmcmc.text import text_of
from nmcmc.types import Chain, Estimate

TARGET = build_target(SystemConfig("4x4"))


def chain_of(weights, proposals):
    return Chain(
        {"energy": weights}, {"log_weight": weights, "proposal_log_weight": proposals, "accepted": proposals > 0}
    )


def test_what_is_unknown_is_null():
    summary = summarize("train", TARGET, seed=3)
    assert set(summary) == set(KEYS)
    assert (summary["seed"], summary["lattice"], summary["log_z"]) == (3, "4x4", None)


def test_what_must_not_be_believed_is_listed_with_its_name():
    bad = {"value": 1.0, "error": 0.1, "reliable": False, "why": "too short"}
    good = bad | {"reliable": True}
    assert list(unreliable({"a": good, "b": {"c": bad}, "d": None, "e": 3})) == ["b.c: too short"]


@pytest.mark.parametrize(
    ("value", "error", "exact", "believed"),
    [
        (1.0, 0.1, 1.49, True),
        (1.0, 0.1, 1.51, False),
        (1.0, 0.1, None, True),
        (1.0, None, 2.0, True),
        (1.0, 0.0, 2.0, False),
        (1e6, 0.0, 1e6 + 1e-5, True),
    ],
)
def test_what_is_off_its_exact_value_is_not_believed(value, error, exact, believed):
    found = list(unreliable({"x": {"value": value, "error": error, "exact": exact, "reliable": True}}))
    assert (found == []) == believed


def test_disagreement_is_not_believed():
    assert list(unreliable({"worst_deviation": 4.9})) == []
    assert list(unreliable({"worst_deviation": None})) == []
    assert "disagree by 5.1" in next(unreliable({"worst_deviation": 5.1}))


def test_a_chain_of_four_draws_has_numbers_that_are_not_believed():
    """Four draws make three ratios, too few for an error of the acceptance rate."""
    weights = np.random.default_rng(1).normal(size=(1, 4))
    estimate = acceptance_rate(chain_of(weights, weights[:, ::-1]))
    assert 0 <= estimate.value <= 1
    assert "only 3 steps" in estimate.why
    series = {"energy": weights, "magnetization": weights[:, ::-1] / 4}
    json.dumps(mixing_numbers(Chain(series), TARGET), allow_nan=False)


def test_one_cause_of_many_numbers_is_said_once():
    assert said_once(["a: heavy", "b.c: short: draw 3", "d: heavy", "they disagree"]) == [
        "a, d: heavy",
        "b.c: short: draw 3",
        "they disagree",
    ]


def test_acceptance_rate_is_the_mean_of_the_ratios():
    weights = np.random.default_rng(1).normal(size=(4, 1001))
    proposals = np.random.default_rng(2).normal(size=(4, 1001))
    estimate = acceptance_rate(chain_of(weights, proposals))
    assert estimate.value == pytest.approx(np.minimum(1, np.exp(proposals[:, 1:] - weights[:, :-1])).mean())
    assert acceptance_rate(Chain({"energy": weights}, {"accepted": weights > 0})).value == pytest.approx(
        (weights > 0).mean()
    )


def test_equal_weights_are_accepted_always_and_a_stuck_chain_is_not_believed():
    weights = np.full((4, 100), 10.0) + 1e-14 * np.random.default_rng(1).normal(size=(4, 100))
    estimate = acceptance_rate(chain_of(weights, weights[::-1]))
    assert (estimate.value, estimate.reliable) == (1.0, True)
    assert not acceptance_rate(chain_of(weights, weights - 5)).reliable


def test_numbers_of_draws_are_json_even_in_extremes():
    for energy, weight in ((0.0, 1.0), (1.0, 0.0), (1.0, 800.0)):
        generator = np.random.default_rng(1)
        draws = {
            "energy": energy * generator.normal(size=200),
            "magnetization": np.zeros(200),
            "log_weight": weight * generator.normal(size=200),
        }
        numbers = draw_numbers(draws, TARGET)
        json.dumps(numbers, allow_nan=False)
        assert numbers["predicted_tau_int"]["abs_magnetization"] is None


def test_a_prediction_keeps_its_verdict_and_is_marked():
    generator = np.random.default_rng(1)
    for weight, reliable in ((0.1, True), (4.0, False)):
        draws = {
            "energy": generator.normal(size=2000),
            "magnetization": generator.uniform(-1, 1, size=2000),
            "log_weight": weight * generator.normal(size=2000),
        }
        numbers = draw_numbers(draws, TARGET)
        prediction = numbers["predicted_tau_int"]["energy_per_spin"]
        assert (prediction["reliable"], prediction["why"] == "") == (reliable, reliable)
        assert any(line.startswith("predicted_tau_int.energy_per_spin: ") for line in unreliable(numbers)) != reliable
        line = next(line for line in text_of({"tau": {"energy": prediction}}).splitlines() if "energy" in line)
        assert line.endswith("UNRELIABLE") != reliable


def test_infinite_temperature_has_no_free_energy():
    numbers = weight_numbers(np.full(100, 16 * np.log(2)), build_target(SystemConfig("4x4", beta=0.0)))
    assert "free_energy_per_spin" not in numbers
    assert numbers["log_z"]["value"] == pytest.approx(numbers["log_z"]["exact"])


def test_rows_are_json():
    row = Row("m2", Estimate(1.0, 0.0), None, 2.0, None, float("inf"), None)
    assert json.loads(json.dumps(row_numbers(row), allow_nan=False))["deviation_a"] is None
    assert row_numbers(row)["b"] is None


def test_a_chain_that_remembers_its_start_or_half_of_whose_chains_sit_apart_is_not_believed():
    generator = np.random.default_rng(3)
    series = {"energy": generator.normal(size=(4, 1000)), "magnetization": generator.uniform(-1, 1, (4, 1000))}
    assert list(unreliable(mixing_numbers(Chain(series), TARGET))) == []
    relaxing = series | {"energy": series["energy"] + 20 * np.exp(-np.arange(1000) / 50)}
    assert "burn_in: the first" in next(unreliable(mixing_numbers(Chain(relaxing), TARGET)))
    apart = series | {"magnetization": np.abs(series["magnetization"]) * np.array([[1], [1], [-1], [-1]])}
    complaints = [line.split(":")[0] for line in unreliable(mixing_numbers(Chain(apart), TARGET))]
    assert {"split_rhat", "share_up"} <= set(complaints)


def test_tau_in_other_units_is_scaled_and_null_where_unknown():
    estimate = {"tau_int": 4.0, "tau_int_error": 0.5}
    found = tau_times({"energy_per_spin": estimate, "abs_magnetization": dict.fromkeys(estimate)}, 0.25)
    assert found == {"energy_per_spin": {"value": 1.0, "error": 0.125}, "abs_magnetization": None}
    assert tau_times({}, None) is None
