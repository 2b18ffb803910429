"""Pieces of work in processes side by side, each begun when those that it needs are done."""

from __future__ import annotations

import multiprocessing
import queue
import signal
from collections.abc import Callable, Sequence
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
_POLL = 1.0
"""Seconds after which a worker that died without a word is noticed."""


def side_by_side(
    work: Callable[[P, Callable[[int], object]], None],
    pieces: Sequence[P],
    workers: int,
    progress: Callable[[int], object],
) -> None:
    """Do ``work(piece, progress)`` for every piece in a process of its own, of one thread, ``workers`` at a time.

    Processes are spawned: a fork after threads have run can hang. They end with this one.

    Parameters
    ----------
    work : picklable. pieces : in the order in which to begin them. progress : is told every piece's progress.

    Raises
    ------
    The error of the first piece that fails, after the others were stopped. RuntimeError : if a process dies.
    """
    context = multiprocessing.get_context("spawn")
    messages: Any = context.Queue()
    waiting, running = list(pieces), dict[int, tuple[P, SpawnProcess]]()
    try:
        while waiting or running:
            undone = [*waiting, *(piece for piece, _ in running.values())]
            ready = [piece for piece in waiting if not any(other in undone for other in piece.after)]
            for piece in ready[: workers - len(running)]:
                number = pieces.index(piece)
                process = context.Process(target=_process, args=(work, piece, number, messages), daemon=True)
                process.start()
                running[number] = piece, process
                waiting.remove(piece)
            _listen(messages, running, progress)
    finally:
        for _, process in running.values():
            process.terminate()
            process.join()


def _listen(messages: Any, running: dict[int, tuple[Any, SpawnProcess]], progress: Callable[[int], object]) -> None:
    """Take one message of a process; none for a while is the time to look whether all of them are alive."""
    try:
        number, content = messages.get(timeout=_POLL)
    except queue.Empty:
        for piece, process in running.values():
            if process.exitcode is not None:
                raise RuntimeError(
                    f"the process that did {piece} ended with code {process.exitcode} and without a result; if memory "
                    "is short, use fewer --threads"
                ) from None
        return
    if isinstance(content, int):
        progress(content)
        return
    _, process = running.pop(number)
    process.join()
    if isinstance(content, BaseException):
        raise content


def _process(work: Callable[[Any, Callable[[int], object]], None], piece: Any, number: int, messages: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is interrupted too, and ends this process
    torch.set_num_threads(1)
    try:
        work(piece, lambda done: messages.put((number, done)))
        messages.put((number, None))
    except Exception as error:
        messages.put((number, error))
