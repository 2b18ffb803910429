"""What other tools take: an xarray tree of a file, for ArviZ, and pyerrors' observables of a chain.

Both libraries are optional, `pip install 'nmcmc[analysis]'`, and imported when they are needed.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from importlib import import_module
from os import PathLike
from typing import Any

from nmcmc.storage.files import open_intact
from nmcmc.types import Chain, Floats


def to_datatree(path: str | PathLike[str]) -> Any:
    """Return a file as an `xarray.DataTree` in memory, with the groups of ArviZ's schema: posterior, sample_stats.

    The file is an ordinary NetCDF4 one: ``xarray.open_datatree(path, engine="h5netcdf")`` gives the same tree, lazily.
    This function looks first whether the file is intact. Of a run's file take ``tree["neural"]`` or ``tree["wolff"]``.

    Raises
    ------
    ModuleNotFoundError : if xarray or h5netcdf is not installed.
    FileNotFoundError, CorruptFileError, ValueError : as `storage.files.read`.

    Examples
    --------
    ``to_datatree("a.h5")["posterior"]["energy"].mean("draw")``
    """
    xarray = _imported("xarray")
    _imported("h5netcdf")
    with open_intact(path):
        pass
    with xarray.open_datatree(path, engine="h5netcdf") as tree:
        return tree.load()


def to_pyerrors(chain: Chain, ensemble: str = "nmcmc") -> dict[str, Any]:
    """Return a `pyerrors.Obs` for every recorded series, each chain a replicum of one ensemble.

    Functions of them then carry errors and autocorrelations of their own: ``obs = to_pyerrors(chain)``,
    ``ratio = obs["energy"] / obs["magnetization"]``, ``ratio.gamma_method()``. For powers of a series, such as ⟨m²⟩,
    record it, or give it by `series_to_pyerrors`.

    τ_int and errors of a single chain are those of `estimate_mean` within 1 %, with the same S, unless draws
    anticorrelate: pyerrors does not go below τ_int = ½. Of several chains pyerrors subtracts the mean of each replicum,
    nmcmc the common one: its τ_int is smaller by about (2W + 1)/n_draws of itself, n_draws the length of one chain,
    and does not grow where chains disagree.

    Parameters
    ----------
    chain : the chain. ensemble : its name in pyerrors; quantities of one name are taken to be correlated.

    Raises
    ------
    ModuleNotFoundError : if pyerrors is not installed.
    ValueError : for a name with a "|", which pyerrors keeps for itself, or chains of fewer than 5 draws.
    """
    return series_to_pyerrors(chain.series, ensemble)


def series_to_pyerrors(series: Mapping[str, Floats], ensemble: str = "nmcmc") -> dict[str, Any]:
    """Return a `pyerrors.Obs` for every series (n_chains, n_draws), such as ``{"m2": m**2}``; as `to_pyerrors`."""
    pyerrors = _imported("pyerrors")
    if "|" in ensemble or not ensemble:
        raise ValueError(f"the ensemble is named {ensemble!r}; pyerrors takes any name without '|'")
    short = [name for name, values in series.items() if values.ndim != 2 or values.shape[1] < 5]
    if short:
        raise ValueError(f"{', '.join(short)} must be (n_chains, n_draws) with at least 5 draws for pyerrors")
    return {
        name: pyerrors.Obs(list(values), [f"{ensemble}|r{chain}" for chain in range(len(values))])
        for name, values in series.items()
    }


def _imported(name: str) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # pyerrors still imports scipy.odr
            return import_module(name)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"this needs {name}, which is not installed; run: python -m pip install 'nmcmc[analysis]'", name=name
        ) from error
