"""The groups of the HDF5 file: each is written and read by one pair of functions.

Groups follow the NetCDF4 conventions (dimension scales), so that xarray and ArviZ open them as they are. Arrays are
compressed (gzip 4 after byte shuffling) and carry a Fletcher-32 checksum per chunk.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from nmcmc.storage.record import Model, Record, Snapshot
from nmcmc.types import Chain

SIGN = "H = -sum J s s - sum h s"
_FILTERS = {"compression": "gzip", "compression_opts": 4, "shuffle": True, "fletcher32": True}
_STORED_NAME = {"log_prob": "log_q", "log_density": "log_p_unnorm"}
_OWN_NAME = {stored: own for own, stored in _STORED_NAME.items()}
_ENERGY = "energy (couplings set the unit, k_B = 1)"
_UNITS = {"energy": _ENERGY, "energy_per_spin": f"{_ENERGY} per spin", "log_q": "nat", "log_p_unnorm": "nat"} | {
    "log_weight": "nat",
    "log_weights": "nat",
    "variational_free_energy": _ENERGY,
    "variational_free_energy_std": _ENERGY,
    "beta": "1 / energy",
    "seconds": "s",
    "step": "training steps",
    "cluster_size": "spins",
    "magnetization": "per spin",
}
_MIN_CHUNK_DRAWS, _CHUNK_BYTES = 256, 2**20


def set_text(node: h5py.Group | h5py.Dataset, name: str, text: str) -> None:
    """Set a text attribute of fixed length; variable length would lie in HDF5's heap, which has no checksum."""
    data = text.encode()
    node.attrs.create(name, np.bytes_(data), dtype=h5py.string_dtype("utf-8", max(2, len(data))))


def get_text(node: h5py.Group | h5py.Dataset, name: str) -> str:
    """Return a text attribute."""
    value = node.attrs[name]
    return value.decode() if isinstance(value, bytes) else str(value)


def _put(group: h5py.Group, name: str, values: npt.ArrayLike, dims: Sequence[str], **options: Any) -> h5py.Dataset:
    """Write one array whose axes are the named dimensions; a dimension without coordinate counts from 0."""
    array = np.asarray(values)
    stored = array.astype(np.int8) if array.dtype == np.bool_ else array
    filters = _FILTERS | options if stored.ndim and stored.size else {}
    data = group.create_dataset(name, data=stored, **filters)
    if array.dtype == np.bool_:
        set_text(data, "dtype", "bool")  # xarray's own convention
    set_text(data, "units", _UNITS.get(name, "1"))
    for axis, dim in enumerate(dims):
        if dim not in group:
            _put_scale(group, dim, np.arange(array.shape[axis]))
        data.dims[axis].attach_scale(group[dim])
    return data


def _put_scale(group: h5py.Group, name: str, values: npt.ArrayLike) -> None:
    _put(group, name, values, ()).make_scale(name)


def _get(data: h5py.Dataset, shape: tuple[int, ...] | None = None) -> npt.NDArray[Any]:
    """Read one numeric array, after its shape has been compared with the expected one."""
    if shape is not None and data.shape != shape:
        raise ValueError(f"{data.name} has the shape {data.shape}, not {shape}")
    if data.dtype.kind not in "biuf":
        raise ValueError(f"{data.name} holds {data.dtype}, not numbers")
    values = np.asarray(data[()])
    return values.astype(np.bool_) if "dtype" in data.attrs and get_text(data, "dtype") == "bool" else values


def _put_columns(group: h5py.Group, columns: Mapping[str, npt.NDArray[Any]], dims: Sequence[str]) -> None:
    for name, values in columns.items():
        _put(group, _STORED_NAME.get(name, name), values, dims)


def _get_columns(group: h5py.Group, shape: tuple[int, ...], skip: Sequence[str]) -> dict[str, npt.NDArray[Any]]:
    return {_OWN_NAME.get(name, name): _get(data, shape) for name, data in group.items() if name not in skip}


def write_chain(parent: h5py.Group, chain: Chain, first_draw: int = 0) -> None:
    """Write posterior, sample_stats and, if configurations were kept, configurations."""
    chains, draws = np.arange(chain.n_chains), first_draw + np.arange(chain.n_draws)
    for name, columns in (("posterior", chain.series), ("sample_stats", chain.stats)):
        group = parent.create_group(name)
        _put_scale(group, "chain", chains)
        _put_scale(group, "draw", draws)
        _put_columns(group, columns, ("chain", "draw"))
    if chain.spins is not None:
        group = parent.create_group("configurations")
        _put_scale(group, "chain", chains)
        first_kept = first_draw + (-1 - first_draw) % chain.thin  # draws thin, 2 thin … counted from 1 are kept
        _put_scale(group, "draw", first_kept + chain.thin * np.arange(chain.spins.shape[1]))
        packed = np.packbits(chain.spins > 0, axis=-1)
        n_rows = min(packed.shape[1], max(_MIN_CHUNK_DRAWS, _CHUNK_BYTES // max(1, packed.shape[2])))
        _put(group, "spins_packed", packed, ("chain", "draw", "byte"), chunks=(1, n_rows, packed.shape[2]))
        group.attrs["thin"], group.attrs["n_spins"] = chain.thin, chain.spins.shape[2]


def read_chain(parent: h5py.Group) -> Chain:
    """Read what `write_chain` wrote."""
    posterior = parent["posterior"]
    shape = (len(posterior["chain"]), len(posterior["draw"]))
    series = _get_columns(posterior, shape, ("chain", "draw"))
    stats = _get_columns(parent["sample_stats"], shape, ("chain", "draw"))
    if not series:
        raise ValueError(f"{posterior.name} holds no series")
    if "configurations" not in parent:
        return Chain(series, stats)
    group = parent["configurations"]
    thin, n_spins = int(group.attrs["thin"]), int(group.attrs["n_spins"])
    n_kept = len(group["draw"])
    if thin < 1 or n_spins < 1 or n_kept > shape[1]:
        raise ValueError(f"{group.name} claims {n_kept} of {shape[1]} draws of {n_spins} spins, thinned by {thin}")
    packed = _get(group["spins_packed"], (shape[0], n_kept, -(-n_spins // 8)))
    spins = np.unpackbits(packed, axis=-1, count=n_spins).astype(np.int8)
    return Chain(series, stats, 2 * spins - np.int8(1), thin)


def _write_model(parent: h5py.Group, model: Model) -> None:
    group = parent.create_group("model")
    _put(group, "edges_i", np.asarray(model.edges)[:, 0], ("edge",))
    _put(group, "edges_j", np.asarray(model.edges)[:, 1], ("edge",))
    _put(group, "J", model.couplings, ("edge",))
    _put(group, "h", model.fields, ("site",))
    group.attrs["beta"], group.attrs["offset"] = float(model.beta), float(model.offset)
    set_text(group, "sign", SIGN)
    if model.extents is not None:
        set_text(group, "lattice", "x".join(str(extent) for extent in model.extents))
    if model.boundary is not None:
        set_text(group, "boundary", ",".join(model.boundary))


def _read_model(parent: h5py.Group) -> Model:
    group = parent["model"]
    n_edges, n_spins = len(group["J"]), len(group["h"])
    if get_text(group, "sign") != SIGN:
        raise ValueError(f"{group.name} has the sign convention {get_text(group, 'sign')!r}, not {SIGN!r}")
    edges = np.stack([_get(group[name], (n_edges,)) for name in ("edges_i", "edges_j")], axis=1).astype(np.int64)
    if n_edges and not 0 <= edges.min() <= edges.max() < n_spins:
        raise ValueError(f"{group.name} has edges that leave its {n_spins} spins")
    extents = tuple(int(e) for e in get_text(group, "lattice").split("x")) if "lattice" in group.attrs else None
    boundary = tuple(get_text(group, "boundary").split(",")) if "boundary" in group.attrs else None
    couplings, fields = _get(group["J"], (n_edges,)), _get(group["h"], (n_spins,))
    return Model(edges, couplings, fields, float(group.attrs["beta"]), float(group.attrs["offset"]), extents, boundary)


def write_snapshot(parent: h5py.Group, snapshot: Snapshot) -> None:
    """Write the group state: the update's arrays as they are and the random state as JSON text."""
    group = parent.create_group("state")
    for name, values in snapshot.state.items():
        _put(group, name, values, [f"{name}_axis_{axis}" for axis in range(np.ndim(values))])
    group.attrs["arrays"] = np.array([name.encode() for name in snapshot.state] or [b""])
    group.attrs["segment"] = snapshot.segment
    text = json.dumps(dict(snapshot.rng)).encode()
    group.create_dataset("rng", data=np.bytes_(text), dtype=h5py.string_dtype("utf-8", len(text)))


def read_snapshot(parent: h5py.Group) -> Snapshot:
    """Read what `write_snapshot` wrote."""
    group = parent["state"]
    names = [name.decode() for name in np.atleast_1d(group.attrs["arrays"]) if name]
    state = {name: _get(group[name]) for name in names}
    return Snapshot(state, json.loads(group["rng"][()].decode()), int(group.attrs["segment"]))


def write_record(parent: h5py.Group, record: Record) -> None:
    """Write all groups of one run under the given group."""
    parent.attrs["seed"] = record.seed
    set_text(parent, "config", record.config_toml)
    set_text(parent, "weights_sha256", record.weights_sha256)
    _write_model(parent, record.model)
    write_chain(parent, record.chain)
    if record.training is not None:
        group = parent.create_group("training")
        _put_scale(group, "step", record.training["step"])
        _put_columns(group, {name: v for name, v in record.training.items() if name != "step"}, ("step",))
    if record.draws is not None:
        _put_columns(parent.create_group("draws"), record.draws, ("draw",))
    if record.snapshot is not None:
        write_snapshot(parent, record.snapshot)
    if record.seconds_per_update is not None:
        parent.attrs["seconds_per_update"] = float(record.seconds_per_update)


def read_record(parent: h5py.Group) -> Record:
    """Read what `write_record` wrote."""
    training = draws = None
    if "training" in parent:
        training = _get_columns(parent["training"], (len(parent["training"]["step"]),), ())
    if "draws" in parent:
        draws = _get_columns(parent["draws"], (len(parent["draws"]["draw"]),), ("draw",))
    return Record(
        read_chain(parent),
        _read_model(parent),
        int(parent.attrs["seed"]),
        get_text(parent, "config"),
        get_text(parent, "weights_sha256"),
        training,
        draws,
        read_snapshot(parent) if "state" in parent else None,
        float(parent.attrs["seconds_per_update"]) if "seconds_per_update" in parent.attrs else None,
    )
