"""What every public sampler promises: one list of samplers, one set of promises."""

import importlib
import inspect
import pkgutil

import numpy as np
import pytest
import torch
from perturbed import perturbed

import nmcmc.samplers
from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.energies.mean_field import CurieWeissEnergy
from nmcmc.exact.enumeration import all_states
from nmcmc.kernels import counts, leaf_transfer, masked_net, partial_fields, pixelcnn, sparse_net, tap
from nmcmc.random import Rng
from nmcmc.samplers.autoregressive import AutoregressiveSampler
from nmcmc.samplers.curie_weiss import (
    CountSampler,
    ExactCurieWeissSampler,
    InfiniteCurieWeissSampler,
    SaddleCurieWeissSampler,
)
from nmcmc.samplers.hierarchical.sampler import HierarchicalSampler
from nmcmc.samplers.incremental import IncrementalSampler
from nmcmc.samplers.made import MADESampler
from nmcmc.samplers.partial_fields import FieldSampler, OneLayerSampler, OneParameterSampler
from nmcmc.samplers.pixelcnn import PixelCNNSampler
from nmcmc.samplers.sk import CavitySampler, ReplicaSampler
from nmcmc.samplers.sparse import SparseSampler
from nmcmc.samplers.symmetrized import SymmetrizedSampler, translations
from nmcmc.samplers.tap import TAPSampler

LATTICE = Lattice((4, 4), ("periodic", "open"))
GENERATOR = np.random.default_rng(1)
ENERGY = LatticeEnergy(LATTICE, GENERATOR.normal(size=LATTICE.n_bonds), 0.3 * GENERATOR.normal(size=16))
UNIFORM = LatticeEnergy(LATTICE, 1.0, 0.2)
SAMPLERS = {
    MADESampler: lambda: MADESampler(ENERGY, 0.44, width=2, depth=2, rng=Rng(1)),
    HierarchicalSampler: lambda: HierarchicalSampler(ENERGY, 0.44, leaf=3, width=2, rng=Rng(1)),
    SparseSampler: lambda: SparseSampler(ENERGY, 0.44, width=3, depth=2, rng=Rng(1)),
    PixelCNNSampler: lambda: PixelCNNSampler(ENERGY, 0.44, width=3, depth=2, half_kernel=2, rng=Rng(1)),
    ExactCurieWeissSampler: lambda: ExactCurieWeissSampler(CurieWeissEnergy(16, 1.0, 0.1), 1.2),
    InfiniteCurieWeissSampler: lambda: InfiniteCurieWeissSampler(CurieWeissEnergy(16, 1.0, 0.1), 1.2),
    SaddleCurieWeissSampler: lambda: SaddleCurieWeissSampler(CurieWeissEnergy(16, 1.0, 0.1), 1.2),
    OneParameterSampler: lambda: OneParameterSampler(ENERGY, 0.44),
    OneLayerSampler: lambda: OneLayerSampler(ENERGY, 0.44),
    ReplicaSampler: lambda: ReplicaSampler(ENERGY, 0.44, levels=1),
    CavitySampler: lambda: CavitySampler(ENERGY, 0.44),
    TAPSampler: lambda: TAPSampler(ENERGY, 0.44, layers=4),
    SymmetrizedSampler: lambda: SymmetrizedSampler(
        HierarchicalSampler(UNIFORM, 0.44, leaf=3, width=2, rng=Rng(1)), translations(UNIFORM, 2)
    ),
}
BASES = {AutoregressiveSampler, IncrementalSampler, CountSampler, FieldSampler}
WITHOUT_WEIGHTS = {ExactCurieWeissSampler}


@pytest.fixture(params=SAMPLERS, ids=lambda kind: kind.__name__)
def sampler(request):
    return perturbed(SAMPLERS[request.param]())


def test_the_list_is_complete():
    found = set()
    for module in pkgutil.walk_packages(nmcmc.samplers.__path__, "nmcmc.samplers."):
        for _, kind in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            if hasattr(kind, "sample") and hasattr(kind, "log_prob") and issubclass(kind, torch.nn.Module):
                found.add(kind)
    assert found == set(SAMPLERS) | BASES


def test_a_draw_is_int8_spins_and_float64_log_prob(sampler):
    draw = sampler.sample(7, Rng(2))
    assert draw.spins.shape == (7, 16)
    assert draw.log_prob.shape == (7,)
    assert (draw.spins.dtype, draw.log_prob.dtype) == (torch.int8, torch.float64)
    assert set(draw.spins.unique().tolist()) == {-1, 1}
    assert not draw.log_prob.requires_grad


def test_log_prob_is_that_of_the_draw_and_differentiable(sampler):
    draw = sampler.sample(200, Rng(2))
    log_prob = sampler.log_prob(draw.spins)
    torch.testing.assert_close(log_prob.detach(), draw.log_prob, rtol=1e-5, atol=1e-5)
    if type(sampler) in WITHOUT_WEIGHTS:
        assert not list(sampler.parameters())
        return
    log_prob.sum().backward()
    gradients = [p.grad for p in sampler.parameters() if p.requires_grad and p.numel()]
    assert gradients
    assert all(g is not None and torch.isfinite(g).all() and g.abs().max() > 0 for g in gradients)


def test_without_gradient_log_prob_is_that_of_the_draw_bit_for_bit(sampler, set_threads):
    draw = sampler.sample(200, Rng(2))
    with torch.no_grad():
        for number in (1, 2):
            set_threads(number)
            assert torch.equal(sampler.log_prob(draw.spins), draw.log_prob)
            assert torch.equal(sampler.log_prob(draw.spins[5:6]), draw.log_prob[5:6])


@pytest.mark.parametrize("gradient", [False, True])
def test_probabilities_add_up_to_one(sampler, gradient):
    with torch.set_grad_enabled(gradient):
        assert float(sampler.log_prob(torch.from_numpy(all_states(16))).exp().sum().detach()) == pytest.approx(
            1, abs=1e-6
        )


def test_two_draws_in_a_row_are_one_long_draw(sampler):
    rng = Rng(2)
    parts = [sampler.sample(n, rng) for n in (1, 70, 0, 29)]
    whole = sampler.sample(100, Rng(2))
    assert torch.equal(torch.cat([part.spins for part in parts]), whole.spins)
    assert torch.equal(torch.cat([part.log_prob for part in parts]), whole.log_prob)


def test_a_draw_consumes_one_uniform_per_spin_and_one_for_the_symmetry(sampler):
    first, second = Rng(2), Rng(2)
    sampler.sample(5, first)
    second.uniform((5, 16 + isinstance(sampler, SymmetrizedSampler)))
    assert float(first.uniform((1,))) == float(second.uniform((1,)))


def test_other_random_numbers_give_other_draws(sampler):
    assert not torch.equal(sampler.sample(50, Rng(2)).spins, sampler.sample(50, Rng(3)).spins)


def test_the_same_seed_gives_the_same_weights(sampler):
    build = SAMPLERS[type(sampler)]
    for a, b in zip(build().parameters(), build().parameters(), strict=True):
        assert torch.equal(a, b)


def test_options_rebuild_the_shape(sampler):
    sampler = getattr(sampler, "sampler", sampler)  # an average is made anew from what it averages
    again = type(sampler)(sampler.energy, sampler.beta, **sampler.options, rng=Rng(9))
    again.load_state_dict(sampler.state_dict())
    spins = sampler.sample(20, Rng(2)).spins
    assert torch.equal(again.log_prob(spins), sampler.log_prob(spins))


def test_other_layouts_and_integers_compile_nothing_new(sampler):
    draw = sampler.sample(20, Rng(2))
    with torch.no_grad():
        sampler.log_prob(draw.spins)
        kernels = [masked_net.draw, leaf_transfer.leaves, counts.draw, sparse_net.draw, pixelcnn.draw]
        kernels += [partial_fields.draw_own, partial_fields.draw_replica, partial_fields.draw_cavity, tap.draw]
        before = [len(kernel.signatures) for kernel in kernels]
        for spins in (draw.spins.T.contiguous().T, torch.stack([draw.spins] * 3, dim=1)[:, 1], draw.spins.long()):
            assert torch.equal(sampler.log_prob(spins), draw.log_prob)
        assert [len(kernel.signatures) for kernel in kernels] == before


@pytest.mark.parametrize("shape", [(16,), (3, 15), (3, 17), (2, 4, 4)])
def test_configurations_of_another_shape_are_refused(sampler, shape):
    with pytest.raises(ValueError, match=r"this sampler takes \(n, 16\)"):
        sampler.log_prob(torch.ones(shape, dtype=torch.int8))
