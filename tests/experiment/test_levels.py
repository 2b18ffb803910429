"""Training level by level: stages in order, each net on its own, the same bits whatever interrupts the work."""

import functools
import shlex
import signal
import subprocess

import numpy as np
import pytest
import torch
from command_line import PYTHON, call

from nmcmc.config import SamplerConfig, SystemConfig, TrainingConfig
from nmcmc.experiment.levels import (
    FORWARD,
    LEVEL_STEPS,
    REVERSE,
    levels_of,
    train_levels,
)
from nmcmc.experiment.options import Options
from nmcmc.experiment.train import prepare, train_stage
from nmcmc.random import Rng
from nmcmc.samplers.store import load_sampler
from nmcmc.training.loop import Plan

SMALL = "--leaf 1 --width 2 --batch 16 --borders 4 --crosses 2"
LINE = f"train --lattice 4x4 {SMALL} --objective by-level --steps 4 --out out"


@pytest.fixture(autouse=True)
def short(monkeypatch, set_threads):
    set_threads(1)
    monkeypatch.setattr("nmcmc.experiment.commands.TRAIN_EVALUATION", 100)


def job_of(lattice="4x4", leaf=1, width=2, **training):
    settings = TrainingConfig("by-level", **{"steps": 4, "batch": 16, "borders": 4, "crosses": 2} | training)
    return prepare(SystemConfig(lattice), SamplerConfig(leaf=leaf, width=width), settings, Options(quiet=True))


def weights(sampler):
    return {name: tensor.clone() for name, tensor in sampler.state_dict().items()}


def same(a, b):
    return set(a) == set(b) and all(torch.equal(a[name], b[name]) for name in a)


def test_small_blocks_come_first_and_reverse_kl_waits_for_what_is_inside():
    sampler = job_of("8x8").sampler
    levels = levels_of(sampler)
    torus, cylinder, square, strip, least = sampler.keys
    names = [(level.key, level.stage) for level in levels]
    assert names == [(key, stage) for key in (least, strip, square, cylinder, torus) for stage in (FORWARD, REVERSE)]
    assert all(level.after == () for level in levels if level.stage == FORWARD)
    for level, before in zip(levels[1::2], levels[::2], strict=True):
        needed = [f"{key}.{REVERSE}" for key in sampler.keys_inside(level.key)]
        assert [other.name for other in level.after] == [before.name, *needed]
    assert len({level.name for level in levels}) == len(levels)


@pytest.mark.parametrize("lattice", ["13x11", "24x40", "9x64"])
@pytest.mark.parametrize("leaf", [1, 3])
def test_what_a_stage_needs_stands_before_it_and_is_complete(lattice, leaf):
    sampler = job_of(lattice, leaf, 1).sampler
    done = set()
    for level in levels_of(sampler):
        assert {other.name for other in level.after} <= done
        if level.stage == REVERSE:
            assert {other.key for other in level.after} == {level.key, *sampler.keys_inside(level.key)}
        done.add(level.name)
    assert {level.key for level in levels_of(sampler)} == set(sampler.keys)


def test_the_largest_nets_have_two_passes_of_forward_kl_and_no_reverse_kl():
    job = job_of("128x128", leaf=7, width=1)
    stages = {}
    for level in levels_of(job.sampler):
        stages.setdefault(level.key.rsplit("_", 1)[0], []).append((level.stage, level.passes))
    only_forward = [name for name, found in stages.items() if found == [(FORWARD, 2)]]
    assert only_forward == ["block_63x127", "block_127x127", "cylinder_127x128", "torus_128x128"]
    both = [(FORWARD, 1), (REVERSE, 1)]
    assert all(found == both for name, found in stages.items() if name not in only_forward)


def test_frozen_nets_have_no_stages():
    sampler = job_of("8x8").sampler
    sampler.nets[sampler.keys[-1]].freeze()
    levels = levels_of(sampler)
    assert {level.key for level in levels} == set(sampler.keys[:-1])
    assert [other.stage for other in levels[1].after] == [FORWARD]
    sampler.requires_grad_(False)
    assert levels_of(sampler) == []


def test_steps_left_out_are_those_of_the_notes():
    job = job_of(steps=0)
    assert job.training.steps == LEVEL_STEPS
    assert f"--steps={LEVEL_STEPS}" in shlex.split(job.command(job.training.steps))
    assert job.fingerprint == job_of(steps=LEVEL_STEPS).fingerprint


def ess_fraction(sampler, target):
    draw = sampler.sample(4000, Rng(7))
    log_weight = target.log_density(draw.spins) - draw.log_prob
    w = (log_weight - log_weight.max()).exp()
    return float(w.sum() ** 2 / (w**2).sum() / len(w))


def test_a_few_steps_improve_the_sampler_of_a_16_torus(tmp_path):
    job = job_of("16x16", leaf=7, width=4, steps=100, learning_rate=0.01, batch=256, borders=32)
    before = ess_fraction(job.sampler, job.target)
    trained = train_stage(job, tmp_path / "checkpoint")
    after = ess_fraction(job.sampler, job.target)
    assert before < 0.01
    assert after > 0.7
    assert trained.sampler is job.sampler
    assert (trained.steps, trained.seconds > 0, len(trained.training["step"])) == (100, True, 0)
    assert job.sampler.trained_keys == job.sampler.keys


def test_every_net_is_trained_and_the_folder_holds_every_stage(tmp_path):
    job = job_of()
    before = weights(job.sampler)
    train_levels(job, tmp_path / "c", 1)
    for name, tensor in weights(job.sampler).items():
        fixed = name.endswith("bias") or name.endswith("middle")  # no field, no bias; no second layer
        assert torch.equal(tensor, before[name]) == fixed, name
    assert {path.stem for path in (tmp_path / "c").iterdir()} == {level.name for level in levels_of(job.sampler)}


@pytest.mark.slow
def test_two_workers_end_with_the_bits_of_one(tmp_path):
    one, two = job_of(leaf=3), job_of(leaf=3)
    train_levels(one, tmp_path / "one", 1)
    train_levels(two, tmp_path / "two", 2)
    assert same(weights(one.sampler), weights(two.sampler))
    again = job_of(leaf=3)
    train_levels(again, tmp_path / "two", 2)  # finished: nothing is spawned, all is read
    assert same(weights(one.sampler), weights(again.sampler))


def test_progress_adds_up_to_all_steps_also_after_an_interruption(tmp_path, monkeypatch):
    class KilledError(Exception):
        pass

    class Bar:
        def __init__(self, total, title, unit, done):
            self.total, self.n = total, done

        def __enter__(self):
            return self

        def __exit__(self, *error):
            self.last = self.n

        def update(self, done):
            self.n += done
            if self.n == Bar.fatal:
                raise KilledError

    bars = []
    monkeypatch.setattr(Options, "bar", lambda self, *args: bars.append(Bar(*args)) or bars[-1])
    monkeypatch.setattr("nmcmc.experiment.levels.Plan", functools.partial(Plan, checkpoint_seconds=0))
    Bar.fatal = 7
    with pytest.raises(KilledError):
        train_levels(job_of(), tmp_path / "c", 1)
    Bar.fatal = None
    train_levels(job_of(), tmp_path / "c", 1)
    assert [(bar.total, bar.last) for bar in bars] == [(24, 7), (24, 24)]


@pytest.mark.slow
def test_a_parent_killed_among_two_workers_goes_on_and_ends_with_the_same_bits(folder):
    """The streams that are read end with the last worker: when `run` returns, all of them are gone."""
    code = """
import os, signal, sys
from nmcmc.cli import main
from nmcmc.experiment import levels
whole = levels.side_by_side
def deadly(work, pieces, workers, progress):
    seen = []
    def counted(done):
        seen.append(done)
        if len(seen) == 7:
            os.kill(os.getpid(), signal.SIGKILL)
    whole(work, pieces, workers, counted)
levels.side_by_side = deadly
sys.exit(main(sys.argv[1:]))
"""
    words = f"{LINE} --threads 2".split()
    dead = subprocess.run([PYTHON, "-c", code, *words], capture_output=True, cwd=folder)
    assert dead.returncode == -signal.SIGKILL
    assert (folder / "out.checkpoint").is_dir()
    assert call(f"{LINE} --threads 2 --resume").code in (0, 3)
    assert [path.name for path in folder.iterdir()] == ["out"]
    assert call(f"{LINE.removesuffix('out')}whole --threads 1").code in (0, 3)
    assert (folder / "out").read_bytes() == (folder / "whole").read_bytes()


@pytest.fixture
def interrupted(folder, monkeypatch):
    """A job killed after its last stage, before its model was written."""
    with monkeypatch.context() as patch:
        patch.setattr("nmcmc.experiment.commands.save_sampler", lambda *args: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            call(LINE)
    return folder


@pytest.mark.parametrize(
    "change",
    ["--seed 2", "--width 3", "--leaf 3", "--lattice 5x5", "--steps 5", "--batch 17", "--objective block-local"],
)
def test_other_settings_do_not_go_on(interrupted, change):
    before = {path: path.read_bytes() for path in interrupted.rglob("*") if path.is_file()}
    refused = call(f"{LINE} {change} --resume")
    assert (refused.code, refused.out, refused.err.count("\n")) == (2, "", 1)
    assert "belongs to a run with other settings" in refused.err
    assert {path: path.read_bytes() for path in interrupted.rglob("*") if path.is_file()} == before
    assert call(f"{LINE} --resume").code in (0, 3)


def test_temporary_files_of_killed_workers_are_swept(interrupted):
    path = min((interrupted / "out.checkpoint").iterdir())
    left = path.with_name(f".{path.name}.01234567.tmp")
    left.write_bytes(b"half")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nmcmc.experiment.commands.save_sampler", lambda *args: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            call(f"{LINE} --resume")
    assert path.exists()
    assert not left.exists()


def test_the_checkpoint_of_another_objective_does_not_go_on(folder, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("nmcmc.experiment.commands.save_sampler", lambda *args: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            call(LINE.replace("by-level", "block-local"))
    refused = call(f"{LINE} --resume")
    assert (refused.code, "belongs to a run with other settings" in refused.err) == (2, True)


@pytest.mark.parametrize("stage", [FORWARD, REVERSE])
def test_a_damaged_checkpoint_is_not_used(interrupted, stage):
    path = min((interrupted / "out.checkpoint").glob(f"torus*.{stage}.safetensors"))
    path.write_bytes(path.read_bytes()[:-3] + b"abc")
    result = call(f"{LINE} --resume")
    assert (result.code, result.err.count("\n")) == (4, 1)
    assert f"checkpoint out.checkpoint/{path.name} is damaged" in result.err
    assert not (interrupted / "out").exists()


def test_the_command_line_trains_and_its_notes_reproduce_the_model(folder):
    line = f"train --lattice 16x16 {SMALL} --objective by-level --steps 20 --out m --json"
    result = call(line)
    assert result.code in (0, 3)
    assert (result.json["objective"], result.json["steps"], result.json["note"]) == ("by-level", 20, None)
    assert 0 < result.json["ess_fraction"]["value"] <= 1
    sampler, _, notes = load_sampler(folder / "m")
    assert call(" ".join(shlex.split(notes["command"])[1:]), "--out", "again").code in (0, 3)
    again = load_sampler(folder / "again")
    assert same(weights(sampler), weights(again[0]))
    assert again[2] == notes


def test_the_main_job_trains_by_level(folder):
    line = f"run --lattice 8x8 {SMALL} --objective by-level --steps 3 --n-evaluate 100"
    result = call(f"{line} --n-samples 128 --chains 4 --warmup 3 --out r --json")
    assert result.code in (0, 3)
    assert (result.json["objective"], result.json["steps"]) == ("by-level", 3)
    assert {path.name for path in (folder / "r").iterdir()} == {
        "config.toml",
        "model.safetensors",
        "run.h5",
        "summary.json",
        "report.html",
    }
    assert "<html" in (folder / "r" / "report.html").read_text()


def test_growth_leaves_the_nets_taken_over_and_trains_the_others_only(folder, monkeypatch):
    assert call(f"train --lattice 8x8 {SMALL} --steps 2 --out small").code in (0, 3)
    kept, grow = [], f"{SMALL} --objective by-level --steps 2 --grow-from small"
    with monkeypatch.context() as patch:
        patch.setattr("nmcmc.experiment.commands.discard", lambda path: kept.extend(p.name for p in path.iterdir()))
        assert call(f"train --lattice 16x16 {grow} --out m").code in (0, 3)
    source, (sampler, _, notes) = load_sampler(folder / "small")[0], load_sampler(folder / "m")
    taken = set(notes["grown_from"])
    assert taken
    assert taken < set(sampler.keys)
    assert all(same(weights(sampler.nets[key]), weights(source.nets[key])) for key in taken)
    assert {name.split(".")[0] for name in kept} == set(sampler.keys) - taken
    fresh = prepare(
        SystemConfig("16x16"), SamplerConfig(leaf=1, width=2), TrainingConfig("by-level", steps=1), Options()
    ).sampler
    assert not any(same(weights(sampler.nets[key]), weights(fresh.nets[key])) for key in set(sampler.keys) - taken)
    result = call(f"train --lattice 8x8 {grow} --out same --json")
    assert "every net was taken over" in result.json["note"]
    assert result.json["steps"] == 0


def test_nets_learn_the_same_beside_others_as_alone(tmp_path):
    """A stage depends on its own net and on those inside, not on the order of the work."""
    job = job_of("8x8", leaf=3)
    train_levels(job, tmp_path / "all", 1)
    key = job.sampler.keys[-1]
    alone = job_of("8x8", leaf=3)
    for other in alone.sampler.keys[:-1]:
        alone.sampler.nets[other].freeze()
    train_levels(alone, tmp_path / "alone", 1)
    assert same(weights(alone.sampler.nets[key]), weights(job.sampler.nets[key]))
    assert np.all([not p.requires_grad for p in alone.sampler.nets[alone.sampler.keys[0]].parameters()])
