"""The trained models that come with nmcmc: a file each, and a card that says what it is for and how good it is."""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from pathlib import Path
from typing import Any

from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.samplers.store import AnySampler, load_sampler
from nmcmc.types import CorruptFileError

FOLDER = Path(__file__).parents[1] / "models"
FAMILIES = FOLDER / "families"
ENDING = ".safetensors"


def pretrained_names() -> list[str]:
    """Return the names of the shipped models, numbers in them in numerical order."""
    names = [path.name.removesuffix(ENDING) for path in FOLDER.glob(f"*{ENDING}")]
    return sorted(names, key=lambda name: re.sub(r"\d+", lambda number: number[0].zfill(9), name))


def card(name: str) -> dict[str, Any]:
    """Return the card of a shipped model: its system, its training, and its quality as `benchmarks/models.py` found it.

    Raises
    ------
    ValueError : if no model of that name is shipped.
    """
    if name not in pretrained_names():
        raise ValueError(f"no model {name!r} is shipped{_hint(name)}")
    content: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return content


def load_pretrained(name: str, device: str = "cpu") -> tuple[AnySampler, Boltzmann]:
    """Return a shipped sampler and the target that it was trained for.

    Raises
    ------
    ValueError : if no model of that name is shipped. CorruptFileError : if its file is not the one of its card.

    Examples
    --------
    >>> sampler, target = load_pretrained("ising2d-8-critical")
    >>> sampler.n_spins, round(target.beta, 4)
    (64, 0.4407)
    """
    sampler, target, _ = load_sampler(_checked(name), device)
    return sampler, target


def model_file(model: str | Path) -> Path:
    """Return the file that is meant by a path or the name of a shipped model; a file that exists wins.

    The name may have the ending of a file, as in the commands of cards.

    Raises
    ------
    ValueError : for a plain word that is neither. CorruptFileError : as `load_pretrained`.
    """
    path, text = Path(model), str(model)
    shipped = text.removesuffix(ENDING)
    if not path.is_file() and shipped in pretrained_names():
        return _checked(shipped)
    if path.is_file() or path.name != text or text.endswith(ENDING):
        return path
    if (FAMILIES / f"{text}{ENDING}").exists():
        raise ValueError(f"{text} is a family for a range of beta; a single model is needed here{_hint(text)}")
    kind = "is a folder" if path.is_dir() else "does not exist"
    raise ValueError(f"{text} {kind}, and no model of this name is shipped{_hint(text)}")


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file; cards and chains name models by it."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _checked(name: str) -> Path:
    expected, path = card(name)["weights_sha256"], FOLDER / f"{name}{ENDING}"
    if (found := sha256_of(path)) != expected:
        raise CorruptFileError(
            f"the model {name} has the SHA-256 {found[:12]}…, its card says {expected[:12]}…; install nmcmc anew"
        )
    return path


def _hint(name: str) -> str:
    names = pretrained_names()
    near = difflib.get_close_matches(name, names, n=1)
    return (f"; did you mean {near[0]!r}?" if near else ";") + f" shipped are {', '.join(names) or 'none'}"
