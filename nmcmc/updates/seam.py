"""The bonds between two parts of a system, turned on step by step: how well does one part know the other?"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.pairwise import PairwiseEnergy
from nmcmc.random import Rng
from nmcmc.types import Floats, Spins
from nmcmc.updates.held import HeldClusters
from nmcmc.updates.walk import walk

Mask = npt.NDArray[np.bool_]
_SPREAD = 10
"""Updates that part the walkers of the way back, which start from one state."""


@dataclass(frozen=True)
class Seam:
    """Bonds between the parts a and b: H_λ = H_a + H_b + λ H_ab, from two systems (λ = 0) to one (λ = 1).

    Attributes
    ----------
    target : Boltzmann distribution of a `PairwiseEnergy`. part : which spins are a, (n_spins,).
    """

    target: Boltzmann
    part: Mask

    @cached_property
    def energy(self) -> PairwiseEnergy:
        """H_ab = −Σ J s s of the bonds between a and b."""
        whole = self._whole
        return PairwiseEnergy(whole.n_spins, whole.edges[self._across], whole.couplings[self._across])

    def at(self, strength: float) -> Boltzmann:
        """Return the distribution whose bonds between a and b are those of the target times strength/β."""
        if strength == self.target.beta:
            return self.target
        whole, factor = self._whole, strength / self.target.beta
        couplings = np.where(self._across, factor * whole.couplings, whole.couplings)
        return Boltzmann(PairwiseEnergy(whole.n_spins, whole.edges, couplings, whole.fields), self.target.beta)

    def strengths(self, n_steps: int) -> list[float]:
        """Return βλ = β (k/n_steps)², k = 0 … n_steps: small steps first, when the free part has yet to take sides."""
        return [self.target.beta * (k / n_steps) ** 2 for k in range(n_steps + 1)]

    @property
    def _whole(self) -> PairwiseEnergy:
        if not isinstance(self.target.energy, PairwiseEnergy):
            raise TypeError(f"a seam needs a PairwiseEnergy, not {type(self.target.energy).__name__}")
        return self.target.energy

    @cached_property
    def _across(self) -> Mask:
        i, j = self._whole.edges.T
        across: Mask = self.part[i] != self.part[j]
        return across


def response_bounds(
    seam: Seam, held: Mask, spins: Spins, free: Spins, n_steps: int, n_walkers: int, rng: Rng
) -> tuple[Floats, Floats]:
    """Return bounds, in the mean, of f(a) = log⟨exp(−βH_ab(a, b))⟩ over b at λ = 0, with the held part a of states.

    Walkers whose a is held go from λ = 0 to 1 with a free b, and back from the state's own b: the exponential of their
    log weight has the mean exp(f) on the way there and exp(−f) on the way back, so that by Jensen's inequality the
    logarithm of the mean over n walkers is a bound from below and from above (R. B. Grosse, Z. Ghahramani,
    R. P. Adams, 2015, arXiv:1511.02543). The upper bound rests on b being a draw of p(b | a): the states must be those
    of the target.

    Parameters
    ----------
    held : the part a of the seam or the part b, (n_spins,).
    spins : states of the target, int8 (n, n_spins). free : states at λ = 0, (n_free, n_spins), any number.
    n_steps : of λ. n_walkers : each way, of every state. rng : a stream of its own.

    Returns
    -------
    lower, upper : (n,) each.
    """
    rows, path = np.repeat(spins, n_walkers, axis=0), seam.strengths(n_steps)
    drawn = free[rng.generator.integers(0, len(free), len(rows))]

    def clusters(strength: float) -> HeldClusters:
        return HeldClusters(seam.at(strength), held)

    there = walk(clusters, seam.energy, path, np.where(held, rows, drawn), rng.child("there"))
    update, stream = clusters(path[-1]), rng.child("spread")
    state = update.init(rows)
    for _ in range(_SPREAD):
        state, _ = update.step(state, stream)
    back = walk(clusters, seam.energy, path[::-1], state.spins, rng.child("back"))
    shape = len(spins), n_walkers
    return _log_mean(there.log_weight.reshape(shape)), -_log_mean(back.log_weight.reshape(shape))


def _log_mean(log_weight: Floats) -> Floats:
    """Return log mean exp over axis 1."""
    top = log_weight.max(axis=1)
    result: Floats = top + np.log(np.mean(np.exp(log_weight - top[:, None]), axis=1))
    return result
