import math
from functools import partial

import numpy as np
import pytest
import torch
from perturbed import perturbed

from nmcmc.energies.boltzmann import BETA_CRITICAL, Boltzmann
from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.exact.enumeration import all_states, probabilities
from nmcmc.random import Rng
from nmcmc.samplers.hierarchical.sampler import HierarchicalSampler
from nmcmc.samplers.made import MADESampler
from nmcmc.training.loop import RECORD_NAMES, Plan, steps_within, train
from nmcmc.training.objectives import block_local_reverse_kl, forward_kl, reverse_kl

ENERGY = LatticeEnergy(Lattice((4, 4)))
STATES = all_states(16)
TARGET = Boltzmann(ENERGY, BETA_CRITICAL)
CUMULATIVE = np.cumsum(probabilities(ENERGY, BETA_CRITICAL))


def made(depth=1):
    return MADESampler(ENERGY, BETA_CRITICAL, width=4, depth=depth, rng=Rng(1))


def hierarchical(leaf=2):
    return HierarchicalSampler(ENERGY, BETA_CRITICAL, leaf=leaf, width=4, rng=Rng(1))


def configurations(step):
    index = np.searchsorted(CUMULATIVE, Rng(step).child("data").generator.random(200), side="right")
    return torch.from_numpy(STATES[np.minimum(index, len(STATES) - 1)])


OBJECTIVES = {
    "reverse": partial(reverse_kl, batch=200),
    "block-local": partial(block_local_reverse_kl, borders=32, crosses=8),
    "forward": partial(forward_kl, configurations=configurations, batch=200),
}


def parameters(sampler):
    return torch.cat([p.detach().flatten() for p in sampler.parameters()])


def exact_ess(sampler):
    """1/E_q[w²] for normalised weights, by enumeration."""
    p = probabilities(ENERGY, BETA_CRITICAL)
    q = sampler.log_prob(torch.from_numpy(STATES)).exp().detach().numpy()
    return 1 / (p**2 / q).sum()


@pytest.mark.parametrize(
    ("build", "objective", "steps"),
    [
        (made, "reverse", 100),
        (made, "forward", 100),
        (hierarchical, "reverse", 60),
        (hierarchical, "block-local", 60),
        (hierarchical, "forward", 60),
    ],
)
def test_training_improves_the_sampler(build, objective, steps):
    sampler = build()
    before = exact_ess(sampler)
    records = train(sampler, TARGET, OBJECTIVES[objective], Plan(steps, 0.01, warmup=10, evaluate_every=20), Rng(1))
    after = exact_ess(sampler)
    assert 1 - after < 0.2 * (1 - before)
    assert after > 0.9
    assert records["ess_fraction"][-1] == pytest.approx(after, abs=0.1)
    assert records["step"].tolist() == list(range(20, steps + 1, 20))
    assert set(records["beta"]) == {BETA_CRITICAL}
    exact = -np.log(np.exp(-BETA_CRITICAL * ENERGY(STATES)).sum()) / BETA_CRITICAL
    error = records["variational_free_energy_std"][-1] / math.sqrt(2000)
    assert records["variational_free_energy"][-1] > exact - 5 * error
    assert np.all(np.diff(records["seconds"]) > 0)


def test_nets_without_biases_stay_odd():
    for sampler, objective in ((made(), "reverse"), (hierarchical(), "block-local")):
        before = parameters(sampler)
        train(sampler, TARGET, OBJECTIVES[objective], Plan(5, 0.01, n_evaluate=10), Rng(1))
        assert not torch.equal(parameters(sampler), before)
        spins = sampler.sample(100, Rng(2)).spins
        torch.testing.assert_close(sampler.log_prob(spins), sampler.log_prob(-spins), rtol=1e-6, atol=0)


class KilledError(Exception):
    pass


def kill_at(step):
    def progress(done, record):
        if done == step:
            raise KilledError

    return progress


@pytest.mark.parametrize(
    ("build", "objective"), [(partial(made, 2), "reverse"), (hierarchical, "block-local"), (hierarchical, "forward")]
)
@pytest.mark.parametrize(("killed_at", "checkpoint_seconds"), [(1, 0.0), (7, 0.0), (10, 0.0), (7, 1e9)])
def test_a_killed_run_continues_bit_for_bit(build, objective, killed_at, checkpoint_seconds, tmp_path):
    beta_start = None if objective == "block-local" else 0.2
    plan = Plan(
        10, 0.01, evaluate_every=3, n_evaluate=100, checkpoint_seconds=checkpoint_seconds, beta_start=beta_start
    )

    def run(sampler, **options):
        return train(sampler, TARGET, OBJECTIVES[objective], plan, Rng(1), **options)

    straight, resumed = build(), build()
    expected = run(straight)
    path = tmp_path / "run.ckpt"
    with pytest.raises(KilledError):
        run(build(), checkpoint=path, progress=kill_at(killed_at))
    steps = []
    records = run(resumed, checkpoint=path, progress=lambda done, record: steps.append(done))
    assert steps == list(range(killed_at + 1 if checkpoint_seconds == 0 else 1, 11))
    assert torch.equal(parameters(resumed), parameters(straight))
    for name in RECORD_NAMES[:-1]:
        np.testing.assert_array_equal(records[name], expected[name])
    assert list(tmp_path.iterdir()) == [path]


def test_a_finished_run_is_not_trained_again(tmp_path):
    plan, path = Plan(4, 0.01, n_evaluate=100), tmp_path / "run.ckpt"
    first, second = made(), made()
    records = train(first, TARGET, OBJECTIVES["reverse"], plan, Rng(1), checkpoint=str(path))
    again = train(second, TARGET, None, plan, Rng(1), checkpoint=path)
    assert torch.equal(parameters(first), parameters(second))
    for name in RECORD_NAMES:
        np.testing.assert_array_equal(again[name], records[name])


def test_annealing_ends_at_beta():
    seen = []

    def spy(sampler, target, rng, step):
        seen.append(target.beta)
        return reverse_kl(sampler, target, rng, batch=10)

    records = train(made(), TARGET, spy, Plan(20, beta_start=0.1, evaluate_every=5, n_evaluate=10), Rng(1))
    assert seen[0] == 0.1
    assert seen == sorted(seen)
    assert seen[-1] == BETA_CRITICAL
    assert records["beta"].tolist() == seen[4::5]


def test_without_evaluations_there_are_no_records_and_the_same_net(tmp_path):
    first, second = made(), made()
    done = []
    silent = Plan(4, evaluate_every=0)
    records = train(first, TARGET, OBJECTIVES["forward"], silent, Rng(1), progress=lambda *now: done.append(now))
    train(second, TARGET, OBJECTIVES["forward"], Plan(4, n_evaluate=10), Rng(1))
    assert done == [(step, {}) for step in (1, 2, 3, 4)]
    assert {name: len(column) for name, column in records.items()} == dict.fromkeys(RECORD_NAMES, 0)
    assert torch.equal(parameters(first), parameters(second))


def test_objectives_are_told_the_step_also_after_an_interruption(tmp_path):
    seen = []

    def spy(sampler, target, rng, step):
        seen.append(step)
        return reverse_kl(sampler, target, rng, batch=10)

    plan, path = Plan(4, n_evaluate=10, checkpoint_seconds=0), tmp_path / "run.ckpt"
    with pytest.raises(KilledError):
        train(made(), TARGET, spy, plan, Rng(1), checkpoint=path, progress=kill_at(2))
    train(made(), TARGET, spy, plan, Rng(1), checkpoint=path)
    assert seen == [0, 1, 2, 3]


def test_the_last_step_is_recorded_even_out_of_turn():
    records = train(
        made(),
        TARGET,
        OBJECTIVES["reverse"],
        Plan(7, evaluate_every=5, n_evaluate=10),
        Rng(1),
    )
    assert records["step"].tolist() == [5, 7]


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_no_number_stops_and_leaves_the_model(value, tmp_path):
    def broken(sampler, target, rng, step):
        loss = reverse_kl(sampler, target, rng, batch=10)
        assert rng.path == Rng(1).child("step", step).path
        return loss * value if step == 3 else loss

    plan, path, sampler = Plan(10, checkpoint_seconds=0), tmp_path / "run.ckpt", made()
    with pytest.raises(FloatingPointError, match="at step 3"):
        train(sampler, TARGET, broken, plan, Rng(1), checkpoint=path)
    good = made()
    with pytest.raises(KilledError):
        train(good, TARGET, broken, plan, Rng(1), progress=kill_at(3))
    assert torch.equal(parameters(sampler), parameters(good))
    assert torch.isfinite(parameters(sampler)).all()
    assert path.exists()


def test_a_gradient_that_is_no_number_stops_before_the_step():
    sampler = made()
    before = parameters(sampler)
    with pytest.raises(FloatingPointError, match="gradient"):
        train(sampler, TARGET, lambda s, t, rng, step: (s.net.last * 0).sum().sqrt(), Plan(3), Rng(1))
    assert torch.equal(parameters(sampler), before)


def test_weights_that_are_no_numbers_stop_the_run():
    sampler = made()
    with torch.no_grad():
        sampler.net.first[-1, 0] = math.nan
    with pytest.raises(FloatingPointError, match="lower the learning rate"):
        train(sampler, TARGET, OBJECTIVES["reverse"], Plan(3), Rng(1))


def test_divergence_stops_the_run():
    def turning(sampler, target, rng, step):
        loss = reverse_kl(sampler, target, rng, batch=100)
        return -loss if uphill else loss

    uphill = []
    with pytest.raises(RuntimeError, match=r"training diverges: beta·F is .* at step \d+"):
        train(
            made(),
            TARGET,
            turning,
            Plan(200, 0.03, warmup=1, evaluate_every=10),
            Rng(1),
            progress=lambda done, record: uphill.append(done) if done >= 30 else None,
        )
    assert 30 < uphill[-1] < 200


def test_a_sampler_that_froze_before_the_first_record_has_diverged():
    energy = LatticeEnergy(Lattice((8, 8)))
    sampler = MADESampler(energy, 0.44, width=2, depth=1, rng=Rng(1))
    plan = Plan(30, 3.0, warmup=1, evaluate_every=30, n_evaluate=200)
    with pytest.raises(RuntimeError, match="training diverges"):
        train(sampler, Boltzmann(energy, 0.44), partial(reverse_kl, batch=100), plan, Rng(1))


def test_gradients_are_clipped_net_by_net():
    sampler = perturbed(hierarchical())
    before = {name: p.detach().clone() for name, p in sampler.named_parameters()}
    moments = {}

    def huge(sampler, target, rng, step):
        return 1e6 * OBJECTIVES["forward"](sampler, target, rng, step)

    def look(done, record):
        for key, net in sampler.nets.items():
            moments[key] = math.sqrt(sum(float((p.grad**2).sum()) for p in net.parameters() if p.grad is not None))

    train(sampler, TARGET, huge, Plan(1, clip=0.5, n_evaluate=10), Rng(1), progress=look)
    assert all(norm == pytest.approx(0.5, rel=1e-4) for norm in moments.values())
    assert len(moments) == len(sampler.nets) > 1
    assert any(not torch.equal(before[name], p) for name, p in sampler.named_parameters())


def test_trial_steps_leave_the_sampler_as_it_is():
    sampler = made()
    before = parameters(sampler)
    steps = steps_within(1.0, sampler, TARGET, OBJECTIVES["reverse"], Plan(1), Rng(1), least=0.05)
    assert steps >= 1
    assert torch.equal(parameters(sampler), before)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("steps", 0),
        ("evaluate_every", -1),
        ("n_evaluate", 1),
        ("learning_rate", 0.0),
        ("learning_rate", math.nan),
        ("clip", 0.0),
    ],
)
def test_impossible_plans_are_refused(name, value):
    with pytest.raises(ValueError, match=name):
        Plan(**({"steps": 1} | {name: value}))
