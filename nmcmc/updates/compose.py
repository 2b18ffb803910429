"""Updates made of updates: one after the other, or one chosen at random."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nmcmc.random import Rng
from nmcmc.types import Info, Spins, State, Update


class Cycle:
    """Apply several updates in turn; one step is all of them.

    Each update starts from ``init`` of the spins that the one before left, so that nothing it carries is stale. Infos
    are merged; a name that several updates use gets their class and position in front, as in ``metropolis1_accepted``.

    Parameters
    ----------
    updates : the updates in order, all of the same target.

    Raises
    ------
    ValueError : if there is no update, or they have different numbers of spins.

    Examples
    --------
    >>> from nmcmc.energies.boltzmann import Boltzmann
    >>> from nmcmc.energies.lattice import Lattice, LatticeEnergy
    >>> from nmcmc.updates.metropolis import Metropolis
    >>> from nmcmc.updates.wolff import Wolff
    >>> target = Boltzmann(LatticeEnergy(Lattice((4, 4))), beta=0.44)
    >>> Cycle([Wolff(target), Metropolis(target)]).n_spins
    16
    """

    def __init__(self, updates: Sequence[Update[Any]]):
        self.updates = tuple(updates)
        self.n_spins = _common_n_spins(self.updates)

    def init(self, spins: Spins) -> State:
        """Return the state that starts from the configurations, as the first update checks them."""
        return State(self.updates[0].init(spins).spins)

    def step(self, state: State, rng: Rng) -> tuple[State, Info]:
        """Make one step of every update in turn."""
        infos: list[Info] = []
        spins = state.spins
        for update in self.updates:
            inner, info = update.step(update.init(spins), rng)
            spins = inner.spins
            infos.append(info)
        return State(spins), self._merge(infos)

    def _merge(self, infos: list[Info]) -> Info:
        names = [name for info in infos for name in info]
        merged: Info = {}
        for position, (update, info) in enumerate(zip(self.updates, infos, strict=True)):
            prefix = f"{type(update).__name__.lower()}{position}_"
            merged |= {name if names.count(name) == 1 else prefix + name: values for name, values in info.items()}
        return merged


class Mixture:
    """Apply one of several updates, chosen anew at each step with fixed probabilities for all chains together.

    The choice comes from ``rng.generator`` and never depends on the state, so the mixture keeps what each update
    keeps. Its info is ``choice``, the position of the update, and ``moved``, whether the configuration changed.

    Parameters
    ----------
    updates : the updates, all of the same target.
    probabilities : one per update, > 0, adding up to 1.

    Raises
    ------
    ValueError : for no updates, different numbers of spins, or probabilities that are none.
    """

    def __init__(self, updates: Sequence[Update[Any]], probabilities: Sequence[float]):
        self.updates = tuple(updates)
        self.n_spins = _common_n_spins(self.updates)
        self.probabilities = np.asarray(probabilities, dtype=np.float64)
        if self.probabilities.shape != (len(self.updates),):
            raise ValueError(f"{self.probabilities.size} probabilities for {len(self.updates)} updates; give one each")
        if not (np.all(self.probabilities > 0) and np.isclose(self.probabilities.sum(), 1, rtol=0, atol=1e-12)):
            raise ValueError(f"probabilities are {list(probabilities)}; they must be positive and add up to 1")

    def init(self, spins: Spins) -> State:
        """Return the state that starts from the configurations, as the first update checks them."""
        return State(self.updates[0].init(spins).spins)

    def step(self, state: State, rng: Rng) -> tuple[State, Info]:
        """Choose an update and make one step of it."""
        choice = int(rng.generator.choice(len(self.updates), p=self.probabilities))
        update = self.updates[choice]
        after, _ = update.step(update.init(state.spins), rng)
        moved = np.any(after.spins != state.spins, axis=1)
        return State(after.spins), {"choice": np.full(len(moved), choice), "moved": moved}


def _common_n_spins(updates: Sequence[Update[Any]]) -> int:
    sizes = {update.n_spins for update in updates}
    if len(sizes) != 1:
        raise ValueError(f"the updates have {sorted(sizes)} spins; give at least one update, all of the same system")
    return sizes.pop()
