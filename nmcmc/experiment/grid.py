"""Inverse temperatures as text: lists, equal steps, and knots that are dense where the physics changes fastest."""

from __future__ import annotations

import itertools
import math

MAX_BETAS = 10_000
DEFAULT_POINTS = 31
FIRST_GAP, GROWTH = 0.02, 1.5
"""Distance of the first two knots from the start, and how much wider every further one is."""
_DIGITS, _KNOT_DIGITS = 10, 4


def betas_of(text: str) -> tuple[float, ...]:
    """Return the β that a text means: ``0.3,0.4,0.45``, or ``0.3:0.6:0.01`` from 0.3 to 0.6 in steps of 0.01.

    Raises
    ------
    ValueError : for anything else, β that do not rise, or more than 10000 of them.

    Examples
    --------
    >>> betas_of("0.3:0.5:0.1")
    (0.3, 0.4, 0.5)
    """
    if ":" in text:
        numbers = _numbers(text, ":")
        if len(numbers) != 3 or not (
            numbers[2] > 0 and numbers[0] <= numbers[1] <= numbers[0] + MAX_BETAS * numbers[2]
        ):
            raise ValueError(f"betas are {text!r}; give LOW:HIGH:STEP with at most {MAX_BETAS} steps, or a list")
        low, high, step = numbers
        return tuple(round(low + k * step, _DIGITS) for k in range(math.floor((high - low) / step + 1e-6) + 1))
    betas = _numbers(text, ",")
    if any(a >= b for a, b in itertools.pairwise(betas)):
        raise ValueError(f"betas are {text!r}; list each once, the smallest first")
    return betas


def knots_of(text: str, start: float) -> tuple[float, ...]:
    """Return the knots that a text means: as `betas_of`, or ``0.3:0.6`` for knots that lie densest about ``start``.

    Raises
    ------
    ValueError : as `betas_of`, and for fewer than two.
    """
    if text.count(":") == 1:
        low, high = _numbers(text, ":")
        if not low < high:
            raise ValueError(f"betas are {text!r}; the first must be smaller than the second")
        return spread(low, high, start)
    betas = betas_of(text)
    if len(betas) < 2:
        raise ValueError(f"betas are {text!r}; a family needs at least two, the ends of its range")
    return betas


def spread(low: float, high: float, start: float) -> tuple[float, ...]:
    """Return knots from ``low`` to ``high``: ``start`` if it is inside, and others at widening distances from it.

    Examples
    --------
    >>> spread(0.35, 0.5, 0.44)
    (0.35, 0.39, 0.42, 0.44, 0.46, 0.5)
    """
    start = min(max(start, low), high)
    up, down = _outwards(start, high), _outwards(-start, -low)
    return tuple([-b for b in reversed(down)] + [start] + up)


def _outwards(start: float, end: float) -> list[float]:
    """Return knots beyond ``start`` up to ``end``; one closer to the end than half a gap makes way for it."""
    knots, gap, at = list[float](), FIRST_GAP, round(start + FIRST_GAP, _KNOT_DIGITS)
    while at < end - gap * GROWTH / 2:
        knots.append(at)
        gap *= GROWTH
        at = round(at + gap, _KNOT_DIGITS)
    return [*knots, end] if end > start else knots


def points(low: float, high: float) -> tuple[float, ...]:
    """Return 31 equally spaced β from ``low`` to ``high``."""
    steps = DEFAULT_POINTS - 1
    inside = [round(low + (high - low) * k / steps, _DIGITS) for k in range(1, steps)]
    return (low, *inside, high)


def _numbers(text: str, separator: str) -> tuple[float, ...]:
    try:
        numbers = tuple(float(word) for word in text.split(separator))
    except ValueError:
        numbers = (math.nan,)
    if not all(math.isfinite(b) and b >= 0 for b in numbers):
        raise ValueError(f"betas are {text!r}; give numbers ≥ 0 as 0.3,0.4,0.45 or as LOW:HIGH:STEP")
    return numbers
