"""Killed at any moment, a job goes on and ends as if nothing had happened; nothing of it is left behind.

The moments are those at which a file takes its name or is deleted: between two of them the disk does not change.
"""

import functools
import json
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest
from command_line import PYTHON, Killer, call, suicide

from nmcmc.storage.files import groups, read
from nmcmc.training.loop import Plan

CHAIN = "--n-samples 128 --chains 4 --warmup 3 --thin 2"
TRAIN = "train --lattice 4x4 --leaf 1 --width 2 --batch 16 --borders 4 --crosses 2 --steps 3 --out out"
RUN = f"run --lattice 4x4 --leaf 1 --width 2 --borders 4 --crosses 2 --steps 3 --n-evaluate 100 {CHAIN} --out out"

LINES = {"train": TRAIN, "baseline": f"baseline wolff --lattice 4x4 {CHAIN} --out out", "run": RUN}


@pytest.fixture(autouse=True)
def frequent_checkpoints(monkeypatch, set_threads):
    set_threads(1)
    monkeypatch.setattr("nmcmc.experiment.commands.TRAIN_EVALUATION", 100)
    monkeypatch.setattr("nmcmc.experiment.chains.N_SEGMENTS", 3)
    plan = functools.partial(Plan, checkpoint_seconds=0.0, evaluate_every=1, n_evaluate=20)
    monkeypatch.setattr("nmcmc.experiment.train.Plan", plan)


@pytest.fixture
def no_figures(monkeypatch):
    monkeypatch.setattr("nmcmc.experiment.main_job.figures", lambda *args: {})


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model"
    assert call(f"{TRAIN[:-4]} {path}").code == 0
    return path


def same_record(a, b):
    """Whether two records hold the same draws, states and settings; seconds of training may differ."""
    columns = [(a.chain.series, b.chain.series), (a.chain.stats, b.chain.stats), (a.snapshot.state, b.snapshot.state)]
    for first, second in [(a.training, b.training), (a.draws, b.draws)]:
        assert (first is None) == (second is None)
        columns += [] if first is None else [(first, second)]
    for first, second in columns:
        assert set(first) == set(second)
        assert all(np.array_equal(first[name], second[name]) for name in first if name != "seconds")
    assert (a.snapshot.rng, a.seed, a.config_toml) == (b.snapshot.rng, b.seed, b.config_toml)
    assert a.weights_sha256 == b.weights_sha256
    assert np.array_equal(a.chain.spins, b.chain.spins)


def same_file(a, b):
    if a.suffix == ".h5":
        assert groups(a) == groups(b)
        for group in groups(a):
            same_record(read(a, group), read(b, group))
    elif a.name == "summary.json":
        assert timeless(json.loads(a.read_text())) == timeless(json.loads(b.read_text()))
    elif a.name != "report.html":
        assert a.read_bytes() == b.read_bytes()


def timeless(summary):
    return {
        name: value
        for name, value in summary.items()
        if name not in ("seconds", "tau_seconds", "out", "report", "model")
    }


def outputs(folder):
    return sorted(path.relative_to(folder) for path in folder.rglob("*"))


def check_kills(line, tmp_path, monkeypatch, moments=None):
    """Kill a job before each of its moments (or some), resume it, and compare with an uninterrupted one."""
    killer = Killer(monkeypatch)

    def at(name, job):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        monkeypatch.chdir(folder)
        return job()

    results = {}
    n_moments = at("whole", lambda: killer.run(lambda: results.update(whole=call(f"{line} --json"))))
    assert results["whole"].code in (0, 3)
    for moment in range(n_moments) if moments is None else [m % n_moments for m in moments]:
        name = f"killed-{moment}"
        at(name, lambda moment=moment: killer.run(lambda: call(line), moment))
        resumed = at(name, lambda: call(f"{line} --resume --json"))
        assert resumed.code == results["whole"].code, (moment, resumed.err)
        assert timeless(resumed.json) == timeless(results["whole"].json)
        assert outputs(tmp_path / name) == outputs(tmp_path / "whole")
        for path in outputs(tmp_path / "whole"):
            if (tmp_path / name / path).is_file():
                same_file(tmp_path / name / path, tmp_path / "whole" / path)
    return n_moments


@pytest.mark.parametrize("objective", ["block-local", "forward-kl"])
def test_training(tmp_path, monkeypatch, objective):
    monkeypatch.setattr("nmcmc.experiment.configurations.EVERY", 2)
    assert (
        check_kills(f"{TRAIN} --objective {objective}", tmp_path, monkeypatch) == 6
    )  # checkpoints of 0 … 3 steps, model, checkpoint discarded


def test_staggered_training(tmp_path, monkeypatch):
    monkeypatch.setattr("nmcmc.experiment.train.SMALL_SPINS", 15)
    check_kills(f"{TRAIN} --objective block-local --steps 8", tmp_path, monkeypatch, [2, 3, -1])


def test_training_by_level(tmp_path, monkeypatch):
    """Three nets: checkpoints of 0 … 3 steps of forward and of reverse KL; model, checkpoints discarded."""
    monkeypatch.setattr("nmcmc.experiment.levels.Plan", functools.partial(Plan, checkpoint_seconds=0.0))
    assert check_kills(f"{TRAIN} --objective by-level", tmp_path, monkeypatch) == 3 * (4 + 4) + 3


def test_training_of_made(tmp_path, monkeypatch):
    check_kills(f"{TRAIN} --sampler made", tmp_path, monkeypatch, [2, -1])


@pytest.mark.parametrize("name", ["wolff", pytest.param("heat-bath", marks=pytest.mark.slow)])
def test_baseline(tmp_path, monkeypatch, name):
    line = f"baseline {name} --lattice 4x4 {CHAIN} --out out.h5"
    assert check_kills(line, tmp_path, monkeypatch) == 6  # three segments, file, segments renamed and deleted


def test_neural_chain(tmp_path, monkeypatch, model):
    assert check_kills(f"sample {model} {CHAIN} --out out.h5", tmp_path, monkeypatch, [1, 2]) == 6


def test_main_job(tmp_path, monkeypatch, no_figures):
    check_kills(RUN, tmp_path, monkeypatch, [3, 9, -3])


@pytest.mark.slow
@pytest.mark.parametrize("change", ["--seed 3", "--field 0.1", "--sampler made"])
def test_main_job_at_every_moment(tmp_path, monkeypatch, no_figures, change):
    assert check_kills(f"{RUN} {change}", tmp_path, monkeypatch) == 18


@pytest.mark.parametrize(
    ("line", "fatal"),
    [
        (TRAIN, 1),
        pytest.param(f"{TRAIN} --objective by-level --threads 1", 5, marks=pytest.mark.slow),
        pytest.param(LINES["baseline"], 2, marks=pytest.mark.slow),
        pytest.param(RUN, 7, marks=pytest.mark.slow),
    ],
    ids=["train", "by-level", "baseline", "run"],
)
def test_a_killed_process_leaves_nothing_that_stays(tmp_path, monkeypatch, line, fatal):
    """SIGKILL runs no handler: temporary files stay until the job goes on."""
    monkeypatch.chdir(tmp_path)
    dead = subprocess.run([PYTHON, "-c", suicide(fatal), *line.split()], capture_output=True)
    assert dead.returncode == -signal.SIGKILL
    assert list(tmp_path.rglob(".*.tmp"))
    refused = call(line)
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "is left of an interrupted run; give --resume or --overwrite" in refused.err
    assert call(f"{line} --resume").code in (0, 3)
    assert not list(tmp_path.rglob(".*.tmp"))
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def interrupted(line, tmp_path, monkeypatch, moment):
    monkeypatch.chdir(tmp_path)
    with monkeypatch.context() as patch:
        Killer(patch).run(lambda: call(line), moment)
    assert list(tmp_path.iterdir())


@pytest.mark.parametrize("line", LINES.values(), ids=LINES)
def test_overwrite_discards_what_is_left(tmp_path, monkeypatch, no_figures, line):
    interrupted(line, tmp_path, monkeypatch, 3)
    assert call(f"{line} --seed 2 --overwrite").code in (0, 3)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert not list(tmp_path.rglob("*unfinished*"))


@pytest.mark.parametrize(
    ("line", "change", "message"),
    [
        (TRAIN, "--seed 2", "belongs to a run with other settings"),
        (TRAIN, "--width 3", "belongs to a run with other settings"),
        (TRAIN, "--objective forward-kl", "belongs to a run with other settings"),
        (LINES["baseline"], "--beta 0.3", "another model, seed or configuration"),
        (LINES["baseline"], "--warmup 4", "another model, seed or configuration"),
        (RUN, "--seed 2", "has other settings (given, there): seed: 2, 1"),
        (RUN, "--warmup 4 --beta 0.3", "warmup: 4, 3; "),
    ],
)
def test_other_settings_do_not_go_on(tmp_path, monkeypatch, no_figures, line, change, message):
    interrupted(line, tmp_path, monkeypatch, 2)
    before = outputs(tmp_path)
    refused = call(f"{line} {change} --resume")
    assert (refused.code, refused.out, refused.err.count("\n")) == (2, "", 1)
    assert message in refused.err.replace("beta: 0.3, 0.44068679350977147; warmup: 4, 3", "warmup: 4, 3; ")
    assert outputs(tmp_path) == before
    assert call(f"{line} --resume").code in (0, 3)


@pytest.mark.parametrize("line", LINES.values(), ids=LINES)
def test_a_finished_job_answers_again_and_other_settings_are_refused(tmp_path, monkeypatch, no_figures, line):
    monkeypatch.chdir(tmp_path)
    first = call(f"{line} --resume --json")  # nothing to resume: simply starts
    contents = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    again = call(f"{line} --resume --json")
    assert (again.code, timeless(again.json)) == (first.code, timeless(first.json))
    refused = call(f"{line} --resume --seed 2")
    assert refused.code == 2
    assert "other settings" in refused.err
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == contents


def test_a_run_needs_no_settings_to_go_on(tmp_path, monkeypatch, no_figures):
    interrupted(RUN, tmp_path, monkeypatch, 7)
    resumed = call("run --out out --resume --json")
    assert resumed.json["n_samples"] == 128
    assert resumed.json["lattice"] == "4x4"


def test_an_interrupted_replacement_is_not_taken_for_the_old_run(tmp_path, monkeypatch, no_figures):
    """Until the new run is complete the old files stay, but the new run is the one that goes on."""
    monkeypatch.chdir(tmp_path)
    old = call(f"{RUN} --json")
    interrupted(f"{RUN} --seed 2 --overwrite", tmp_path, monkeypatch, 9)
    resumed = call("run --out out --resume --json")
    assert (old.json["seed"], resumed.json["seed"]) == (1, 2)
    assert json.loads(Path("out/summary.json").read_text())["seed"] == 2


def test_timed_training_goes_on_with_the_number_of_steps_once_found(tmp_path, monkeypatch):
    line = TRAIN.replace("--steps 3", "--seconds 0.01")
    found = iter([3, 99])
    monkeypatch.setattr("nmcmc.experiment.train.steps_within", lambda *args: next(found))
    interrupted(line, tmp_path, monkeypatch, 2)
    assert call(f"{line} --resume --json").json["steps"] == 3


def test_a_damaged_checkpoint_or_segment_is_not_used(tmp_path, monkeypatch):
    for line, name in ((TRAIN, "out.checkpoint"), (LINES["baseline"], "out.segments")):
        folder = tmp_path / name
        folder.mkdir()
        interrupted(line, folder, monkeypatch, 2)
        path = folder / name
        path = max(path.glob("segment*")) if path.is_dir() else path
        path.write_bytes(path.read_bytes()[:-50])
        result = call(f"{line} --resume")
        assert (result.code, result.err.count("\n")) == (4, 1)
        assert not (folder / "out").exists()
