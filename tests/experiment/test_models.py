"""Stored and shipped models on the command line: found, refused for another system, used at another temperature."""

import json

import numpy as np
import pytest
import torch
from command_line import call

from nmcmc.exact.kaufman import torus
from nmcmc.samplers.family import family_names
from nmcmc.samplers.pretrained import card, pretrained_names
from nmcmc.samplers.store import at_beta, load_sampler
from nmcmc.storage.files import read

AVERAGED = "--translations 4"
SHIPPED = "ising2d-8-critical"
FEW = "--n-samples 2000"
CHAIN = "--n-samples 16000 --chains 16 --warmup 50"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model"
    line = (
        "train --lattice 4x5 --boundary periodic,open --coupling 1,0.5 --field 0.1 --leaf 1 --width 2 --steps 5 --out"
    )
    assert call(line, path).code == 0
    return path


def test_the_cards_of_all_shipped_models_are_listed():
    listed = call("models --json")
    assert listed.code == 0
    assert listed.json["models"] == {name: card(name) for name in pretrained_names()}
    text = call("models")
    assert list(listed.json["families"]) == family_names()
    families = 1 + len(family_names()) if family_names() else 0
    assert (text.code, len(text.out.splitlines())) == (0, 1 + len(pretrained_names()) + families)
    for word in (SHIPPED, "8x8", "0.440687", "KiB", "ess_fraction"):
        assert word in text.out


def test_a_shipped_model_is_evaluated_and_sampled_by_its_name(folder):
    evaluated = call(f"evaluate {SHIPPED} {FEW} --json").json
    assert (evaluated["lattice"], evaluated["model"]) == ("8x8", SHIPPED)
    assert evaluated["ess_fraction"]["value"] > 0.9
    assert call(f"sample {SHIPPED} {CHAIN} --out c.h5").code in (0, 3)
    assert read(folder / "c.h5").weights_sha256 == card(SHIPPED)["weights_sha256"]


@pytest.mark.parametrize("line", ["evaluate {}", "sample {} --out c.h5", "train --out m --grow-from {}"])
def test_a_name_that_is_nearly_one_is_answered_with_it(folder, line):
    result = call(line.format("ising2d-8-critcal"))
    assert result.code == 2
    assert f"ising2d-8-critcal does not exist, and no model of this name is shipped; did you mean '{SHIPPED}'" in (
        result.err
    )
    assert list(folder.iterdir()) == []


def test_a_file_of_that_name_wins_a_folder_does_not(folder, model):
    (folder / SHIPPED).mkdir()
    assert call(f"evaluate {SHIPPED} {FEW} --json").json["lattice"] == "8x8"
    (folder / SHIPPED).rmdir()
    (folder / SHIPPED).write_bytes(model.read_bytes())
    assert call(f"evaluate {SHIPPED} {FEW} --json").json["lattice"] == "4x5"


def test_a_folder_and_a_family_are_no_models(folder):
    (folder / "results").mkdir()
    assert "results is a folder, and no model of this name is shipped" in call("evaluate results").err
    grown = call("train --lattice 32x32 --grow-from ising2d-32-scan --out m")
    assert (grown.code, "ising2d-32-scan is a family for a range of beta" in grown.err) == (2, True)


def test_a_lattice_of_other_dimensions_is_another_lattice(folder):
    result = call(f"sample {SHIPPED} --lattice 64 {CHAIN} --out c.h5")
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert f"{SHIPPED} is for another lattice than 64; it is for 8x8" in result.err


@pytest.mark.parametrize("command", ["evaluate {} " + FEW, f"sample {{}} {CHAIN} --out c.h5"])
@pytest.mark.parametrize(
    ("name", "value"),
    [("lattice", "5x4"), ("boundary", "periodic"), ("coupling", "1"), ("field", "0"), ("beta", "0.3")],
)
def test_another_system_is_refused_whatever_is_allowed_of_beta(folder, model, command, name, value):
    line = command.format(model) + f" --{name} {value}"
    refused = call(line)
    assert (refused.code, f"is for another {name} than" in refused.err) == (2, True)
    assert ("give --allow-beta-mismatch" in refused.err) == (name == "beta")
    allowed = call(f"{line} --allow-beta-mismatch")
    assert (allowed.code == 2) == (name != "beta")


def test_at_another_beta_the_nets_are_the_same_and_the_leaves_exact(model):
    sampler, target, _ = load_sampler(model)
    other = at_beta(sampler, 0.3)
    assert (other.beta, sampler.beta) == (0.3, target.beta)
    assert all(torch.equal(p, q) for p, q in zip(sampler.parameters(), other.parameters(), strict=True))
    assert all(np.allclose(a.fields * target.beta, b.fields * 0.3) for a, b in _pairs(other, sampler))


def _pairs(a, b):
    return zip(a.whole.leaves, b.whole.leaves, strict=True)


@pytest.mark.parametrize("beta", [0.42, 0.46])
def test_weights_at_another_beta_are_exact_at_that_beta(beta):
    found = call(f"evaluate {SHIPPED} --n-samples 20000 --beta {beta} --allow-beta-mismatch --json").json
    own = torus((8, 8), beta).log_z
    wrong = torus((8, 8), 1.03 * beta).log_z
    log_z = found["log_z"]
    assert found["beta"] == beta
    assert log_z["exact"] == pytest.approx(own)
    assert abs(log_z["value"] - own) < 5 * log_z["error"]
    assert abs(log_z["value"] - wrong) > 5 * log_z["error"]


def test_a_chain_at_another_beta_is_a_chain_of_that_beta(folder):
    line = f"sample {SHIPPED} --n-samples 32000 --beta 0.42 --allow-beta-mismatch --out c.h5 --json"
    energy = call(line).json["observables"]["energy_per_spin"]
    assert abs(energy["value"] - energy["exact"]) < 5 * energy["error"]
    wrong = torus((8, 8), 0.4326).energy_per_spin
    assert abs(energy["value"] - wrong) > 5 * energy["error"]
    assert read(folder / "c.h5").model.beta == 0.42


def test_made_may_be_asked_at_another_beta(folder):
    assert call("train --lattice 4x4 --sampler made --steps 5 --out m").code == 0
    found = call("evaluate m --beta 0.4 --allow-beta-mismatch --json")
    assert found.json["beta"] == 0.4
    assert abs(found.json["log_z"]["value"] - found.json["log_z"]["exact"]) < 5 * found.json["log_z"]["error"]


def test_the_cards_are_also_written(folder):
    listed = call("models --json --out cards.json")
    assert json.loads((folder / "cards.json").read_text()) == listed.json


def test_a_model_is_averaged_over_translations(folder):
    """Draws and chains are other ones, and closer to the target; the file of a chain is not one of another average."""
    plain, averaged = (call(f"evaluate ising2d-64-0.44 --n-samples 2000 {more} --json").json for more in ("", AVERAGED))
    assert (plain["translations"], averaged["translations"]) == (1, 4)
    assert averaged["kl"]["value"] < 0.7 * plain["kl"]["value"]
    assert abs(averaged["log_z"]["value"] - averaged["log_z"]["exact"]) < 5 * averaged["log_z"]["error"]
    chain = f"sample {SHIPPED} {CHAIN} --out c.h5"
    assert call(f"{chain} --translations 2").code in (0, 3)
    assert "holds a chain with other settings" in call(f"{chain} --resume").err
    assert call(f"{chain} --translations 2 --resume").code in (0, 3)


@pytest.mark.parametrize(("k", "message"), [("0", "0 translations are asked for"), ("5", "choose from 1 to 4")])
def test_there_are_only_so_many_translations(folder, k, message):
    result = call(f"sample {SHIPPED} {CHAIN} --translations {k} --out c.h5")
    assert (result.code, message in result.err, list(folder.iterdir())) == (2, True, [])
