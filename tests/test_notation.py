"""Values with errors as text."""

import math

import pytest

from nmcmc.notation import compact


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (-1.414217, 0.00128, "−1.4142(13)"),
        (0.5, 0.0099999, "0.500(10)"),
        (1.0, 0.0995, "1.00(10)"),
        (12.34, 0.996, "12.3(1.0)"),
        (12.34, 1.24, "12.3(1.2)"),
        (123.4, 9.96, "123(10)"),
        (1234.5, 212.0, "1230(210)"),
        (0.0, 0.3, "0.00(30)"),
        (3.27e-9, 1.2e-10, "3.27(12)e−9"),
        (5.0e12, 3.0e10, "5.000(30)e12"),
        (1.5, 0.0, "1.5"),
        (1.5, math.inf, "1.5"),
        (1.5, None, "1.5"),
        (math.inf, 1.0, "inf"),
        (None, 0.1, "—"),
        (math.nan, 0.1, "—"),
    ],
)
def test_compact(value, error, text):
    assert compact(value, error) == text
