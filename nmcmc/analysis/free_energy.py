"""log Z from weights of draws, of chains, of both, and of several temperatures at once.

Every function returns a `Quantity`, whose ``estimate()`` has the error and whose sums with other quantities of the same
draws have theirs. A log weight is log w = −βH − log q, of a draw of q or of a state of a chain of p.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nmcmc.analysis.autocorrelation import estimate_mean
from nmcmc.analysis.importance import checked_log_weight, dominated
from nmcmc.analysis.quantity import Quantity, checked_values
from nmcmc.types import Floats

LEAST_OVERLAP = 0.03
"""Share of its samples below which a state is taken to be alone; 1 if it agrees with another one."""
_ROUNDING = 32 * float(np.finfo(np.float64).eps)
_STEPS = 500


def importance_log_z(log_weight: Floats, source: str = "draws") -> Quantity:
    """Return log Ẑ = log mean w of independent draws of q, (n,): neural importance sampling.

    Too low, without any sign of it, if q leaves out a part of p. Nicoli and others (2020), arXiv:1910.13496. The log
    weights of annealed importance sampling have the same mean.
    """
    log_weight = checked_log_weight(log_weight)
    top = float(log_weight.max())
    w = np.exp(log_weight - top)
    return Quantity(top + math.log(w.mean()), {source: w / w.mean() - 1}, _floor(log_weight), tuple(dominated(w)))


def weighted_mean(values: Floats, log_weight: Floats, source: str = "draws") -> Quantity:
    """Return ⟨O⟩ = Σ w O/Σ w from independent draws of q, values and log weights (n,)."""
    log_weight, values = checked_log_weight(log_weight), checked_values(values)
    if values.shape != log_weight.shape:
        raise ValueError(f"values have shape {values.shape} and log weights {log_weight.shape}; give one for each draw")
    w = np.exp(log_weight - log_weight.max())
    share = w / w.mean()
    mean = float(np.mean(share * values))
    return Quantity(mean, {source: share * (values - mean)}, reasons=tuple(dominated(w)))


def reciprocal_log_z(log_weight: Floats, source: str = "chain") -> Quantity:
    """Return log Ẑ = −log mean(1/w) over states of a chain of p, (n_chains, n_draws): E_p[1/w] = 1/Z.

    It holds where q > 0 on all of p, which a network fulfils. It fails, like the harmonic mean, where q has much weaker
    tails than p.
    """
    log_weight = checked_values(log_weight)
    inverse = np.exp(log_weight.min() - log_weight)
    value = float(log_weight.min()) - math.log(inverse.mean())
    reasons = ("one state carries more than 5 % of the mean of 1/w",) if dominated(inverse) else ()
    return Quantity(value, {source: 1 - inverse / inverse.mean()}, _floor(log_weight), reasons)


def bridge_log_z(
    log_weight_draws: Floats, log_weight_chain: Floats, sources: tuple[str, str] = ("draws", "chain")
) -> Quantity:
    """Return log Z from draws of q (n,) and states of a chain of p (n_chains, n_draws) together: bridge sampling.

    Ẑ solves Σ_q w/(n_p w + n_q Z) / n_q = Z Σ_p 1/(n_p w + n_q Z) / n_p, which has the least error of all functions of
    both samples if n_p is the number of effectively independent states, here n/(2 τ_int). C. H. Bennett, J. Comput.
    Phys. 22, 245 (1976); X.-L. Meng and W. H. Wong, Statistica Sinica 6, 831 (1996).
    """
    samples = [checked_log_weight(log_weight_draws), checked_values(log_weight_chain)]
    densities = [np.stack([np.zeros(sample.shape), sample]) for sample in samples]
    return multistate(densities, sources)[1]


def temperatures_log_z(
    betas: Sequence[float], energies: Sequence[Floats], sources: Sequence[str] | None = None
) -> list[Quantity]:
    """Return log Z(β_k) − log Z(β_0) for k = 0 … from chains of H at all the β_k together (MBAR).

    Parameters
    ----------
    betas : the inverse temperatures. If the first is 0, log Z(0) = N ln 2 makes all of them absolute.
    energies : H of the states at each, independent ones (n,) or chains (n_chains, n_draws).

    References
    ----------
    M. R. Shirts and J. D. Chodera, J. Chem. Phys. 129, 124105 (2008).
    """
    if len(betas) != len(energies) or len(betas) < 2:
        raise ValueError(
            f"there are {len(betas)} betas and {len(energies)} series; give one series for each, two or more"
        )
    column = np.asarray(betas, dtype=np.float64)
    samples = [checked_values(series) for series in energies]
    densities = [-column.reshape(-1, *(1,) * sample.ndim) * sample for sample in samples]
    return multistate(densities, sources or [f"beta = {beta:g}" for beta in betas])


def multistate(log_densities: Sequence[Floats], sources: Sequence[str]) -> list[Quantity]:
    """Return log Z_k − log Z_0 of K distributions from samples of each, all used at once.

    With f_k = −log Z_k, effective numbers N_k and c = N_k/n_k for a sample of distribution k, the f solve
    Σ_samples c W_k = 1, W_k = exp(f_k + l_k)/Σ_j N_j exp(f_j + l_j): maximum likelihood (Shirts and Chodera 2008).
    It holds for any N_k; errors follow from linearising it, so that autocorrelations enter by the Γ-method.

    Parameters
    ----------
    log_densities : for each distribution's samples the l_k of all K, (K, n) for independent draws or
        (K, n_chains, n_draws); a constant per sample does not matter.
    sources : the names of the samples. Samples drawn side by side, such as chains that exchange configurations, have
        one name and one shape, and their fluctuations add draw by draw.

    Raises
    ------
    RuntimeError : if the equations cannot be solved: the distributions do not overlap.
    """
    samples = [_Sample(np.asarray(densities, dtype=np.float64), k) for k, densities in enumerate(log_densities)]
    counts = np.array([sample.effective for sample in samples])
    f, weights = _solve(samples, counts)
    jacobian, overlap = _linearised(samples, counts, weights)
    reasons = tuple(
        f"{sources[k]} hardly overlaps with any other sample: put states in between"
        for k in range(len(samples))
        if np.delete(overlap[k], k).max() < LEAST_OVERLAP
    )
    floor = _ROUNDING * float(np.max(np.abs(f), initial=1.0))
    inverse = np.linalg.inv(jacobian[1:, 1:])
    responses = [count * (w - w.mean(axis=1, keepdims=True))[1:] for count, w in zip(counts, weights, strict=True)]
    result = [Quantity(0.0, {}, 0.0, reasons)]
    for k in range(1, len(samples)):
        influences: dict[str, Floats] = {}
        for source, sample, response in zip(sources, samples, responses, strict=True):
            influence = (inverse[k - 1] @ response).reshape(sample.shape)
            influences[source] = influences[source] + influence if source in influences else influence
        result.append(Quantity(float(f[0] - f[k]), influences, floor, reasons))
    return result


@dataclass(frozen=True)
class _Sample:
    """Log densities (K, *shape) at the samples of distribution ``own``."""

    densities: Floats
    own: int

    @property
    def shape(self) -> tuple[int, ...]:
        return self.densities.shape[1:]

    @property
    def flat(self) -> Floats:
        return self.densities.reshape(len(self.densities), -1)

    @property
    def effective(self) -> float:
        """The number of independent samples, n/(2 τ_int) of the log ratio of the last and first densities."""
        n = self.flat.shape[1]
        if len(self.shape) == 1:
            return float(n)
        tau = estimate_mean(self.densities[-1] - self.densities[0]).tau_int
        return n / (2 * tau) if math.isfinite(tau) else float(n)


def _solve(samples: list[_Sample], counts: Floats) -> tuple[Floats, list[Floats]]:
    """Return f with f_0 = 0 and W (K, n) of every sample: Newton steps near the solution, else fixed-point ones."""
    f = _first_guess(samples)
    for _ in range(_STEPS):
        weights = [_shares(sample, f, counts) for sample in samples]
        total = np.sum([n * w.mean(axis=1) for n, w in zip(counts, weights, strict=True)], axis=0)
        jacobian, _ = _linearised(samples, counts, weights)
        step = -np.log(total)
        if np.abs(step).max() < 0.5:
            step[1:], step[0] = np.linalg.solve(jacobian[1:, 1:], (1 - total)[1:]), 0.0
        f = f + step - step[0]
        f = f - f[0]
        if np.abs(step - step[0]).max() < 1e-10 * max(1.0, np.abs(f).max()):
            return f, weights
    raise RuntimeError("the samples do not overlap, so that log Z ratios have no solution; put states in between")


def _first_guess(samples: list[_Sample]) -> Floats:
    """Return −log Z_k, f_0 = 0, from log(Z_k+1/Z_k) ≈ the mean of l_k+1 − l_k over both distributions."""
    f = np.zeros(len(samples))
    for k in range(len(samples) - 1):
        pair = [np.mean(samples[j].flat[k + 1] - samples[j].flat[k]) for j in (k, k + 1)]
        f[k + 1] = f[k] - np.mean(pair)
    return f


def _shares(sample: _Sample, f: Floats, counts: Floats) -> Floats:
    exponents = f[:, None] + sample.flat
    top = exponents.max(axis=0)
    w: Floats = np.exp(exponents - top)
    w /= counts @ w
    return w


def _linearised(samples: list[_Sample], counts: Floats, weights: list[Floats]) -> tuple[Floats, Floats]:
    """Return ∂(Σ c W_k)/∂f_l and the overlaps Σ N · Σ c W_k W_l, (K, K)."""
    total = np.sum([n * w.mean(axis=1) for n, w in zip(counts, weights, strict=True)], axis=0)
    product = np.sum([n * (w @ w.T) / w.shape[1] for n, w in zip(counts, weights, strict=True)], axis=0)
    return np.diag(total) - product * counts, product * counts.sum()


def _floor(log_weight: Floats) -> float:
    return _ROUNDING * float(np.max(np.abs(log_weight), initial=1.0, where=np.isfinite(log_weight)))
