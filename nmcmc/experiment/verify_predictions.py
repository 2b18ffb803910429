"""Self-test of what is inferred: a chain's spectrum from weights, their tail, other temperatures, information."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from nmcmc.analysis.autocorrelation import estimate_mean
from nmcmc.analysis.information import chain_mutual_information, relative_entropy, weighted_mutual_information
from nmcmc.analysis.reweighting import reweight
from nmcmc.analysis.spectrum import eigenvalues, predicted_acceptance, predicted_tau_exp, predicted_tau_int
from nmcmc.analysis.tails import pareto_k
from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.exact import enumeration, information
from nmcmc.exact.elimination import log_z_given
from nmcmc.exact.parts import Mask, first_half
from nmcmc.experiment.checks import Checks, exact, statistical
from nmcmc.experiment.verify_samplers import BETA, log_prob, small_sampler
from nmcmc.experiment.verify_updates import PLAIN, exact_draws
from nmcmc.random import Rng
from nmcmc.types import Estimate, Floats, Spins
from nmcmc.updates.independence import Independence
from nmcmc.updates.run import run

NINE = LatticeEnergy(Lattice((3, 3)))
"""512 states: the transition matrix of the independence chain can be written down."""
COLD = 0.6
N_DRAWS = 100_000


def prediction_checks(rng: Rng, device: str) -> Checks:
    """Yield the checks of predictions for the neural chain, of Pareto k, of reweighting and of mutual information."""
    yield from _uniform_proposals()
    yield from _neural_chain(rng.child("chain"), device)
    yield from _tails(rng.child("tails"))
    yield from _reweighting(rng.child("reweighting"))
    yield from _information(rng.child("information"), device)


def transition_matrix(q: Floats, log_weight: Floats) -> Floats:
    """Return P_ij = q_j min(1, w_j/w_i) off the diagonal, and what is missing to 1 on it."""
    moves = q * np.exp(np.minimum(log_weight - log_weight[:, None], 0.0))
    np.fill_diagonal(moves, 0.0)
    matrix: Floats = moves + np.diag(1 - moves.sum(axis=1))
    return matrix


def exact_tau_int(values: Floats, p: Floats, matrix: Floats) -> float:
    """Return ½ + Σ_{t≥1} ρ(t) = f·(1 − P)⁻¹f/f·f − ½ of a reversible chain, in the metric of its distribution p."""
    f = values - p @ values
    solved = np.linalg.solve(np.eye(len(p)) - matrix + p, f)
    return float(p @ (f * solved) / (p @ f**2) - 0.5)


def _uniform_proposals() -> Checks:
    """Proposals from the list of all states: these are the draws that predictions are made of, and nothing is noise."""
    states = enumeration.all_states(NINE.n_spins)
    n, log_weight, p = len(states), -BETA * NINE(states), enumeration.probabilities(NINE, BETA)
    matrix = transition_matrix(np.full(n, 1 / n), log_weight)
    spectrum = _spectrum(matrix, p)
    name = "uniform proposals, 3x3"
    yield exact(f"{name}: eigenvalues", np.abs(np.sort(eigenvalues(log_weight))[1:] - spectrum[:-1]).max(), 0.0, 1e-12)
    # A proposal that equals the state is accepted; the matrix counts it as staying.
    rate = 1 - float(p @ np.diag(matrix)) + float(p.sum() / n)
    yield exact(f"{name}: predicted acceptance", predicted_acceptance(log_weight).value, rate, 1e-10)
    tau_exp = -1 / np.log(spectrum[-2])
    yield exact(f"{name}: predicted tau_exp", predicted_tau_exp(log_weight).value / tau_exp, 1.0, 1e-10)
    for quantity, values in (("E", NINE(states)), ("|m|", np.abs(NINE.magnetization(states)))):
        tau = exact_tau_int(values, p, matrix)
        yield exact(f"{name}: predicted tau_int of {quantity}", predicted_tau_int(values, log_weight).value, tau, 1e-8)


def _spectrum(matrix: Floats, p: Floats) -> Floats:
    """Return the eigenvalues of a reversible chain in rising order, 1 last."""
    root = np.sqrt(p)
    found: Floats = np.linalg.eigvalsh(root[:, None] * matrix / root).astype(np.float64)
    return found


def _neural_chain(rng: Rng, device: str) -> Checks:
    """A chain of a sampler for a higher temperature: acceptance and τ_int that it shows are those of its matrix."""
    sampler, target = small_sampler("made", NINE, BETA, rng.child("q"), device), Boltzmann(NINE, COLD)
    states = enumeration.all_states(NINE.n_spins)
    log_q, p = log_prob(sampler, torch.from_numpy(states)), enumeration.probabilities(NINE, COLD)
    q, log_weight = np.exp(log_q) / np.exp(log_q).sum(), target.log_density(states) - log_q
    matrix = transition_matrix(q, log_weight)
    error = np.abs(np.sort(eigenvalues(log_weight, q))[1:] - _spectrum(matrix, p)[:-1]).max()
    yield exact("neural chain, 3x3: eigenvalues", error, 0.0, 1e-6)
    observables: dict[str, Callable[[Spins], Floats]] = {"E": NINE, "m": NINE.magnetization}
    start = exact_draws(NINE, COLD, 20, rng.child("start"))
    chain = run(Independence(sampler, target), N_DRAWS // 20, rng, observables=observables, start=start)
    for name, series in (("E", chain.series["E"]), ("|m|", np.abs(chain.series["m"]))):
        measured = estimate_mean(series)
        tau = exact_tau_int(NINE(states) if name == "E" else np.abs(NINE.magnetization(states)), p, matrix)
        yield statistical(
            f"neural chain, 3x3: tau_int of {name}", Estimate(measured.tau_int, measured.tau_int_error), tau
        )
    rate = 1 - float(p @ np.diag(matrix)) + float(p @ q)
    accepted = estimate_mean(np.asarray(chain.stats["accepted"], dtype=np.float64))
    yield statistical("neural chain, 3x3: acceptance", accepted, rate)
    draws = sampler.sample(N_DRAWS, rng.child("draws"))
    weights = target.log_density(draws.spins.cpu().numpy()) - draws.log_prob.cpu().numpy()
    yield statistical("neural chain, 3x3: predicted acceptance", predicted_acceptance(weights), rate)


def _tails(rng: Rng) -> Checks:
    """Weights u^−k of uniform u have the Pareto shape k; verdicts on either side of 0.7."""
    uniform = 1 - rng.generator.random(N_DRAWS)
    for k, believed in ((0.2, True), (0.5, True), (1.2, False)):
        found = pareto_k(uniform**-k)
        yield statistical(f"Pareto k = {k}", found, k)
        yield exact(f"Pareto k = {k}: reliable", float(found.reliable), float(believed), 0.0)


def _reweighting(rng: Rng) -> Checks:
    """Quantities of the 4×4 torus on both sides of the β of exact draws."""
    spins = exact_draws(PLAIN, BETA, N_DRAWS, rng)
    series = {"energy": PLAIN(spins).reshape(10, -1), "magnetization": PLAIN.magnetization(spins).reshape(10, -1)}
    for beta in (BETA - 0.04, BETA + 0.04):
        known, found = enumeration.enumerate_system(PLAIN, beta), reweight(series, PLAIN.n_spins, BETA, beta)
        for name in ("energy_per_spin", "specific_heat", "abs_magnetization", "binder"):
            yield statistical(f"reweighted to beta = {beta:.2f}: {name}", found[name], getattr(known, name))


def _information(rng: Rng, device: str) -> Checks:
    """Mutual information of the halves of the 4×4 torus, and relative entropy of two temperatures."""
    given, target = first_half(PLAIN.lattice), Boltzmann(PLAIN, BETA)
    known = information.mutual_information(PLAIN, BETA, given)
    sampler = small_sampler("hierarchical", PLAIN, BETA, rng.child("q"), device)
    draw = sampler.sample(N_DRAWS // 5, rng.child("draws"))
    spins = draw.spins.cpu().numpy()
    density, (log_z_a, log_z_b) = target.log_density(spins), _log_z_of_parts(spins, given)
    weighted = weighted_mutual_information(density, log_z_a, log_z_b, density - draw.log_prob.cpu().numpy())
    yield statistical("mutual information, weighted draws", weighted.estimate(), known)
    states = exact_draws(PLAIN, BETA, N_DRAWS // 5, rng.child("states"))
    log_z = enumeration.enumerate_system(PLAIN, BETA).log_z
    of_chain = chain_mutual_information(target.log_density(states), *_log_z_of_parts(states, given), log_z)
    yield statistical("mutual information, chain", of_chain.estimate(), known)
    betas = (BETA, BETA + 0.05)
    divergence = information.decimated_divergence(PLAIN, betas, np.ones(PLAIN.n_spins, dtype=np.bool_))
    found = relative_entropy(-(betas[1] - betas[0]) * PLAIN(states)).estimate()
    yield statistical("relative entropy of two temperatures", found, divergence)


def _log_z_of_parts(spins: Spins, given: Mask) -> tuple[Floats, Floats]:
    return log_z_given(PLAIN, BETA, spins, given), log_z_given(PLAIN, BETA, spins, ~given)
