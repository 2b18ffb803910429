"""Sparse matrices that scipy has written (`scipy.sparse.save_npz`), without scipy and without pickles."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from nmcmc.energies.terms import MAX_SITES, Terms, terms_of
from nmcmc.types import Floats, Ints

MAX_ENTRIES = 2**28
_NAMES = ("format", "shape", "data", "indices", "indptr")
_DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError, RuntimeError),
    *(KeyError, TypeError, ValueError),
)
"""What zipfile and numpy raise for archives and arrays that are cut, changed, encrypted or of another kind."""


def read_matrix(path: Path) -> Terms:
    """Return the entries of a square matrix in compressed rows or columns; a diagonal becomes linear terms.

    Sizes that the file announces are held against each other and against its length before any array is made.

    Raises
    ------
    ValueError : if the file is no such matrix, or damaged.
    """
    with path.open("rb"):  # a file that cannot be read is not a damaged one
        pass
    try:
        with zipfile.ZipFile(path) as archive:
            arrays = {name: _array(archive, f"{name}.npy") for name in _NAMES}
        return _terms(arrays)
    except _DAMAGE as error:
        raise ValueError(
            f"{path} is no matrix of scipy.sparse.save_npz in compressed rows (csr) or columns (csc): {error}"
        ) from error


def _array(archive: zipfile.ZipFile, name: str) -> np.ndarray[Any, Any]:
    """Return one array of the archive, if its header and its length agree."""
    length = archive.getinfo(name).file_size
    with archive.open(name) as stream:
        shape, kind = _header(stream)
        n = int(np.prod(shape, dtype=object))
        if not 0 <= n <= MAX_ENTRIES or kind.hasobject:
            raise ValueError(f"{name} has shape {shape} and type {kind}; at most {MAX_ENTRIES} plain numbers are read")
        if length - stream.tell() != n * kind.itemsize:
            raise ValueError(f"{name} announces {n} entries of {kind}, but holds {length - stream.tell()} bytes")
        return np.frombuffer(stream.read(n * kind.itemsize), dtype=kind).reshape(shape)


def _header(stream: IO[bytes]) -> tuple[Sequence[int], np.dtype[Any]]:
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, kind = read(stream)
    return shape, kind


def _terms(arrays: dict[str, np.ndarray[Any, Any]]) -> Terms:
    form = bytes(arrays["format"].tobytes()).replace(b"\0", b"").decode("ascii")
    if form not in ("csr", "csc"):
        raise ValueError(f"its format is {form!r}; convert it by .tocsr()")
    shape = [int(extent) for extent in arrays["shape"]]
    if len(shape) != 2 or shape[0] != shape[1] or not 1 <= shape[0] <= MAX_SITES:
        raise ValueError(f"its shape is {shape}; it must be square with 1 to {MAX_SITES} rows")
    data, inner, start = arrays["data"], arrays["indices"], arrays["indptr"]
    if data.dtype.kind not in "biuf" or inner.dtype.kind not in "iu" or start.dtype.kind not in "iu":
        raise ValueError(f"its arrays are {data.dtype}, {inner.dtype}, {start.dtype}; they must be real and integers")
    if start.shape != (shape[0] + 1,) or inner.shape != data.shape or data.ndim != 1:
        raise ValueError(f"{start.size} starts and {inner.size} indices do not fit {data.size} entries")
    start = start.astype(np.int64)
    if start[0] != 0 or start[-1] != len(data) or np.any(np.diff(start) < 0):
        raise ValueError("its starts of rows do not rise from 0 to the number of entries")
    outer = np.repeat(np.arange(shape[0]), np.diff(start))
    pairs = np.stack([outer, inner.astype(np.int64)], axis=1)
    if pairs.size and not 0 <= pairs.min() <= pairs.max() < shape[0]:
        raise ValueError(f"an index is {pairs[:, 1].max()} or {pairs[:, 1].min()}, outside the matrix")
    pairs = pairs if form == "csr" else pairs[:, ::-1]
    pairs, weights = _summed(pairs, data.astype(np.float64), shape[0])
    single = pairs[:, 0] == pairs[:, 1]
    linear = np.bincount(pairs[single, 0], weights[single], minlength=shape[0])
    kept = ~single & (weights != 0)
    return terms_of("matrix", shape[0], pairs[kept], weights[kept], linear)


def _summed(pairs: Ints, weights: Floats, n: int) -> tuple[Ints, Floats]:
    """Return every pair once: entries that are stored in pieces are their sum, as in scipy."""
    keys, place = np.unique(pairs[:, 0] * n + pairs[:, 1], return_inverse=True)
    if len(keys) == len(pairs):
        return pairs, weights
    return np.stack([keys // n, keys % n], axis=1), np.bincount(place, weights).astype(np.float64)
