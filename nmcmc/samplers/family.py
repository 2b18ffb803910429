"""A family: a hierarchical sampler for every β of a range, its nets interpolated between those of trained knots."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from nmcmc.atomic import atomic
from nmcmc.energies.lattice import LatticeEnergy
from nmcmc.random import Rng
from nmcmc.samplers.hierarchical.sampler import HierarchicalSampler
from nmcmc.samplers.pretrained import ENDING, FAMILIES, pretrained_names
from nmcmc.samplers.store import energy_of, energy_tensors, open_sealed
from nmcmc.sealed import seal

FORMAT, VERSION = "nmcmc-family", 1


class Family:
    """Samplers q_β for β_1 ≤ β ≤ β_n: between two knots weights are linear in β, leaves are exact at β itself.

    W(β) = (1 − t) W_k + t W_{k+1}, t = (β − β_k)/(β_{k+1} − β_k). Every q_β is normalised, so that its log weights are
    exact however good it is. It is good where the knots' nets were trained one from another: the hidden units of nets
    trained apart have nothing to do with each other.

    Parameters
    ----------
    knots : at least two samplers of one system and one shape at different β, in any order.

    Raises
    ------
    ValueError : for fewer knots, two of the same β, or knots that differ in system or shape.

    Examples
    --------
    >>> from nmcmc.energies.lattice import Lattice
    >>> energy = LatticeEnergy(Lattice((8, 8)))
    >>> family = Family([HierarchicalSampler(energy, beta, rng=Rng(1)) for beta in (0.3, 0.6)])
    >>> family.betas, family.at(0.45).beta
    ((0.3, 0.6), 0.45)
    """

    def __init__(self, knots: Sequence[HierarchicalSampler]):
        self.knots = tuple(sorted(knots, key=lambda knot: knot.beta))
        self.betas = tuple(knot.beta for knot in self.knots)
        if len(set(self.betas)) < max(2, len(knots)):
            raise ValueError(f"the knots are at beta {self.betas}; give at least two, at different beta")
        self.energy = self.knots[0].energy
        for knot in self.knots[1:]:
            if not _alike(knot, self.knots[0]):
                raise ValueError(
                    f"the knots at beta {self.betas[0]} and {knot.beta} differ in lattice, couplings, fields, leaf or "
                    "nets; a family has one system and one shape of nets"
                )

    @property
    def options(self) -> dict[str, Any]:
        """What, besides energy, beta and rng, builds a sampler of the family."""
        return self.knots[0].options

    def at(self, beta: float) -> HierarchicalSampler:
        """Return the sampler at β, a copy: at a knot with the knot's own weights.

        Raises
        ------
        ValueError : if β is outside the range of the knots.
        """
        if not self.betas[0] <= beta <= self.betas[-1]:
            raise ValueError(
                f"beta is {beta}; this family is for beta from {self.betas[0]} to {self.betas[-1]}: choose one of "
                "these, or train a family with more knots"
            )
        k = min(bisect_right(self.betas, beta), len(self.betas) - 1)
        lower, upper = self.knots[k - 1 : k + 1]
        t = (beta - lower.beta) / (upper.beta - lower.beta)
        ends = lower.state_dict(), upper.state_dict()
        weights = {name: torch.lerp(ends[0][name], ends[1][name], t) for name in ends[0]}
        return _built(self.energy, beta, self.options, weights).to(lower.device)


def family_bytes(family: Family, notes: Mapping[str, Any] | None = None) -> bytes:
    """Return a family as the content of a safetensors file, one tensor (n_knots, …) per parameter.

    Parameters
    ----------
    family : what to keep. notes : JSON values to keep with it, such as seed and command.
    """
    states = [knot.state_dict() for knot in family.knots]
    tensors = {f"knots.{name}": torch.stack([state[name].cpu() for state in states]) for name in states[0]}
    header = {
        "format": FORMAT,
        "version": VERSION,
        "options": family.options,
        "extents": family.energy.lattice.extents,
        "boundary": family.energy.lattice.boundary,
        "betas": family.betas,
        "notes": dict(notes or {}),
    }
    return seal(tensors | energy_tensors(family.energy), json.dumps(header, sort_keys=True))


def save_family(path: str | Path, family: Family, notes: Mapping[str, Any] | None = None) -> None:
    """Write a family to a file, whole or not at all; see `family_bytes`."""
    with atomic(Path(path)) as temporary:
        temporary.write_bytes(family_bytes(family, notes))


def load_family(family: str | Path, device: str = "cpu") -> tuple[Family, dict[str, Any]]:
    """Return a stored family, or a shipped one by its name, and its notes.

    Raises
    ------
    FileNotFoundError, CorruptFileError, ValueError : as `load_sampler` and `family_file`.
    """
    header, tensors = open_sealed(family_file(family), FORMAT, VERSION)
    energy = energy_of(header, tensors)
    if not isinstance(energy, LatticeEnergy):
        raise ValueError(f"{family} is not on a lattice; families are")
    stacked = {name.removeprefix("knots."): t for name, t in tensors.items() if name.startswith("knots.")}
    knots = [
        _built(energy, beta, header["options"], {name: t[k] for name, t in stacked.items()}).to(device)
        for k, beta in enumerate(header["betas"])
    ]
    return Family(knots), header["notes"]


def family_names() -> list[str]:
    """Return the names of the shipped families."""
    return sorted(path.name.removesuffix(ENDING) for path in FAMILIES.glob(f"*{ENDING}"))


def family_file(family: str | Path) -> Path:
    """Return the file that is meant by a path or the name of a shipped family; a file that exists wins.

    Raises
    ------
    ValueError : for a plain word that is neither.
    """
    path, text = Path(family), str(family)
    if path.is_file() or path.name != text or text.endswith(ENDING):
        return path
    if text not in family_names():
        kind = "is a model for one beta" if text in pretrained_names() else "does not exist"
        names = ", ".join(family_names()) or "none"
        raise ValueError(f"{text} {kind}, and no family of this name is shipped; shipped are {names}")
    return FAMILIES / f"{text}{ENDING}"


def _alike(a: HierarchicalSampler, b: HierarchicalSampler) -> bool:
    first, second = a.energy, b.energy
    return (
        (first.lattice, a.options) == (second.lattice, b.options)
        and bool((first.couplings == second.couplings).all())
        and bool((first.fields == second.fields).all())
    )


def _built(
    energy: LatticeEnergy, beta: float, options: Mapping[str, Any], weights: Mapping[str, torch.Tensor]
) -> HierarchicalSampler:
    sampler = HierarchicalSampler(energy, beta, **options, rng=Rng(0))
    sampler.load_state_dict(weights)
    return sampler
