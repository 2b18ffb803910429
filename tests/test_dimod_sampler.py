"""The sampler as users of dimod know it."""

import subprocess
import sys
import unittest

import dimod
import dimod.testing
import numpy as np
import pytest

from nmcmc.dimod_sampler import AnnealingSampler

MODEL = dimod.BinaryQuadraticModel(
    {"a": 0.5, "b": -1, ("c", 1): 0.25}, {("a", "b"): 1.0, ("b", ("c", 1)): -2.0}, 1.5, "SPIN"
)


def test_it_is_a_sampler_of_dimod():
    dimod.testing.assert_sampler_api(AnnealingSampler())


@dimod.testing.load_sampler_bqm_tests(AnnealingSampler)
class TestModels(unittest.TestCase):
    """What dimod asks of every sampler: empty models, models of every vartype and class."""


@pytest.mark.parametrize("vartype", ["SPIN", "BINARY"])
def test_samples_have_the_energies_of_the_model(vartype):
    model = MODEL.change_vartype(vartype, inplace=False)
    found = AnnealingSampler().sample(model, num_reads=7, num_sweeps=30, seed=1)
    dimod.testing.assert_response_energies(found, model)
    assert len(found) == 7
    assert found.vartype is model.vartype
    assert found.first.energy == dimod.ExactSolver().sample(model).first.energy


def test_the_same_seed_gives_the_same_samples():
    model = dimod.generators.ran_r(3, 30, seed=1)
    first, second, other = (AnnealingSampler().sample(model, num_reads=20, num_sweeps=2, seed=s) for s in (1, 1, 2))
    assert np.array_equal(first.record.sample, second.record.sample)
    assert not np.array_equal(first.record.sample, other.record.sample)
    again = AnnealingSampler().sample(model, num_reads=20, num_sweeps=2)
    repeated = AnnealingSampler().sample(model, num_reads=20, num_sweeps=2, seed=again.info["seed"])
    assert np.array_equal(again.record.sample, repeated.record.sample)


def test_options():
    found = AnnealingSampler().sample_ising({0: 1.0}, {(0, 1): 1.0}, num_reads=3, num_sweeps=5, beta_range=(0.5, 4.0))
    assert found.info["beta_range"] == [0.5, 4.0]
    with pytest.raises(ValueError, match="num_reads is 0"):
        AnnealingSampler().sample(MODEL, num_reads=0)
    with pytest.raises(ValueError, match="first and the last"):
        AnnealingSampler().sample(MODEL, beta_range=(0.1, 0.5, 1.0))
    with pytest.raises(TypeError, match="integer"):
        AnnealingSampler().sample(MODEL, num_reads=2.5)
    with pytest.warns(dimod.exceptions.SamplerUnknownArgWarning):
        AnnealingSampler().sample(MODEL, num_sweeps=3, chain_strength=2)


@pytest.mark.parametrize("model", [dimod.QuadraticModel(), dimod.ConstrainedQuadraticModel()])
def test_models_that_are_not_binary_are_refused(model):
    if isinstance(model, dimod.QuadraticModel):
        model.add_variable("INTEGER", "i")
    else:
        model.add_variable("BINARY", "i")
    with pytest.raises(TypeError, match="give a binary quadratic model"):
        AnnealingSampler().sample(model)


def test_without_dimod_the_error_says_what_to_install():
    code = "import sys; sys.modules['dimod'] = None; import nmcmc; nmcmc.AnnealingSampler"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "needs dimod: python -m pip install 'nmcmc[graphs]'" in done.stderr
