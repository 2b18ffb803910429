"""Checkpoints of a training run: parameters, Adam's moments, step and records in one safetensors file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from nmcmc.atomic import atomic
from nmcmc.sealed import seal, unseal
from nmcmc.types import CorruptFileError

MOMENTS = ("step", "exp_avg", "exp_avg_sq")


class HasState(Protocol):
    """Whatever gives and takes its parameters by name, as torch modules do."""

    def state_dict(self) -> dict[str, Tensor]:
        """Return the parameters by name."""
        ...

    def load_state_dict(self, state_dict: Mapping[str, Tensor]) -> object:
        """Take parameters by name."""
        ...


@dataclass(frozen=True)
class TrainingState:
    """How far a run has come: steps done of n_steps, records so far, seconds spent."""

    step: int = 0
    n_steps: int = 0
    records: tuple[dict[str, float], ...] = ()
    seconds: float = 0.0


def save_state(
    path: Path, fingerprint: str, state: TrainingState, sampler: HasState, optimizer: torch.optim.Optimizer
) -> None:
    """Write a checkpoint atomically: a reader finds the old file or the new one, never half of one."""
    tensors = {f"model.{name}": tensor for name, tensor in sampler.state_dict().items()}
    for index, moments in optimizer.state_dict()["state"].items():
        tensors |= {f"adam.{index}.{name}": moments[name] for name in MOMENTS}
    text = json.dumps({"fingerprint": fingerprint, **asdict(state)})
    with atomic(path) as temporary:
        temporary.write_bytes(seal(tensors, text))


def load_state(
    path: Path | None, fingerprint: str, sampler: HasState, optimizer: torch.optim.Optimizer
) -> TrainingState:
    """Restore sampler and optimiser from a checkpoint and return how far it is; a new state if there is no file.

    Raises
    ------
    CorruptFileError : if the file is damaged. ValueError : if it belongs to a run with other settings.
    """
    if path is None or not path.exists():
        return TrainingState()
    tensors, header = _read(path, fingerprint)
    sampler.load_state_dict({name[6:]: tensor for name, tensor in tensors.items() if name.startswith("model.")})
    _restore_moments(optimizer, tensors)
    return TrainingState(header["step"], header["n_steps"], tuple(header["records"]), header["seconds"])


def planned_steps(path: Path, fingerprint: str) -> int:
    """Return the number of steps that the run of a checkpoint set out to make; 0 if there is no file.

    Raises
    ------
    CorruptFileError, ValueError : as `load_state`.
    """
    return int(_read(path, fingerprint)[1]["n_steps"]) if path.exists() else 0


@dataclass(frozen=True)
class Finished:
    """What a completed run has left: the parameters by name, and the seconds that it took."""

    weights: dict[str, Tensor]
    seconds: float


def finished(path: Path, fingerprint: str) -> Finished | None:
    """Return what the run of a checkpoint ended with, or None if there is no file or the run is not complete.

    Raises
    ------
    CorruptFileError, ValueError : as `load_state`.
    """
    if not path.exists():
        return None
    tensors, header = _read(path, fingerprint)
    if header["step"] < header["n_steps"]:
        return None
    return Finished({n[6:]: tensor for n, tensor in tensors.items() if n.startswith("model.")}, header["seconds"])


def _read(path: Path, fingerprint: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    other = f"checkpoint {path} belongs to a run with other settings or couplings; give the same, or another output"
    if path.is_dir():
        raise ValueError(other)
    try:
        tensors, text = unseal(path.read_bytes())
    except CorruptFileError as error:
        raise CorruptFileError(f"checkpoint {path} is damaged ({error}); delete it to start again") from error
    header = json.loads(text)
    if header["fingerprint"] != fingerprint:
        raise ValueError(other)
    return tensors, header


def _restore_moments(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    state = optimizer.state_dict()
    indices = {int(name.split(".")[1]) for name in tensors if name.startswith("adam.")}
    state["state"] = {index: {name: tensors[f"adam.{index}.{name}"] for name in MOMENTS} for index in indices}
    optimizer.load_state_dict(state)
