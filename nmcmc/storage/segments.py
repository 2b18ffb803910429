"""Segments of a long run: immutable files, one per checkpoint, that survive being killed at any moment."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

import h5py
import numpy.typing as npt

from nmcmc.atomic import check_output, discard
from nmcmc.storage.files import corrupt_if_unreadable, new_file, open_intact
from nmcmc.storage.record import Snapshot, check_chain
from nmcmc.storage.schema import get_text, read_chain, read_snapshot, set_text, write_chain, write_snapshot
from nmcmc.types import Chain, CorruptFileError

T = TypeVar("T")


class SegmentStore:
    """A folder of segments ``segment-000000.h5`` …, each with the draws since the last and where the chain stands.

    A segment appears whole or not at all, and its name is never reused: killed at any moment, a run continues after
    its last complete segment. Nothing is created before the first `append`.

    Parameters
    ----------
    folder : the folder of the segments, by custom ``<output>.segments``.
    fingerprint : see `nmcmc.storage.record.fingerprint`; segments are continued only by the run that wrote them.

    Raises
    ------
    ValueError : if the folder holds the segments of another run.
    CorruptFileError : if a segment is missing, or the last one is damaged.
    """

    def __init__(self, folder: str | PathLike[str], fingerprint: str):
        self.folder, self.fingerprint = Path(folder), fingerprint
        found = sorted(self.folder.glob("segment-*.h5"))
        for index, path in enumerate(found):
            if path != self._path(index):
                raise CorruptFileError(f"{self._path(index)} is missing; delete {self.folder} to start anew")
        self._n_segments, self._n_draws = len(found), 0
        if found:
            self._n_draws = self._read(len(found) - 1, lambda file: int(file.attrs["n_draws"]))

    def __len__(self) -> int:
        return self._n_segments

    @property
    def n_draws(self) -> int:
        """Number of draws per chain in all segments."""
        return self._n_draws

    def append(self, chain: Chain, state: Mapping[str, npt.NDArray[Any]], rng: Mapping[str, Any]) -> None:
        """Write the next segment: new draws, the arrays of the update's state after them, and ``Rng.state()``.

        Raises
        ------
        ValueError : if the arrays of the chain do not fit together.
        FileExistsError : if another process has written this segment meanwhile.
        """
        check_chain(chain)
        path = check_output(self._path(self._n_segments))
        with new_file(path) as file:
            set_text(file, "fingerprint", self.fingerprint)
            file.attrs["n_draws"] = self._n_draws + chain.n_draws
            write_chain(file, chain, first_draw=self._n_draws)
            write_snapshot(file, Snapshot(state, rng, self._n_segments))
        self._n_segments, self._n_draws = self._n_segments + 1, self._n_draws + chain.n_draws

    def last(self) -> Snapshot | None:
        """Return where the chains stood at the end of the last segment; None if there is no segment yet."""
        if not self._n_segments:
            return None
        return self._read(self._n_segments - 1, read_snapshot)

    def load(self) -> Iterator[Chain]:
        """Yield the draws of every segment in order; `nmcmc.updates.run.concatenate` joins them."""
        for index in range(self._n_segments):
            yield self._read(index, read_chain)

    def remove(self) -> None:
        """Delete the folder; for use after the merged file has been written."""
        if self.folder.exists():
            discard(self.folder)
        self._n_segments = self._n_draws = 0

    def _path(self, index: int) -> Path:
        return self.folder / f"segment-{index:06d}.h5"

    def _read(self, index: int, reader: Callable[[h5py.File], T]) -> T:
        path = self._path(index)
        with open_intact(path) as file, corrupt_if_unreadable(path):
            fingerprint, content = get_text(file, "fingerprint"), reader(file)
        if fingerprint != self.fingerprint:
            raise ValueError(
                f"{self.folder} holds segments of a run with another model, seed or configuration; "
                "give the same ones to continue it, or another output"
            )
        return content
