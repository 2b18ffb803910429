"""Trained samplers as safetensors files: weights, the system they were trained for, and a checksum of both."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import torch

from nmcmc.atomic import atomic
from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.random import Rng
from nmcmc.samplers.hierarchical.sampler import HierarchicalSampler
from nmcmc.samplers.made import MADESampler
from nmcmc.samplers.pixelcnn import PixelCNNSampler
from nmcmc.samplers.sparse import SparseSampler
from nmcmc.sealed import seal, unseal
from nmcmc.types import CorruptFileError

AnySampler: TypeAlias = HierarchicalSampler | MADESampler | SparseSampler | PixelCNNSampler
KINDS: dict[str, type[AnySampler]] = {
    "hierarchical": HierarchicalSampler,
    "made": MADESampler,
    "sparse": SparseSampler,
    "pixelcnn": PixelCNNSampler,
}
FORMAT, VERSION = "nmcmc-model", 1


def kind_of(sampler: AnySampler) -> str:
    """Return the name of a sampler's class in `KINDS`."""
    return next(name for name, kind in KINDS.items() if type(sampler) is kind)


def to_bytes(sampler: AnySampler, notes: Mapping[str, Any] | None = None) -> bytes:
    """Return a sampler on a lattice as the content of a safetensors file; the same sampler gives the same bytes.

    Parameters
    ----------
    sampler : its energy must be a `LatticeEnergy`. notes : JSON values to keep with it, such as seed and command.

    Raises
    ------
    ValueError : if the energy is not on a lattice.
    """
    energy = sampler.energy
    if not isinstance(energy, LatticeEnergy):
        raise ValueError(f"the energy is a {type(energy).__name__}; only samplers on a lattice can be stored")
    tensors = {f"model.{name}": tensor for name, tensor in sampler.state_dict().items()} | energy_tensors(energy)
    header = {
        "format": FORMAT,
        "version": VERSION,
        "sampler": kind_of(sampler),
        "options": sampler.options,
        "extents": energy.lattice.extents,
        "boundary": energy.lattice.boundary,
        "beta": sampler.beta,
        "notes": dict(notes or {}),
    }
    return seal(tensors, json.dumps(header, sort_keys=True))


def save_sampler(path: Path, sampler: AnySampler, notes: Mapping[str, Any] | None = None) -> None:
    """Write a sampler to a file, whole or not at all; see `to_bytes`."""
    with atomic(path) as temporary:
        temporary.write_bytes(to_bytes(sampler, notes))


def load_sampler(path: Path, device: str = "cpu") -> tuple[AnySampler, Boltzmann, dict[str, Any]]:
    """Return a stored sampler, the target that it was trained for, and its notes.

    Raises
    ------
    FileNotFoundError : if there is no such file.
    CorruptFileError : if the file is truncated or changed.
    ValueError : if it is intact but no model, or written by a newer version of nmcmc.
    """
    header, tensors = open_sealed(path, FORMAT, VERSION)
    return (*_rebuild(header, tensors, device), header["notes"])


def open_sealed(path: Path, form: str, version: int) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Return header and tensors of a file of trained weights that has the wanted format, at most of that version.

    Raises
    ------
    FileNotFoundError, CorruptFileError, ValueError : as `load_sampler`.
    """
    header, tensors = _opened(path)
    if header.get("format") != form:
        raise ValueError(f"{path} is no model: its format is {header.get('format')!r}, not {form!r}")
    if header["version"] > version:
        raise ValueError(f"{path} has version {header['version']}; this nmcmc reads up to {version}: update nmcmc")
    return header, tensors


def format_of(path: Path) -> str | None:
    """Return the format of a file of trained weights, None if it says none; raises as `open_sealed`."""
    form: str | None = _opened(path)[0].get("format")
    return form


def _opened(path: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    if not path.is_file():
        reason = "is a folder, not a model" if path.is_dir() else "does not exist"
        raise FileNotFoundError(f"{path} {reason}; `nmcmc train --out MODEL.safetensors` makes a model")
    try:
        tensors, text = unseal(path.read_bytes())
    except CorruptFileError as error:
        raise CorruptFileError(
            f"{path} is not an intact model file ({error}); train it again or copy it anew"
        ) from error
    return json.loads(text), tensors


def energy_tensors(energy: LatticeEnergy) -> dict[str, torch.Tensor]:
    """Return couplings and fields as a file keeps them."""
    return {"target.couplings": torch.from_numpy(energy.couplings), "target.fields": torch.from_numpy(energy.fields)}


def energy_of(header: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]) -> LatticeEnergy:
    """Return the energy of a file: extents and boundary from its header, couplings and fields from its tensors."""
    lattice = Lattice(tuple(header["extents"]), tuple(header["boundary"]))
    return LatticeEnergy(lattice, tensors["target.couplings"].numpy(), tensors["target.fields"].numpy())


def at_beta(sampler: AnySampler, beta: float) -> AnySampler:
    """Return a sampler with the same nets whose exact leaves, if it has any, are those of another β."""
    other = type(sampler)(sampler.energy, beta, **sampler.options, rng=Rng(0))  # type: ignore[arg-type]
    other.load_state_dict(sampler.state_dict())
    return other.to(sampler.device)


def _rebuild(header: dict[str, Any], tensors: dict[str, torch.Tensor], device: str) -> tuple[AnySampler, Boltzmann]:
    energy = energy_of(header, tensors)
    sampler = KINDS[header["sampler"]](energy, header["beta"], **header["options"], rng=Rng(0))
    sampler.load_state_dict({name[6:]: t for name, t in tensors.items() if name.startswith("model.")})
    return sampler.to(device), Boltzmann(energy, header["beta"])
