"""Exports: xarray and ArviZ open the file, pyerrors finds the same errors; a missing library is named."""

import builtins
import importlib

import arviz_base
import numpy as np
import pytest

from nmcmc import export
from nmcmc.analysis.autocorrelation import estimate_function, estimate_mean
from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.experiment.build import build_model, observables
from nmcmc.random import Rng
from nmcmc.storage.files import write
from nmcmc.storage.record import Record
from nmcmc.types import CorruptFileError
from nmcmc.updates.run import run
from nmcmc.updates.wolff import Wolff

TARGET = Boltzmann(LatticeEnergy(Lattice((4, 4))), 0.4)


@pytest.fixture(scope="module")
def chain():
    return run(Wolff(TARGET), 2000, Rng(1), observables=observables(TARGET), n_chains=3, warmup=50)


@pytest.fixture
def path(tmp_path, chain):
    write(tmp_path / "run.h5", {"": Record(chain, build_model(TARGET), 1, "")})
    return tmp_path / "run.h5"


def test_the_tree_holds_the_chain_and_arviz_reads_it(path, chain):
    tree = export.to_datatree(path)
    path.unlink()  # all is in memory
    np.testing.assert_array_equal(tree["posterior"]["energy"], chain.series["energy"])
    assert {"posterior", "sample_stats", "model"} <= set(tree.children)
    drawn = arviz_base.extract(tree, var_names="energy", keep_dataset=False)
    assert drawn.sizes == {"sample": 6000}
    table = arviz_base.dataset_to_dataframe(tree["posterior"].to_dataset()[["energy", "magnetization"]])
    assert table.shape == (6000, 2)


def test_a_damaged_file_is_refused(path):
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(CorruptFileError):
        export.to_datatree(path)


def test_pyerrors_finds_the_same_means_errors_and_functions(chain):
    observed = export.to_pyerrors(chain, "wolff")
    energy = observed["energy"]
    energy.gamma_method(S=1.5)
    ours = estimate_mean(chain.series["energy"])
    assert energy.value == pytest.approx(ours.value)
    assert energy.dvalue == pytest.approx(ours.error, rel=0.1)
    m = chain.series["magnetization"]
    moments = export.series_to_pyerrors({"m2": m**2, "m4": m**4}, "wolff")
    binder = 1 - moments["m4"] / (3 * moments["m2"] ** 2)
    binder.gamma_method(S=1.5)
    expected = estimate_function(lambda m2, m4: 1 - m4 / (3 * m2**2), [m**2, m**4])
    assert abs(binder.value - expected.value) < 0.1 * expected.error  # ours is corrected for its bias
    assert binder.dvalue == pytest.approx(expected.error, rel=0.1)


def test_what_pyerrors_cannot_take_is_refused(chain):
    with pytest.raises(ValueError, match=r"without '\|'"):
        export.to_pyerrors(chain, "a|b")
    with pytest.raises(ValueError, match="at least 5 draws"):
        export.series_to_pyerrors({"x": np.zeros((2, 4))})


@pytest.mark.parametrize("name", ["pyerrors", "xarray", "h5netcdf"])
def test_a_missing_library_is_named_with_what_to_install(monkeypatch, path, chain, name):
    found = importlib.import_module

    def missing(module):
        if module == name:
            raise ModuleNotFoundError(f"No module named {module!r}", name=module)
        return found(module)

    monkeypatch.setattr(export, "import_module", missing)
    with pytest.raises(ModuleNotFoundError, match=rf"needs {name}.*nmcmc\[analysis\]"):
        export.to_pyerrors(chain) if name == "pyerrors" else export.to_datatree(path)


def test_importing_the_module_needs_none_of_them(monkeypatch):
    true = builtins.__import__

    def forbidden(name, *args, **options):
        if name.split(".")[0] in {"pyerrors", "xarray", "h5netcdf"}:
            raise ImportError(name)
        return true(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", forbidden)
    importlib.reload(export)
