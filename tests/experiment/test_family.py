"""`nmcmc train --betas`: knots that grow from one another, and the same bits after any interruption."""

import functools
import shlex

import pytest
import torch
from command_line import Killer, call

from nmcmc.config import SamplerConfig, SystemConfig, TrainingConfig
from nmcmc.experiment.family import prepare_family
from nmcmc.experiment.options import Options
from nmcmc.samplers.family import load_family
from nmcmc.training.loop import Plan

TRAIN = "train --lattice 4x4 --leaf 1 --width 2 --batch 8 --borders 4 --crosses 2 --steps 4 --betas 0.4,0.44,0.5"
LINE = f"{TRAIN} --out f"


@pytest.fixture(autouse=True)
def small_and_often(monkeypatch, set_threads):
    """Few draws, checkpoints at every step, and one worker: its moments can be counted."""
    set_threads(1)
    monkeypatch.setattr("nmcmc.experiment.family.EVALUATION", 200)
    monkeypatch.setattr("nmcmc.experiment.levels.Plan", functools.partial(Plan, checkpoint_seconds=0.0))


def job(betas=(0.3, 0.42, 0.5, 0.6), beta=0.44, **training):
    system = SystemConfig("4x4", beta=beta)
    return prepare_family(system, SamplerConfig(leaf=1), TrainingConfig(**training), betas, Options())


def test_knots_are_trained_from_the_one_nearest_to_beta_outwards():
    assert list(job().order()) == [(0.42, None), (0.3, 0.42), (0.5, 0.42), (0.6, 0.5)]
    assert list(job(beta=2.0).order()) == [(0.6, None), (0.5, 0.6), (0.42, 0.5), (0.3, 0.42)]


def test_a_family_is_trained_and_its_quality_is_told_at_knots_and_halfway(folder):
    result = call(f"{LINE} --json")
    assert result.code == 3, result.err  # few draws
    family, notes = load_family(folder / "f")
    assert [path.name for path in folder.iterdir()] == ["f"]
    assert list(family.betas) == result.json["betas"] == [0.4, 0.44, 0.5]
    assert [row["beta"] for row in result.json["scan"].values()] == pytest.approx([0.4, 0.42, 0.44, 0.47, 0.5])
    assert result.json["seconds"]["train"] > 0
    assert (notes["objective"], notes["steps"]) == ("by-level", 4)
    states = [knot.state_dict() for knot in family.knots]
    assert not any(torch.equal(states[0][name], states[1][name]) for name in states[0] if name.endswith("skip"))


def test_the_command_in_the_notes_trains_the_same_family(folder):
    call(LINE)
    _, notes = load_family(folder / "f")
    words = shlex.split(notes["command"])
    assert words[:2] == ["nmcmc", "train"]
    call(f"{' '.join(words[1:])} --out again")
    assert (folder / "f").read_bytes() == (folder / "again").read_bytes()


@pytest.mark.parametrize("moments", [[1, 13, -2], pytest.param(None, marks=pytest.mark.slow)])
def test_killed_at_any_moment_it_goes_on_with_the_same_bits(tmp_path, monkeypatch, moments):
    killer = Killer(monkeypatch)

    def at(name, fatal=None, more=""):
        (tmp_path / name).mkdir(exist_ok=True)
        monkeypatch.chdir(tmp_path / name)
        return killer.run(lambda: call(f"{LINE} {more}"), fatal)

    n_moments = at("whole")
    whole = (tmp_path / "whole" / "f").read_bytes()
    for moment in range(n_moments) if moments is None else [m % n_moments for m in moments]:
        name = f"killed-{moment}"
        at(name, moment)
        at(name, more="--resume")
        assert [path.name for path in (tmp_path / name).iterdir()] == ["f"]
        assert (tmp_path / name / "f").read_bytes() == whole, moment


def test_what_is_left_goes_on_with_the_same_settings_only(folder, monkeypatch):
    with monkeypatch.context() as patch:
        Killer(patch).run(lambda: call(LINE), 20)
    refused = call(LINE)
    assert "is left of an interrupted run; give --resume or --overwrite" in refused.err
    other = call(f"{LINE} --resume --seed 2")
    assert (other.code, other.err.count("\n")) == (2, 1)
    assert "other settings" in other.err
    assert call(f"{LINE} --seed 2 --overwrite").code == 3
    assert [path.name for path in folder.iterdir()] == ["f"]


def test_a_finished_family_answers_again(folder):
    first = call(f"{LINE} --json").json
    again = call(f"{LINE} --resume --json").json
    assert (again["scan"], again["seconds"]) == (first["scan"], {"train": None})
    refused = call(f"{LINE} --resume --seed 2")
    assert (refused.code, "was trained with other settings" in refused.err) == (2, True)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (f"{LINE} --sampler made", "a family is made of samplers 'hierarchical', not 'made'"),
        ("train --betas 0.3,0.4 --seconds 5 --out f", "trained in steps, not in seconds"),
        ("train --betas 0.3,0.4 --lattice 4x4 --boundary open --out f", "a family needs nets"),
        ("train --betas 0.3 --out f", "a family needs at least two"),
        ("train --betas 0.6:0.3 --out f", "the first must be smaller"),
        ("train --betas 0.3,0.4 --grow-from m --out f", "--betas and --grow-from exclude each other"),
        ("train --betas 0.3,0.4 --out .", "is a folder"),
        ("train --betas 0.3,0.4 --coupling 1e4 --out f", "choose a smaller leaf, beta or couplings"),
    ],
)
def test_wrong_use_is_one_line_before_any_work(folder, line, message):
    result = call(line)
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
    assert message in result.err
    assert list(folder.iterdir()) == []
