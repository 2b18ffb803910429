from functools import partial

import pytest
import torch

from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.disorder import sherrington_kirkpatrick
from nmcmc.random import Rng
from nmcmc.samplers.sk import ReplicaSampler
from nmcmc.samplers.store import at_beta
from nmcmc.training.annealing import Annealing, brisk, published, train_along
from nmcmc.training.loop import Plan, train
from nmcmc.training.objectives import reverse_kl

ENERGY = sherrington_kirkpatrick(6, 1)


def test_the_published_run_is_as_published():
    run = published()
    assert (run.betas[0], run.betas[-1], len(run.betas)) == (0.1, 2.0, 39)
    assert (run.first.steps, run.others.steps) == (5000, 1000)
    assert run.others.schedule(999, 1000, 1e-3, 50) == 1e-3


def test_each_beta_goes_on_from_the_one_before():
    objective, run = partial(reverse_kl, batch=50), brisk((0.5, 0.7), steps=5)
    start = ReplicaSampler(ENERGY, 0.1, levels=0)
    found = list(train_along(start, Boltzmann(ENERGY, 9.0), objective, run, Rng(1), at_beta))
    assert [sampler.beta for sampler in found] == [0.5, 0.7]
    expected = start
    for k, beta in enumerate(run.betas):
        expected = at_beta(expected, beta)
        train(expected, Boltzmann(ENERGY, beta), objective, run.others, Rng(1).child("beta", k))
    for a, b in zip(found[1].parameters(), expected.parameters(), strict=True):
        assert torch.equal(a, b)
    for a, b in zip(start.parameters(), ReplicaSampler(ENERGY, 0.1, levels=0).parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_gentle_run_moves_a_close_sampler_less():
    # After one step of Adam every weight has moved by the rate.
    ends = {}
    for gentle in (False, True):
        run = brisk((0.1,), steps=1, learning_rate=0.01, gentle=gentle)
        start = ReplicaSampler(ENERGY, 0.1, levels=0)
        (end,) = train_along(start, Boltzmann(ENERGY, 0.1), partial(reverse_kl, batch=50), run, Rng(1), at_beta)
        ends[gentle] = float((end.linear - start.linear).detach().abs().max())
    draw = ReplicaSampler(ENERGY, 0.1, levels=0).sample(5000, Rng(2))
    spread = float((Boltzmann(ENERGY, 0.1).log_density(draw.spins) - draw.log_prob).std())
    assert spread < 0.1
    assert ends[True] == pytest.approx(ends[False] * spread, rel=0.1)


def test_a_second_round_is_a_run_of_its_own():
    objective, start = partial(reverse_kl, batch=50), ReplicaSampler(ENERGY, 0.1, levels=0)
    ends = []
    for rounds in (1, 2):
        run = brisk((0.5,), steps=5, rounds=rounds)
        ends += train_along(start, Boltzmann(ENERGY, 9.0), objective, run, Rng(1), at_beta)
    once, twice = ends
    assert not torch.equal(once.linear, twice.linear)
    train(once, Boltzmann(ENERGY, 0.5), objective, run.others, Rng(1).child("beta", 0, 1))
    for a, b in zip(once.parameters(), twice.parameters(), strict=True):
        assert torch.equal(a, b)


def test_there_must_be_a_round():
    with pytest.raises(ValueError, match="rounds is 0; give at least 1"):
        brisk((0.5,), rounds=0)


@pytest.mark.parametrize("betas", [(), (0.5, 0.5), (0.5, 0.4)])
def test_betas_must_rise(betas):
    with pytest.raises(ValueError, match="each above the one before"):
        Annealing(betas, Plan(1), Plan(1))
