"""What every job is told besides its settings, and what it does with output that is already there."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from nmcmc.atomic import check_output, discard, sweep


@dataclass(frozen=True)
class Options:
    """Seed, device, whether to continue an interrupted job or to replace its output, and whether to be silent."""

    seed: int = 1
    device: str = "cpu"
    resume: bool = False
    overwrite: bool = False
    quiet: bool = False

    def bar(self, total: int, title: str, unit: str, done: int = 0) -> tqdm[Any]:
        """Return a progress bar on standard error; silent in batch logs."""
        return tqdm(total=total, desc=title, unit=unit, initial=done, disable=True if self.quiet else None)


def leftovers_of(out: Path, ending: str) -> Path:
    """Return the name beside an output under which an interrupted job leaves what it has done."""
    return out.parent / f"{out.name}.{ending}"


def open_folder(folder: Path, files: Collection[Path]) -> None:
    """Make a folder of leftovers and sweep it; refuse one that holds other files than these, or a file in its place.

    Raises
    ------
    ValueError : if what is there belongs to a job with other settings.
    """
    if folder.is_file() or (folder.exists() and not {p for p in folder.iterdir() if p.name[0] != "."} <= set(files)):
        raise ValueError(f"checkpoint {folder} belongs to a run with other settings; give the same, or another output")
    folder.mkdir(parents=True, exist_ok=True)
    for path in files:
        sweep(path)


def claim(out: Path, leftovers: Path, options: Options) -> bool:
    """Return whether the job is finished; if not, make sure that it may begin or go on. Call it before any work.

    An interrupted job leaves a file or folder of leftovers beside its output, and deletes it when the output is
    complete: output without leftovers is a finished job.

    Parameters
    ----------
    out, leftovers : the output, and what an interrupted job has left.
    options : resume goes on with leftovers; overwrite discards them, and permits to replace the output.

    Raises
    ------
    FileExistsError : if there is output or leftovers and the options do not say what to do.
    OSError : if the output cannot be written.
    """
    if options.resume or options.overwrite:
        sweep(out)
        sweep(leftovers)
    goes_on = options.resume and leftovers.exists()
    if options.resume and out.is_file() and not goes_on:
        return True
    check_output(out, options.overwrite or goes_on)
    if leftovers.exists() and not goes_on:
        if not options.overwrite:
            raise FileExistsError(f"{leftovers} is left of an interrupted run; give --resume or --overwrite")
        discard(leftovers)
    return False
