"""Systems off lattices through the commands: settings, training, chains, files, exact values."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from command_line import call

from nmcmc.config import ChainConfig, RunConfig, SamplerConfig, SystemConfig, TrainingConfig
from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.disorder import edwards_anderson, random_regular, sherrington_kirkpatrick
from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.energies.mean_field import CurieWeissEnergy, hopfield
from nmcmc.exact.enumeration import all_states
from nmcmc.experiment import build
from nmcmc.experiment.commands import (
    analyze_command,
    compare_command,
    evaluate_command,
    exact_command,
    sample_command,
    train_command,
)
from nmcmc.experiment.main_job import run_command
from nmcmc.experiment.models import Wanted
from nmcmc.experiment.options import Options
from nmcmc.random import Rng
from nmcmc.samplers.sk import ReplicaSampler
from nmcmc.samplers.store import KINDS, kind_of

QUIET = Options(seed=1, device="cpu", resume=False, overwrite=False, quiet=True)
SYSTEMS = {
    "curie-weiss": (SystemConfig(system="curie-weiss", n_spins=12, coupling="0.9"), CurieWeissEnergy(12, 0.9)),
    "sk": (SystemConfig(system="sk", n_spins=12, field=0.1, disorder_seed=3), sherrington_kirkpatrick(12, 3, 0.1)),
    "hopfield": (SystemConfig(system="hopfield", n_spins=12, patterns=2), hopfield(12, 2, 1)),
    "edwards-anderson": (
        SystemConfig("4x4", system="edwards-anderson", disorder="binary"),
        edwards_anderson(Lattice((4, 4)), 1, "binary"),
    ),
    "regular-graph": (SystemConfig(system="regular-graph", n_spins=20, degree=3), random_regular(20, 3, 1)),
}


@pytest.mark.parametrize("name", SYSTEMS)
def test_settings_build_the_system(name):
    config, expected = SYSTEMS[name]
    energy = build.build_energy(config)
    assert type(energy) is type(expected)
    for part in ("edges", "couplings", "fields"):
        assert np.array_equal(getattr(energy, part), getattr(expected, part))


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_target_survives_the_file(name):
    target = Boltzmann(SYSTEMS[name][1], 0.7)
    again = build.target_of(build.build_model(target))
    spins = 2 * np.random.default_rng(1).integers(0, 2, (9, target.n_spins), dtype=np.int8) - 1
    np.testing.assert_allclose(again.log_density(spins), target.log_density(spins), rtol=1e-13)


@pytest.mark.parametrize("name", ["sk", "edwards-anderson"])
def test_the_coupling_multiplies_disorder(name):
    config, expected = SYSTEMS[name]
    values = {k: getattr(config, k) for k in ("lattice", "field", "system", "n_spins", "disorder", "disorder_seed")}
    energy = build.build_energy(SystemConfig(**values, coupling="-2"))
    assert np.array_equal(energy.couplings, -2 * expected.couplings)
    assert isinstance(energy, LatticeEnergy) == isinstance(expected, LatticeEnergy)


@pytest.mark.parametrize(
    ("sampler", "kind"),
    [("sk-rs", "sk-krsb"), *((name, name) for name in KINDS if name not in ("hierarchical", "pixelcnn"))],
)
def test_every_sampler_has_a_name(sampler, kind):
    found = build.build_sampler(SamplerConfig(sampler, width=2), CurieWeissEnergy(6), 0.5, Rng(1))
    assert kind_of(found) == kind
    assert getattr(found, "levels", 0) == (1 if sampler == "sk-krsb" else 0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"system": "sk"}, "give --n-spins ≥ 2"),
        ({"n_spins": 12}, "lattice says how many spins there are"),
        ({"system": "glass"}, "system is 'glass'"),
        ({"system": "hopfield", "n_spins": 9, "field": 0.1}, "the Hopfield system here has none"),
        ({"system": "hopfield", "n_spins": 9, "patterns": 0}, "patterns is 0"),
        ({"system": "regular-graph", "n_spins": 9, "degree": 0}, "degree is 0"),
        ({"system": "sk", "n_spins": 9, "disorder_seed": -1}, "disorder_seed is -1"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        SystemConfig(**settings)


def test_samplers_of_other_systems_are_refused():
    with pytest.raises(ValueError, match="sampler 'cw-n' is for the system 'curie-weiss'"):
        build.build_sampler(SamplerConfig("cw-n"), sherrington_kirkpatrick(5, 1), 0.5, Rng(1))
    with pytest.raises(ValueError, match="sampler 'hierarchical' needs a lattice"):
        build.build_sampler(SamplerConfig(), sherrington_kirkpatrick(5, 1), 0.5, Rng(1))
    with pytest.raises(ValueError, match="a system 'sk' takes one number"):
        build.build_energy(SystemConfig(system="sk", n_spins=5, coupling="1,2"))


def test_an_exact_net_is_not_trained_and_makes_a_perfect_chain(tmp_path):
    system = SystemConfig(system="curie-weiss", n_spins=40, beta=1.1)
    found = train_command(system, SamplerConfig("cw-n"), TrainingConfig(), tmp_path / "m.safetensors", QUIET)
    assert (found["steps"], found["system"], found["n_spins"]) == (0, "curie-weiss", 40)
    assert "the network is exact" in found["note"]
    assert abs(found["log_z"]["value"] - found["log_z"]["exact"]) < 1e-10
    wanted = Wanted(str(tmp_path / "m.safetensors"), {"n_spins": 40})
    chain = sample_command(wanted, ChainConfig(400, 4, 0), tmp_path / "c.h5", QUIET)
    assert chain["acceptance_rate"]["value"] == pytest.approx(1, abs=1e-9)
    assert analyze_command(tmp_path / "c.h5")["observables"]["m2"]["exact"] == chain["observables"]["m2"]["exact"]


@pytest.mark.parametrize("sampler", ["one-layer", "sk-rs", "sk-krsb"])
def test_nets_start_at_linear_response_and_training_does_not_undo_it(sampler, tmp_path):
    system, lost = SystemConfig(system="sk", n_spins=60, beta=0.5), {}
    for name, training in (
        ("start", TrainingConfig(steps=1, learning_rate=1e-9)),
        ("usual", TrainingConfig(steps=20, batch=100)),
        ("other nets' rate", TrainingConfig(steps=20, batch=100, learning_rate=0.01)),
    ):
        path = tmp_path / f"{name}.safetensors"
        train_command(system, SamplerConfig(sampler), training, path, QUIET)
        lost[name] = 1 - evaluate_command(Wanted(str(path), {}), 4000, QUIET)["ess_fraction"]["value"]
    assert lost["start"] < 0.01
    assert lost["usual"] < 1.3 * lost["start"]
    assert lost["other nets' rate"] > 1.5 * lost["start"]


@pytest.mark.parametrize("name", ["sk", "curie-weiss", "regular-graph"])
def test_tap_is_fitted_without_steps(name, tmp_path):
    """To parallel tempering in a glass, else to clusters: log Z is that of enumeration."""
    path, system = tmp_path / "m.safetensors", replace(SYSTEMS[name][0], beta=1.2)
    train_command(system, SamplerConfig("tap"), TrainingConfig(), path, QUIET)
    found = evaluate_command(Wanted(str(path), {}), 10_000, QUIET)
    assert found["ess_fraction"]["value"] > 0.95
    assert abs(found["log_z"]["value"] - found["log_z"]["exact"]) < 5 * found["log_z"]["error"]
    again = tmp_path / "again.safetensors"
    train_command(system, SamplerConfig("tap"), TrainingConfig(), again, QUIET)
    assert path.read_bytes() == again.read_bytes()


def test_tap_takes_steps_only_where_there_are_some(tmp_path):
    system, path = replace(SYSTEMS["sk"][0], beta=0.8), tmp_path / "m.safetensors"
    for name, value in (("steps", 5), ("seconds", 5.0), ("learning_rate", 0.1), ("anneal_from", 0.2)):
        with pytest.raises(ValueError, match=f"{name} given, but .* leave out, or train with objective 'reverse-kl'"):
            train_command(system, SamplerConfig("tap"), TrainingConfig(**{name: value}), path, QUIET)
    assert not list(tmp_path.iterdir())
    train_command(system, SamplerConfig("tap"), TrainingConfig("reverse-kl", steps=5, batch=50), path, QUIET)
    assert path.exists()


def test_linear_response_of_huge_systems_is_not_asked_for(monkeypatch):
    energy, net = sherrington_kirkpatrick(6, 1), SamplerConfig("sk-rs")
    plain = ReplicaSampler(energy, 0.5, levels=0).shifts
    for largest in (5, 6):
        monkeypatch.setattr("nmcmc.experiment.build.LARGEST_RESPONSE", largest)
        assert torch.equal(build.build_sampler(net, energy, 0.5, Rng(1)).shifts, plain) == (largest == 5)


def test_a_model_is_held_against_what_it_is_taken_for(tmp_path):
    system = SystemConfig(system="sk", n_spins=10, beta=0.5)
    path = tmp_path / "m.safetensors"
    train_command(system, SamplerConfig("cavity"), TrainingConfig(steps=2, batch=20), path, QUIET)
    for other, message in (
        ({"n_spins": 11}, "has 10 spins, not 11"),
        ({"lattice": "4x4"}, "is not on a lattice: it cannot be compared with lattice"),
        ({"beta": 0.6}, r"is for another beta than 0.6; it is for 10 spins, beta 0.5"),
    ):
        with pytest.raises(ValueError, match=message):
            evaluate_command(Wanted(str(path), other), 100, QUIET)
    assert evaluate_command(Wanted(str(path), {"beta": 0.6}, True), 100, QUIET)["beta"] == 0.6


@pytest.mark.parametrize(
    ("name", "sampler", "training"),
    [
        ("sk", "cavity", TrainingConfig(steps=5, batch=20)),
        ("curie-weiss", "cavity", TrainingConfig(steps=5, batch=20)),
        ("sk", "tap", TrainingConfig()),
    ],
)
def test_the_main_job_runs(name, sampler, training, tmp_path):
    config = RunConfig(SYSTEMS[name][0], SamplerConfig(sampler), training, ChainConfig(2000, 4), 500)
    summary = run_command(config, tmp_path / "run", QUIET)
    assert summary["baseline"]["name"] == {"sk": "heat-bath", "curie-weiss": "wolff"}[name]
    assert abs(summary["log_z"]["value"] - summary["log_z"]["exact"]) < 5 * summary["log_z"]["error"]
    assert "12 spins" in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert compare_command(tmp_path / "run" / "run.h5", tmp_path / "run" / "run.h5")["rows"]


def test_the_command_line_runs_the_main_job_with_a_fit(folder):
    made = call(
        "run --system sk --n-spins 8 --beta 1 --sampler tap --n-samples 2000 --chains 4 --n-evaluate 500 --json"
    )
    log_z = made.json["log_z"]
    assert abs(log_z["value"] - log_z["exact"]) < 5 * log_z["error"]
    (folder / "tap.toml").write_text('system = "sk"\nn_spins = 8\nsampler = "tap"\nn_samples = 2000\n')
    assert "steps given" not in call("run tap.toml --out b --n-evaluate 500").err
    assert "steps given" in call("run tap.toml --out c --steps 5").err


def test_exact_values_of_large_curie_weiss_systems_are_known():
    assert exact_command(SystemConfig(system="curie-weiss", n_spins=500, beta=1.1))["log_z"]["value"] > 300
    with pytest.raises(ValueError, match="no exact value is known for sk of 50 spins"):
        exact_command(SystemConfig(system="sk", n_spins=50))


def test_chains_of_a_hopfield_system_record_its_overlaps(folder):
    """Against the enumeration of all states: ⟨max |m_μ|⟩, and ⟨m_μ⟩ = 0 since no sign is preferred."""
    made = call("baseline heat-bath --system hopfield --n-spins 12 --patterns 2 --beta 1 --n-samples 20000 --out c.h5")
    found, energy, states = call("analyze c.h5 --json").json["observables"], hopfield(12, 2, 1), all_states(12)
    weights = np.exp(-energy(states) + energy(states).min())
    exact = weights @ np.abs(energy.overlaps(states)).max(axis=1) / weights.sum()
    assert made.code == 0
    for name, value in (("largest_overlap", exact), ("overlap_1", 0.0), ("overlap_2", 0.0)):
        assert abs(found[name]["value"] - value) < 5 * found[name]["error"]
        assert not abs(found[name]["value"] - value - 0.2) < 5 * found[name]["error"]
    assert "overlap_3" not in found
