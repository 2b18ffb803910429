"""Trained samplers as safetensors files: weights, the system they were trained for, and a checksum of both."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from nmcmc.atomic import atomic
from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.random import Rng
from nmcmc.samplers.hierarchical.sampler import HierarchicalSampler
from nmcmc.samplers.made import MADESampler
from nmcmc.types import CorruptFileError

AnySampler: TypeAlias = HierarchicalSampler | MADESampler
KINDS: dict[str, type[AnySampler]] = {"hierarchical": HierarchicalSampler, "made": MADESampler}
FORMAT, VERSION = "nmcmc-model", 1
MAX_HEADER = 2**24


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
    tensors = {f"model.{name}": tensor.detach().cpu().contiguous() for name, tensor in sampler.state_dict().items()}
    tensors["target.couplings"] = torch.from_numpy(energy.couplings)
    tensors["target.fields"] = torch.from_numpy(energy.fields)
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
    text = json.dumps(header, sort_keys=True)
    return save(tensors, metadata={"nmcmc": text, "sha256": _digest(tensors, text)})


def save_sampler(path: Path, sampler: AnySampler, notes: Mapping[str, Any] | None = None) -> None:
    """Write a sampler to a file, whole or not at all; see `to_bytes`."""
    with atomic(path) as temporary:
        temporary.write_bytes(to_bytes(sampler, notes))


def load_sampler(path: Path, device: str = "cpu") -> tuple[AnySampler, Boltzmann, dict[str, Any]]:
    """Return a stored sampler, the target that it was trained for, and its notes.

    Raises
    ------
    FileNotFoundError : if there is no such file.
    CorruptFileError : if the file is truncated, changed, or not a model of nmcmc.
    ValueError : if a newer version of nmcmc wrote it.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no model {path}; train one with `nmcmc train --out {path}`")
    try:
        content = path.read_bytes()
        metadata = _metadata(content)
        tensors = load(content)
        intact = metadata["sha256"] == _digest(tensors, metadata["nmcmc"])
        header = json.loads(metadata["nmcmc"])
    except (SafetensorError, ValueError, KeyError, TypeError, OverflowError, UnicodeDecodeError) as error:
        raise CorruptFileError(
            f"{path} is not an intact model file ({error}); train it again or copy it anew"
        ) from error
    if not intact or header.get("format") != FORMAT:
        raise CorruptFileError(f"{path} has changed since it was written; train it again or copy it anew")
    if header["version"] > VERSION:
        raise ValueError(f"{path} has version {header['version']}; this nmcmc reads up to {VERSION}: update nmcmc")
    return (*_rebuild(header, tensors, device), header["notes"])


def _rebuild(header: dict[str, Any], tensors: dict[str, torch.Tensor], device: str) -> tuple[AnySampler, Boltzmann]:
    lattice = Lattice(tuple(header["extents"]), tuple(header["boundary"]))
    couplings, fields = tensors["target.couplings"].numpy(), tensors["target.fields"].numpy()
    energy = LatticeEnergy(lattice, couplings, fields)
    sampler = KINDS[header["sampler"]](energy, header["beta"], **header["options"], rng=Rng(0))
    sampler.load_state_dict({name[6:]: t for name, t in tensors.items() if name.startswith("model.")})
    return sampler.to(device), Boltzmann(energy, header["beta"])


def _metadata(content: bytes) -> dict[str, str]:
    """Return the metadata of a safetensors file: eight bytes of header length, then the header in JSON."""
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or length > min(MAX_HEADER, len(content) - 8):
        raise ValueError("the header is longer than the file")
    metadata = json.loads(content[8 : 8 + length])["__metadata__"]
    return {str(name): str(value) for name, value in metadata.items()}


def _digest(tensors: Mapping[str, torch.Tensor], text: str) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        array = np.ascontiguousarray(tensors[name].numpy())
        digest.update(f"{name} {array.dtype} {array.shape}".encode() + array.tobytes())
    return digest.hexdigest()
