"""Run a serial kernel on chunks of independent rows in threads: kernels release the GIL, so cores add up.

Every row is computed by the same arithmetic whatever chunk it falls into, so results do not depend on the number
of threads. The number of threads is torch's (``torch.set_num_threads``): one setting for everything.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

_pool: ThreadPoolExecutor | None = None
_here = threading.local()


def n_threads() -> int:
    """Return the number of threads that kernels and torch use."""
    import torch

    return torch.get_num_threads()


def for_chunks(work: Callable[[int, int], None], n_rows: int, granularity: int = 1) -> None:
    """Call work(start, stop) so that the chunks cover range(n_rows), in threads; re-raise the first error.

    Chunk borders are multiples of ``granularity``, the number of rows that a kernel handles together.
    """
    n_grains = -(-n_rows // granularity)
    n_chunks = 1 if _inside() else min(n_threads(), n_grains)
    if n_chunks <= 1:
        work(0, n_rows)
        return
    bounds = [min(n_rows, granularity * (n_grains * k // n_chunks)) for k in range(n_chunks + 1)]
    _together([partial(work, a, b) for a, b in pairwise(bounds)])


def in_turn(take: Callable[[T], R], work: Callable[[T, R], None], pieces: Sequence[T]) -> None:
    """Call work(piece, take(piece)) for every piece, in threads; re-raise the first error.

    Only one ``take`` runs at a time, in the order of the pieces: it may advance a random stream while other threads
    are at work. Within ``work``, `for_chunks` starts no threads of its own. Too few pieces for the threads are done
    one after the other, each with all threads.
    """
    n_workers = n_threads()
    if n_workers <= 1 or len(pieces) < n_workers or _inside():
        for piece in pieces:
            work(piece, take(piece))
        return
    waiting, turn = iter(pieces), threading.Lock()

    def next_piece() -> bool:
        with turn:
            if (piece := next(waiting, None)) is None:
                return False
            taken = take(piece)
        work(piece, taken)
        return True

    def run() -> None:
        while next_piece():  # what one piece took is freed before the next one takes: caches hold it but once
            pass

    _together([run] * n_workers)


def _inside() -> bool:
    """Return whether this is one of our threads, which must not wait for others of them."""
    return getattr(_here, "inside", False)


def _together(jobs: Sequence[Callable[[], None]]) -> None:
    """Run the jobs in a pool of threads and wait for all; re-raise the first error."""
    global _pool
    if _pool is None or _pool._max_workers < len(jobs):
        _pool = ThreadPoolExecutor(len(jobs), "nmcmc", initializer=lambda: setattr(_here, "inside", True))
    futures = [_pool.submit(job) for job in jobs]
    for future in futures:
        future.result()
