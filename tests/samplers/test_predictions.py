"""Chains of the shipped models have the acceptance and τ_int that the weights of independent draws predict."""

import numpy as np
import pytest

from nmcmc.analysis.observables import derive, measurements
from nmcmc.analysis.spectrum import predict, predicted_acceptance
from nmcmc.experiment.chains import draw_stage
from nmcmc.experiment.options import Options
from nmcmc.experiment.summary import acceptance_rate
from nmcmc.random import Rng
from nmcmc.samplers.pretrained import load_pretrained
from nmcmc.updates.independence import Independence
from nmcmc.updates.run import run

N, LIMIT = 40_000, 5.0
SIZES = [8, 16, 32, pytest.param(64, marks=pytest.mark.slow), pytest.param(128, marks=pytest.mark.slow)]


def deviations(predicted, found):
    """How many combined σ predicted τ_int are off those of a chain, by name."""
    return {
        name: abs(tau.value - found[name].tau_int) / np.hypot(tau.error, found[name].tau_int_error)
        for name, tau in predicted.items()
    }


@pytest.mark.parametrize("size", SIZES)
def test_a_chain_is_as_slow_as_independent_draws_predict(size):
    """Twin: log weights that are half as large again, whose spread every model but the best would be caught at."""
    sampler, target = load_pretrained(f"ising2d-{size}-critical")
    energy, beta = target.energy, target.beta
    draws = draw_stage(sampler, target, N, Rng(1).child("draws"), Options(quiet=True))
    update, observables = Independence(sampler, target), measurements(energy)
    chain = run(update, N // 8, Rng(1).child("chain"), observables=observables, n_chains=8)
    found = derive(chain.series, energy.n_spins, beta)
    predicted, wrong = (
        predict(draws["energy"], draws["magnetization"], factor * draws["log_weight"], energy.n_spins, beta)
        for factor in (1.0, 1.5)
    )
    off = deviations(predicted, found)
    assert set(off) == set(found)
    assert max(off.values()) < LIMIT, off
    rate, expected = acceptance_rate(chain), predicted_acceptance(draws["log_weight"])
    assert abs(rate.value - expected.value) < LIMIT * np.hypot(rate.error, expected.error)
    if size >= 64:
        assert max(deviations(wrong, found).values()) > LIMIT
