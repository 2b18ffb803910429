"""What an update costs, and τ_int against the length of the chains."""

import numpy as np
from series import ar1, tau_of

from nmcmc.analysis.autocorrelation import estimate_mean
from nmcmc.analysis.scales import sweeps_per_update, tau_against_length


def test_tau_settles_where_chains_are_long():
    series = ar1(0.9, 2, 32_768, seed=1)
    growth = tau_against_length(series)
    assert list(growth.n_draws) == [16 * 2**k for k in range(12)]
    assert growth.tau_int[-1] == estimate_mean(series).tau_int
    off = np.abs(growth.tau_int - tau_of(0.9)) / growth.tau_int_error
    assert np.all(off[-4:] < 5)
    assert growth.tau_int[0] < 0.7 * tau_of(0.9)


def test_what_does_not_vary_yet_has_no_tau():
    series = np.ones((1, 64))
    series[0, 32:] = np.arange(32)
    growth = tau_against_length(series)
    assert list(np.isnan(growth.tau_int)) == [True, True, False]


def test_a_cluster_is_the_share_of_a_sweep_that_it_flips():
    assert sweeps_per_update({"cluster_size": np.array([[4, 12]])}, 16) == 0.5
    assert sweeps_per_update({"accepted": np.ones((1, 2))}, 16) == 1.0
