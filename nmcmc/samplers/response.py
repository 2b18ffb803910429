"""A start for networks on partial fields from linear response: the spins that are left answer together, not alone."""

from __future__ import annotations

from typing import TypeAlias, cast

import numpy as np
import torch

from nmcmc.energies.pairwise import PairwiseEnergy
from nmcmc.samplers.partial_fields import FieldSampler, OneLayerSampler
from nmcmc.samplers.sk import ReplicaSampler
from nmcmc.samplers.store import at_beta
from nmcmc.types import Floats

Responding: TypeAlias = ReplicaSampler | OneLayerSampler
LEAST_STIFFNESS = 0.15
"""Smallest eigenvalue of 1 + β² Σ J² − βJ down to which linear response is believed."""
GRID, KNEE, RATIO, MOST_STEPS = 32, 4.0, 1.05, 300
"""Equal steps, the β in units of 1/√(Σ_l J_il²) at which they end, and the ratio and the number of those beyond: so
fine that softness, at about 1 in the units of some sites, does not lie between two."""
SMALLEST = 1e-100
"""Susceptibility 1 − q of a spin below which it is frozen, by a field."""
POINTS, CHANCES = np.polynomial.hermite_e.hermegauss(20)
CHANCES = CHANCES / CHANCES.sum()


def believed_beta(energy: PairwiseEnergy, beta: float) -> float:
    """Return the largest of many steps up to beta before the paramagnet of the couplings gets too soft.

    Its inverse susceptibility is A = 1 + β² diag(Σ_l J_il²) − βJ (D. J. Thouless, P. W. Anderson, R. G. Palmer 1977),
    whose smallest eigenvalue falls from 1 at β = 0 to 0 where it would order. There are 32 equal steps up to β, or to
    4/√(Σ_l J_il²) of the strongest site if that is less, and steps of five per cent beyond.
    """
    couplings, believed = energy.coupling_matrix, 0.0
    squares = (couplings**2).sum(axis=1)
    strongest = float(np.sqrt(squares.max()))
    top = beta if strongest * beta <= KNEE else KNEE / strongest
    steps = [*(top * np.arange(1, GRID + 1) / GRID), *np.minimum(top * RATIO ** np.arange(1, MOST_STEPS), beta)]
    for before, step in zip([0.0, *steps], steps, strict=False):
        if step == before:
            break
        stiffness = np.diag(1 + step**2 * squares) - step * couplings
        if np.linalg.eigvalsh(stiffness)[0] < LEAST_STIFFNESS:
            break
        believed = float(step)
    return believed


def answers(energy: PairwiseEnergy, beta: float) -> tuple[Floats, Floats]:
    """Return χ_il for l > i, else 0, and 1 − q_il, else 1, (n, n): how the spins l after i answer to spin i, together.

    χ_i· = A⁻¹ J_i· with A = diag(1/(1 − q_l) + β² Σ_l' J_ll'² (1 − q_l')) − βJ among the spins after i, and
    q_il = ⟨tanh² βx_il⟩ over independent spins before i. To first order in the partial fields x,
    ln Z(s_i = +1) − ln Z(s_i = −1) = 2β² Σ_l χ_il x_il. Spins that are alone have χ_il = (1 − q_il) J_il.
    """
    couplings, squares = energy.coupling_matrix, energy.coupling_matrix**2
    found, free, spread = np.zeros_like(squares), np.ones_like(squares), np.zeros(energy.n_spins)
    for i in range(energy.n_spins - 1):
        rest = slice(i + 1, None)
        fields = energy.fields[rest, None] + np.sqrt(spread[rest, None]) * POINTS
        free[i, rest] = one = np.maximum(1 - np.tanh(beta * fields) ** 2 @ CHANCES, SMALLEST)
        stiffness = np.diag(1 / one + beta**2 * squares[rest, rest] @ one) - beta * couplings[rest, rest]
        found[i, rest] = np.linalg.solve(stiffness, couplings[i, rest])
        spread += squares[i]
    return found, free


@torch.no_grad()
def start_at_response(sampler: FieldSampler) -> None:
    """Let a net of replica layers, or of one layer, start at linear response: see `answers`, at `believed_beta`.

    Replica layers take the couplings χ_il/(1 − q_il) for J_il; one layer the weights J_ji + β Σ_l χ_il J_jl.

    Raises
    ------
    TypeError : for another kind of sampler.
    """
    for name, value in _expected(sampler, sampler.beta).items():
        sampler.get_parameter(name).copy_(value)


@torch.no_grad()
def follow_response(sampler: Responding, beta: float) -> Responding:
    """Return the sampler at another β: the same weights, changed as `start_at_response` is.

    Raises
    ------
    TypeError : as `start_at_response`.
    """
    before, after = _expected(sampler, sampler.beta), _expected(sampler, beta)
    moved = cast(Responding, at_beta(sampler, beta))
    for name, value in after.items():
        moved.get_parameter(name).add_(value - before[name])
    return moved


def _expected(sampler: FieldSampler, beta: float) -> dict[str, torch.Tensor]:
    """Return the parameters at linear response, by their names."""
    if not isinstance(sampler, ReplicaSampler | OneLayerSampler):
        raise TypeError(
            f"a {type(sampler).__name__} has no start at linear response; ReplicaSampler and OneLayerSampler have"
        )
    energy, pairs = sampler.energy, np.triu_indices(sampler.n_spins, 1)
    beta = believed_beta(energy, beta)
    found, free = answers(energy, beta)
    if isinstance(sampler, ReplicaSampler):
        shifts = np.ones((sampler.levels + 1, len(pairs[0])))
        shifts[0] = (found / free)[pairs]
        expected = {"shifts": shifts}
    else:
        weights = energy.coupling_matrix + beta * energy.coupling_matrix @ found.T
        expected = {"weights": weights[pairs], "bias": energy.fields + beta * found @ energy.fields}
    return {name: torch.as_tensor(value, dtype=torch.float32) for name, value in expected.items()}
