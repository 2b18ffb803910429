"""Inverse temperatures as text: what is meant, and what is refused."""

import itertools

import pytest

from nmcmc.experiment.grid import betas_of, knots_of, points, spread


def test_lists_and_steps():
    assert betas_of("0.3, 0.4,0.45") == (0.3, 0.4, 0.45)
    assert betas_of("0.44") == (0.44,)
    assert betas_of("0.3:0.6:0.01")[::15] == (0.3, 0.45, 0.6)
    assert betas_of("0.3:0.59:0.1") == (0.3, 0.4, 0.5)
    assert knots_of("0.3:0.5:0.1", 0.44) == (0.3, 0.4, 0.5)


@pytest.mark.parametrize(
    "text", ["", "cold", "0.4,0.3", "0.3,0.3", "-0.1,0.3", "nan", "0.3:0.4", "0.4:0.3:0.1", "0.3:0.4:0", "0:1:1e-9"]
)
def test_what_is_no_list_of_betas_is_refused(text):
    with pytest.raises(ValueError, match=f"betas are {text!r}; "):
        betas_of(text)


@pytest.mark.parametrize("text", ["0.4", "0.4:0.4", "0.5:0.4", ":", "0.3:0.6:0.1:2"])
def test_what_is_no_range_of_knots_is_refused(text):
    with pytest.raises(ValueError, match=f"betas are {text!r}; "):
        knots_of(text, 0.44)


@pytest.mark.parametrize(("low", "high"), [(0.3, 0.6), (0.43, 0.45), (0.5, 0.6), (0.1, 0.4), (0.0, 2.0)])
def test_knots_reach_both_ends_and_get_sparser_away_from_the_start(low, high):
    knots = knots_of(f"{low}:{high}", 0.44)
    assert (knots[0], knots[-1]) == (low, high)
    assert all(a < b for a, b in itertools.pairwise(knots))
    assert not low <= 0.44 <= high or 0.44 in knots
    above = [b - a for a, b in itertools.pairwise(k for k in knots if k >= 0.44)]
    assert all(b > a for a, b in itertools.pairwise(above[:-1]))
    assert spread(low, high, 0.44) == knots


def test_default_points_hold_both_ends():
    assert points(0.3, 0.6)[:2] == (0.3, 0.31)
    assert (len(points(0.3, 0.61)), points(0.3, 0.61)[-1]) == (31, 0.61)
