"""Run a serial kernel on chunks of independent rows in threads: kernels release the GIL, so cores add up.

Every row is computed by the same arithmetic whatever chunk it falls into, so results do not depend on the number
of threads. The number of threads is torch's (``torch.set_num_threads``): one setting for everything.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

_pool: ThreadPoolExecutor | None = None


def n_threads() -> int:
    """Return the number of threads that kernels and torch use."""
    import torch

    return torch.get_num_threads()


def for_chunks(work: Callable[[int, int], None], n_rows: int, granularity: int = 1) -> None:
    """Call work(start, stop) so that the chunks cover range(n_rows), in threads; re-raise the first error.

    Chunk borders are multiples of ``granularity``, the number of rows that a kernel handles together.
    """
    global _pool
    n_grains = -(-n_rows // granularity)
    n_chunks = min(n_threads(), n_grains)
    if n_chunks <= 1:
        work(0, n_rows)
        return
    if _pool is None or _pool._max_workers < n_chunks:
        _pool = ThreadPoolExecutor(n_chunks, thread_name_prefix="nmcmc")
    bounds = [min(n_rows, granularity * (n_grains * k // n_chunks)) for k in range(n_chunks + 1)]
    futures = [_pool.submit(work, a, b) for a, b in pairwise(bounds)]
    for future in futures:
        future.result()
