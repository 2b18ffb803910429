"""What changes during training: the learning rate and β, as functions of the step."""

from __future__ import annotations

import math


def learning_rate(step: int, n_steps: int, peak: float, warmup: int) -> float:
    """Return peak · min(1, (step + 1)/warmup) · ½(1 + cos(π step/n_steps)): linear warm-up, then a cosine to 0."""
    rise = min(1.0, (step + 1) / max(warmup, 1))
    return peak * rise * 0.5 * (1 + math.cos(math.pi * step / max(n_steps, 1)))


def constant_rate(step: int, n_steps: int, peak: float, warmup: int) -> float:
    """Return the peak, whatever the step: the schedule of many publications."""
    return peak


def annealed_beta(step: int, n_steps: int, beta: float, start: float, share: float = 0.6) -> float:
    """Return β that rises linearly from ``start`` to ``beta`` over the first ``share`` of all steps, then stays."""
    rise = share * (n_steps - 1)
    if start >= beta or step >= rise:
        return beta
    return start + (beta - start) * step / rise
