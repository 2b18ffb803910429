"""The annealing as a sampler of D-Wave's `dimod`; needs the extra ``graphs``."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from nmcmc.annealing import anneal, default_beta_range, schedule
from nmcmc.energies.graphs import problem_of
from nmcmc.energies.terms import from_bqm
from nmcmc.random import Rng

try:
    import dimod
except ImportError as error:
    raise ImportError("AnnealingSampler needs dimod: python -m pip install 'nmcmc[graphs]'") from error


class AnnealingSampler(dimod.Sampler):
    """Simulated annealing of any binary quadratic model, sixteen reads side by side.

    Energies of the samples are those that dimod computes from the model itself.

    Examples
    --------
    >>> model = dimod.BinaryQuadraticModel({}, {("a", "b"): 1.0, ("b", "c"): -1.0}, "SPIN")
    >>> found = AnnealingSampler().sample(model, num_reads=5, num_sweeps=20, seed=1)
    >>> float(found.first.energy)
    -2.0
    """

    def __init__(self) -> None:
        names = ("num_reads", "num_sweeps", "beta_range", "seed")
        self._parameters: dict[str, list[str]] = {name: [] for name in names}
        self._properties: dict[str, Any] = {"num_reads_at_once": 16}

    @property
    def parameters(self) -> dict[str, list[str]]:
        """The options of `sample`."""
        return self._parameters

    @property
    def properties(self) -> dict[str, Any]:
        """What is to be known of the sampler."""
        return self._properties

    def sample(
        self,
        bqm: Any,
        *,
        num_reads: int = 16,
        num_sweeps: int = 1000,
        beta_range: tuple[float, float] | None = None,
        seed: int | None = None,
        **others: Any,
    ) -> Any:
        """Return ``num_reads`` local minima as a `dimod.SampleSet`.

        Parameters
        ----------
        bqm : a binary quadratic model of any vartype.
        num_reads : annealings, each from a random start. num_sweeps : sweeps of each.
        beta_range : inverse temperatures of the first and the last sweep; from the model unless given.
        seed : an integer ≥ 0; a random one unless given.

        Raises
        ------
        ValueError : for numbers out of range. TypeError : for a model that is not binary, or numbers of another type.
        """
        others = self.remove_unknown_kwargs(**others)
        num_reads, num_sweeps = operator.index(num_reads), operator.index(num_sweeps)
        if num_reads < 1 or num_sweeps < 1:
            raise ValueError(f"num_reads is {num_reads} and num_sweeps {num_sweeps}; both must be at least 1")
        if beta_range is not None and len(beta_range) != 2:
            raise ValueError(f"beta_range is {beta_range}; give the first and the last inverse temperature")
        if bqm.num_variables == 0:
            return dimod.SampleSet.from_samples_bqm([{}] * num_reads, bqm)
        terms = from_bqm(bqm)
        problem = problem_of(terms)
        used = default_beta_range(problem.energy) if beta_range is None else (beta_range[0], beta_range[1])
        chosen = int(np.random.SeedSequence().generate_state(1)[0]) if seed is None else seed
        spins = anneal(problem.energy, schedule(problem.energy, num_sweeps, used), num_reads, Rng(chosen))
        info = {"beta_range": list(used), "beta_schedule_type": "linear", "seed": chosen}
        return dimod.SampleSet.from_samples_bqm((problem.answer(spins), list(terms.names)), bqm, info=info)
