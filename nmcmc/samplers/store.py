"""Trained samplers as safetensors files: weights, the system they were trained for, and a checksum of both."""

from __future__ import annotations

import json
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias

import torch

from nmcmc.atomic import atomic
from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.energies.mean_field import all_pairs, fastest
from nmcmc.energies.pairwise import PairwiseEnergy
from nmcmc.random import Rng
from nmcmc.samplers.curie_weiss import ExactCurieWeissSampler, InfiniteCurieWeissSampler, SaddleCurieWeissSampler
from nmcmc.samplers.hierarchical.sampler import HierarchicalSampler
from nmcmc.samplers.made import MADESampler
from nmcmc.samplers.partial_fields import OneLayerSampler, OneParameterSampler
from nmcmc.samplers.pixelcnn import PixelCNNSampler
from nmcmc.samplers.sk import CavitySampler, ReplicaSampler
from nmcmc.samplers.sparse import SparseSampler
from nmcmc.samplers.tap import TAPSampler
from nmcmc.sealed import seal, unseal
from nmcmc.types import CorruptFileError

AnySampler: TypeAlias = (
    HierarchicalSampler
    | MADESampler
    | SparseSampler
    | PixelCNNSampler
    | ExactCurieWeissSampler
    | InfiniteCurieWeissSampler
    | SaddleCurieWeissSampler
    | OneParameterSampler
    | OneLayerSampler
    | ReplicaSampler
    | CavitySampler
    | TAPSampler
)
KINDS: dict[str, type[AnySampler]] = {
    "hierarchical": HierarchicalSampler,
    "made": MADESampler,
    "sparse": SparseSampler,
    "pixelcnn": PixelCNNSampler,
    "cw-n": ExactCurieWeissSampler,
    "cw-inf": InfiniteCurieWeissSampler,
    "cw-saddle": SaddleCurieWeissSampler,
    "one-parameter": OneParameterSampler,
    "one-layer": OneLayerSampler,
    "sk-krsb": ReplicaSampler,
    "cavity": CavitySampler,
    "tap": TAPSampler,
}
FORMAT, VERSION = "nmcmc-model", 1


def kind_of(sampler: AnySampler) -> str:
    """Return the name of a sampler's class in `KINDS`."""
    return next(name for name, kind in KINDS.items() if type(sampler) is kind)


def to_bytes(sampler: AnySampler, notes: Mapping[str, Any] | None = None) -> bytes:
    """Return a sampler as the content of a safetensors file; the same sampler gives the same bytes.

    Of systems off lattices edges, couplings, fields and offset are kept, as `energies.mean_field.fastest` takes them.

    Parameters
    ----------
    sampler : what to keep. notes : JSON values to keep with it, such as seed and command.
    """
    energy = sampler.energy
    tensors = {f"model.{name}": tensor for name, tensor in sampler.state_dict().items()} | energy_tensors(energy)
    header = {
        "format": FORMAT,
        "version": VERSION,
        "sampler": kind_of(sampler),
        "options": sampler.options,
        "beta": sampler.beta,
        "notes": dict(notes or {}),
    } | _shape_of(energy)
    return seal(tensors, json.dumps(header, sort_keys=True))


def save_sampler(path: str | PathLike[str], sampler: AnySampler, notes: Mapping[str, Any] | None = None) -> None:
    """Write a sampler to a file, whole or not at all; see `to_bytes`."""
    with atomic(Path(path)) as temporary:
        temporary.write_bytes(to_bytes(sampler, notes))


def load_sampler(path: str | PathLike[str], device: str = "cpu") -> tuple[AnySampler, Boltzmann, dict[str, Any]]:
    """Return a stored sampler, the target that it was trained for, and its notes.

    Raises
    ------
    FileNotFoundError : if there is no such file.
    CorruptFileError : if the file is truncated or changed.
    ValueError : if it is intact but no model, or written by a newer version of nmcmc.
    """
    header, tensors = open_sealed(Path(path), FORMAT, VERSION)
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


def _shape_of(energy: PairwiseEnergy) -> dict[str, Any]:
    """Return what the header says of an energy; the edges of a complete graph in its usual order are not kept."""
    if isinstance(energy, LatticeEnergy):
        return {"extents": energy.lattice.extents, "boundary": energy.lattice.boundary}
    return {"n_spins": energy.n_spins, "offset": energy.offset, "complete": _is_complete(energy)}


def _is_complete(energy: PairwiseEnergy) -> bool:
    n_pairs = energy.n_spins * (energy.n_spins - 1) // 2
    return len(energy.edges) == n_pairs and bool((energy.edges == all_pairs(energy.n_spins)).all())


def energy_tensors(energy: PairwiseEnergy) -> dict[str, torch.Tensor]:
    """Return couplings and fields, and edges that the header does not tell, as a file keeps them."""
    kept = {"target.couplings": torch.from_numpy(energy.couplings), "target.fields": torch.from_numpy(energy.fields)}
    if not isinstance(energy, LatticeEnergy) and not _is_complete(energy):
        kept["target.edges"] = torch.from_numpy(energy.edges)
    return kept


def energy_of(header: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]) -> PairwiseEnergy:
    """Return the energy of a file: its shape from the header, couplings, fields and edges from its tensors."""
    couplings, fields = tensors["target.couplings"].numpy(), tensors["target.fields"].numpy()
    if "extents" in header:
        return LatticeEnergy(Lattice(tuple(header["extents"]), tuple(header["boundary"])), couplings, fields)
    n_spins = len(fields)
    edges = all_pairs(n_spins) if header["complete"] else tensors["target.edges"].numpy()
    return fastest(n_spins, edges, couplings, fields, header["offset"])


def at_beta(sampler: AnySampler, beta: float) -> AnySampler:
    """Return a sampler with the same weights at another β: exact leaves, and what is in units of β, are of that one."""
    kind: Any = type(sampler)
    other: AnySampler = kind(sampler.energy, beta, **sampler.options, rng=Rng(0))
    other.load_state_dict(sampler.state_dict())
    return other.to(sampler.device)


def _rebuild(header: dict[str, Any], tensors: dict[str, torch.Tensor], device: str) -> tuple[AnySampler, Boltzmann]:
    energy = energy_of(header, tensors)
    kind: Any = KINDS[header["sampler"]]
    sampler: AnySampler = kind(energy, header["beta"], **header["options"], rng=Rng(0))
    sampler.load_state_dict({name[6:]: t for name, t in tensors.items() if name.startswith("model.")})
    return sampler.to(device), Boltzmann(energy, header["beta"])
