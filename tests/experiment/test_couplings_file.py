"""A system from a file through the commands: signs of every format, the built-in system it may be, other content."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse
import torch
from command_line import call

from nmcmc.config import RunConfig, SamplerConfig, SystemConfig, build, differences, read_toml, to_toml
from nmcmc.energies.disorder import random_regular, sherrington_kirkpatrick
from nmcmc.energies.mean_field import CurieWeissEnergy
from nmcmc.exact.enumeration import all_states
from nmcmc.experiment.build import build_energy, build_sampler, build_target
from nmcmc.experiment.summary import known_exactly
from nmcmc.random import Rng
from nmcmc.samplers.store import load_sampler

SYSTEM = "--system file --couplings-file j.txt --beta 0.5"
SK = "--system sk --n-spins 12 --disorder-seed 3 --field 0.1 --beta 0.5"
TRAIN = "train --sampler made --width 2 --steps 3 --batch 32 --quiet"
CHAIN = "--n-samples 400 --chains 4 --warmup 10 --quiet"
ANNEAL = "anneal --sampler cavity --betas 0.25:0.5:0.25 --steps 2 --n-samples 100 --quiet"


def edge_list(energy):
    """Return an edge list with all digits."""
    bonds = [f"{i} {j} {J!r}" for (i, j), J in zip(energy.edges.tolist(), energy.couplings.tolist(), strict=True)]
    sites = [f"{i} {h!r}" for i, h in enumerate(energy.fields.tolist()) if h]
    return "\n".join([str(energy.n_spins), *bonds, *sites]) + "\n"


@pytest.fixture
def file(folder):
    path = folder / "j.txt"
    path.write_text(edge_list(sherrington_kirkpatrick(12, 3, 0.1)), encoding="utf-8")
    return path


def test_an_edge_list_of_a_built_in_system_is_that_system(file):
    ours = build_energy(SystemConfig(system="file", couplings_file="j.txt"))
    theirs = build_energy(SystemConfig(system="sk", n_spins=12, disorder_seed=3, field=0.1))
    assert type(ours) is type(theirs)
    assert np.array_equal(ours(all_states(12)), theirs(all_states(12)))
    exact = [call(f"exact {system} --json").json for system in (SYSTEM, SK)]
    assert exact[0] == exact[1]
    assert exact[0]["log_z"]["exact"] > 12 * math.log(2)


@pytest.mark.parametrize("sampler", ["made", "cavity", "sk-krsb"])
def test_with_the_same_seed_it_gets_the_weights_of_the_built_in_system(sampler, file):
    samplers = []
    for name, system in (("a", SYSTEM), ("b", SK)):
        assert call(f"{TRAIN} {system} --sampler {sampler} --out {name}.safetensors").code == 0
        samplers.append(load_sampler(f"{name}.safetensors")[0])
    ours, theirs = (sampler.state_dict() for sampler in samplers)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_a_sparse_graph_and_equal_couplings_are_recognised(folder):
    for expected in (random_regular(20, 3, 1), CurieWeissEnergy(9, 0.9, 0.2)):
        Path("j.txt").write_text(edge_list(expected), encoding="utf-8")
        energy = build_energy(SystemConfig(system="file", couplings_file="j.txt"))
        assert type(energy) is type(expected)
        for part in ("edges", "couplings", "fields"):
            assert np.array_equal(getattr(energy, part), getattr(expected, part))
    assert build_sampler(SamplerConfig("cw-n"), energy, 0.5, Rng(1)).n_spins == 9


def bqm(vartype):
    """Return the JSON of a dimod model with two variables: 0.5 a b + 2 a − b + 0.25."""
    content = {"type": "BinaryQuadraticModel", "use_bytes": False, "variable_type": vartype, "offset": 0.25}
    content |= {"linear_biases": [2.0, -1.0], "quadratic_biases": [0.5], "quadratic_head": [0], "quadratic_tail": [1]}
    return json.dumps(content | {"num_variables": 2, "num_interactions": 1, "variable_labels": ["a", "b"]})


GRAPH = "3 3\n1 2 1\n2 3 -1.5\n1 3 5\n"
ENERGIES = {
    "edges": ("j.txt", "3\n0 1 1.5\n1 2 -1\n2 0.5\n", "", lambda s, x: -1.5 * s[0] * s[1] + s[1] * s[2] - 0.5 * s[2]),
    "gset": ("j.gset", GRAPH, "", lambda s, x: s[0] * s[1] - 1.5 * s[1] * s[2] + 5 * s[0] * s[2]),
    "gset, weights are J": (
        "j.gset",
        GRAPH,
        "--problem ising",
        lambda s, x: -s[0] * s[1] + 1.5 * s[1] * s[2] - 5 * s[0] * s[2],
    ),
    "gset, independent sets": (
        "j.gset",
        "3 2\n1 2\n2 3\n",
        "--problem mis",
        lambda s, x: 2 * (x[0] * x[1] + x[1] * x[2]) - x.sum(),
    ),
    "qubo": (
        "j.qubo",
        "p qubo 0 3 1 2\n0 0 1.5\n0 2 -2\n1 2 4\n",
        "",
        lambda s, x: 1.5 * x[0] - 2 * x[0] * x[2] + 4 * x[1] * x[2],
    ),
    "coo, spins": ("j.coo", "# vartype=SPIN\n0 1 1.5\n1 1 -1\n", "", lambda s, x: 1.5 * s[0] * s[1] - s[1]),
    "coo, said": ("j", "# vartype=BINARY\n0 1 1.5\n1 1 -1\n", "--format coo", lambda s, x: 1.5 * x[0] * x[1] - x[1]),
    "bqm, spins": ("j.json", bqm("SPIN"), "", lambda s, x: 0.5 * s[0] * s[1] + 2 * s[0] - s[1] + 0.25),
    "bqm, binary": ("j.json", bqm("BINARY"), "", lambda s, x: 0.5 * x[0] * x[1] + 2 * x[0] - x[1] + 0.25),
}


@pytest.mark.parametrize("name", ENERGIES)
def test_energies_have_the_signs_that_the_format_says(name, folder):
    """log Z and ⟨H⟩ against the function of the format, added up over all states."""
    path, text, more, function = ENERGIES[name]
    Path(path).write_text(text, encoding="utf-8")
    found = call(f"exact --system file --couplings-file {path} {more} --beta 0.7 --json")
    states = all_states(found.json["n_spins"]).astype(float)
    values = np.array([function(s, (1 + s) / 2) for s in states])
    weights = np.exp(-0.7 * values)
    assert found.json["log_z"]["exact"] == pytest.approx(math.log(weights.sum()), abs=1e-12)
    mean = weights @ values / weights.sum() / states.shape[1]
    assert found.json["observables"]["energy_per_spin"]["exact"] == pytest.approx(mean, abs=1e-12)


def test_a_matrix_of_scipy_holds_couplings(folder):
    scipy.sparse.save_npz("j.npz", scipy.sparse.csr_matrix(np.array([[0, 1.5, 0], [1.5, 0, -1], [0, -1, 0]])))
    energy, states = build_energy(SystemConfig(system="file", couplings_file="j.npz")), all_states(3)
    np.testing.assert_allclose(energy(states), -1.5 * states[:, 0] * states[:, 1] + states[:, 1] * states[:, 2])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--system file", "give --couplings-file"),
        ("--system file --couplings-file none.txt", "there is no file none.txt"),
        ("--system file --couplings-file .", "there is no file ."),
        ("--couplings-file j.txt", "couplings_file is 'j.txt' and system 'lattice': give --system file too"),
        ("--system sk --n-spins 12 --couplings-file j.txt", "system 'sk': give --system file too"),
        ("--format edges", "format is 'edges' and system 'lattice': give --system file too"),
        (f"{SYSTEM} --lattice 4x4", "lattice is '4x4' and system 'file': the file says all but beta"),
        (f"{SYSTEM} --boundary open", "boundary is 'open'"),
        (f"{SYSTEM} --coupling 2", "coupling is '2'"),
        (f"{SYSTEM} --field 0.1", "field is 0.1"),
        (f"{SYSTEM} --n-spins 12", "n_spins is 12"),
        (f"{SYSTEM} --disorder-seed 2", "disorder_seed is 2"),
        (f"{SYSTEM} --format xml", "format is 'xml'; it must be one of gset, edges"),
        (f"{SYSTEM} --problem tsp", "problem is 'tsp'; it must be one of maxcut"),
        (f"{SYSTEM} --problem maxcut", "j.txt: the file gives couplings and fields, which is no maxcut problem"),
        (f"{SYSTEM} --format gset", "j.txt, line 1"),
        (f"{SYSTEM} --couplings-sha256 0", "j.txt has another content than the settings say"),
    ],
)
@pytest.mark.parametrize("command", [TRAIN, f"baseline heat-bath {CHAIN}", ANNEAL, "run --quiet"])
def test_what_does_not_fit_is_refused_before_any_work(command, options, message, file, monkeypatch):
    if "--betas" in command:
        options = options.replace("--beta 0.5", "")
    monkeypatch.setattr("nmcmc.random.Rng.__init__", lambda *_: pytest.fail("work has begun"))
    refused = call(f"{command} {options} --out out")
    assert (refused.code, message in refused.err) == (2, True), refused.err
    assert not Path("out").exists()


def test_a_single_spin_huge_numbers_and_the_file_as_output_are_refused(file):
    assert "which is read" in call(f"{TRAIN} {SYSTEM} --out j.txt --overwrite").err
    file.write_text("2\n0 1 -1e101\n", encoding="utf-8")
    assert "has a coupling or field not below 1e+100" in call(f"exact {SYSTEM}").err
    file.write_text("1\n0 0.5\n", encoding="utf-8")
    assert "has a single spin; give at least two" in call(f"exact {SYSTEM}").err


def jobs():
    """Return the commands that resume, by name."""
    run = "run --sampler cavity --steps 2 --batch 32 --n-samples 400 --chains 4 --n-evaluate 200 --quiet"
    return {
        "train": f"{TRAIN} {SYSTEM} --out out.safetensors",
        "baseline": f"baseline heat-bath {CHAIN} {SYSTEM} --out out.h5",
        "anneal": f"{ANNEAL} {SYSTEM.replace('--beta 0.5', '')} --out out",
        "run": f"{run} {SYSTEM} --out out",
    }


@pytest.mark.parametrize("name", jobs())
def test_a_changed_file_is_another_job(name, file):
    job = jobs()[name]
    assert call(job).code in (0, 3)
    assert call(f"{job} --resume").code in (0, 3)
    file.write_text(file.read_text(encoding="utf-8").replace("11 0.1", "11 0.2"), encoding="utf-8")
    refused = call(f"{job} --resume")
    assert refused.code == 2
    assert "settings or couplings" in refused.err or "couplings_sha256" in refused.err


def test_an_interrupted_training_does_not_go_on_with_another_file(file, monkeypatch):
    job = f"{TRAIN} {SYSTEM} --out out.safetensors"
    with monkeypatch.context() as patch:
        patch.setattr("nmcmc.experiment.commands.save_sampler", lambda *_: (_ for _ in ()).throw(OSError("full")))
        assert call(job).code == 2
    file.write_text(file.read_text(encoding="utf-8").replace("11 0.1", "11 0.2"), encoding="utf-8")
    assert "belongs to a run with other settings or couplings" in call(f"{job} --resume").err
    file.write_text(file.read_text(encoding="utf-8").replace("11 0.2", "11 0.1"), encoding="utf-8")
    assert call(f"{job} --resume").code in (0, 3)


def test_a_kept_run_is_not_repeated_with_another_file(file):
    assert call(jobs()["run"]).code in (0, 3)
    kept = build(RunConfig, read_toml(Path("out/config.toml")))
    assert "12 spins of j.txt at β = 0.5" in Path("out/report.html").read_text(encoding="utf-8")
    assert differences(kept, build(RunConfig, read_toml(Path("out/config.toml")))) == []
    file.write_text(file.read_text(encoding="utf-8") + "# a comment\n", encoding="utf-8")
    for again in ("run out/config.toml --out again", "run --resume --out out"):
        assert "j.txt has another content than the settings say" in call(again).err


def test_models_and_chains_do_without_the_file(file):
    for line in (f"{TRAIN} {SYSTEM} --out m.safetensors", f"baseline heat-bath {CHAIN} {SYSTEM} --out b.h5"):
        assert call(line).code in (0, 3)
    expected = call(f"exact {SYSTEM} --json").json["log_z"]["exact"]
    file.unlink()
    assert call(f"sample m.safetensors {CHAIN} --out c.h5 --json").json["log_z"]["exact"] == expected
    assert call("evaluate m.safetensors --json").json["log_z"]["exact"] == expected
    for name in ("b.h5", "c.h5"):
        assert call(f"analyze {name} --json").json["n_spins"] == 12
    assert call("compare b.h5 c.h5").code in (0, 3)
    for line in (f"evaluate m.safetensors {SYSTEM}", f"evaluate ising2d-16-critical {SYSTEM}"):
        assert "holds its couplings: it cannot be compared with couplings_file; leave it out" in call(line).err


def test_the_kept_command_names_the_file_and_its_content_but_no_folder(file, monkeypatch):
    system = SYSTEM.replace("j.txt", str(file))
    assert call(f"{TRAIN} {system} --out a.safetensors").code in (0, 3)
    first, target, notes = load_sampler("a.safetensors")
    command = notes["command"].removeprefix("nmcmc ")
    assert "--couplings-file=j.txt" in command
    assert str(file.parent) not in command
    assert call(f"{command} --quiet --out b.safetensors").code in (0, 3)
    second = load_sampler("b.safetensors")[0]
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    file.write_text(file.read_text(encoding="utf-8") + "0 1 0.5\n", encoding="utf-8")
    assert "j.txt has another content" in call(f"{command} --out c.safetensors").err
    assert target.n_spins == 12


def test_settings_keep_the_content_that_they_were_made_with(file):
    system = SystemConfig(system="file", couplings_file="j.txt", beta=0.5)
    toml = file.parent / "kept.toml"
    toml.write_text(to_toml(system), encoding="utf-8")
    file.write_text("2\n0 1 0.5\n", encoding="utf-8")
    assert build(SystemConfig, read_toml(toml)) == replace(system, beta=0.5) == system
    assert system != SystemConfig(system="file", couplings_file="j.txt", beta=0.5)
    with pytest.raises(ValueError, match="has another content than the settings say"):
        build_target(system)


def test_toml_names_a_file(file):
    Path("run.toml").write_text('[system]\nsystem = "file"\ncouplings_file = "j.txt"\nbeta = 0.5\n', encoding="utf-8")
    system = build(RunConfig, read_toml(Path("run.toml"))).system
    assert known_exactly(build_target(system))["log_z"] == call(f"exact {SYSTEM} --json").json["log_z"]["exact"]
