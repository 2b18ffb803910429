"""Independence Metropolis–Hastings: proposals from a sampler, accepted so that the target is kept exactly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nmcmc.parallel import for_chunks
from nmcmc.random import Rng
from nmcmc.types import Floats, Info, Ints, Sampler, Spins, State, Target
from nmcmc.updates.compiled import counted


@dataclass(frozen=True)
class IndependenceState(State):
    """Configurations (n_chains, n_spins) with their log_density and log_prob, float64 (n_chains,).

    Spins from elsewhere need ``Independence.init``: numbers that belong to other spins bias the chain.
    """

    log_density: Floats
    log_prob: Floats

    @property
    def log_weight(self) -> Floats:
        """log_density − log_prob, (n_chains,)."""
        return self.log_density - self.log_prob


class Independence:
    """Propose s' from a sampler q and accept with min(1, exp(log_weight(s') − log_weight(s))).

    Here log_weight = log_density − log q. A step draws all chains' proposals in one batch; the decisions take each
    chain's own random stream. Its info is ``accepted``, then ``log_prob``, ``log_density`` and ``log_weight`` of the
    state after the step, and ``proposal_log_weight``.

    Parameters
    ----------
    sampler : the proposal distribution q.
    target : the distribution to keep invariant.

    Raises
    ------
    ValueError : if sampler and target have different numbers of spins.

    References
    ----------
    J. S. Liu, Stat. Comput. 6, 113 (1996); for autoregressive proposals K. A. Nicoli et al., arXiv:1910.13496 (2020).
    """

    def __init__(self, sampler: Sampler, target: Target):
        if sampler.n_spins != target.n_spins:
            raise ValueError(
                f"the sampler draws {sampler.n_spins} spins, but the target has {target.n_spins}; "
                "use a sampler made for this system"
            )
        self.sampler, self.target = sampler, target

    @property
    def n_spins(self) -> int:
        """Number of spins."""
        return self.target.n_spins

    def init(self, spins: Spins) -> IndependenceState:
        """Return the state that starts from the configurations, int8 ±1 (n_chains, n_spins).

        Raises
        ------
        ValueError : if a spin is not ±1.
        FloatingPointError : if a log_prob or log_density is −∞ or not a number.
        """
        import torch

        if not np.all(np.abs(spins) == 1):
            raise ValueError("spins contain a value other than −1 and +1; map 0/1 configurations by 2 s − 1")
        log_density = self.target.log_density(spins)
        with torch.no_grad():
            log_prob = self.sampler.log_prob(torch.from_numpy(spins)).cpu().numpy()
        for name, values in (("log_density", log_density), ("log_prob", log_prob)):
            bad = np.flatnonzero(~np.isfinite(values))
            if bad.size:
                raise FloatingPointError(
                    f"the configuration of chain {bad[0]} has {name} = {values[bad[0]]}; a chain starts where sampler "
                    "and target are both positive: start from draws of the sampler, or train the sampler anew"
                )
        return IndependenceState(spins, log_density, log_prob)

    def step(self, state: IndependenceState, rng: Rng) -> tuple[IndependenceState, Info]:
        """Propose once for every chain and accept or reject."""
        state, _, info = self.block(state, rng, 1)
        return state, {name: values[:, 0] for name, values in info.items()}

    def block(self, state: IndependenceState, rng: Rng, n: int) -> tuple[IndependenceState, Spins, Info]:
        """Make n steps from one batch of proposals; return the state, all configurations and the info.

        Configurations are (n_chains, n, n_spins), the info (n_chains, n).

        Raises
        ------
        ValueError : if n < 1.
        FloatingPointError : if a proposal's log_weight is not a number or +∞.
        """
        counted("n", n)
        spins, log_density, log_prob = self._propose(len(state.spins), rng, n)
        proposed = log_density - log_prob
        source = _accept(state.log_weight, proposed, rng, n)
        held = IndependenceState(
            _select(spins, state.spins, source),
            _select(log_density, state.log_density, source),
            _select(log_prob, state.log_prob, source),
        )
        info = {
            "accepted": source == np.arange(n),
            "log_prob": held.log_prob,
            "log_density": held.log_density,
            "log_weight": held.log_weight,
            "proposal_log_weight": np.ascontiguousarray(proposed.T),
        }
        last = held.spins[:, -1].copy(), held.log_density[:, -1].copy(), held.log_prob[:, -1].copy()
        return IndependenceState(*last), held.spins, info

    def _propose(self, n_chains: int, rng: Rng, n: int) -> tuple[Spins, Floats, Floats]:
        """Draw (n, n_chains) proposals in row-major order; return spins, log_density and log_prob."""
        import torch

        with torch.no_grad():
            draw = self.sampler.sample(n * n_chains, rng)
        spins, log_prob = draw.spins.cpu().numpy(), draw.log_prob.cpu().numpy()
        log_density = self.target.log_density(spins)
        bad = np.flatnonzero(~(log_density - log_prob < np.inf))
        if bad.size:
            raise FloatingPointError(
                f"a proposal has log_density = {log_density[bad[0]]} and log_prob = {log_prob[bad[0]]}, so that no "
                "decision is possible; the sampler's weights are probably broken: train it anew"
            )
        return spins.reshape(n, n_chains, -1), log_density.reshape(n, n_chains), log_prob.reshape(n, n_chains)


def _accept(log_weight: Floats, proposed: Floats, rng: Rng, n: int) -> Ints:
    """Return which proposal each chain holds after each step, (n_chains, n); −1 is the initial state."""
    from nmcmc.kernels.independence import accept_scan

    streams = rng.streams(len(log_weight))
    source = np.empty((len(log_weight), n), dtype=np.int64)
    for_chunks(lambda a, b: accept_scan(log_weight[a:b], proposed[:, a:b], streams[a:b], source[a:b]), len(source))
    return source


def _select(proposed: npt.NDArray[Any], initial: npt.NDArray[Any], source: Ints) -> npt.NDArray[Any]:
    """Return proposed[source[c, t], c] for each chain c and step t, or initial[c] where the source is −1."""
    out = proposed[source, np.arange(len(source))[:, None]]
    chain, step = np.nonzero(source < 0)
    out[chain, step] = initial[chain]
    return out
