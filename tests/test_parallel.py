import threading

import pytest
import torch

from nmcmc.parallel import for_chunks, n_threads


@pytest.fixture(params=[1, 2, 5])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def chunks_of(n_rows, granularity=1):
    lock, chunks = threading.Lock(), []

    def work(start, stop):
        with lock:
            chunks.append((start, stop))

    for_chunks(work, n_rows, granularity)
    return sorted(chunks)


@pytest.mark.parametrize("n_rows", [1, 2, 7, 100])
@pytest.mark.parametrize("granularity", [1, 8])
def test_chunks_cover_every_row_once(threads, n_rows, granularity):
    chunks = chunks_of(n_rows, granularity)
    assert [row for start, stop in chunks for row in range(start, stop)] == list(range(n_rows))
    assert len(chunks) == min(threads, -(-n_rows // granularity))
    assert all(start % granularity == 0 for start, _ in chunks)


def test_no_rows_is_one_empty_chunk(threads):
    assert chunks_of(0) == [(0, 0)]


def test_one_thread_works_in_the_caller():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    seen = []
    for_chunks(lambda start, stop: seen.append(threading.get_ident()), 10)
    torch.set_num_threads(before)
    assert seen == [threading.get_ident()]


def test_errors_reach_the_caller(threads):
    def work(start, stop):
        if stop == 10:
            raise ArithmeticError("row 9 failed")

    with pytest.raises(ArithmeticError, match="row 9 failed"):
        for_chunks(work, 10)


def test_thread_count_is_that_of_torch(threads):
    assert n_threads() == threads
