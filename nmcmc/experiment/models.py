"""Stored and shipped models as commands take them: found, held against what they are taken for, listed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nmcmc.config import OF_FILES, SystemConfig, build
from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.lattice import LatticeEnergy
from nmcmc.experiment.build import build_target, lattice_of, pairwise_energy
from nmcmc.samplers.family import FORMAT as FAMILY, family_file, family_names, load_family
from nmcmc.samplers.hierarchical.sampler import HierarchicalSampler
from nmcmc.samplers.pretrained import card, model_file, pretrained_names, sha256_of
from nmcmc.samplers.store import AnySampler, at_beta, format_of, load_sampler
from nmcmc.samplers.symmetrized import SymmetrizedSampler, translations


@dataclass(frozen=True)
class Wanted:
    """A model and what the user takes it for.

    Attributes
    ----------
    model : its path, or the name of a shipped one; a family will do if the system has a β.
    system : settings that it must agree with, such as its lattice.
    allow_beta_mismatch : whether another β is a wish instead: the same nets, with leaves and target at that β.
    translations : over how many translations of the lattice to average it.
    """

    model: str
    system: Mapping[str, Any]
    allow_beta_mismatch: bool = False
    translations: int = 1


def load_wanted(wanted: Wanted, device: str) -> tuple[AnySampler | SymmetrizedSampler, Boltzmann, str]:
    """Return sampler, target and SHA-256 of a model after comparing it with what it is taken for.

    Raises
    ------
    ValueError : if it is for another system, or has not so many translations. FileNotFoundError, CorruptFileError : as
        `load_sampler`.
    """
    sampler, target, sha256 = _load(wanted, device)
    if wanted.translations == 1:
        return sampler, target, sha256
    energy = target.energy
    if not isinstance(energy, LatticeEnergy):
        raise ValueError(
            f"{wanted.translations} translations are asked for, but {wanted.model} is not on a lattice; leave them out"
        )
    return SymmetrizedSampler(sampler, translations(energy, wanted.translations)).to(device), target, sha256


def _load(wanted: Wanted, device: str) -> tuple[AnySampler, Boltzmann, str]:
    path = family_file(wanted.model) if wanted.model in family_names() else model_file(wanted.model)
    if format_of(path) == FAMILY:
        return (*_of_family(wanted, path, device), sha256_of(path))
    sampler, target, _ = load_sampler(path, device)
    if wanted.system:
        asked = _asked(wanted, target)
        _require_agreement(wanted, asked, target)
        if "beta" in wanted.system and asked.beta != target.beta:
            sampler, target = at_beta(sampler, asked.beta), target.at(asked.beta)
    return sampler, target, sha256_of(path)


def _asked(wanted: Wanted, own: Boltzmann) -> Boltzmann:
    """Return the target that the settings describe, the model's own where they say nothing."""
    lattice = lattice_of(own)
    if given := [name for name in OF_FILES if name in wanted.system]:
        raise ValueError(f"{wanted.model} holds its couplings: it cannot be compared with {given[0]}; leave it out")
    if lattice is None:
        if other := set(wanted.system) - {"beta", "n_spins"}:
            raise ValueError(
                f"{wanted.model} is not on a lattice: it cannot be compared with {min(other)}; leave it out"
            )
        if wanted.system.get("n_spins", own.n_spins) != own.n_spins:
            raise ValueError(f"{wanted.model} has {own.n_spins} spins, not {wanted.system['n_spins']}")
        return own.at(wanted.system.get("beta", own.beta))
    boundary = ",".join(lattice.boundary)
    if wanted.system.get("lattice", str(lattice)).count("x") != str(lattice).count("x"):
        boundary = "periodic"  # one for each axis would not fit the wanted lattice, which is refused as a whole
    system = SystemConfig(str(lattice), boundary, beta=own.beta)
    return build_target(build(SystemConfig, wanted.system, system))


def _of_family(wanted: Wanted, path: Path, device: str) -> tuple[HierarchicalSampler, Boltzmann]:
    """Return a family's sampler and target at the wanted β."""
    family, _ = load_family(path, device)
    if "beta" not in wanted.system:
        raise ValueError(
            f"{wanted.model} is a family for beta from {family.betas[0]} to {family.betas[-1]}; give the --beta that "
            "you want, or `nmcmc scan` it"
        )
    sampler = family.at(wanted.system["beta"])
    target = Boltzmann(family.energy, sampler.beta)
    _require_agreement(wanted, _asked(wanted, target), target)
    return sampler, target


def _require_agreement(wanted: Wanted, asked: Boltzmann, target: Boltzmann) -> None:
    known, needed = traits(target), traits(asked)
    for setting, value in wanted.system.items():
        name = setting if setting in known else "coupling"  # the kind of system and its disorder decide the couplings
        if np.array_equal(needed[name], known[name]) or (name == "beta" and wanted.allow_beta_mismatch):
            continue
        advice = ", or give --allow-beta-mismatch to use its nets at this one" if name == "beta" else ""
        raise ValueError(
            f"{wanted.model} is for another {setting} than {value}; it is for {_described(target)}, "
            f"beta {target.beta!r}: train a model for this system{advice}"
        )


def _described(target: Boltzmann) -> str:
    lattice = lattice_of(target)
    return f"{target.n_spins} spins" if lattice is None else f"{lattice}, {','.join(lattice.boundary)}"


def traits(target: Boltzmann) -> dict[str, Any]:
    """Return what tells one target from another, by the names of the settings."""
    energy, lattice = pairwise_energy(target), lattice_of(target)
    return {
        "n_spins": energy.n_spins,
        "lattice": lattice and lattice.extents,
        "boundary": lattice and lattice.boundary,
        "edges": energy.edges,
        "coupling": energy.couplings,
        "field": energy.fields,
        "beta": target.beta,
    }


def models_command() -> dict[str, Any]:
    """Return the cards of the shipped models, and what the shipped families are for, by name."""
    cards = {name: card(name) for name in pretrained_names()}
    return {"command": "models", "models": cards, "families": {name: _range_of(name) for name in family_names()}}


def _range_of(name: str) -> str:
    family, _ = load_family(name)
    return f"{family.energy.lattice}, beta from {family.betas[0]} to {family.betas[-1]}"
