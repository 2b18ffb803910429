"""HDF5 files: what is written is read back bit for bit, and nothing else is ever read."""

import dataclasses
import errno
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray

from nmcmc.atomic import atomic, check_output
from nmcmc.storage import files
from nmcmc.storage.record import Model, Record, Snapshot, fingerprint
from nmcmc.types import Chain, CorruptFileError


def make_record(seed=0, n_chains=2, n_draws=40, n_spins=15, thin=4):
    rng = np.random.default_rng(seed)
    shape = (n_chains, n_draws)
    spins = (2 * rng.integers(0, 2, (n_chains, n_draws // thin, n_spins)) - 1).astype(np.int8)
    series = {"energy": rng.normal(size=shape), "magnetization": rng.normal(size=shape)}
    stats = {"accepted": rng.random(shape) < 0.5, "log_prob": rng.normal(size=shape), "log_density": np.ones(shape)}
    edges = np.array([[0, 1], [1, 2], [0, 14]])
    model = Model(edges, rng.normal(size=3), rng.normal(size=n_spins), 0.44, -1.5, (3, 5), ("open", "periodic"))
    return Record(
        Chain(series, stats | {"cluster_size": rng.integers(1, 9, shape)}, spins, thin),
        model,
        seed=11,
        config_toml='title = "β"\n',
        weights_sha256="ab" * 32,
        training={"step": np.arange(3), "ess_fraction": np.array([0.1, np.nan, 0.9])},
        draws={"log_weight": rng.normal(size=5), "log_prob": rng.normal(size=5)},
        snapshot=Snapshot({"spins": spins[:, -1], "log_prob": rng.normal(size=n_chains)}, {"words": [2**64 - 1]}, 3),
        seconds_per_update=1.25e-6,
    )


def same(a, b):
    """Equal in structure, type and every bit."""
    if dataclasses.is_dataclass(a):
        return type(a) is type(b) and all(same(getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(a))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    return type(a) is type(b) and a == b


@pytest.fixture
def written(tmp_path):
    record = make_record()
    files.write(tmp_path / "chain.h5", {"": record})
    return tmp_path / "chain.h5", record


def test_round_trip_is_bit_for_bit(written):
    path, record = written
    assert same(files.read(path), record)
    assert [p.name for p in path.parent.iterdir()] == ["chain.h5"]


@pytest.mark.parametrize("n_spins", [15, 16, 17, 24, 129])
def test_spins_are_packed_for_every_remainder(tmp_path, n_spins):
    record = make_record(n_spins=n_spins)
    files.write(tmp_path / "chain.h5", {"": record})
    assert same(files.read(tmp_path / "chain.h5").chain, record.chain)
    with h5py.File(tmp_path / "chain.h5") as file:
        assert file["configurations/spins_packed"].shape == (2, 10, -(-n_spins // 8))


def test_optional_parts_may_be_absent(tmp_path):
    full = make_record()
    model = Model(np.empty((0, 2), dtype=np.int64), np.empty(0), np.zeros(3), 0.0)
    record = Record(Chain({"energy": np.zeros((1, 3))}), model, seed=2**40, config_toml="")
    files.write(tmp_path / "new" / "run.h5", {"neural": record, "wolff": full})
    assert files.groups(tmp_path / "new" / "run.h5") == ("neural", "wolff")
    assert same(files.read(tmp_path / "new" / "run.h5", "neural"), record)
    assert same(files.read(tmp_path / "new" / "run.h5", "wolff"), full)
    with pytest.raises(ValueError, match="it has 'neural', 'wolff'"):
        files.read(tmp_path / "new" / "run.h5")


def test_file_follows_the_schema(tmp_path):
    files.write(tmp_path / "run.h5", {"": make_record(n_draws=4096)})
    with h5py.File(tmp_path / "run.h5") as file:
        assert {"schema", "schema_version", "version", "created_at", "config", "seed", "git_commit"} < set(file.attrs)
        assert set(file) == {"posterior", "sample_stats", "configurations", "model", "training", "draws", "state"}
        assert {"log_q", "log_p_unnorm", "accepted"} < set(file["sample_stats"])
        packed = file["configurations/spins_packed"]
        assert packed.chunks[1] >= 256
        for data in (packed, file["posterior/energy"]):
            assert (data.compression, data.compression_opts, data.fletcher32) == ("gzip", 4, True)
        assert file["posterior/energy"].dims[1][0].name == "/posterior/draw"
        assert file["model"].attrs["sign"] == b"H = -sum J s s - sum h s"


def test_xarray_opens_it_as_it_is(tmp_path):
    records = {"neural": make_record(1), "wolff": make_record(2)}
    files.write(tmp_path / "run.h5", records)
    with xarray.open_datatree(tmp_path / "run.h5", engine="h5netcdf") as tree:
        for name, record in records.items():
            posterior, stats = tree[name]["posterior"], tree[name]["sample_stats"]
            assert posterior["energy"].dims == ("chain", "draw")
            assert np.array_equal(posterior["energy"], record.chain.series["energy"])
            assert stats["accepted"].dtype == bool
            assert np.array_equal(stats["log_q"], record.chain.stats["log_prob"])
            assert list(tree[name]["configurations"]["draw"][:3]) == [3, 7, 11]
        assert tree.attrs["schema"] == "nmcmc"
    with xarray.open_dataset(tmp_path / "run.h5", group="wolff/posterior", engine="h5netcdf") as posterior:
        assert posterior.sizes == {"chain": 2, "draw": 40}


def test_a_file_that_xarray_or_h5py_holds_open_is_read(written):
    """They lock it, nmcmc does not, and HDF5 wants one process to open a file in one way."""
    path, records = written
    with xarray.open_datatree(path, engine="h5netcdf"):
        assert same(files.read(path), records)
    with h5py.File(path, "r"):
        assert same(files.read(path), records)


def test_every_truncation_is_refused(written):
    path, _ = written
    raw = path.read_bytes()
    for length in [0, 1, 8, 100, *np.linspace(200, len(raw) - 1, 20, dtype=int)]:
        path.write_bytes(raw[:length])
        with pytest.raises(CorruptFileError, match=r"chain\.h5 is corrupt"):
            files.read(path)


def test_no_flipped_bit_is_ever_read(tmp_path):
    record = dataclasses.replace(make_record(n_draws=400, n_spins=64, thin=1), training=None, draws=None)
    path = tmp_path / "chain.h5"
    files.write(path, {"": record})
    raw = path.read_bytes()
    refused = 0
    for bit in np.random.default_rng(5).integers(8 * len(raw), size=200):
        flipped = bytearray(raw)
        flipped[bit // 8] ^= 1 << (bit % 8)
        path.write_bytes(flipped)
        try:
            assert same(files.read(path), record)
        except CorruptFileError:
            refused += 1
    assert refused > 100


def test_changed_content_is_refused_where_hdf5_sees_no_fault(written):
    path, _ = written
    with h5py.File(path, "r+") as file:
        file["model"].attrs["beta"] = 0.45
    with pytest.raises(CorruptFileError, match="changed since it was written"):
        files.read(path)


def test_array_larger_than_the_file_is_refused_unread(written):
    path, _ = written
    with h5py.File(path, "r+") as file:
        file["posterior"].create_dataset("binder", shape=(2**20, 2**20), chunks=(1, 1024), dtype="f8")
    with pytest.raises(CorruptFileError, match="more than the file can hold"):
        files.read(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f["posterior"].pop("energy") and f["posterior"].pop("magnetization"), "holds no series"),
        (lambda f: f["posterior"].create_dataset("binder", data=np.zeros((2, 39))), r"has the shape \(2, 39\)"),
        (lambda f: f["configurations"].attrs.modify("n_spins", 1000), "has the shape"),
        (lambda f: f["configurations"].attrs.modify("thin", 0), "thinned by 0"),
        (lambda f: f["model/edges_i"].write_direct(np.array([0, 1, 15])), "leave its 15 spins"),
        (lambda f: f["model"].attrs.modify("sign", np.bytes_("H = +sum J s s + sum h")), "sign convention"),
        (lambda f: f.pop("sample_stats"), "sample_stats"),
    ],
)
def test_sealed_file_with_wrong_content_is_refused(written, change, message):
    path, _ = written
    with h5py.File(path, "r+") as file:
        change(file)
        files.set_text(file, "content_sha256", files._digest(file))
    with pytest.raises(CorruptFileError, match=message):
        files.read(path)


@pytest.mark.parametrize("version", ["1.0", "1.7"])
def test_same_major_version_is_read(tmp_path, monkeypatch, version):
    record = make_record()
    with monkeypatch.context() as patch:
        patch.setattr(files, "SCHEMA_VERSION", version)
        files.write(tmp_path / "chain.h5", {"": record})
    assert same(files.read(tmp_path / "chain.h5"), record)


def test_newer_major_version_is_refused(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(files, "SCHEMA_VERSION", "2.0")
        files.write(tmp_path / "chain.h5", {"": make_record()})
    with pytest.raises(ValueError, match=r"schema version 2\.0; this nmcmc reads 1\.1: update") as caught:
        files.read(tmp_path / "chain.h5")
    assert not isinstance(caught.value, CorruptFileError)


def test_foreign_and_missing_files_are_told_apart(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        files.read(tmp_path / "chain.h5")
    (tmp_path / "chain.h5").write_text("not HDF5")
    with pytest.raises(CorruptFileError):
        files.read(tmp_path / "chain.h5")
    with h5py.File(tmp_path / "chain.h5", "w") as file:
        file.attrs["schema"] = "other"
    with pytest.raises(ValueError, match="not written by nmcmc"):
        files.read(tmp_path / "chain.h5")


def test_existing_output_is_kept_without_overwrite(written):
    path, record = written
    before = path.read_bytes()
    with pytest.raises(FileExistsError, match="--overwrite"):
        files.write(path, {"": record})
    assert path.read_bytes() == before
    files.write(path, {"": make_record(9)}, overwrite=True)
    assert same(files.read(path), make_record(9))


@pytest.mark.parametrize("place", ["/dev/null/run.h5", "/proc/nmcmc/run.h5", "."])
def test_unwritable_place_is_refused_before_work(place):
    with pytest.raises(OSError, match=r"choose a folder|give the name of a file"):
        check_output(place)


def test_check_creates_nothing(tmp_path):
    assert check_output(tmp_path / "a" / "b" / "run.h5") == tmp_path / "a" / "b" / "run.h5"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_failed_write_leaves_the_old_file(written, monkeypatch, call):
    path, _ = written
    before = path.read_bytes()

    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(*(("os.fsync", fail) if call == "fsync" else (Path, "replace", fail)))
    with pytest.raises(OSError, match="No space left"):
        files.write(path, {"": make_record(9)}, overwrite=True)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["chain.h5"]


def test_atomic_block_that_raises_leaves_nothing(tmp_path):
    with pytest.raises(FileNotFoundError), atomic(tmp_path / "summary.json") as temporary:
        (temporary.write_text("{"), (tmp_path / "missing").read_text())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"chain": Chain({})}, "no series"),
        ({"chain": Chain({"energy": np.zeros((1, 3)), "m": np.zeros((1, 2))})}, r"m has the shape \(1, 2\)"),
        ({"chain": Chain({"energy": np.zeros((1, 3))}, spins=np.zeros((1, 3, 4), np.int8))}, r"\+1 or −1"),
        ({"chain": Chain({"energy": np.zeros((1, 3))}, spins=np.ones((2, 3, 4), np.int8))}, "spins have the shape"),
        ({"training": {"loss": np.zeros(3)}}, "no array named step"),
        ({"draws": {"a": np.zeros(3), "b": np.zeros(4)}}, "equally long"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        files.write(tmp_path / "a.h5", {"": dataclasses.replace(make_record(), **changes)})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("names", [[], ["", "wolff"], ["a/b"], [".."]])
def test_record_names_are_checked(tmp_path, names):
    with pytest.raises(ValueError, match="record"):
        files.write(tmp_path / "a.h5", {name: make_record() for name in names})


def test_fingerprint_tells_runs_apart():
    model = make_record().model
    runs = [(model, 1, "a"), (model, 2, "a"), (model, 1, "b"), (dataclasses.replace(model, beta=0.45), 1, "a")]
    runs.append((dataclasses.replace(model, couplings=-model.couplings), 1, "a"))
    assert len({fingerprint(*run) for run in runs}) == len(runs)
    assert fingerprint(make_record().model, 1, "a") == fingerprint(model, 1, "a")
