"""log Z by every estimator against enumeration: values, calibrated errors, and where each must complain."""

import numpy as np
import pytest
from sticky import assert_calibrated, sticky

from nmcmc.analysis import free_energy, importance
from nmcmc.analysis.integration import integrated_log_z, nodes, weights
from nmcmc.analysis.quantity import Quantity, mean_of
from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.exact.enumeration import all_states, enumerate_system
from nmcmc.exact.kaufman import torus

BETA, N_SPINS, STAY, N_REPLICAS = 0.5, 9, 0.6, 200
SYSTEM = LatticeEnergy(Lattice((3, 3)), field=0.1)
ENERGY = SYSTEM(all_states(N_SPINS))
LOG_Q = -0.4 * ENERGY + 0.3 * np.random.default_rng(1).standard_normal(512)
LOG_Q -= np.logaddexp.reduce(LOG_Q)
LOG_WEIGHT = -BETA * ENERGY - LOG_Q


def log_z(beta):
    return float(np.logaddexp.reduce(-beta * ENERGY))


def p(beta):
    return np.exp(-beta * ENERGY - log_z(beta))


def chain(beta, rng, shape=(2, 600)):
    return sticky(p(beta), *shape, STAY, rng)


def replicas(seed):
    """Yield draws of q and a chain of p, as indices of states, N_REPLICAS times."""
    rng = np.random.default_rng(seed)
    for _ in range(N_REPLICAS):
        yield rng.choice(512, 1000, p=np.exp(LOG_Q)), chain(BETA, rng)


def test_importance_reciprocal_and_bridge_are_calibrated():
    found = {"importance": [], "reciprocal": [], "bridge": []}
    for draws, states in replicas(2):
        found["importance"].append(free_energy.importance_log_z(LOG_WEIGHT[draws]).estimate())
        found["reciprocal"].append(free_energy.reciprocal_log_z(LOG_WEIGHT[states]).estimate())
        found["bridge"].append(free_energy.bridge_log_z(LOG_WEIGHT[draws], LOG_WEIGHT[states]).estimate())
    for estimates in found.values():
        assert_calibrated(estimates, log_z(BETA))
        assert np.mean([estimate.reliable for estimate in estimates]) > 0.9
    spread = {name: np.std([estimate.value for estimate in estimates]) for name, estimates in found.items()}
    assert spread["bridge"] < min(spread["importance"], spread["reciprocal"])


def test_errors_without_autocorrelations_would_be_too_small():
    """The twin of the test above: what correlated draws do to errors of independent ones."""
    estimates = [free_energy.reciprocal_log_z(LOG_WEIGHT[states]).estimate() for _, states in replicas(3)]
    naive = [importance.importance_mean(np.exp(-LOG_WEIGHT[s]).ravel(), np.zeros(s.size)) for _, s in replicas(3)]
    pulls = [e.deviation(np.exp(-log_z(BETA))) for e in naive]
    assert np.mean(np.square(pulls)) > 1 + 5 * np.sqrt(2 / N_REPLICAS)
    assert np.median([estimate.tau_int for estimate in estimates]) == pytest.approx(
        (1 + STAY) / (2 * (1 - STAY)), rel=0.1
    )


def test_importance_agrees_with_the_estimate_for_independent_draws():
    draws = np.random.default_rng(4).choice(512, 1000, p=np.exp(LOG_Q))
    a, b = importance.log_z(LOG_WEIGHT[draws]), free_energy.importance_log_z(LOG_WEIGHT[draws]).estimate()
    assert (a.value, a.error) == pytest.approx((b.value, b.error))


def test_several_temperatures_together_are_calibrated_and_bind_all_of_them():
    betas, found = (0.0, 0.25, 0.5), []
    rng = np.random.default_rng(5)
    for _ in range(100):
        energies = [ENERGY[rng.integers(0, 512, 1000)]] + [ENERGY[chain(beta, rng)] for beta in betas[1:]]
        found.append([q.estimate() for q in free_energy.temperatures_log_z(betas, energies)])
    for k, beta in enumerate(betas[1:], 1):
        assert_calibrated([estimates[k] for estimates in found], log_z(beta) - log_z(0.0))
    assert found[0][0].value == 0


def test_two_states_solve_the_equation_of_bennett_and_of_meng_and_wong():
    draws, states = next(replicas(6))
    w, v = np.exp(LOG_WEIGHT[draws]), np.exp(LOG_WEIGHT[states].ravel())
    z = np.exp(free_energy.bridge_log_z(LOG_WEIGHT[draws], LOG_WEIGHT[states].reshape(1, -1)).value)
    from nmcmc.analysis.autocorrelation import estimate_mean

    n_p, n_q = states.size / (2 * estimate_mean(LOG_WEIGHT[states].reshape(1, -1)).tau_int), len(draws)
    left, right = np.mean(w / (n_p * w + n_q * z)), z * np.mean(1 / (n_p * v + n_q * z))
    assert left == pytest.approx(right, rel=1e-9)


def test_huge_log_weights_shift_the_result_only():
    draws, states = next(replicas(7))
    for shift in (-1e5, 3e4):
        for name, arguments in (
            ("importance_log_z", (LOG_WEIGHT[draws],)),
            ("reciprocal_log_z", (LOG_WEIGHT[states],)),
            ("bridge_log_z", (LOG_WEIGHT[draws], LOG_WEIGHT[states])),
        ):
            function = getattr(free_energy, name)
            a, b = function(*arguments).estimate(), function(*(x + shift for x in arguments)).estimate()
            assert b.value == pytest.approx(a.value + shift, abs=1e-7)
            assert b.error == pytest.approx(a.error, rel=1e-4)


def test_distributions_that_do_not_overlap_are_reported():
    rng = np.random.default_rng(8)
    far = [ENERGY[rng.integers(0, 512, 1000)], ENERGY[chain(3.0, rng)]]
    estimate = free_energy.temperatures_log_z((0.0, 3.0), far)[1].estimate()
    assert not estimate.reliable
    assert "hardly overlaps" in estimate.why


def test_a_stuck_chain_is_reported():
    draws, _ = next(replicas(9))
    stuck = np.full((2, 100), 1.0)
    assert "never moves" in free_energy.reciprocal_log_z(stuck).estimate().why
    assert "never moves" in free_energy.bridge_log_z(LOG_WEIGHT[draws], stuck).estimate().why


def test_the_entropy_of_one_chain_has_the_error_of_the_sum():
    """S = β⟨H⟩ + log Z with both from the same draws; added as strangers the errors would not be calibrated."""
    exact = BETA * float(p(BETA) @ ENERGY) + log_z(BETA)
    joint, strangers = [], []
    for _, states in replicas(10):
        energy, z = mean_of(ENERGY[states], "chain"), free_energy.reciprocal_log_z(LOG_WEIGHT[states])
        joint.append((BETA * energy + z).estimate())
        strangers.append(np.hypot(BETA * energy.estimate().error, z.estimate().error))
    assert_calibrated(joint, exact)
    pulls = [(e.value - exact) / error for e, error in zip(joint, strangers, strict=True)]
    assert abs(np.mean(np.square(pulls)) - 1) > 5 * np.sqrt(2 / N_REPLICAS)


def test_quadrature_is_exact_for_polynomials_of_its_degree():
    x, w = nodes(0.7, 8), weights(0.7, 8)
    for degree in range(9):
        assert w @ x**degree == pytest.approx(0.7 ** (degree + 1) / (degree + 1), rel=1e-13)


@pytest.mark.parametrize(("extents", "beta", "panels"), [((4, 4), 0.4, 8), ((8, 8), 0.44, 16), ((16, 16), 0.44, 24)])
def test_the_error_of_the_quadrature_bounds_the_true_one(extents, beta, panels):
    """Exact energies leave the quadrature's error alone; it shrinks with the points and is not exceeded."""
    bounds = []
    for n in (panels // 2, panels):
        exact = [Quantity(torus(extents, b).energy) for b in nodes(beta, n)]
        found = integrated_log_z(beta, exact, int(np.prod(extents)))
        assert abs(found.value - torus(extents, beta).log_z) < found.systematic
        bounds.append(found.systematic)
    assert bounds[1] < 0.5 * bounds[0]


def test_too_few_points_are_reported():
    exact = [Quantity(torus((32, 32), b).energy) for b in nodes(2.0, 4)]
    assert "too few points" in integrated_log_z(2.0, exact, 1024).estimate().why


def test_integration_over_chains_is_calibrated_and_gives_the_entropy_too():
    panels, rng, found, entropies = 4, np.random.default_rng(11), [], []
    for _ in range(100):
        means = [mean_of(ENERGY[chain(b, rng)], f"beta = {b:g}") for b in nodes(BETA, panels)]
        z = integrated_log_z(BETA, means, N_SPINS)
        found.append(z.estimate())
        entropies.append((BETA * means[-1] + z).estimate())
    assert_calibrated(found, log_z(BETA))
    assert_calibrated(entropies, BETA * float(p(BETA) @ ENERGY) + log_z(BETA))


@pytest.mark.parametrize(("beta", "panels", "message"), [(0.0, 8, "beta is 0"), (1.0, 5, "even"), (1.0, 2, "even")])
def test_wrong_points_are_refused(beta, panels, message):
    with pytest.raises(ValueError, match=message):
        nodes(beta, panels)


def test_enumeration_is_what_these_tests_take_for_exact():
    assert log_z(BETA) == pytest.approx(enumerate_system(SYSTEM, BETA).log_z)
