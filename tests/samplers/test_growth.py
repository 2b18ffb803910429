"""Nets taken over from another sampler: exactly those of equal keys, bit for bit, and training leaves them alone."""

from functools import partial

import pytest
import torch
from perturbed import perturbed

from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.random import Rng
from nmcmc.samplers.hierarchical.growth import take_levels
from nmcmc.samplers.hierarchical.sampler import HierarchicalSampler
from nmcmc.samplers.store import load_sampler, save_sampler, to_bytes
from nmcmc.training.loop import Plan, train
from nmcmc.training.objectives import block_local_reverse_kl, forward_kl, reverse_kl

BETA = 0.44


def sampler_of(extent, beta=BETA, **options):
    energy = LatticeEnergy(Lattice((extent, extent)), options.pop("coupling", 1.0), options.pop("field", 0.0))
    return perturbed(HierarchicalSampler(energy, beta, leaf=1, rng=Rng(extent), **options), scale=0.1)


@pytest.fixture
def source():
    return sampler_of(8, width=3, depth=2)


@pytest.fixture
def grown(source):
    sampler = sampler_of(16, width=2)
    sampler.taken = take_levels(sampler, source)
    return sampler


def weights(sampler):
    return {name: tensor.clone() for name, tensor in sampler.state_dict().items()}


def of_nets(names, keys):
    return {name for name in names if name.split(".")[1] in keys}


def configurations(step):
    return torch.from_numpy(2 * Rng(step).child("data").generator.integers(0, 2, (16, 256), dtype="int8") - 1)


OBJECTIVES = {
    "block-local": partial(block_local_reverse_kl, borders=4, crosses=2),
    "forward": partial(forward_kl, configurations=configurations, batch=16),
    "reverse": partial(reverse_kl, batch=16),
}


def test_exactly_the_equal_keys_are_taken_bit_for_bit(source):
    sampler = sampler_of(16, width=2)
    before = weights(sampler)
    taken = take_levels(sampler, source)
    assert taken == [key for key in sampler.keys if key in set(source.keys)]
    assert 0 < len(taken) < len(source.keys)
    theirs, now = weights(source), weights(sampler)
    assert of_nets(theirs, taken) == of_nets(now, taken)
    assert all(torch.equal(now[name], theirs[name]) for name in of_nets(now, taken))
    others = set(now) - of_nets(now, taken)
    assert others
    assert all(torch.equal(now[name], before[name]) for name in others)


def test_a_64_torus_serves_a_128_torus_from_its_31x31_blocks_down():
    small, large = (HierarchicalSampler(LatticeEnergy(Lattice((n, n))), BETA, width=1, rng=Rng(1)) for n in (64, 128))
    taken = take_levels(large, small)
    assert [key.rsplit("_", 1)[0] for key in taken] == ["block_31x31", "block_15x31", "block_15x15"]
    assert large.keys[-3:] == taken


def test_the_frozen_nets_are_those_taken_and_the_source_stays_free(source, grown):
    assert set(grown.keys) - set(grown.trained_keys) == set(grown.taken)
    assert source.trained_keys == source.keys


def test_what_is_taken_draws_as_in_the_source(source, grown):
    for key in grown.taken:
        borders = source.draw_borders(key, 20, Rng(1))
        ours, theirs = (each.draw_block(key, borders, Rng(2)) for each in (grown, source))
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_training_changes_the_new_nets_only(grown, objective, tmp_path):
    before = weights(grown)
    target = Boltzmann(grown.energy, BETA)
    plan = Plan(3, n_evaluate=10, checkpoint_seconds=0)
    train(grown, target, OBJECTIVES[objective], plan, Rng(1), checkpoint=tmp_path / "c")
    frozen = of_nets(before, grown.taken)
    for name, tensor in weights(grown).items():
        fixed = name in frozen or name.endswith("bias") or tensor.numel() == 0  # no field, no bias; no middle layer
        assert torch.equal(tensor, before[name]) == fixed, name


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_grown_sampler_resumes_bit_for_bit(source, objective, tmp_path):
    class KilledError(Exception):
        pass

    def kill(done, record):
        if done == 2:
            raise KilledError

    def run(sampler, **options):
        take_levels(sampler, source)
        plan = Plan(4, n_evaluate=10, checkpoint_seconds=0)
        train(sampler, Boltzmann(sampler.energy, BETA), OBJECTIVES[objective], plan, Rng(1), **options)
        return weights(sampler)

    path = tmp_path / "c"
    with pytest.raises(KilledError):
        run(sampler_of(16, width=2), checkpoint=path, progress=kill)
    resumed, straight = run(sampler_of(16, width=2), checkpoint=path), run(sampler_of(16, width=2))
    assert all(torch.equal(resumed[name], straight[name]) for name in straight)


def test_the_other_nets_train_as_if_nothing_had_been_frozen(source, grown):
    """Frozen nets are left out of the block-local loss, and the random numbers of the others do not move."""
    free = sampler_of(16, width=2)
    take_levels(free, source)
    free.requires_grad_(True)
    for sampler in (grown, free):
        OBJECTIVES["block-local"](sampler, Boltzmann(sampler.energy, BETA), Rng(3)).backward()
    for key in grown.trained_keys:
        pairs = zip(grown.nets[key].parameters(), free.nets[key].parameters(), strict=True)
        assert all(p.grad is None or torch.equal(p.grad, q.grad) for p, q in pairs)
    assert all(p.grad is None for key in grown.taken for p in grown.nets[key].parameters())


def test_a_sampler_of_frozen_nets_is_not_trained(source):
    sampler = sampler_of(8)
    assert take_levels(sampler, source) == sampler.keys
    with pytest.raises(ValueError, match="nothing to train"):
        train(sampler, Boltzmann(sampler.energy, BETA), OBJECTIVES["block-local"], Plan(1), Rng(1))


def test_nets_of_their_own_sizes_are_stored_and_rebuilt(grown, tmp_path):
    assert set(grown.options["width"]) == set(grown.options["depth"]) == set(grown.keys)
    assert set(grown.options["width"].values()) == {2, 3}
    save_sampler(tmp_path / "grown", grown)
    loaded, _, _ = load_sampler(tmp_path / "grown")
    assert loaded.options == grown.options
    assert to_bytes(loaded) == (tmp_path / "grown").read_bytes()
    ours, theirs = grown.sample(20, Rng(1)), loaded.sample(20, Rng(1))
    assert torch.equal(ours.spins, theirs.spins)
    assert torch.equal(ours.log_prob, theirs.log_prob)
    assert loaded.trained_keys == loaded.keys


def test_another_beta_is_refused_unless_it_is_to_be_trained_on(source):
    sampler = sampler_of(16, beta=0.5)
    before = weights(sampler)
    with pytest.raises(ValueError, match=r"nets are for beta 0\.44, the new sampler is for 0\.5"):
        take_levels(sampler, source)
    assert all(torch.equal(tensor, before[name]) for name, tensor in weights(sampler).items())
    taken = take_levels(sampler, source, allow_beta_mismatch=True)
    assert sampler.trained_keys == sampler.keys
    theirs, now = weights(source), weights(sampler)
    assert all(torch.equal(now[name], theirs[name]) for name in of_nets(now, taken))
    assert all(not p.requires_grad for key in taken for p in (sampler.nets[key].bias, sampler.nets[key].hidden_bias))


@pytest.mark.parametrize("other", [{"coupling": 0.9}, {"field": 0.1}])
def test_nothing_in_common_names_the_keys_of_both(source, other):
    sampler = sampler_of(16, **other)
    with pytest.raises(ValueError, match="no net can be taken over") as error:
        take_levels(sampler, source)
    assert all(key in str(error.value) for key in [*sampler.keys, *source.keys])


def test_sizes_for_other_nets_are_refused(source):
    with pytest.raises(ValueError, match="width is for the nets other; give one for each of torus_8x8"):
        sampler_of(8, width={"other": 3})
    with pytest.raises(ValueError, match="depth is for the nets"):
        sampler_of(8, depth=dict.fromkeys(source.keys[1:], 1))
