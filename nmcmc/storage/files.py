"""Whole HDF5 files: written in one step, read only if every bit is as it was written."""

from __future__ import annotations

import hashlib
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import metadata
from os import PathLike
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from nmcmc.atomic import atomic, check_output
from nmcmc.storage.record import Record, check_chain
from nmcmc.storage.schema import get_text, read_record, set_text, write_record
from nmcmc.types import CorruptFileError

SCHEMA, SCHEMA_VERSION = "nmcmc", "1.1"
_DIGEST = "content_sha256"
_NOT_DIGESTED = {_DIGEST, "DIMENSION_LIST", "REFERENCE_LIST"}  # the last two hold addresses inside the file
_MAX_COMPRESSION = 1100  # gzip cannot exceed 1032
_READ_ERRORS = (OSError, KeyError, ValueError, TypeError, RuntimeError, OverflowError, MemoryError, AttributeError)


def write(path: str | PathLike[str], records: Mapping[str, Record], overwrite: bool = False) -> None:
    """Write records to one HDF5 file, whole or not at all.

    Parameters
    ----------
    path : the file; its folder is created if necessary.
    records : group → record. The group "" is the root of the file; "neural" and "wolff" make those groups. The first
        record's seed, configuration and weights are repeated at the root.
    overwrite : replace an existing file.

    Raises
    ------
    FileExistsError : if the file exists and overwrite is False.
    ValueError : for a name that cannot be a group, or arrays that do not fit together.
    """
    path = check_output(path, overwrite)
    _check_records(records)
    with new_file(path) as file:
        first = next(iter(records.values()))
        file.attrs["seed"] = first.seed
        set_text(file, "config", first.config_toml)
        set_text(file, "weights_sha256", first.weights_sha256)
        set_text(file, "git_commit", _git_commit())
        for group, record in records.items():
            write_record(file.require_group(f"/{group}"), record)


def read(path: str | PathLike[str], group: str = "") -> Record:
    """Read one record of a file, after checking that the whole file is intact.

    Raises
    ------
    FileNotFoundError : if there is no such file.
    CorruptFileError : if the file is truncated, changed, or does not follow its own schema.
    ValueError : if it is no nmcmc file, was written by a newer major schema version, or lacks the group.
    """
    with open_intact(path) as file:
        available = _groups(file)
        if group not in available:
            names = ", ".join(repr(name) for name in available) or "none"
            raise ValueError(f"{path} has no run in the group {group!r}; it has {names}")
        with corrupt_if_unreadable(path):
            return read_record(file[f"/{group}"])


def groups(path: str | PathLike[str]) -> tuple[str, ...]:
    """Return the groups of a file that hold a record, "" for the root: what `read` accepts."""
    with open_intact(path) as file:
        return _groups(file)


@contextmanager
def new_file(path: Path) -> Iterator[h5py.File]:
    """Yield a new HDF5 file that takes the place of ``path``, sealed with its digest, when the block ends well."""
    # Format 1.10 protects HDF5's own metadata with checksums; locks fail on network file systems.
    with atomic(path) as temporary, h5py.File(temporary, "w", libver=("v110", "v110"), locking=False) as file:
        set_text(file, "schema", SCHEMA)
        set_text(file, "schema_version", SCHEMA_VERSION)
        set_text(file, "version", metadata.version("nmcmc"))
        set_text(file, "created_at", datetime.now(UTC).isoformat(timespec="seconds"))
        yield file
        set_text(file, _DIGEST, _digest(file))


@contextmanager
def open_intact(path: str | PathLike[str]) -> Iterator[h5py.File]:
    """Open a file for reading if its content has the digest that it was sealed with; see `read` for what is raised."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist or is not a file")
    with corrupt_if_unreadable(path):
        file = _opened(path)
    with file:
        with corrupt_if_unreadable(path):
            ours = "schema" in file.attrs and get_text(file, "schema") == SCHEMA
            intact = ours and get_text(file, _DIGEST) == _digest(file, _MAX_COMPRESSION * path.stat().st_size)
            version = get_text(file, "schema_version") if ours else ""
        if not ours:
            raise ValueError(f"{path} was not written by nmcmc: its root has no attribute schema = {SCHEMA!r}")
        if not intact:
            raise CorruptFileError(f"{path} is corrupt: its content has changed since it was written")
        if not re.fullmatch(r"\d+\.\d+", version) or int(version.split(".")[0]) > int(SCHEMA_VERSION.split(".")[0]):
            raise ValueError(f"{path} has schema version {version}; this nmcmc reads {SCHEMA_VERSION}: update nmcmc")
        yield file


def _opened(path: Path) -> h5py.File:
    """Open a file without a lock; with one if this process holds it open so, as xarray does: HDF5 wants the same."""
    try:
        return h5py.File(path, "r", locking=False)
    except OSError as error:
        if "file locking flag" not in str(error):
            raise
        return h5py.File(path, "r")


@contextmanager
def corrupt_if_unreadable(path: str | PathLike[str]) -> Iterator[None]:
    """Turn whatever HDF5, numpy or json raise on damaged data into one CorruptFileError that names the file."""
    try:
        yield
    except PermissionError:
        raise
    except _READ_ERRORS as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CorruptFileError(f"{path} is corrupt or truncated: {reason}") from error


def _digest(file: h5py.File, max_bytes: float = np.inf) -> str:
    """Return the SHA-256 over names, types, shapes and values of all attributes and arrays."""
    digest = hashlib.sha256()

    def add(name: str, node: h5py.Group | h5py.Dataset) -> None:
        digest.update(f"{name}\0".encode())
        for key in sorted(set(node.attrs) - _NOT_DIGESTED):
            _add_array(digest, key, np.asarray(node.attrs[key]))
        if isinstance(node, h5py.Dataset):
            if node.nbytes > max_bytes:
                raise ValueError(f"{name} claims {node.nbytes} bytes, more than the file can hold")
            _add_array(digest, "", np.asarray(node[()]))

    add("/", file)
    names: list[str] = []
    file.visit(names.append)
    for name in sorted(names):
        add(name, file[name])
    return digest.hexdigest()


def _add_array(digest: hashlib._Hash, name: str, array: npt.NDArray[Any]) -> None:
    if array.dtype.kind not in "biufS":
        raise ValueError(f"{name or 'an array'} has the type {array.dtype}, which nmcmc does not write")
    digest.update(f"{name}\0{array.dtype.str}{array.shape}".encode())
    digest.update(array.tobytes())


def _groups(file: h5py.File) -> tuple[str, ...]:
    nested = tuple(name for name, node in file.items() if isinstance(node, h5py.Group) and "posterior" in node)
    return ("",) * ("posterior" in file) + nested


def _check_records(records: Mapping[str, Record]) -> None:
    if not records or ("" in records and len(records) > 1):
        raise ValueError(f"records are {list(records)}; give one record named '' or several with other names")
    for name, record in records.items():
        if name and not re.fullmatch(r"[a-z][a-z0-9_-]*", name):
            raise ValueError(f"a record is named {name!r}; use small letters, digits, - and _")
        check_chain(record.chain)
        for kind, columns in (("training", record.training), ("draws", record.draws)):
            if columns is not None and len({np.shape(values) for values in columns.values()}) != 1:
                raise ValueError(f"the arrays of {kind} must all be one-dimensional and equally long")
        if record.training is not None and "step" not in record.training:
            raise ValueError("training has no array named step; it numbers the rows")


def _git_commit() -> str:
    """Return the commit of the checkout that this package is run from, or "unknown"."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return "unknown"
    try:
        found = subprocess.run(["git", "-C", root, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return found.stdout.strip()
