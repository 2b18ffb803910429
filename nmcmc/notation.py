"""Numbers with errors as physicists write them: −1.41422(13)."""

from __future__ import annotations

import math

MISSING = "—"


def compact(value: float | None, error: float | None = None) -> str:
    """Return value(error), the error to two digits in units of the last place; "—" for what is unknown.

    Without an error, or with one that is zero or not finite, the value has six significant digits.

    Examples
    --------
    >>> compact(-1.414217, 0.00128)
    '−1.4142(13)'
    >>> compact(1234.5, 21.2), compact(3.27e-9, 1.2e-10), compact(0.25)
    ('1234(21)', '3.27(12)e−9', '0.25')
    """
    if value is None or math.isnan(value):
        return MISSING
    if error is None or not 0 < error < math.inf or math.isinf(value):
        return _typeset(f"{value:.6g}")
    exponent = math.floor(math.log10(max(abs(value), error)))
    scale = exponent if not -5 <= exponent <= 9 else 0
    value, error = value / 10.0**scale, error / 10.0**scale
    decimals = 1 - math.floor(math.log10(float(f"{error:.1e}")))
    if decimals <= 0:
        digits, uncertain = f"{round(value, decimals):.0f}", f"{round(error, decimals):.0f}"
    elif error >= 0.995:
        digits, uncertain = f"{value:.{decimals}f}", f"{error:.{decimals}f}"
    else:
        digits, uncertain = f"{value:.{decimals}f}", f"{round(error * 10**decimals)}"
    return _typeset(f"{digits}({uncertain})" + (f"e{scale}" if scale else ""))


def _typeset(text: str) -> str:
    return text.replace("-", "−")
