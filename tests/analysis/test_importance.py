import math

import numpy as np
import pytest

from nmcmc.analysis import importance
from nmcmc.energies.lattice import Lattice, LatticeEnergy

BETA, N_SPINS = 0.4, 4


class Tiny:
    """The 16 states of the 2×2 torus in a field, with a proposal q that is near p; all averages by enumeration."""

    def __init__(self, beta=BETA, spread=0.5):
        bits = (np.arange(16)[:, None] >> np.arange(N_SPINS)) & 1
        spins = (2 * bits - 1).astype(np.int8)
        self.energy = LatticeEnergy(Lattice((2, 2)), field=0.2)(spins)
        self.m = spins.mean(axis=1)
        self.beta = beta
        self.log_z = float(np.log(np.sum(np.exp(-beta * self.energy))))
        self.p = np.exp(-beta * self.energy - self.log_z)
        log_q = -BETA * self.energy + spread * np.random.default_rng(1).standard_normal(16)
        self.q = np.exp(log_q) / np.exp(log_q).sum()
        self.log_weight = -beta * self.energy - np.log(self.q)

    def draw(self, shape, seed):
        return np.random.default_rng(seed).choice(16, shape, p=self.q)


def exact_values(tiny):
    w, q, p = np.exp(tiny.log_weight), tiny.q, tiny.p
    mean_log = q @ tiny.log_weight
    return {
        "ess": (q @ w) ** 2 / (q @ w**2),
        "kl": tiny.log_z - mean_log,
        "var": q @ (tiny.log_weight - mean_log) ** 2,
        "log_z": tiny.log_z,
        "free_energy": -tiny.log_z / (tiny.beta * N_SPINS),
        "variational": -mean_log / (tiny.beta * N_SPINS),
        "entropy": -p @ np.log(p) / N_SPINS,
        "mean": p @ tiny.m,
    }


def estimates(tiny, index):
    log_weight, energy, m = tiny.log_weight[index], tiny.energy[index], tiny.m[index]
    return {
        "ess": importance.ess_fraction(log_weight),
        "kl": importance.kl(log_weight, tiny.log_z),
        "var": importance.var_log_weight(log_weight),
        "log_z": importance.log_z(log_weight),
        "free_energy": importance.free_energy_per_spin(log_weight, N_SPINS, tiny.beta),
        "variational": importance.variational_free_energy_per_spin(log_weight, N_SPINS, tiny.beta),
        "entropy": importance.entropy_per_spin(energy, log_weight, N_SPINS, tiny.beta),
        "mean": importance.importance_mean(m, log_weight),
    }


def test_estimates_are_exact_within_5_sigma_and_a_wrong_beta_is_refused():
    tiny, wrong = Tiny(), Tiny(beta=1.03 * BETA)
    index = tiny.draw(200_000, seed=2)
    exact, found, off = exact_values(tiny), estimates(tiny, index), estimates(wrong, index)
    deviations = {name: abs(found[name].deviation(exact[name])) for name in exact}
    assert max(deviations.values()) < 5, deviations
    assert all(estimate.reliable and estimate.n == 200_000 for estimate in found.values())
    for name in ("log_z", "free_energy", "variational", "mean"):
        assert abs(off[name].deviation(exact[name])) > 5


def test_errors_are_calibrated_over_500_experiments():
    """Pulls have unit variance within 5√(2/500) = 0.32 and mean 0 within 5/√500 = 0.22."""
    tiny = Tiny()
    exact = exact_values(tiny)
    index = tiny.draw((500, 2000), seed=3)
    found = [estimates(tiny, row) for row in index]
    for name, truth in exact.items():
        pulls = np.array([estimate[name].deviation(truth) for estimate in found])
        assert abs(pulls.var() - 1) < 0.32, name
        assert abs(pulls.mean()) < 0.22, name


def test_derived_quantities_agree_with_enumeration():
    tiny = Tiny()
    index = tiny.draw(50_000, seed=4)
    found = importance.derive_importance(tiny.energy[index], tiny.m[index], tiny.log_weight[index], N_SPINS, BETA)
    p, e, m = tiny.p, tiny.energy, tiny.m
    exact = {
        "energy_per_spin": p @ e / N_SPINS,
        "specific_heat": BETA**2 * (p @ e**2 - (p @ e) ** 2) / N_SPINS,
        "magnetization": p @ m,
        "abs_magnetization": p @ np.abs(m),
        "m2": p @ m**2,
        "m4": p @ m**4,
        "binder": 1 - (p @ m**4) / (3 * (p @ m**2) ** 2),
        "susceptibility": BETA * N_SPINS * (p @ m**2 - (p @ np.abs(m)) ** 2),
    }
    assert set(found) == set(exact)
    assert max(abs(found[name].deviation(exact[name])) for name in exact) < 5
    assert all(estimate.reliable for estimate in found.values())


@pytest.mark.parametrize("shift", [-1e5, 3e4])
def test_huge_log_weights_neither_overflow_nor_change_what_is_relative(shift):
    tiny = Tiny()
    log_weight = tiny.log_weight[tiny.draw(20_000, seed=5)]
    for estimator in (importance.ess_fraction, importance.var_log_weight):
        assert estimator(log_weight + shift).value == pytest.approx(estimator(log_weight).value, rel=1e-6)
    assert importance.log_z(log_weight + shift).value == pytest.approx(importance.log_z(log_weight).value + shift)
    drop = importance.mode_drop(log_weight + shift, log_weight[None] + shift)
    assert drop.value == pytest.approx(importance.mode_drop(log_weight, log_weight[None]).value, abs=1e-9)


def test_exact_sampler_has_full_ess_and_rounding_errors_only():
    log_weight = np.full(10_000, 123.4)
    log_weight[::3] *= 1 + 1e-15
    assert importance.ess_fraction(log_weight).value == pytest.approx(1, abs=1e-12)
    assert abs(importance.log_z(log_weight).deviation(123.4)) < 5
    assert abs(importance.kl(log_weight, 123.4).deviation(0)) < 5
    drop = importance.mode_drop(log_weight, log_weight.reshape(2, -1))
    assert drop.reliable
    assert abs(drop.deviation(0)) < 5


def test_zero_weights_count_and_other_bad_weights_raise():
    log_weight = np.zeros(20_000)
    log_weight[::2] = -np.inf
    assert importance.ess_fraction(log_weight).value == pytest.approx(0.5)
    assert importance.log_z(log_weight).value == pytest.approx(math.log(0.5))
    assert importance.kl(log_weight, 0.0).value == math.inf
    assert not importance.kl(log_weight, 0.0).reliable
    assert not importance.var_log_weight(log_weight).reliable
    for bad in (np.nan, np.inf):
        with pytest.raises(FloatingPointError, match="log weight 1 is"):
            importance.log_z(np.array([0.0, bad, 0.0]))
    with pytest.raises(FloatingPointError, match="all weights are zero"):
        importance.ess_fraction(np.full(5, -np.inf))


def test_few_draws_or_one_dominating_draw_are_flagged():
    few = importance.ess_fraction(np.random.default_rng(1).standard_normal(9999))
    assert "only 9999 draws" in few.why
    log_weight = np.zeros(20_000)
    log_weight[5] = math.log(4000)
    for estimate in (importance.ess_fraction(log_weight), importance.log_z(log_weight)):
        assert not estimate.reliable
        assert "one draw carries 17 %" in estimate.why
    log_weight[5] = math.log(500)
    assert importance.ess_fraction(log_weight).reliable


@pytest.mark.parametrize(("sigma", "least"), [(0.5, 0), (0.63, 0), (1.5, 24), (1.75, 32), (2.0, 38)])
def test_ess_of_lognormal_weights_is_believed_only_where_its_interval_covers(sigma, least):
    """Where ess is e^(−σ²) = 0.78 and 0.67 all of 40 are reliable; of heavy tails few."""
    rng = np.random.default_rng(13)
    found = [importance.ess_fraction(sigma * rng.standard_normal(10_000)) for _ in range(40)]
    flagged = sum(not estimate.reliable for estimate in found)
    assert flagged >= least if least else flagged == 0
    if sigma > 1:
        assert "too rare to be seen" in next(e.why for e in found if not e.reliable)


def test_mode_drop_sees_what_the_sampler_never_draws():
    """q restricted to half of the states covers the share P of p: the value is log P, that of the full q is 0."""
    tiny = Tiny()
    rng = np.random.default_rng(6)
    chain = rng.choice(16, (4, 20_000), p=tiny.p)
    full = importance.mode_drop(tiny.log_weight[tiny.draw(20_000, seed=7)], tiny.log_weight[chain])
    assert full.reliable
    assert abs(full.deviation(0)) < 5
    mode = np.arange(16) < 8
    q = np.where(mode, tiny.q, 1e-12)
    q /= q.sum()
    log_weight = -BETA * tiny.energy - np.log(q)
    draws = rng.choice(16, 20_000, p=q)
    dropped = importance.mode_drop(log_weight[draws], log_weight[chain])
    assert abs(dropped.deviation(math.log(tiny.p[mode].sum()))) < 5
    assert dropped.deviation(0) < -5


def test_mode_drop_flags_stuck_chains_and_heavy_tails():
    log_weight = np.random.default_rng(8).standard_normal(20_000)
    assert "never moves" in importance.mode_drop(log_weight, np.full((2, 1000), 0.3)).why
    chain = np.random.default_rng(9).standard_normal((2, 1000))
    chain[0, 5] = -9
    assert "one state of the chain carries" in importance.mode_drop(log_weight, chain).why
    chain[0, 5] = -np.inf
    with pytest.raises(FloatingPointError):
        importance.mode_drop(log_weight, chain)


def test_constant_observable_and_bad_arguments():
    log_weight = np.random.default_rng(1).standard_normal(1000)
    constant = importance.importance_mean(np.full(1000, 0.1), log_weight)
    assert constant.value == pytest.approx(0.1)
    assert not constant.reliable
    with pytest.raises(ValueError, match="one per log weight"):
        importance.importance_mean(np.zeros(5), log_weight)
    with pytest.raises(FloatingPointError, match="value 0"):
        importance.importance_mean(np.full(1000, np.nan), log_weight)
    with pytest.raises(ValueError, match="beta > 0"):
        importance.free_energy_per_spin(log_weight, 4, 0.0)
    with pytest.raises(ValueError, match="beta > 0"):
        importance.variational_free_energy_per_spin(log_weight, 4, 0.0)
    with pytest.raises(ValueError, match="log_z"):
        importance.kl(log_weight, math.nan)
    with pytest.raises(ValueError, match="at least two"):
        importance.log_z(np.zeros(1))
