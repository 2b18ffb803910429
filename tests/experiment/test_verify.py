"""`nmcmc verify` passes as it stands, and finds each ingredient that is broken on purpose."""

import dataclasses

import numpy as np
import pytest
import torch
from command_line import call

from nmcmc.analysis import importance
from nmcmc.analysis.windows import SokalWindow, TailWindow, WindowedSum
from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.experiment import (
    checks,
    verify,
    verify_errors,
    verify_estimators,
    verify_predictions,
    verify_samplers,
    verify_updates,
)
from nmcmc.experiment.options import Options
from nmcmc.random import Rng
from nmcmc.samplers.hierarchical.leaves import Leaves
from nmcmc.samplers.hierarchical.sampler import HierarchicalSampler
from nmcmc.samplers.made import MADESampler
from nmcmc.samplers.masked_net import MaskedNet
from nmcmc.types import Draw, Estimate, State
from nmcmc.updates.compiled import ClusterUpdate
from nmcmc.updates.compose import Cycle
from nmcmc.updates.independence import Independence
from nmcmc.updates.local import LocalUpdate

GROUPS = {
    "samplers": verify_samplers.sampler_checks,
    "updates": verify_updates.update_checks,
    "estimators": verify_estimators.estimator_checks,
    "errors": lambda rng, device: verify_errors.error_checks(rng),
    "predictions": verify_predictions.prediction_checks,
}


@pytest.fixture(autouse=True)
def _smaller(monkeypatch, set_threads):
    """A tenth of the numbers: the sabotage is coarser than what the full test would find."""
    set_threads(1)
    for module, name, value in (
        (verify_samplers, "N_DRAWS", 30_000),
        (verify_updates, "N_DRAWS", 60),
        (verify_updates, "N_LARGE", 40),
        (verify_estimators, "N_REPLICAS", 100),
        (verify_estimators, "N_SHIPPED", 20_000),
        (verify_errors, "N_REPLICAS", 100),
        (verify_predictions, "N_DRAWS", 40_000),
    ):
        monkeypatch.setattr(module, name, value)


def failed(group):
    """Yield the names of the checks of a group that fail."""
    for check in checks.guarded(group, lambda: GROUPS[group](Rng(1), "cpu")):
        if not check.passed:
            yield check.name


def replaced(monkeypatch, owner, name, change):
    """Let owner.name be what ``change`` makes of it."""
    monkeypatch.setattr(owner, name, change(getattr(owner, name)))


def biased_line(monkeypatch):
    """Nets draw +1 a little too often, and report the log q of what they drew."""
    replaced(
        monkeypatch,
        MaskedNet,
        "draw",
        lambda draw: lambda net, s, b, l, u: draw(net, s, b, l, torch.where(u < 1, u * 0.97, u)),
    )


def biased_leaf(monkeypatch):
    """Leaves draw +1 a little too often."""
    replaced(monkeypatch, Leaves, "draw", lambda draw: lambda leaves, s, u: draw(leaves, s, u * 0.97))


def wrong_log_q_of_draws(monkeypatch):
    """What comes with the draws is not their log q."""

    def change(sample):
        def changed(sampler, n, rng):
            draw = sample(sampler, n, rng)
            return Draw(draw.spins, draw.log_prob + 1e-3 * draw.spins[:, 0])

        return changed

    for kind in (MADESampler, HierarchicalSampler):
        replaced(monkeypatch, kind, "sample", change)


def unnormalised_log_q(monkeypatch):
    """log q is consistent, but off by a constant."""
    replaced(monkeypatch, MaskedNet, "draw", lambda draw: lambda *args: draw(*args) + 1e-3)


def float32_log_q(monkeypatch):
    """log q is summed, or passed on, in single precision."""

    def log_prob(log_prob):
        return lambda sampler, spins: log_prob(sampler, spins).to(torch.float32).to(torch.float64)

    def sample(sample):
        def changed(sampler, n, rng):
            draw = sample(sampler, n, rng)
            return Draw(draw.spins, draw.log_prob.to(torch.float32).to(torch.float64))

        return changed

    for kind in (MADESampler, HierarchicalSampler):
        replaced(monkeypatch, kind, "log_prob", log_prob)
        replaced(monkeypatch, kind, "sample", sample)


def stale_weight(monkeypatch):
    """A cycle hands over new spins together with the old weight."""

    def step(cycle, state, rng):
        held, spins = getattr(state, "held", [None] * len(cycle.updates)), state.spins
        after = []
        for update, old in zip(cycle.updates, held, strict=True):
            inner = update.init(spins) if old is None else dataclasses.replace(old, spins=spins)
            inner, _ = update.step(inner, rng)
            spins = inner.spins
            after.append(inner)
        return Held(spins, after), {}

    monkeypatch.setattr(Cycle, "step", step)


@dataclasses.dataclass(frozen=True)
class Held(State):
    held: list


def stale_init(monkeypatch):
    """Independence.init remembers the weights of the first configurations that it saw."""

    def change(init):
        def changed(update, spins):
            state = init(update, spins)
            first = update.__dict__.setdefault("_first", state)
            return dataclasses.replace(state, log_prob=first.log_prob, log_density=first.log_density)

        return changed

    replaced(monkeypatch, Independence, "init", change)


def at_another_beta(init):
    def changed(update, target, *args, **options):
        init(update, target.at(1.03 * target.beta), *args, **options)

    return changed


def wrong_beta_of_clusters(monkeypatch):
    """Bonds are drawn for β off by 3 %."""
    replaced(monkeypatch, ClusterUpdate, "_bond_probability", lambda p: lambda update, j: p(update, 1.03 * j))


def wrong_beta_of_flips(monkeypatch):
    """Single spins are flipped for β off by 3 %."""
    replaced(monkeypatch, LocalUpdate, "__init__", at_another_beta)


def wrong_beta_of_acceptance(monkeypatch):
    """Proposals are accepted for β off by 3 %."""
    replaced(
        monkeypatch,
        Independence,
        "__init__",
        lambda init: lambda update, q, target: init(update, q, target.at(1.03 * target.beta)),
    )


def wrong_beta_of_density(monkeypatch):
    """−βH is taken at β off by 3 %."""
    replaced(monkeypatch, Boltzmann, "log_density", lambda density: lambda target, spins: 1.03 * density(target, spins))


def wrong_beta_of_weights(monkeypatch):
    """Weights are taken at β off by 3 %."""
    replaced(
        monkeypatch,
        verify_estimators,
        "_weights",
        lambda weights: lambda *args: (lambda e, w: (e, w - 0.012 * e))(*weights(*args)),
    )


def no_acceptance_test(monkeypatch):
    """Every proposal is accepted."""
    monkeypatch.setattr(
        "nmcmc.updates.independence._accept", lambda old, new, rng, n: np.tile(np.arange(n), (len(old), 1))
    )


def dropped_mode(monkeypatch):
    """The sampler never draws one sign of the magnetisation, and knows it."""
    small = verify_estimators.small_sampler

    def change(kind, energy, *args):
        sampler = small(kind, energy, *args)
        return sampler if energy.has_field else Lost(sampler)

    monkeypatch.setattr(verify_estimators, "small_sampler", change)


class Lost(verify_estimators.Collapsed):
    device = torch.device("cpu")

    def log_prob(self, spins):
        return torch.from_numpy(super().log_prob(spins))

    def sample(self, n, rng):
        spins = self.sampler.sample(n, rng).spins
        spins = torch.where(verify_estimators._positive(spins), 1, -1).to(torch.int8)[:, None] * spins
        return Draw(spins, self.log_prob(spins))


def blind_certificate(monkeypatch):
    """The certificate always says that all is well."""
    monkeypatch.setattr(importance, "mode_drop", lambda draws, chain: Estimate(0.0, 0.01))


def errors_too_small(monkeypatch):
    """Errors of chains forget autocorrelations."""

    def naive(series):
        return Estimate(float(series.mean()), float(series.std() / np.sqrt(series.size)))

    monkeypatch.setattr(verify_estimators, "estimate_mean", naive)


def errors_of_log_z_too_small(monkeypatch):
    """Errors of log Z are those of a larger sample."""
    replaced(
        monkeypatch,
        importance,
        "log_z",
        lambda log_z: lambda w: dataclasses.replace(log_z(w), error=0.6 * log_z(w).error),
    )


def errors_of_bins_too_small(monkeypatch):
    """Errors from bins are those of a larger sample."""
    for name in ("binned_mean", "jackknife_function"):
        replaced(
            monkeypatch,
            verify_errors,
            name,
            lambda f: lambda *args: (lambda e: dataclasses.replace(e, error=0.6 * e.error))(f(*args)),
        )


def windows_too_short(monkeypatch):
    """Sums of autocorrelations end at once, and tails are forgotten."""
    for kind in (SokalWindow, TailWindow):
        monkeypatch.setattr(kind, "__call__", lambda rule, rho, n: WindowedSum(1, 0.5 + float(rho[1])))


def blind_to_starts(monkeypatch):
    """Chains are always taken to be stationary and to agree."""
    monkeypatch.setattr(verify_errors, "burn_in", lambda series: Estimate(0.0, 1.0))
    monkeypatch.setattr(verify_errors, "split_rhat", lambda series: Estimate(1.0008, 0.01))


def wrong_beta_of_predictions(monkeypatch):
    """Spectra are predicted from weights of another temperature, and chains are reweighted to another one."""
    replaced(monkeypatch, verify_predictions, "eigenvalues", lambda f: lambda w, *q: f(1.03 * w, *q))
    replaced(monkeypatch, verify_predictions, "predicted_tau_int", lambda f: lambda o, w: f(o, 1.03 * w))
    replaced(monkeypatch, verify_predictions, "reweight", lambda f: lambda s, n, b, to: f(s, n, b, 1.03 * to))


def wrong_sums_of_parts(monkeypatch):
    """Partition functions of parts are those of another temperature."""
    replaced(monkeypatch, verify_predictions, "log_z_given", lambda f: lambda e, b, s, m: f(e, 1.03 * b, s, m))


def tails_too_light(monkeypatch):
    """Tails of weights are always taken to be harmless."""
    monkeypatch.setattr(verify_predictions, "pareto_k", lambda weights: Estimate(0.4, 0.05))


SABOTAGE = [
    (biased_line, "samplers", "frequencies"),
    (biased_leaf, "samplers", "frequencies"),
    (wrong_log_q_of_draws, "samplers", "log q of draws"),
    (unnormalised_log_q, "samplers", "sum of q"),
    (float32_log_q, "samplers", "made, 1024 spins"),
    (float32_log_q, "samplers", "hierarchical, 64x64"),
    (stale_weight, "updates", "Cycle"),
    (stale_init, "updates", "hand-over"),
    (wrong_beta_of_clusters, "updates", "Wolff"),
    (wrong_beta_of_clusters, "updates", "SwendsenWang"),
    (wrong_beta_of_flips, "updates", "Metropolis"),
    (wrong_beta_of_flips, "updates", "HeatBath"),
    (wrong_beta_of_acceptance, "updates", "Independence"),
    (no_acceptance_test, "updates", "Independence"),
    (biased_line, "updates", "Independence"),
    (wrong_beta_of_weights, "estimators", "log Z"),
    (dropped_mode, "estimators", "mode_drop, all states"),
    (blind_certificate, "estimators", "mode_drop, half"),
    (errors_too_small, "estimators", "Γ-method"),
    (wrong_beta_of_density, "estimators", "log Z, bridge"),
    (errors_of_log_z_too_small, "estimators", "squared pulls of log Z"),
    (errors_of_bins_too_small, "errors", "binning, AR(1): squared pulls"),
    (errors_of_bins_too_small, "errors", "jackknife"),
    (windows_too_short, "errors", "Sokal"),
    (windows_too_short, "errors", "tail"),
    (blind_to_starts, "errors", "burn-in"),
    (blind_to_starts, "errors", "R̂"),
    (wrong_beta_of_predictions, "predictions", "eigenvalues"),
    (wrong_beta_of_predictions, "predictions", "predicted tau_int"),
    (wrong_beta_of_predictions, "predictions", "reweighted"),
    (no_acceptance_test, "predictions", "neural chain"),
    (wrong_sums_of_parts, "predictions", "mutual information"),
    (tails_too_light, "predictions", "Pareto k"),
]


@pytest.mark.parametrize("group", GROUPS)
def test_nothing_is_found_where_nothing_is_wrong(group):
    assert list(failed(group)) == []


@pytest.mark.parametrize(("break_it", "group", "where"), SABOTAGE)
def test_what_is_broken_is_found(monkeypatch, break_it, group, where):
    break_it(monkeypatch)
    assert any(where in name for name in failed(group))


def test_the_references_agree():
    assert all(check.passed for check in verify_updates.reference_checks())


def test_an_error_inside_a_group_is_a_failed_check_and_the_others_go_on(monkeypatch):
    monkeypatch.setattr(verify, "sampler_checks", lambda rng, device: 1 / 0)
    monkeypatch.setattr(verify, "update_checks", lambda rng, device: iter(()))
    found = {check.name: check for check in verify.verify(Options(quiet=True))}
    check = found["samplers: stopped by an error"]
    assert not check.passed
    assert check.why == "ZeroDivisionError: division by zero"
    assert any(name.startswith("estimators") for name in found)


@pytest.mark.parametrize("broken", [False, True])
def test_the_command_shows_every_check_and_fails_if_one_does(monkeypatch, broken):
    good = checks.exact("made: sum of q", 1.0, 1.0, 1e-6)
    bad = checks.statistical("Wolff: E/N", Estimate(1.6, 0.1), 1.0)
    monkeypatch.setattr("nmcmc.experiment.verify.verify", lambda options: [good, bad] if broken else [good])
    text, data = call("verify --quiet"), call("verify --quiet --json --seed 3")
    assert (text.code, data.code) == ((3, 3) if broken else (0, 0))
    assert "made: sum of q" in text.out
    assert ("FAILED" in text.out) == broken
    assert ("nmcmc: unreliable: checks.Wolff: E/N: +6.0 σ" in text.err) == broken
    assert (data.json["n_failed"], data.json["n_checks"], data.json["seed"]) == (int(broken), 1 + broken, 3)
    assert data.json["checks"]["made: sum of q"]["passed"]


def test_a_check_that_is_no_number_fails():
    assert not checks.exact("x", float("nan"), 1.0, 1.0).passed
    assert checks.exact("x", float("nan"), 1.0, 1.0).to_json()["value"] is None


def test_frequencies_pass_for_the_right_probabilities_and_fail_for_others():
    p = np.arange(1, 101) / 5050
    counts = np.random.default_rng(1).multinomial(100_000, p)
    assert checks.frequencies("x", counts, p).passed
    assert not checks.frequencies("x", counts, np.full(100, 0.01)).passed
