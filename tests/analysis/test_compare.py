import json
import math

import pytest

from nmcmc.analysis.compare import compare, to_json, worst
from nmcmc.types import Estimate


def test_rows_hold_deviations_in_units_of_the_errors():
    a = {"m2": Estimate(1.0, 0.3), "only_a": Estimate(2.0, 0.5)}
    b = {"m2": Estimate(2.0, 0.4), "only_b": Estimate(0.0, 0.1)}
    rows = {row.name: row for row in compare(a, b, {"m2": 1.6, "only_b": 0.2})}
    assert list(rows) == ["m2", "only_a", "only_b"]
    assert rows["m2"].deviation == pytest.approx(-2)
    assert rows["m2"].deviation_a == pytest.approx(-2)
    assert rows["m2"].deviation_b == pytest.approx(1)
    assert (rows["only_a"].b, rows["only_a"].exact, rows["only_a"].deviation) == (None, None, None)
    assert rows["only_b"].deviation_b == pytest.approx(-2)
    assert worst(rows.values()) == pytest.approx(2)


def test_nothing_to_compare_is_zero_and_a_wrong_exact_value_without_error_is_infinite():
    assert worst([]) == 0
    assert worst(compare({"x": Estimate(1.0, 0.0)}, {}, {"x": 2.0})) == math.inf
    assert worst(compare({"x": Estimate(1.0, 0.0)}, {"x": Estimate(1.0, 0.0)})) == 0


def test_unknown_errors_give_no_deviation():
    rows = compare({"x": Estimate(math.nan, math.inf)}, {"x": Estimate(1.0, 0.1)}, {"x": 1.0})
    assert (rows[0].deviation, rows[0].deviation_a) == (None, None)
    assert rows[0].deviation_b == 0


def test_json_has_null_for_numbers_that_are_not_finite():
    text = json.dumps(to_json(Estimate(1.5, math.inf, math.nan, 0.1, 7, False, "too short")), allow_nan=False)
    assert json.loads(text) == {
        "value": 1.5,
        "error": None,
        "error_error": 0.0,
        "tau_int": None,
        "tau_int_error": 0.1,
        "reliable": False,
        "why": "too short",
    }
