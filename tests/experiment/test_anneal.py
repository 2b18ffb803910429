"""`nmcmc anneal`: numbers that agree with enumeration, the run of Python's `train_along`, the same bits when killed."""

import csv
import functools
import json
import shlex
from functools import partial

import numpy as np
import pytest
import torch
from command_line import Killer, call

from nmcmc.config import AnnealConfig, SamplerConfig, SystemConfig
from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.disorder import sherrington_kirkpatrick
from nmcmc.energies.mean_field import CurieWeissEnergy
from nmcmc.exact.known import exact_values
from nmcmc.experiment.anneal import COLUMNS, prepare_anneal
from nmcmc.experiment.chains import draw_stage
from nmcmc.experiment.options import Options
from nmcmc.random import Rng
from nmcmc.samplers.curie_weiss import InfiniteCurieWeissSampler
from nmcmc.samplers.made import MADESampler, start_at_order
from nmcmc.samplers.response import follow_response, start_at_response
from nmcmc.samplers.sk import ReplicaSampler
from nmcmc.samplers.store import at_beta, load_sampler
from nmcmc.training.annealing import brisk, published, train_along
from nmcmc.training.loop import Plan
from nmcmc.training.objectives import reverse_kl

ANNEAL = "anneal --system sk --n-spins 10 --sampler sk-krsb --betas 0.5:1.5:0.5 --steps 20 --batch 50"
LINE = f"{ANNEAL} --n-samples 200 --out f"
ENERGY = sherrington_kirkpatrick(10, 1)
FILES = ["anneal.csv", "anneal.json", *(f"samplers/{beta}.safetensors" for beta in (0.5, 1.0, 1.5))]


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def timeless(summary):
    return {name: value for name, value in summary.items() if name != "seconds"}


def weights(sampler):
    return torch.cat([p.detach().ravel() for p in sampler.parameters()])


@pytest.fixture(scope="module")
def annealed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("annealed") / "f"
    return call(f"{ANNEAL} --n-samples 12000 --json --out {folder}"), folder


def test_every_beta_agrees_with_enumeration(annealed):
    result, _ = annealed
    assert result.code == 0, result.err
    rows = result.json["anneal"]
    assert list(rows) == ["0.5", "1.0", "1.5"]
    for row in rows.values():
        assert set(row) == {"beta", *COLUMNS}
        exact = exact_values(ENERGY, row["beta"])
        for name in ("free_energy_per_spin", "log_z", "energy_per_spin", "entropy_per_spin"):
            assert row[name]["exact"] == exact[name]
            assert abs(row[name]["value"] - exact[name]) < 5 * row[name]["error"], (row["beta"], name)
        bound, kl = row["variational_free_energy_per_spin"], row["kl"]
        assert row["beta"] * 10 * bound["value"] == pytest.approx(kl["value"] - exact["log_z"], abs=1e-10)
        assert row["beta"] * 10 * bound["error"] == pytest.approx(kl["error"])
        assert bound["value"] > exact["free_energy_per_spin"] - 5 * bound["error"]
    assert result.json["least_ess_fraction"] > 0.9
    assert 0 < result.json["largest_deviation"] < 5


def test_draws_at_another_temperature_are_found_out(folder, monkeypatch):
    """The twin that must fail: weights for a β 3 % off."""
    monkeypatch.setattr(
        "nmcmc.experiment.anneal.draw_stage",
        lambda sampler, target, n, rng, options: draw_stage(sampler, target.at(1.03 * target.beta), n, rng, options),
    )
    result = call(f"{ANNEAL} --n-samples 12000 --out f")
    assert result.code == 3
    assert "σ off the exact value" in result.err


def test_the_folder_holds_the_numbers_and_a_sampler_of_every_beta(annealed):
    result, folder = annealed
    assert files(folder) == FILES
    assert json.loads((folder / "anneal.json").read_text()) == result.json
    with (folder / "anneal.csv").open() as file:
        lines = list(csv.DictReader(file))
    for line, row in zip(lines, result.json["anneal"].values(), strict=True):
        assert float(line["beta"]) == row["beta"]
        assert float(line["log_z_error"]) == row["log_z"]["error"]
        assert float(line["variational_free_energy_per_spin"]) == row["variational_free_energy_per_spin"]["value"]
        assert line["variational_free_energy_per_spin_exact"] == ""
        evaluated = call(f"evaluate {folder}/samplers/{row['beta']}.safetensors --n-samples 12000 --json").json
        assert evaluated["beta"] == row["beta"]
        ours, theirs = evaluated["log_z"], row["log_z"]
        assert abs(ours["value"] - theirs["value"]) < 5 * np.hypot(ours["error"], theirs["error"])


def along(start, annealing, at, batch):
    """Return the weights at every β of the run that the command describes, by Python."""
    target, rng = Boltzmann(start.energy, start.beta), Rng(1).child("anneal", "steps")
    return [weights(s) for s in train_along(start, target, partial(reverse_kl, batch=batch), annealing, rng, at)]


def test_it_is_the_run_of_train_along(annealed):
    start = ReplicaSampler(ENERGY, 0.5, levels=1)
    start_at_response(start)
    expected = along(start, brisk((0.5, 1.0, 1.5), steps=20, gentle=True), follow_response, 50)
    for beta, each in zip((0.5, 1.0, 1.5), expected, strict=True):
        assert torch.equal(weights(load_sampler(annealed[1] / f"samplers/{beta}.safetensors")[0]), each)


def test_the_published_schedule_keeps_weights_and_rate(folder):
    assert call(f"{ANNEAL} --schedule published --steps 3 --n-samples 200 --out f").code == 3
    start = ReplicaSampler(ENERGY, 0.5, levels=1)
    start_at_response(start)
    usual, plan = published(), functools.partial(Plan, learning_rate=1e-3, clip=1e9, evaluate_every=0)
    run = type(usual)((0.5, 1.0, 1.5), plan(15, schedule=usual.first.schedule), plan(3, schedule=usual.first.schedule))
    expected = along(start, run, at_beta, 50)
    assert torch.equal(weights(load_sampler(folder / "f/samplers/1.5.safetensors")[0]), expected[-1])


def test_what_is_not_given_is_of_the_schedule():
    system, net = SystemConfig(system="sk", n_spins=100), SamplerConfig("sk-krsb")
    configs = {name: AnnealConfig(schedule=name) for name in ("brisk", "published")}
    jobs = {name: prepare_anneal(system, net, config, Options()) for name, config in configs.items()}
    plan, usual = jobs["brisk"].annealing, published()
    assert (plan.first.steps, plan.others.steps, plan.gentle) == (150, 150, True)
    assert plan.others.learning_rate == pytest.approx(0.01 / 4)
    assert jobs["published"].annealing == usual
    assert plan.betas == usual.betas
    assert [job.objective.keywords["batch"] for job in jobs.values()] == [300, 2000]
    given = prepare_anneal(system, net, AnnealConfig("1,2", "brisk", 7, 0.5), Options()).annealing
    assert (given.betas, given.others.steps, given.others.learning_rate) == ((1.0, 2.0), 7, 0.5)


def test_curie_weiss_nets_start_from_theory_at_every_beta(folder):
    system = SystemConfig(system="curie-weiss", n_spins=12)
    made = prepare_anneal(system, SamplerConfig("made", width=2, depth=2), AnnealConfig("1.0,1.2"), Options()).start
    expected = MADESampler(CurieWeissEnergy(12), 1.0, width=2, depth=2, rng=Rng(3))
    start_at_order(expected)
    assert torch.equal(weights(made), weights(expected))
    job = prepare_anneal(system, SamplerConfig("cw-inf"), AnnealConfig("0.5,1.5"), Options())
    moved, untrained = job.at(job.start, 1.5), InfiniteCurieWeissSampler(CurieWeissEnergy(12), 1.5)
    assert torch.allclose(weights(moved), weights(untrained))
    assert not torch.allclose(weights(moved), weights(job.start))


def test_an_exact_net_is_not_trained(folder):
    result = call("anneal --system curie-weiss --n-spins 12 --sampler cw-n --betas 0.5,1.5 --json --out f")
    assert result.code == 0, result.err
    assert (result.json["steps"], result.json["objective"], result.json["seconds"]) == (0, None, {"train": 0.0})
    for row in result.json["anneal"].values():
        exact = exact_values(CurieWeissEnergy(12), row["beta"])["free_energy_per_spin"]
        assert row["variational_free_energy_per_spin"]["value"] == pytest.approx(exact, abs=1e-12)
        assert row["ess_fraction"]["value"] == pytest.approx(1)


def test_tap_is_fitted_at_every_beta(folder):
    line = "anneal --system sk --n-spins 10 --sampler tap --betas 0.5,2 --n-samples 12000 --json --out f"
    result = call(line)
    assert result.code == 0, result.err
    assert (result.json["steps"], result.json["objective"]) == (0, "forward-kl")
    assert result.json["seconds"]["train"] > 0
    for row in result.json["anneal"].values():
        assert abs(row["log_z"]["value"] - exact_values(ENERGY, row["beta"])["log_z"]) < 5 * row["log_z"]["error"]
        assert row["ess_fraction"]["value"] > 0.97
    before = {name: (folder / "f" / name).read_bytes() for name in files(folder / "f") if not name.endswith("json")}
    call(f"{line} --overwrite")
    assert before == {name: (folder / "f" / name).read_bytes() for name in before}


@pytest.mark.parametrize("more", ["made --width 2", "cavity", "hierarchical --leaf 1 --width 2"])
def test_other_samplers_go_along_too(folder, more):
    lattice = more.startswith("hier")
    system = "--lattice 4x4" if lattice else "--system sk --n-spins 10"
    line = f"anneal {system} --sampler {more} --betas 0.2,0.4 --steps 5 --batch 50 --n-samples 12000 --json --out f"
    result = call(line)
    assert result.code == 0, result.err
    assert result.json["objective"] == ("block-local" if lattice else "reverse-kl")


def test_the_command_in_the_notes_makes_the_same_samplers(folder):
    call(LINE)
    _, target, notes = load_sampler(folder / "f/samplers/1.5.safetensors")
    assert target.beta == 1.5
    words = shlex.split(notes["command"])
    assert words[:2] == ["nmcmc", "anneal"]
    call(f"{' '.join(words[1:])} --out again")
    for name in FILES[2:]:
        assert (folder / "f" / name).read_bytes() == (folder / "again" / name).read_bytes()


@pytest.mark.parametrize("moments", [[1, 21, 22, 30, -5, -4, -3, -2, -1], pytest.param(None, marks=pytest.mark.slow)])
def test_killed_at_any_moment_it_goes_on_with_the_same_bits(tmp_path, monkeypatch, set_threads, moments):
    set_threads(1)
    monkeypatch.setattr("nmcmc.training.annealing.Plan", functools.partial(Plan, checkpoint_seconds=0.0))
    killer, found = Killer(monkeypatch), {}

    def at(name, fatal=None, more=""):
        (tmp_path / name).mkdir(exist_ok=True)
        monkeypatch.chdir(tmp_path / name)
        return killer.run(lambda: found.update({name: call(f"{LINE} --json {more}")}), fatal)

    n_moments = at("whole")
    assert n_moments == 3 * (21 + 1) + 5  # checkpoints and sampler of each β; table, JSON, samplers, leftovers twice
    for moment in range(n_moments) if moments is None else [m % n_moments for m in moments]:
        name = f"killed-{moment}"
        at(name, moment)
        at(name, more="--resume")
        assert timeless(found[name].json) == timeless(found["whole"].json)
        assert found[name].json["seconds"]["train"] > 0
        assert files(tmp_path / name / "f") == FILES
        for path in (name for name in FILES if name != "anneal.json"):
            assert (tmp_path / name / "f" / path).read_bytes() == (tmp_path / "whole/f" / path).read_bytes(), moment


def test_what_is_left_goes_on_with_the_same_settings_only(folder, monkeypatch):
    with monkeypatch.context() as patch:
        Killer(patch).run(lambda: call(LINE), 5)
    refused = call(LINE)
    assert "is left of an interrupted run; give --resume or --overwrite" in refused.err
    before = files(folder)
    for change in ("--seed 2", "--betas 0.5,1", "--steps 19", "--n-samples 300", "--field 0.1"):
        other = call(f"{LINE} {change} --resume")
        assert (other.code, other.err.count("\n")) == (2, 1), other.err
        assert "other settings" in other.err
    assert files(folder) == before
    assert call(f"{LINE} --betas 0.5,0.7 --overwrite").code == 3
    assert files(folder / "f") == [*FILES[:3], "samplers/0.7.safetensors"]


def test_a_finished_run_answers_again_and_is_replaced_only_if_asked(folder):
    first = call(f"{LINE} --resume --json")
    assert call(f"{LINE} --resume --json").json == first.json
    refused = call(f"{LINE} --resume --seed 2")
    assert (refused.code, "is of other settings" in refused.err) == (2, True)
    assert "anneal.json already exists" in call(LINE).err
    assert call(f"{LINE} --betas 0.5,1.0 --overwrite").code == 3
    assert files(folder / "f") == FILES[:-1]
    for name in ("anneal.json", "samplers"):
        (folder / "f" / name).rename(folder / name)
        assert "already exists" in call(LINE).err
    (folder / "f/anneal.json").write_text("{")
    assert call(f"{LINE} --resume").code == 4


@pytest.mark.parametrize("more", ["", "--overwrite"])
@pytest.mark.parametrize("name", ["anneal.json", "anneal.csv", "samplers"])
def test_what_cannot_be_replaced_is_refused_before_any_work(folder, name, more):
    (folder / "f").mkdir()
    if name == "samplers":
        (folder / "f" / name).symlink_to(folder / "elsewhere")
    else:
        (folder / "f" / name).mkdir()
    result = call(f"{LINE} {more}")
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
    assert name in result.err
    assert [path.name for path in (folder / "f").iterdir()] == [name]


@pytest.mark.parametrize(
    "name", ["samplers/notes.txt", "samplers/mine.safetensors", "samplers/inf.safetensors", "samplers"]
)
def test_files_of_others_are_not_swept_away_with_old_samplers(folder, name):
    path = folder / "f" / name
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    result = call(f"{LINE} --overwrite")
    assert (result.code, "other things than samplers" in result.err) == (2, True)
    assert path.read_text() == "mine"


def test_few_draws_are_unreliable_and_the_text_is_a_table(folder):
    result = call(LINE)
    assert result.code == 3
    assert "anneal.0.5.ess_fraction" in result.err
    lines = [line.split() for line in result.out.splitlines()]
    head = lines.index(["beta", "F_q/N", "F/N", "log", "Z", "KL", "ess", "exact", "log", "Z"])
    assert [line[0] for line in lines[head + 1 :]] == ["0.5", "1.0", "1.5"]
    assert float(lines[-1][-2]) == pytest.approx(exact_values(ENERGY, 1.5)["log_z"], rel=1e-9)
    assert lines[-1][-1] == "UNRELIABLE"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("--betas 0:1:0.5", "needs beta > 0"),
        ("--betas 2,1", "list each once, the smallest first"),
        ("--betas cold", "betas are 'cold'"),
        ("--schedule slow", "schedule is 'slow'; it must be one of brisk, published"),
        ("--batch 1", "batch is 1"),
        ("--steps -1", "steps is -1"),
        ("--n-samples 99", "n_samples is 99"),
        ("--sampler hierarchical", "needs a lattice"),
        ("--sampler cw-n", "is for the system 'curie-weiss'"),
        ("--beta 1", "unrecognized arguments: --beta 1"),
        ("--seconds 5", "unrecognized arguments"),
        ("--resume --overwrite", "exclude each other"),
        ("--out /dev/null/f", "cannot write"),
    ],
)
def test_wrong_use_is_one_line_before_any_work(folder, change, message):
    result = call(f"{LINE} {change}")
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
    assert message in result.err
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("more", ["--steps 5", "--learning-rate 0.1", "--batch 9"])
def test_a_fit_takes_no_settings_of_steps(folder, more):
    result = call(f"anneal --system sk --n-spins 6 --sampler tap --betas 0.5,1 {more} --out f")
    assert result.code == 2
    assert "is fitted by Newton's method" in result.err
