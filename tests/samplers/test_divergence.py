"""The share of every net in KL, against enumeration."""

import numpy as np
import pytest
import torch
from perturbed import perturbed

from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.exact.enumeration import all_states, probabilities
from nmcmc.random import Rng
from nmcmc.samplers.hierarchical.divergence import kl_of_block, kl_of_levels
from nmcmc.samplers.hierarchical.sampler import HierarchicalSampler

BETA = 0.4
STATES = all_states(16)


def system(field, boundary="periodic"):
    energy = LatticeEnergy(Lattice((4, 4), boundary), 1.0, field)
    sampler = perturbed(HierarchicalSampler(energy, BETA, leaf=1, width=2, rng=Rng(1)))
    return sampler, probabilities(energy, BETA)


def exact_share(sampler, p, key):
    """Σ over blocks of Σ p(border) q(line | border) ln [q(line | border)/p(line | border)], by enumeration."""
    group, share = sampler.groups[key], 0.0
    n_border, n_line = group.border.shape[1], group.line.shape[1]
    inputs = all_states(n_border + n_line)
    with torch.no_grad():
        q = sampler.log_prob_line(key, torch.from_numpy(inputs).float()).exp().numpy()
    powers = 2 ** np.arange(n_border + n_line)
    order = np.argsort((inputs > 0) @ powers)
    q = q[order].reshape(2**n_line, 2**n_border)  # border first: its bits are the low ones
    for sites in np.concatenate([group.border, group.line], axis=1):
        joint = np.bincount((STATES[:, sites] > 0) @ powers, weights=p, minlength=q.size).reshape(q.shape)
        border = joint.sum(axis=0)
        share += (border * (q * np.log(q * border / joint)).sum(axis=0)).sum()
    return share


def data(p, n, seed):
    index = np.searchsorted(np.cumsum(p), np.random.default_rng(seed).random(n), side="right")
    return torch.from_numpy(STATES[np.minimum(index, len(STATES) - 1)])


@pytest.mark.parametrize(("field", "boundary"), [(0.0, "periodic"), (0.2, "periodic"), (0.0, "open")])
def test_shares_are_those_of_enumeration(field, boundary):
    sampler, p = system(field, boundary)
    found = kl_of_levels(sampler, data(p, 4000, 1), Rng(3), borders=1500, crosses=200)
    assert list(found) == sampler.keys
    exact = {key: exact_share(sampler, p, key) for key in sampler.keys}
    assert max(exact.values()) > 0.1
    for key, share in found.items():
        assert abs(share.deviation(exact[key])) < 5
        assert abs(share.deviation(2 * exact[key] + 0.05)) > 5


def test_the_kl_of_the_whole_is_that_of_all_draws():
    sampler, p = system(0.0)
    with torch.no_grad():
        log_q = sampler.log_prob(torch.from_numpy(STATES)).numpy()
    exact = (np.exp(log_q) * (log_q - np.log(p))).sum()
    found = kl_of_block(sampler, data(p, 100, 1), sampler.keys[0], 400, 400, Rng(4))
    assert abs(found.deviation(exact)) < 5
    assert abs(found.deviation(1.5 * exact)) > 5


def test_a_large_spread_is_said_to_be_unreliable():
    sampler, p = system(0.0)
    with torch.no_grad():
        sampler.nets[sampler.keys[0]].skip.mul_(6)
    found = kl_of_levels(sampler, data(p, 100, 1), Rng(3), borders=20, crosses=50)
    assert not found[sampler.keys[0]].reliable
    assert "variance of log w" in found[sampler.keys[0]].why


@pytest.mark.parametrize("numbers", [{"borders": 1}, {"crosses": 1}])
def test_too_few_draws_are_refused(numbers):
    sampler, p = system(0.0)
    with pytest.raises(ValueError, match="must be ≥ 2"):
        kl_of_levels(sampler, data(p, 10, 1), Rng(1), **numbers)
