"""Families: the knots' own bits at the knots, exact weights everywhere, and nothing outside the range."""

import math

import numpy as np
import pytest
import torch
from perturbed import perturbed

from nmcmc.analysis.importance import derive_importance, ess_fraction, log_z
from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.exact.enumeration import all_states, enumerate_system
from nmcmc.exact.known import exact_values
from nmcmc.random import Rng
from nmcmc.samplers.family import Family, family_bytes, family_file, family_names, load_family, save_family
from nmcmc.samplers.hierarchical.sampler import HierarchicalSampler
from nmcmc.samplers.store import load_sampler, save_sampler
from nmcmc.types import CorruptFileError

BETAS, OFF = (0.3, 0.4, 0.6), (0.37, 0.5)
NOTES = {"seed": 7}


def energy(extents=(4, 4), field=0.2):
    return LatticeEnergy(Lattice(extents), 1.0, field)


def knot(beta, system=None, **options):
    """A knot whose nets are those of its neighbours and a little more, as after training from them."""
    sampler = HierarchicalSampler(system or energy(), beta, **{"leaf": 1, "width": 2, "rng": Rng(1)} | options)
    return perturbed(perturbed(sampler, seed=1, scale=0.1), seed=round(100 * beta), scale=0.03)


@pytest.fixture(scope="module")
def family():
    return Family([knot(beta) for beta in BETAS])


def same(a, b):
    first, second = a.state_dict(), b.state_dict()
    return a.beta == b.beta and first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


def test_at_a_knot_it_is_the_knot_bit_for_bit(family):
    for sampler in family.knots:
        found = family.at(sampler.beta)
        assert same(found, sampler)
        ours, theirs = found.sample(40, Rng(2)), sampler.sample(40, Rng(2))
        assert torch.equal(ours.spins, theirs.spins)
        assert torch.equal(ours.log_prob, theirs.log_prob)


def test_between_knots_weights_are_linear_in_beta(family):
    found = family.at(0.45).state_dict()
    lower, upper = (sampler.state_dict() for sampler in family.knots[1:])
    for name in found:
        torch.testing.assert_close(found[name], 0.75 * lower[name] + 0.25 * upper[name])


def test_the_sampler_is_a_copy(family):
    before = family.at(0.4)
    perturbed(family.at(0.4))
    assert same(family.at(0.4), before)


def test_the_order_of_the_knots_does_not_matter(family):
    other = Family([family.knots[k] for k in (2, 0, 1)])
    assert other.betas == family.betas == BETAS
    assert same(other.at(0.5), family.at(0.5))


@pytest.mark.parametrize("beta", OFF)
def test_probabilities_between_knots_add_up_to_one(family, beta):
    log_prob = family.at(beta).log_prob(torch.from_numpy(all_states(16))).detach()
    assert float(log_prob.exp().sum()) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("beta", OFF)
def test_weighted_draws_between_knots_agree_with_enumeration_and_a_wrong_beta_does_not(family, beta):
    exact = enumerate_system(energy(), beta)
    draw = family.at(beta).sample(50_000, Rng(3))
    spins = draw.spins.numpy()
    for factor, right in ((1.0, True), (1.03, False)):
        log_weight = Boltzmann(energy(), factor * beta).log_density(spins) - draw.log_prob.numpy()
        found = derive_importance(energy()(spins), energy().magnetization(spins), log_weight, 16, factor * beta)
        estimates = {name: found[name] for name in ("energy_per_spin", "abs_magnetization", "m2")}
        off = [abs(estimate.deviation(getattr(exact, name))) for name, estimate in estimates.items()]
        off.append(abs(log_z(log_weight).deviation(exact.log_z)))
        assert (max(off) < 5) == right, off


@pytest.mark.parametrize("beta", [0.29999, 0.61, -0.4, math.nan, math.inf])
def test_beta_outside_the_range_is_refused(family, beta):
    with pytest.raises(ValueError, match=f"beta is {beta}; this family is for beta from 0.3 to 0.6"):
        family.at(beta)


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ([], "give at least two, at different beta"),
        ([knot(0.3)], "give at least two, at different beta"),
        ([knot(0.4, width=3)], "the knots at beta 0.3 and 0.4 differ in"),
        ([knot(0.4, energy((4, 5)))], "differ in lattice"),
        ([knot(0.4, energy(field=0.1))], "differ in lattice, couplings, fields"),
    ],
)
def test_what_is_no_family_is_refused(others, message):
    with pytest.raises(ValueError, match=message):
        Family([knot(0.3), *others])


def test_what_is_stored_is_what_is_loaded(family, tmp_path):
    save_family(str(tmp_path / "f"), family, NOTES)
    loaded, notes = load_family(tmp_path / "f")
    assert (loaded.betas, notes) == (BETAS, NOTES)
    assert all(same(loaded.at(beta), family.at(beta)) for beta in (*BETAS, *OFF))
    assert family_bytes(loaded, NOTES) == (tmp_path / "f").read_bytes()


def test_damage_is_noticed(family, tmp_path):
    content, path, generator, damaged = family_bytes(family), tmp_path / "f", np.random.default_rng(3), 0
    for length in (*range(0, len(content), 997), len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(CorruptFileError, match="f is not an intact model file"):
            load_family(path)
    for bit in generator.integers(0, 8 * len(content), 100):
        data = bytearray(content)
        data[bit // 8] ^= 1 << (bit % 8)
        path.write_bytes(data)
        try:
            loaded, _ = load_family(path)
        except CorruptFileError:
            damaged += 1
        else:
            assert all(same(loaded.at(beta), family.at(beta)) for beta in BETAS)
    assert damaged > 90


def test_a_model_is_no_family_and_a_family_no_model(family, tmp_path):
    save_family(tmp_path / "f", family)
    save_sampler(tmp_path / "m", family.at(0.4))
    with pytest.raises(ValueError, match="'nmcmc-family', not 'nmcmc-model'"):
        load_sampler(tmp_path / "f")
    with pytest.raises(ValueError, match="'nmcmc-model', not 'nmcmc-family'"):
        load_family(tmp_path / "m")


def test_an_unknown_name_is_answered_with_the_shipped_ones():
    with pytest.raises(ValueError, match="no family of this name is shipped; shipped are "):
        family_file("ising2d-31-scan")
    assert str(family_file("none/ising2d-31-scan")) == "none/ising2d-31-scan"
    with pytest.raises(FileNotFoundError, match="does not exist"):
        load_family("ising2d-31-scan.safetensors")


def worst_of(family):
    """The least ess_fraction and the largest deviation of log Z in σ, at some β between knots."""
    found = []
    for beta in np.linspace(family.betas[0], family.betas[-1], 9)[1:-1]:
        weights = family.at(float(beta)).sample_log_weight(2000, Rng(5)).numpy()
        exact = exact_values(family.energy, float(beta))["log_z"]
        found.append((ess_fraction(weights).value, abs(log_z(weights).deviation(exact))))
    return min(ess for ess, _ in found), max(off for _, off in found)


@pytest.mark.parametrize("name", family_names())
def test_a_shipped_family_is_good_all_over_its_range_and_one_with_a_perturbed_layer_is_not(name):
    family, notes = load_family(name)
    assert notes["command"].startswith("nmcmc train ")
    assert "/" not in notes["command"]
    assert family_bytes(family, notes) == family_file(name).read_bytes()
    least, off = worst_of(family)
    assert least > 0.9
    assert off < 5
    for knot in family.knots:
        with torch.no_grad():
            layer = max(knot.parameters(), key=torch.numel)
            layer += 0.3 * torch.randn(layer.shape, generator=torch.Generator().manual_seed(1))
    assert worst_of(family)[0] < 0.8
