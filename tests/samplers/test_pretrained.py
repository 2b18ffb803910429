"""The shipped models: each is what its card says, and a change of one layer would be noticed."""

import json

import numpy as np
import pytest
import torch

from nmcmc.experiment.chains import draw_stage
from nmcmc.experiment.options import Options
from nmcmc.experiment.summary import draw_numbers
from nmcmc.random import Rng
from nmcmc.samplers import pretrained
from nmcmc.samplers.pretrained import card, load_pretrained, model_file, pretrained_names, sha256_of
from nmcmc.samplers.store import load_sampler, to_bytes
from nmcmc.types import CorruptFileError

SMALL, N_DRAWS, LIMIT = "ising2d-8-critical", 2000, 5.0
FACTS = {
    "name", "lattice", "boundary", "coupling", "field", "beta", "command", "seed", "seconds", "cores", "n_draws",
    "ess_fraction", "kl", "kl_per_level", "log_z", "tau_int", "parameters", "bytes", "weights_sha256", "versions",
    "machine", "date",
}  # fmt: skip


def spins_of(name):
    return int(np.prod([int(extent) for extent in card(name)["lattice"].split("x")]))


MODELS = [pytest.param(n, marks=[pytest.mark.slow] if spins_of(n) >= 64**2 else []) for n in pretrained_names()]


def deviations(sampler, target, said):
    """How many combined σ fresh draws are off the card, in each number that it gives of its quality."""
    found = draw_numbers(draw_stage(sampler, target, N_DRAWS, Rng(11), Options(quiet=True)), target)
    names = [name for name in ("ess_fraction", "kl", "log_z") if said[name] is not None]
    return {
        name: abs(found[name]["value"] - said[name]["value"]) / np.hypot(found[name]["error"], said[name]["error"])
        for name in names
    }


@pytest.mark.parametrize("name", MODELS)
def test_a_model_is_as_good_as_its_card_says(name):
    found = deviations(*load_pretrained(name), card(name))
    assert max(found.values()) < LIMIT, found


@pytest.mark.parametrize("name", MODELS)
def test_a_model_with_one_perturbed_layer_is_not(name):
    """The twin that must fail."""
    sampler, target = load_pretrained(name)
    layer = max((p for p in sampler.parameters() if p.requires_grad), key=torch.numel)
    with torch.no_grad():
        layer += 0.3 * torch.randn(layer.shape, generator=torch.Generator().manual_seed(1))
    found = deviations(sampler, target, card(name))
    assert max(found.values()) > LIMIT, found


@pytest.mark.parametrize("name", pretrained_names())
def test_a_card_tells_all_and_is_about_this_file(name):
    path, said = model_file(name), card(name)
    sampler, target, notes = load_sampler(path)
    assert set(said) >= FACTS
    assert (said["name"], said["weights_sha256"], said["bytes"]) == (name, sha256_of(path), path.stat().st_size)
    assert (said["lattice"], said["beta"]) == (str(target.energy.lattice), target.beta)
    assert said["parameters"] == sum(p.numel() for p in sampler.parameters())
    assert set(said["kl_per_level"]) == set(sampler.keys)
    if said["ess_fraction"]["value"] > 0.3:  # a chain of a coarser one stands still at times, and its card says so
        assert said["unreliable"] == []
    assert said["command"].startswith(notes["command"])
    assert "/" not in said["command"]


@pytest.mark.parametrize("name", pretrained_names())
def test_a_model_is_stored_again_byte_for_byte(name):
    path = model_file(name)
    sampler, _, notes = load_sampler(path)
    assert to_bytes(sampler, notes) == path.read_bytes()


def test_an_unknown_name_is_answered_with_the_nearest_and_all():
    for ask in (card, load_pretrained, model_file):
        with pytest.raises(ValueError, match=f"did you mean '{SMALL}'") as error:
            ask("ising2d-8-critcal")
        assert all(name in str(error.value) for name in pretrained_names())


def test_a_path_that_exists_wins(folder):
    shipped = model_file(SMALL)
    assert shipped.is_file()
    (folder / SMALL).write_text("mine")
    assert model_file(SMALL).read_text() == "mine"


def test_what_cannot_be_a_name_is_a_path(folder):
    for text in ("none/ising2d", "ising2d.safetensors"):
        assert str(model_file(text)) == text


@pytest.fixture
def copied(folder, monkeypatch):
    """A folder of shipped models that may be changed."""
    for ending in (".safetensors", ".json"):
        (folder / f"a-8{ending}").write_bytes((pretrained.FOLDER / f"{SMALL}{ending}").read_bytes())
    monkeypatch.setattr(pretrained, "FOLDER", folder)
    return folder


def test_a_model_that_is_not_the_one_of_its_card_is_refused(copied):
    load_pretrained("a-8")
    changed = card("a-8") | {"weights_sha256": "0" * 64}
    (copied / "a-8.json").write_text(json.dumps(changed))
    for ask in (load_pretrained, model_file):
        with pytest.raises(CorruptFileError, match="its card says 000000000000…; install nmcmc anew"):
            ask("a-8")


def test_names_are_in_numerical_order(copied):
    for name in ("a-128", "a-16", "a-16-0.44"):
        (copied / f"{name}.safetensors").touch()
    assert pretrained_names() == ["a-8", "a-16", "a-16-0.44", "a-128"]
