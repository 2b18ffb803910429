import threading
import weakref

import pytest
import torch

from nmcmc.parallel import for_chunks, in_turn, n_threads


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


@pytest.mark.parametrize("n_pieces", [0, 1, 4, 23])
def test_pieces_are_taken_in_order_one_at_a_time_and_all_worked_on(threads, n_pieces):
    taking, taken, done = threading.Lock(), [], []

    def take(piece):
        assert taking.acquire(blocking=False)
        taken.append(piece)
        taking.release()
        return 10 * piece

    in_turn(take, lambda piece, prepared: done.append((piece, prepared)), range(n_pieces))
    assert taken == list(range(n_pieces))
    assert sorted(done) == [(piece, 10 * piece) for piece in range(n_pieces)]


def test_chunks_within_a_piece_are_not_spread_over_threads_that_are_busy(threads):
    seen = []

    def work(piece, _):
        for_chunks(lambda start, stop: seen.append((stop - start, threading.get_ident())), 100)
        in_turn(lambda inner: inner, lambda inner, _: seen.append((100, threading.get_ident())), range(9))

    in_turn(lambda piece: piece, work, range(12))
    assert [rows for rows, _ in seen] == [100] * 120
    assert len({thread for _, thread in seen}) <= threads


def test_what_a_piece_took_is_freed_before_its_thread_takes_again(threads):
    class Taken:
        def __init__(self):
            alive.append(weakref.ref(self))

    alive, most, together = [], [], threading.Barrier(threads)

    def take(piece):
        most.append(sum(reference() is not None for reference in alive))
        return Taken()

    in_turn(take, lambda piece, taken: together.wait(), range(40))
    assert max(most) <= threads - 1


def test_an_error_in_a_piece_reaches_the_caller(threads):
    def work(piece, _):
        if piece == 5:
            raise ArithmeticError("piece 5 failed")

    with pytest.raises(ArithmeticError, match="piece 5 failed"):
        in_turn(lambda piece: piece, work, range(9))


def test_thread_count_is_that_of_torch(threads):
    assert n_threads() == threads
