"""Array aliases, the Protocols at which the layers meet, and the records that pass between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar, overload

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from torch import Tensor

    from nmcmc.random import Rng

Spins: TypeAlias = npt.NDArray[np.int8]
"""Spin configurations, ±1, shape (batch, n_spins)."""
Floats: TypeAlias = npt.NDArray[np.float64]
Ints: TypeAlias = npt.NDArray[np.int64]
Info: TypeAlias = dict[str, npt.NDArray[Any]]
"""Diagnostics of one update: name → one value per chain."""


class CorruptFileError(ValueError):
    """A file is truncated, changed since it was written, or not what it claims to be."""


class Energy(Protocol):
    """A Hamiltonian H(s): one energy per configuration; an array in gives an array, a tensor gives a tensor."""

    @property
    def n_spins(self) -> int:
        """Number of spins."""
        ...

    @overload
    def __call__(self, spins: Spins) -> Floats: ...
    @overload
    def __call__(self, spins: Tensor) -> Tensor: ...

    def magnetization(self, spins: Spins) -> Floats:
        """Return m = Σ s_i/N of each configuration, (batch,)."""
        ...


class Target(Protocol):
    """An unnormalised distribution: log_density(s) = −βH(s) for a Boltzmann distribution."""

    @property
    def n_spins(self) -> int:
        """Number of spins."""
        ...

    @overload
    def log_density(self, spins: Spins) -> Floats: ...
    @overload
    def log_density(self, spins: Tensor) -> Tensor: ...


class ThermalTarget(Target, Protocol):
    """A target at an inverse temperature, which can be had at another one."""

    @property
    def beta(self) -> float:
        """Inverse temperature, k_B = 1."""
        ...

    def at(self, beta: float) -> ThermalTarget:
        """Return the same system at another β."""
        ...


@dataclass(frozen=True)
class Draw:
    """Independent configurations from a sampler with their normalised log-probabilities.

    ``spins`` is an int8 tensor (n, n_spins), ``log_prob`` a float64 tensor (n,) holding log q(s).
    """

    spins: Tensor
    log_prob: Tensor


class Sampler(Protocol):
    """A normalised distribution q(s) that can be drawn from and evaluated.

    ``sample(n, rng)`` consumes uniforms draw by draw, as many for each, one for every spin: drawing n and then m
    configurations gives the same spins as drawing n + m at once.
    """

    @property
    def n_spins(self) -> int:
        """Number of spins."""
        ...

    def sample(self, n: int, rng: Rng) -> Draw:
        """Draw n independent configurations with their log q."""
        ...

    def log_prob(self, spins: Tensor) -> Tensor:
        """Return log q(s) as a differentiable float64 tensor (n,) for an int8 tensor (n, n_spins)."""
        ...


@dataclass(frozen=True)
class State:
    """What the next step of an update needs: at least one configuration per chain, (n_chains, n_spins)."""

    spins: Spins


S = TypeVar("S", bound=State)


class Update(Protocol[S]):
    """A Markov transition that leaves its target invariant. Pure: a step returns new arrays.

    Hand-over from another update is ``init(state.spins)``: it recomputes whatever the state carries.
    An update may add ``block(state, rng, n) -> (state, spins (n_chains, n, n_spins), info (n_chains, n))`` that equals
    n steps on the same random numbers bit for bit.
    """

    @property
    def n_spins(self) -> int:
        """Number of spins."""
        ...

    def init(self, spins: Spins) -> S:
        """Return the state that starts from the given configurations, one per chain."""
        ...

    def step(self, state: S, rng: Rng) -> tuple[S, Info]:
        """Make one update of every chain with the chain's own random stream."""
        ...


@dataclass(frozen=True)
class Chain:
    """The record of several Markov chains run side by side.

    Attributes
    ----------
    series : observables, name → (n_chains, n_draws).
    stats : diagnostics of the update (accepted, log_prob, log_weight, cluster_size …), name → (n_chains, n_draws).
    spins : thinned configurations (n_chains, n_kept, n_spins), or None if none were kept.
    thin : every ``thin``-th configuration was kept.
    """

    series: Mapping[str, Floats]
    stats: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    spins: Spins | None = None
    thin: int = 1

    @property
    def n_chains(self) -> int:
        """Number of chains."""
        return int(next(iter(self.series.values())).shape[0])

    @property
    def n_draws(self) -> int:
        """Number of draws of each chain."""
        return int(next(iter(self.series.values())).shape[1])


@dataclass(frozen=True)
class Estimate:
    """A value with its one-σ statistical error, and how far to trust it.

    ``tau_int`` = ½ + Σ_{t≥1} ρ(t) in updates (½ for independent draws); ``n`` counts all draws that entered.
    ``reliable`` is False, and ``why`` says why, when the error cannot be believed (stuck or too short chain …). Where
    it is True, ``why`` is empty, or a remark on what the value means.
    ``error_error`` is the one-σ error of the error, 0 where that is taken for known. ``window`` is the lag at which the
    sum of autocorrelations stops, or the length of the bins that the error comes from; 0 where there is neither.
    """

    value: float
    error: float
    tau_int: float = 0.5
    tau_int_error: float = 0.0
    n: int = 0
    reliable: bool = True
    why: str = ""
    error_error: float = 0.0
    window: int = 0

    def deviation(self, exact: float) -> float:
        """Return (value − exact)/error; ±inf if the error is 0 and the values differ."""
        difference = self.value - exact
        if self.error > 0:
            return difference / self.error
        return 0.0 if difference == 0 else float(np.copysign(np.inf, difference))
