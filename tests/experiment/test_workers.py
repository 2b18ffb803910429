"""Processes side by side: their order, their results, their errors, and that nothing of them is left."""

import multiprocessing
import signal
import subprocess
from functools import partial
from pathlib import Path

import pytest
from command_line import PYTHON
from pieces import Piece, fail_or_stand_still, leave_a_file

from nmcmc.experiment.workers import side_by_side

FIRST, SECOND = Piece("first"), Piece("second")
BOTH = Piece("both", (FIRST, SECOND))
LAST = Piece("last", (BOTH, Piece("not to be done")))
STILL = Piece("stand still")
SORTED, TURNED = (FIRST, SECOND, BOTH, LAST), (LAST, BOTH, SECOND, FIRST)


@pytest.mark.parametrize(
    ("pieces", "workers"),
    [
        (TURNED, 2),
        pytest.param(SORTED, 1, marks=pytest.mark.slow),
        pytest.param(SORTED, 2, marks=pytest.mark.slow),
        pytest.param(TURNED, 5, marks=pytest.mark.slow),
    ],
)
def test_every_piece_is_done_once_after_those_that_it_needs(tmp_path, pieces, workers):
    seen = []
    side_by_side(partial(leave_a_file, tmp_path), pieces, workers, seen.append)
    found = {path.name: path.read_text() for path in tmp_path.iterdir()}
    expected = dict.fromkeys(("first", "second", "both"), "missing [], threads 1")
    assert found == expected | {"last": "missing ['not to be done'], threads 1"}
    assert sorted(seen) == [1] * 4 + [2] * 4
    assert multiprocessing.active_children() == []


def test_nothing_to_do_is_done_at_once():
    side_by_side(fail_or_stand_still, [], 2, None)


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("raise", FloatingPointError, "^the loss is nan$"),
        ("exit", RuntimeError, r"did Piece\(name='exit'.*ended with code 3 and without a result; .* fewer --threads"),
        ("kill", RuntimeError, "ended with code -9 and without a result"),
        ("raise what cannot be sent", RuntimeError, "ended with code 1 and without a result"),
    ],
)
def test_what_goes_wrong_in_a_process_stops_the_others(name, error, message):
    seen = []
    with pytest.raises(error, match=message):
        side_by_side(fail_or_stand_still, [STILL, Piece(name), FIRST], 2, seen.append)
    assert set(seen) <= {1}
    assert multiprocessing.active_children() == []


def test_an_error_in_the_parent_stops_all():
    with pytest.raises(ZeroDivisionError):
        side_by_side(fail_or_stand_still, [STILL, FIRST], 2, lambda done: 1 / 0)
    assert multiprocessing.active_children() == []


def test_workers_end_when_their_parent_is_killed():
    """Also those that stand still. They hold the parent's standard streams, which end with the last that holds them."""
    code = """
import os, signal
from pieces import Piece, fail_or_stand_still
from nmcmc.experiment.workers import side_by_side
side_by_side(fail_or_stand_still, [Piece("a"), Piece("b")], 2, lambda done: os.kill(os.getpid(), signal.SIGKILL))
"""
    dead = subprocess.run([PYTHON, "-c", code], capture_output=True, cwd=Path(__file__).parents[1])
    assert (dead.returncode, dead.stdout, dead.stderr) == (-signal.SIGKILL, b"", b"")
