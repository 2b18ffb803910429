"""Pieces of work in processes side by side, each begun when those that it needs are done."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, Protocol, TypeVar

import torch


class Piece(Protocol):
    """Something to be done after other things; comparable by ==."""

    @property
    def after(self) -> Sequence[Any]:
        """What must be done before, if it is to be done at all."""
        ...


P = TypeVar("P", bound=Piece)


def side_by_side(
    work: Callable[[P, Callable[[int], object]], None],
    pieces: Sequence[P],
    workers: int,
    progress: Callable[[int], object],
) -> None:
    """Do ``work(piece, progress)`` for every piece in a process of its own, of one thread, ``workers`` at a time.

    Processes are spawned: a fork after threads have run can hang. They end with this one, even if it is killed.

    Parameters
    ----------
    work : picklable. pieces : in the order in which to begin them. progress : is told every piece's progress.

    Raises
    ------
    The error of the first piece that fails, after the others were stopped. RuntimeError : if a process dies.
    """
    context = multiprocessing.get_context("spawn")
    waiting, running = list(pieces), dict[Any, tuple[P, SpawnProcess]]()
    try:
        while waiting or running:
            undone = [*waiting, *(piece for piece, _ in running.values())]
            ready = [piece for piece in waiting if not any(other in undone for other in piece.after)]
            for piece in ready[: workers - len(running)]:
                receiver, sender = context.Pipe(duplex=False)
                process = context.Process(target=_process, args=(work, piece, sender), daemon=True)
                process.start()
                sender.close()  # the worker has the only other end: the pipe ends when it dies
                running[receiver] = piece, process
                waiting.remove(piece)
            for heard in wait(list(running)):
                _hear(heard, running, progress)
    finally:
        for _, process in running.values():
            process.terminate()
            process.join()


def _hear(receiver: Any, running: dict[Any, tuple[Any, SpawnProcess]], progress: Callable[[int], object]) -> None:
    """Take one message of a process: its progress, None at the end, or an error."""
    piece, process = running[receiver]
    try:
        message = receiver.recv()
    except (EOFError, OSError):
        process.join()
        raise RuntimeError(
            f"the process that did {piece} ended with code {process.exitcode} and without a result; if memory is "
            "short, use fewer --threads"
        ) from None
    if isinstance(message, int):
        progress(message)
        return
    del running[receiver]
    process.join()
    receiver.close()
    if isinstance(message, BaseException):
        raise message


def _process(work: Callable[[Any, Callable[[int], object]], None], piece: Any, sender: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is interrupted too, and ends this process
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    try:
        work(piece, lambda done: _tell(sender, done))
        _tell(sender, None)
    except Exception as error:
        _tell(sender, error)


def _end_with_parent() -> None:
    """Wait for the end of the parent, and then end this process at once: its checkpoints are always whole."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _tell(sender: Connection, message: Any) -> None:
    """Send a message to the parent; end this process if there is no parent any more."""
    try:
        sender.send(message)
    except BrokenPipeError:
        raise SystemExit(1) from None
