"""What a run leaves behind, as plain arrays: the model, the chain, the training curve, where the chain stands."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nmcmc.types import Chain, Floats, Ints


@dataclass(frozen=True)
class Model:
    """H(s) = offset − Σ_(i,j) J_ij s_i s_j − Σ_i h_i s_i and the inverse temperature, as plain arrays.

    Attributes
    ----------
    edges : pairs of sites (n_edges, 2).
    couplings, fields : J_ij (n_edges,) and h_i (n_spins,).
    beta : inverse temperature, k_B = 1.
    offset : constant part of the energy.
    extents, boundary : the lattice, one entry per axis; None if the spins are not on a lattice.
    """

    edges: Ints
    couplings: Floats
    fields: Floats
    beta: float
    offset: float = 0.0
    extents: tuple[int, ...] | None = None
    boundary: tuple[str, ...] | None = None

    @property
    def n_spins(self) -> int:
        """Number of spins."""
        return len(self.fields)


@dataclass(frozen=True)
class Snapshot:
    """Where the chains stand: all that is needed to continue them bit for bit.

    Attributes
    ----------
    state : arrays of the update's state (spins, log_prob, log_density …).
    rng : ``Rng.state()``.
    segment : index of the segment that ends here.
    """

    state: Mapping[str, npt.NDArray[Any]]
    rng: Mapping[str, Any]
    segment: int = 0


@dataclass(frozen=True)
class Record:
    """One sampling run with everything that made it.

    Attributes
    ----------
    chain : the draws.
    model : Hamiltonian and β.
    seed, config_toml, weights_sha256 : what reproduces the run; the hash is "" if no trained weights took part.
    training : columns of the training curve, name → (n_records,), among them "step"; or None.
    draws : independent draws of the sampler (energy, log_prob, log_density, log_weight …), name → (n,); or None.
    snapshot : where the chains stand at the end, or None.
    seconds_per_update : what one update of one chain took, or None if that is not known.
    """

    chain: Chain
    model: Model
    seed: int
    config_toml: str
    weights_sha256: str = ""
    training: Mapping[str, npt.NDArray[Any]] | None = None
    draws: Mapping[str, npt.NDArray[Any]] | None = None
    snapshot: Snapshot | None = None
    seconds_per_update: float | None = None


def fingerprint(model: Model, seed: int, config_toml: str = "") -> str:
    """Return the SHA-256 (64 hex digits) that two runs share only if model, seed and configuration are the same."""
    digest = hashlib.sha256()
    for text in (str(seed), config_toml, repr((model.beta, model.offset, model.extents, model.boundary))):
        digest.update(f"{len(text.encode())}:{text}".encode())
    for values, kind in ((model.edges, np.int64), (model.couplings, np.float64), (model.fields, np.float64)):
        array = np.ascontiguousarray(values, dtype=kind)
        digest.update(f"{array.shape}".encode() + array.tobytes())
    return digest.hexdigest()


def check_chain(chain: Chain) -> None:
    """Raise ValueError unless all arrays of the chain are (n_chains, n_draws) and the spins are ±1."""
    if not chain.series:
        raise ValueError("the chain has no series; record at least one observable, such as energy")
    shape = (chain.n_chains, chain.n_draws)
    for name, values in [*chain.series.items(), *chain.stats.items()]:
        if np.shape(values) != shape:
            raise ValueError(f"{name} has the shape {np.shape(values)}; all series of this chain must be {shape}")
    if chain.spins is not None:
        if chain.spins.ndim != 3 or len(chain.spins) != shape[0] or chain.spins.shape[1] > shape[1]:
            raise ValueError(f"spins have the shape {chain.spins.shape}; expected ({shape[0]}, ≤ {shape[1]}, n_spins)")
        if chain.thin < 1 or np.any(np.abs(chain.spins) != 1):
            raise ValueError("kept spins must be +1 or −1, and thin at least 1")
