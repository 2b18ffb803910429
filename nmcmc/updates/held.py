"""Swendsen–Wang clusters of part of a system while the other spins are held."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.pairwise import PairwiseEnergy
from nmcmc.random import Rng
from nmcmc.types import Info, Spins, State
from nmcmc.updates.swendsen_wang import SwendsenWang

_CERTAIN = 400.0
"""β|J| of a bond that is always active: exp(−800) is 0 in double precision."""


class HeldClusters:
    """Swendsen–Wang of the free spins b given the held spins a: clusters that touch a do not flip.

    It keeps p(b | a) of every chain, each with an a of its own. Held spins next to free ones are glued together by
    bonds of both signs, of which one is always satisfied, so that they are one cluster; a chain in which that cluster
    flips is turned over as a whole, which without a field changes nothing. Its info is ``n_clusters``, in which a held
    spin counts as one if no free spin sees it.

    Parameters
    ----------
    target : Boltzmann distribution of a `PairwiseEnergy` without fields, β > 0.
    held : which spins stay as they are, bool (n_spins,).

    Raises
    ------
    TypeError, ValueError : as `SwendsenWang`; for β = 0, or another mask.

    References
    ----------
    R. H. Swendsen and J.-S. Wang, Phys. Rev. Lett. 58, 86 (1987).
    """

    def __init__(self, target: Boltzmann, held: npt.NDArray[np.bool_]):
        whole = SwendsenWang(target).energy
        if held.shape != (whole.n_spins,) or held.dtype != np.bool_:
            raise ValueError(f"held has shape {held.shape} and type {held.dtype}; give one bool per spin")
        if not target.beta > 0:
            raise ValueError("beta is 0, where free spins are independent of the held ones; give beta > 0")
        self.held = held
        moving = ~held[whole.edges].all(axis=1)
        touched = np.unique(whole.edges[moving][held[whole.edges[moving]]])
        glue = np.stack([touched[:-1], touched[1:]], axis=1)
        edges = np.concatenate([whole.edges[moving], glue, glue])
        strength = np.full(len(glue), _CERTAIN / target.beta)
        couplings = np.concatenate([whole.couplings[moving], strength, -strength])
        energy = PairwiseEnergy(whole.n_spins, edges, couplings)
        self._anchor = touched[:1]
        self._clusters = SwendsenWang(Boltzmann(energy, target.beta))

    @property
    def n_spins(self) -> int:
        """Number of spins, held ones included."""
        return self._clusters.n_spins

    def init(self, spins: Spins) -> State:
        """Return the state that starts from the configurations, int8 ±1 (n_chains, n_spins)."""
        return self._clusters.init(spins)

    def step(self, state: State, rng: Rng) -> tuple[State, Info]:
        """Make one step of every chain with the chain's own random stream."""
        after, info = self._clusters.step(state, rng)
        turned = (after.spins[:, self._anchor] != state.spins[:, self._anchor]).any(axis=1, keepdims=True)
        spins = np.where(self.held, state.spins, np.where(turned, -after.spins, after.spins))
        return State(spins), info
