"""Restricted Boltzmann machines: an energy that is not pairwise once the hidden spins are summed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

import numpy as np

from nmcmc.parallel import for_chunks
from nmcmc.types import Floats, Spins

if TYPE_CHECKING:
    from torch import Tensor


class RestrictedBoltzmannEnergy:
    """H(v) = −b·v − Σ_k ln 2cosh(c_k + Σ_i W_ki v_i): −ln Σ_h exp(b·v + c·h + h·Wv) over hidden spins h = ±1.

    At β = 1 the visible spins v have the marginal distribution of the machine.
    P. Smolensky, in Parallel Distributed Processing, vol. 1, ch. 6 (1986).

    Parameters
    ----------
    weights : W, (n_hidden, n_spins). visible : b, one number or (n_spins,). hidden : c, one number or (n_hidden,).

    Raises
    ------
    ValueError : for other shapes, or numbers that are not finite.

    Examples
    --------
    >>> energy = RestrictedBoltzmannEnergy(np.array([[1.0, -1.0]]), visible=0.5)
    >>> energy(np.array([[1, -1]], dtype=np.int8)).round(6)
    array([-2.01815])
    """

    def __init__(self, weights: Floats, visible: float | Floats = 0.0, hidden: float | Floats = 0.0):
        self.weights = np.ascontiguousarray(weights, dtype=np.float64)
        if self.weights.ndim != 2 or 0 in self.weights.shape:
            raise ValueError(f"weights have shape {self.weights.shape}; give (n_hidden, n_spins), both ≥ 1")
        n_hidden, self.n_spins = self.weights.shape
        self.visible = _per_unit("visible", visible, self.n_spins)
        self.hidden = _per_unit("hidden", hidden, n_hidden)
        if not np.all(np.isfinite(self.weights)):
            raise ValueError("weights contain a number that is not finite; give finite numbers")

    @overload
    def __call__(self, spins: Spins) -> Floats: ...
    @overload
    def __call__(self, spins: Tensor) -> Tensor: ...
    def __call__(self, spins: Any) -> Any:
        """Return H (batch,) in float64 for int8 spins (batch, n_spins); arrays by kernel, tensors where they live."""
        if spins.ndim != 2 or spins.shape[1] != self.n_spins:
            raise ValueError(f"spins have shape {tuple(spins.shape)}; this energy takes (batch, {self.n_spins})")
        if not isinstance(spins, np.ndarray):
            return self._energy_of_tensor(spins)
        linear = self._affine(spins, self.visible[None], np.zeros(1))[:, 0]
        hidden = self._affine(spins, self.weights, self.hidden)
        energy: Floats = -linear - np.logaddexp(hidden, -hidden).sum(axis=1)
        return energy

    def magnetization(self, spins: Spins) -> Floats:
        """Return m = Σ v_i/N, (batch,), for int8 spins (batch, n_spins)."""
        m: Floats = np.sum(spins, axis=1, dtype=np.int64) / self.n_spins
        return m

    def _affine(self, spins: Spins, weights: Floats, offsets: Floats) -> Floats:
        from nmcmc.kernels import dense as kernel

        spins = np.ascontiguousarray(spins, dtype=np.int8)
        out = np.empty((len(spins), len(weights)))
        for_chunks(lambda a, b: kernel.affine(spins[a:b], weights, offsets, out[a:b]), len(spins), kernel.LANES)
        return out

    def _energy_of_tensor(self, spins: Tensor) -> Tensor:
        import torch

        weights, visible, hidden = (
            torch.as_tensor(array, device=spins.device) for array in (self.weights, self.visible, self.hidden)
        )
        v = spins.to(torch.float64)
        units = v @ weights.T + hidden
        return -(v @ visible) - torch.logaddexp(units, -units).sum(dim=1)


def _per_unit(name: str, values: float | Floats, n_units: int) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    array = np.full(n_units, float(array)) if array.ndim == 0 else array
    if array.shape != (n_units,) or not np.all(np.isfinite(array)):
        raise ValueError(f"{name} has shape {array.shape}; give one finite number, or one per unit, ({n_units},)")
    return np.ascontiguousarray(array)
