"""Whole files or nothing: check the place before the work, replace the file in one step after it."""

from __future__ import annotations

import glob
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MAX_NAME = 200
"""Bytes of a file name; file systems take 255, and temporary files have longer names."""


def check_output(path: str | os.PathLike[str], overwrite: bool = False) -> Path:
    """Return the path if a file can be written there; call it before long work.

    Nothing is created: the nearest existing folder above the path is tried with a nameless temporary file.

    Raises
    ------
    FileExistsError : if the file exists and overwrite is False, or if the path is a folder.
    ValueError : for a name that leaves no room for the endings of temporary files.
    OSError : if the folder does not exist and cannot be created, or cannot be written to.
    """
    path = Path(path)
    if len(os.fsencode(path.name)) > MAX_NAME:
        raise ValueError(f"the file name {path.name[:20]}… is too long; use at most {MAX_NAME} bytes")
    if path.is_dir():
        raise FileExistsError(f"{path} is a folder; give the name of a file")
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} already exists; give another name, or --overwrite to replace it")
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        reason = error.strerror or error
        raise type(error)(
            error.errno, f"cannot write {path}: {reason}; choose a folder that can be written to"
        ) from None
    return path


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary name beside ``path``; the file written there replaces ``path`` when the block ends well.

    The file and its folder are synced to disk, so that after a crash there is the old file or the new one. If the
    block raises, the temporary file is removed and ``path`` is left as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(path)
    try:
        yield temporary
        _sync(temporary)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync(path.parent)


def discard(path: Path) -> None:
    """Delete a file or folder in one step: killed halfway, nobody finds a part of it under its own name."""
    temporary = path.rename(_temporary(path))
    if temporary.is_dir():
        shutil.rmtree(temporary)
    else:
        temporary.unlink()


def sweep(path: Path) -> None:
    """Delete the temporary files that killed processes have left of ``path``."""
    for temporary in path.parent.glob(f".{glob.escape(path.name)}.{'[0-9a-f]' * 8}.tmp"):
        if temporary.is_dir():
            shutil.rmtree(temporary)
        else:
            temporary.unlink()


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
