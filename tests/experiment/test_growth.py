"""`nmcmc train --grow-from`: nets of trained models in a new one, also after an interruption, and said in its notes."""

import hashlib
import shlex

import pytest
import torch
from command_line import call

from nmcmc.samplers.store import load_sampler

NET = "--leaf 1 --borders 4 --crosses 2"
TRAIN = f"train --lattice 16x16 {NET} --width 2 --steps 3"


@pytest.fixture(autouse=True)
def short_evaluation(monkeypatch, set_threads):
    set_threads(1)
    monkeypatch.setattr("nmcmc.experiment.commands.TRAIN_EVALUATION", 100)


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """A model of two hidden layers on 8×8, a narrow one on 8×16, and one at another beta."""
    folder = tmp_path_factory.mktemp("sources")
    small = f"train {NET} --steps 2 --out"
    assert call(f"{small} {folder / 'square'} --lattice 8x8 --width 3 --depth 2").code in (0, 3)
    assert call(f"{small} {folder / 'oblong'} --lattice 8x16 --width 1").code in (0, 3)
    assert call(f"{small} {folder / 'cold'} --lattice 8x8 --width 3 --beta 0.5").code in (0, 3)
    return folder


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def net(sampler, key):
    return sampler.nets[key].state_dict()


def same(a, b):
    return set(a) == set(b) and all(torch.equal(a[name], b[name]) for name in a)


def test_common_nets_are_those_of_the_source_and_the_notes_say_so(folder, sources):
    result = call(f"{TRAIN} --grow-from {sources / 'square'} --out m --json")
    assert result.code in (0, 3)
    sampler, _, notes = load_sampler(folder / "m")
    source, _, _ = load_sampler(sources / "square")
    common = set(sampler.keys) & set(source.keys)
    assert common
    assert notes["grown_from"] == dict.fromkeys(common, digest(sources / "square"))
    assert result.json["grown_from"] == notes["grown_from"]
    assert all(same(net(sampler, key), net(source, key)) for key in common)
    assert sampler.options["width"] == {key: 3 if key in common else 2 for key in sampler.keys}


def test_of_several_models_the_last_one_gives_a_net(folder, sources):
    both = [f"--grow-from={sources / name}" for name in ("square", "oblong")]
    call(f"{TRAIN} --out m", *both)
    sampler, _, notes = load_sampler(folder / "m")
    oblong, _, _ = load_sampler(sources / "oblong")
    assert {key for key in sampler.keys if key in oblong.keys} == {
        key for key, origin in notes["grown_from"].items() if origin == digest(sources / "oblong")
    }
    assert all(same(net(sampler, key), net(oblong, key)) for key in sampler.keys if key in oblong.keys)


def test_nets_of_another_beta_are_a_start_if_that_is_allowed(folder, sources):
    line = f"{TRAIN} --grow-from {sources / 'cold'}"
    refused = call(f"{line} --out m")
    assert refused.code == 2
    assert f"cannot grow from {sources / 'cold'}: the nets are for beta 0.5" in refused.err
    assert list(folder.iterdir()) == []
    assert call(f"{line} --allow-beta-mismatch --out m").code in (0, 3)
    sampler, _, notes = load_sampler(folder / "m")
    cold, _, _ = load_sampler(sources / "cold")
    assert notes["grown_from"]
    assert not any(same(net(sampler, key), net(cold, key)) for key in notes["grown_from"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("--coupling 0.9", "no net can be taken over: the source has torus_8x8_"),
        ("--sampler made", "the new one is 'made'; both must be 'hierarchical'"),
    ],
)
def test_what_has_nothing_to_give_is_refused_before_any_work(folder, sources, change, message):
    result = call(f"{TRAIN} {change} --grow-from {sources / 'square'} --out m")
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert message in result.err
    assert list(folder.iterdir()) == []


def test_a_missing_model_is_named(folder):
    result = call(f"{TRAIN} --grow-from none.safetensors --out m")
    assert (result.code, "none.safetensors does not exist" in result.err) == (2, True)


def test_where_all_nets_are_taken_there_is_nothing_to_train(folder, sources):
    result = call(f"train --lattice 8x8 {NET} --grow-from {sources / 'square'} --out m --json")
    assert "every net was taken over" in result.json["note"]
    sampler, source = load_sampler(folder / "m")[0], load_sampler(sources / "square")[0]
    assert sampler.options == source.options
    assert same(sampler.state_dict(), source.state_dict())


def test_a_killed_training_goes_on_from_the_same_models_only(folder, sources, monkeypatch):
    line = f"{TRAIN} --grow-from {sources / 'square'}"
    assert call(f"{line} --out whole").code in (0, 3)
    with monkeypatch.context() as patch:
        patch.setattr("nmcmc.experiment.commands.save_sampler", lambda *args: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            call(f"{line} --out killed")
    other = call(f"{TRAIN} --grow-from {sources / 'oblong'} --out killed --resume")
    assert (other.code, "run with other settings" in other.err) == (2, True)
    assert call(f"{line} --out killed --resume").code in (0, 3)
    assert (folder / "killed").read_bytes() == (folder / "whole").read_bytes()


@pytest.mark.parametrize("more", ["--seconds 0.01", "--steps 2 --seed 3 --coupling 1,0.5 --field -0.1"])
def test_the_command_in_the_notes_gives_the_same_model(folder, more):
    assert call(f"train --lattice 4x4 {NET} --width 2 {more} --out first").code in (0, 3)
    command = load_sampler(folder / "first")[2]["command"]
    words = shlex.split(command)
    assert words[:2] == ["nmcmc", "train"]
    assert call(" ".join(words[1:]), "--out", "second").code in (0, 3)
    first, second = (load_sampler(folder / name) for name in ("first", "second"))
    assert same(first[0].state_dict(), second[0].state_dict())
    assert second[2]["command"] == command


def test_a_grown_model_tells_the_command_that_grew_it(folder, sources):
    call(f"{TRAIN} --grow-from {sources / 'square'} --out m")
    command = load_sampler(folder / "m")[2]["command"]
    assert "--grow-from=square" in shlex.split(command)
