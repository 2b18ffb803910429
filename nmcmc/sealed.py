"""Safetensors files with a checksum over everything: a flipped bit raises instead of reading wrong."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from nmcmc.types import CorruptFileError

if TYPE_CHECKING:
    from torch import Tensor

MAX_HEADER = 2**24


def seal(tensors: Mapping[str, Tensor], text: str) -> bytes:
    """Return named tensors and a text as the content of a safetensors file; the same input gives the same bytes."""
    from safetensors.torch import save

    kept = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    # One entry of metadata only: safetensors writes several in random order.
    return save(kept, metadata={"nmcmc": f"{_digest(kept, text)}\n{text}"})


def unseal(content: bytes) -> tuple[dict[str, Tensor], str]:
    """Return the tensors and the text that were sealed.

    Raises
    ------
    CorruptFileError : if the content is truncated, changed, or was never sealed.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        digest, text = _metadata(content)["nmcmc"].split("\n", 1)
        tensors = load(content)
        intact = digest == _digest(tensors, text)
    except (SafetensorError, ValueError, KeyError, TypeError, OverflowError) as error:
        raise CorruptFileError(f"{type(error).__name__}: {error}") from error
    if not intact:
        raise CorruptFileError("the content does not match its checksum")
    return tensors, text


def _metadata(content: bytes) -> dict[str, str]:
    """Return the metadata of a safetensors file: eight bytes of header length, then the header in JSON."""
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or length > min(MAX_HEADER, len(content) - 8):
        raise ValueError("the header is longer than the file")
    metadata = json.loads(content[8 : 8 + length])["__metadata__"]
    return {str(name): str(value) for name, value in metadata.items()}


def _digest(tensors: Mapping[str, Tensor], text: str) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        array = tensors[name].numpy()
        digest.update(f"{name} {array.dtype} {array.shape}".encode() + array.tobytes())
    return digest.hexdigest()
