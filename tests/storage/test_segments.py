"""Segments: a run that is killed at any moment continues as if nothing had happened."""

import dataclasses
import signal
import subprocess
import sys

import numpy as np
import pytest
import xarray

from nmcmc.random import Rng
from nmcmc.storage.segments import SegmentStore
from nmcmc.types import Chain, CorruptFileError
from nmcmc.updates.run import concatenate

N_SEGMENTS = 4

RUN = """
import os, signal, sys
from pathlib import Path
import h5py, numpy as np
from nmcmc.random import Rng
from nmcmc.storage.segments import SegmentStore
from nmcmc.types import Chain, CorruptFileError

def advance(walk, rng):
    path = walk[:, None] + np.cumsum(rng.generator.normal(size=(2, 8)), axis=1)
    return Chain({"walk": path}, {"up": path > 0}, np.where(path > 0, 1, -1)[:, ::2, None].astype(np.int8), 2)

def run(folder, n_segments, after=lambda: None):
    store, rng, walk = SegmentStore(folder, "f"), Rng(3), np.zeros(2)
    last = store.last()
    if last is not None:
        rng, walk = Rng.restore(last.rng), last.state["walk"]
    while len(store) < n_segments:
        chain = advance(walk, rng)
        walk = chain.series["walk"][:, -1]
        store.append(chain, {"walk": walk}, rng.state())
        after()
    return store
"""
KILLED_AT_CALL = """
left = int(sys.argv[2])
def dies_at_last(function):
    def wrapped(*args, **kwargs):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **kwargs)
    return wrapped
os.fsync, Path.replace = dies_at_last(os.fsync), dies_at_last(Path.replace)
h5py.File.close = dies_at_last(h5py.File.close)
h5py.Group.create_group = dies_at_last(h5py.Group.create_group)
run(sys.argv[1], 2)
"""
KILLED_FROM_OUTSIDE = """
run(sys.argv[1], 10**9, after=lambda: print("segment", flush=True))
"""


def run(folder, n_segments):
    names = {}
    exec(RUN, names)
    return names["run"](folder, n_segments)


def merge(store):
    return concatenate(list(store.load()))


def simple_chain(n_draws=3, names=("energy",)):
    return Chain({name: np.arange(2.0 * n_draws).reshape(2, n_draws) for name in names})


def assert_same_chain(a, b):
    for x, y in ((a.series, b.series), (a.stats, b.stats), ({"s": a.spins}, {"s": b.spins})):
        assert x.keys() == y.keys()
        assert all(np.array_equal(x[name], y[name]) and x[name].dtype == y[name].dtype for name in x)
    assert a.thin == b.thin


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    return merge(run(tmp_path_factory.mktemp("whole") / "s", N_SEGMENTS))


def test_segments_merge_in_order(tmp_path, undisturbed):
    store = run(tmp_path / "s", N_SEGMENTS)
    assert (len(store), store.n_draws) == (4, 32)
    assert_same_chain(merge(store), undisturbed)
    assert [chain.n_draws for chain in store.load()] == [8] * 4
    assert store.last().segment == 3
    assert np.array_equal(store.last().state["walk"], undisturbed.series["walk"][:, -1])
    store.remove()
    assert list(tmp_path.iterdir()) == []
    store.remove()


def test_resumed_run_is_bit_identical(tmp_path, undisturbed):
    for n_segments in (1, 3, N_SEGMENTS):
        store = run(tmp_path / "s", n_segments)
    assert_same_chain(merge(store), undisturbed)


# Each of the two segments passes eight such calls: four groups, close, fsync, rename, fsync of the folder.
@pytest.mark.parametrize("call", [1, 4, 5, 6, 7, 8, 9, 13, 15, 16])
def test_killed_at_any_call_the_run_continues(tmp_path, undisturbed, call):
    command = [sys.executable, "-c", RUN + KILLED_AT_CALL, str(tmp_path / "s"), str(call)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert len(SegmentStore(tmp_path / "s", "f")) == sum(call > renamed for renamed in (7, 15))
    assert_same_chain(merge(run(tmp_path / "s", N_SEGMENTS)), undisturbed)


def test_killed_from_outside_the_run_continues(tmp_path):
    command = [sys.executable, "-c", RUN + KILLED_FROM_OUTSIDE, str(tmp_path / "s")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        for _ in range(3):
            assert child.stdout.readline() == "segment\n"
        child.kill()
        child.stdout.read()
    found = len(SegmentStore(tmp_path / "s", "f"))
    assert found >= 3
    assert_same_chain(merge(run(tmp_path / "s", found + 1)), merge(run(tmp_path / "whole", found + 1)))


def test_other_run_is_refused(tmp_path):
    SegmentStore(tmp_path, "one").append(simple_chain(), {}, {})
    with pytest.raises(ValueError, match="another model, seed or configuration"):
        SegmentStore(tmp_path, "two")


def test_left_over_temporary_file_is_ignored(tmp_path):
    store = SegmentStore(tmp_path, "f")
    store.append(simple_chain(), {}, {})
    (tmp_path / ".segment-000001.h5.0badcafe.tmp").write_bytes(b"half a segment")
    assert len(SegmentStore(tmp_path, "f")) == 1


def test_damaged_or_missing_segment_is_refused(tmp_path):
    store = SegmentStore(tmp_path, "f")
    for _ in range(3):
        store.append(simple_chain(), {}, {})
    last = tmp_path / "segment-000002.h5"
    raw = last.read_bytes()
    last.write_bytes(raw[: len(raw) // 2])
    with pytest.raises(CorruptFileError, match=r"segment-000002\.h5 is corrupt"):
        SegmentStore(tmp_path, "f")
    last.write_bytes(raw)
    (tmp_path / "segment-000001.h5").unlink()
    with pytest.raises(CorruptFileError, match=r"segment-000001\.h5 is missing"):
        SegmentStore(tmp_path, "f")


def test_two_writers_do_not_replace_each_other(tmp_path):
    first, second = SegmentStore(tmp_path, "f"), SegmentStore(tmp_path, "f")
    first.append(simple_chain(), {}, {})
    with pytest.raises(FileExistsError):
        second.append(simple_chain(), {}, {})


def test_draws_are_numbered_through(tmp_path):
    store = SegmentStore(tmp_path, "f")
    for n_draws in (3, 2):
        spins = np.ones((2, n_draws // 2, 5), dtype=np.int8)
        store.append(dataclasses.replace(simple_chain(n_draws), spins=spins, thin=2), {}, {})
    with xarray.open_datatree(tmp_path / "segment-000001.h5", engine="h5netcdf") as tree:
        assert list(tree["posterior"]["draw"]) == [3, 4]
        assert list(tree["configurations"]["draw"]) == [3]


def test_segment_shorter_than_the_thinning_keeps_nothing(tmp_path):
    store = SegmentStore(tmp_path, "f")
    chain = dataclasses.replace(simple_chain(), spins=np.ones((2, 0, 5), dtype=np.int8), thin=9)
    store.append(chain, {}, {})
    assert_same_chain(merge(store), chain)


def test_empty_store(tmp_path):
    store = SegmentStore(tmp_path / "s", "f")
    assert store.last() is None
    assert not (tmp_path / "s").exists()
    assert list(store.load()) == []
    with pytest.raises(ValueError, match="no series"):
        store.append(Chain({}), {}, {})
    assert not (tmp_path / "s").exists()


def test_streams_survive(tmp_path):
    rng = Rng(5)
    rng.streams(3)
    rng.uniform((4,))
    store = SegmentStore(tmp_path, "f")
    store.append(simple_chain(), {"spins": np.ones((2, 9), np.int8), "clock": np.array(7)}, rng.state())
    last = SegmentStore(tmp_path, "f").last()
    assert last.rng == rng.state()
    assert Rng.restore(dict(last.rng)).generator.random() == rng.generator.random()
    assert last.state["clock"].shape == ()
