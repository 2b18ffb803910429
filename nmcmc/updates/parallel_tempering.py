"""Parallel tempering: chains at several temperatures that exchange configurations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.pairwise import PairwiseEnergy
from nmcmc.parallel import for_chunks
from nmcmc.random import Rng
from nmcmc.types import Floats, Info, Spins, State
from nmcmc.updates.compiled import counted
from nmcmc.updates.local import on_a_grid


class ParallelTempering:
    """Metropolis sweeps at every β of a ladder, then exchanges of neighbours with min(1, exp(ΔβΔH)).

    Every β has a chain of its own: chain c is at ``betas[c % len(betas)]``, so that a state is nothing but spins, as
    many rows as ladders times temperatures, and observables of chain c are those of its β. What is kept invariant is
    the product of the Boltzmann distributions of all chains. A step tries to exchange every second pair of
    neighbours, from the first β on or from the second, by the toss of a coin. Its info is ``flip_fraction`` and
    ``exchanged``, whether the chain's configuration came from another β.

    Parameters
    ----------
    energy : any pairwise system.
    betas : inverse temperatures ≥ 0 in rising order, at least two.
    sweeps : sweeps of n_spins random sites before each exchange, ≥ 1.

    Raises
    ------
    TypeError : if the energy is not pairwise.
    ValueError : for fewer than two β, or such as do not rise, sweeps < 1, or couplings that add up to more than float64
        holds.

    References
    ----------
    R. H. Swendsen, J.-S. Wang, Phys. Rev. Lett. 57, 2607 (1986); K. Hukushima, K. Nemoto, cond-mat/9512035 (1996).

    Examples
    --------
    >>> from nmcmc.energies.lattice import Lattice, LatticeEnergy
    >>> from nmcmc.updates.run import run
    >>> energy = LatticeEnergy(Lattice((4, 4)))
    >>> tempering = ParallelTempering(energy, [0.2, 0.3, 0.44])
    >>> chain = run(tempering, 100, Rng(1), observables={"energy": energy}, n_chains=6)
    >>> cold = chain.series["energy"][2::3]
    >>> cold.shape
    (2, 100)
    """

    def __init__(self, energy: PairwiseEnergy, betas: Sequence[float] | Floats, sweeps: int = 1):
        if not isinstance(energy, PairwiseEnergy):
            raise TypeError(f"ParallelTempering needs a PairwiseEnergy, not {type(energy).__name__}")
        self.energy, self.sweeps, self._system = energy, counted("sweeps", sweeps), on_a_grid(energy)
        self.betas = np.array([Boltzmann(energy, float(beta)).beta for beta in betas])
        if len(self.betas) < 2 or np.any(np.diff(self.betas) <= 0):
            raise ValueError(f"betas are {self.betas.tolist()}; give at least two in rising order")

    @property
    def n_spins(self) -> int:
        """Number of spins."""
        return self.energy.n_spins

    def init(self, spins: Spins) -> State:
        """Return the state that starts from the configurations, int8 ±1 (n_ladders · n_betas, n_spins).

        Raises
        ------
        ValueError : if a spin is not ±1, or the number of chains no multiple of the number of β.
        """
        spins = self.energy.check_spins(spins)
        if not np.all(np.abs(spins) == 1):
            raise ValueError("spins contain a value other than −1 and +1; map 0/1 configurations by 2 s − 1")
        if len(spins) == 0 or len(spins) % len(self.betas):
            raise ValueError(
                f"there are {len(spins)} chains for {len(self.betas)} temperatures; give one for each, or a multiple"
            )
        return State(spins)

    def step(self, state: State, rng: Rng) -> tuple[State, Info]:
        """Sweep every chain and exchange neighbours once."""
        state, _, info = self.block(state, rng, 1)
        return state, {name: values[:, 0] for name, values in info.items()}

    def block(self, state: State, rng: Rng, n: int) -> tuple[State, Spins, Info]:
        """Make n steps; return the state, all configurations (n_chains, n, n_spins) and the info (n_chains, n).

        Raises
        ------
        ValueError : if n < 1.
        """
        from nmcmc.kernels.tempering import tempering_steps

        counted("n", n)
        ladders = (len(state.spins) // len(self.betas), len(self.betas))
        spins, streams = state.spins.copy().reshape(*ladders, -1), rng.streams(len(state.spins)).reshape(*ladders, 4)
        out = np.empty((*ladders, n, self.n_spins), dtype=np.int8)
        flips, swapped = (np.empty((*ladders, n), dtype=np.int64) for _ in range(2))
        rule = self._system, self.betas, self.sweeps
        for_chunks(
            lambda a, b: tempering_steps(spins[a:b], streams[a:b], *rule, out[a:b], flips[a:b], swapped[a:b]),
            len(spins),
        )
        flat = (len(state.spins), n)
        info = {
            "flip_fraction": flips.reshape(flat) / (self.sweeps * self.n_spins),
            "exchanged": swapped.reshape(flat) > 0,
        }
        return State(spins.reshape(state.spins.shape)), out.reshape(*flat, -1), info
