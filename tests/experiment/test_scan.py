"""`nmcmc scan`: a table that agrees with what is exactly known, in three files, and says what is unreliable."""

import csv
import json
import re

import pytest
from command_line import call
from perturbed import perturbed

from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.exact.known import exact_values
from nmcmc.experiment.scan import COLUMNS, FILES
from nmcmc.random import Rng
from nmcmc.samplers.family import Family, save_family
from nmcmc.samplers.hierarchical.sampler import HierarchicalSampler
from nmcmc.samplers.store import save_sampler

ENERGY = LatticeEnergy(Lattice((4, 4)))
SCAN = "scan {} --betas 0.3:0.5:0.05 --n-samples 12000"


def knots(energy=ENERGY, scale=0.05):
    samplers = [HierarchicalSampler(energy, beta, leaf=1, width=2, rng=Rng(1)) for beta in (0.3, 0.5)]
    return [perturbed(sampler, scale=scale) for sampler in samplers]


@pytest.fixture(scope="module")
def family(tmp_path_factory):
    path = tmp_path_factory.mktemp("family") / "f"
    save_family(path, Family(knots()))
    return path


def test_rows_agree_with_enumeration(family):
    result = call(f"{SCAN.format(family)} --json")
    assert result.code == 0, result.err
    rows = result.json["scan"]
    assert list(rows) == ["0.3", "0.35", "0.4", "0.45", "0.5"]
    for row in rows.values():
        assert set(row) == {"beta", *COLUMNS}
        exact = exact_values(ENERGY, row["beta"])
        for name in COLUMNS[1:]:
            assert row[name]["exact"] == exact[name]
            assert abs(row[name]["value"] - exact[name]) < 5 * row[name]["error"], (row["beta"], name)
    assert result.json["least_ess_fraction"] == min(row["ess_fraction"]["value"] for row in rows.values())
    assert 0 < result.json["largest_deviation"] < 5
    assert result.json["beta"] is None


def test_draws_at_another_temperature_are_found_out(family, monkeypatch):
    """The twin that must fail: a sampler that says it is for a β 3 % off."""
    at = Family.at
    monkeypatch.setattr(Family, "at", lambda self, beta: at(self, min(1.03 * beta, 0.5)))
    monkeypatch.setattr("nmcmc.experiment.scan.draw_stage", wrong_weights)
    result = call(SCAN.format(family))
    assert result.code == 3
    assert "σ off the exact value" in result.err


def wrong_weights(sampler, target, n, rng, options):
    from nmcmc.experiment.chains import draw_stage

    return draw_stage(sampler, target.at(sampler.beta), n, rng, options)


def test_a_scan_is_the_same_again_and_each_beta_for_itself(family):
    both, one = (call(f"scan {family} --betas {b} --n-samples 200 --json").json["scan"] for b in ("0.35,0.4", "0.4"))
    assert both["0.4"] == one["0.4"]
    other = call(f"scan {family} --betas 0.4 --n-samples 200 --seed 2 --json").json["scan"]
    assert other["0.4"] != one["0.4"]


def test_the_three_files(folder, family):
    result = call(f"{SCAN.format(family)} --out deep/scan --json")
    assert result.code == 0
    assert sorted(path.name for path in (folder / "deep/scan").iterdir()) == sorted(FILES)
    assert json.loads((folder / "deep/scan/scan.json").read_text()) == result.json
    assert (folder / "deep/scan/scan.png").read_bytes().startswith(b"\x89PNG")
    with (folder / "deep/scan/scan.csv").open() as file:
        lines = list(csv.DictReader(file))
    for line, row in zip(lines, result.json["scan"].values(), strict=True):
        assert float(line["beta"]) == row["beta"]
        assert float(line["binder_error"]) == row["binder"]["error"]
        assert float(line["log_z_exact"]) == row["log_z"]["exact"]
        assert line["ess_fraction_exact"] == ""
    refused = call(f"{SCAN.format(family)} --out deep/scan")
    assert (refused.code, refused.out) == (2, "")
    assert "scan.csv already exists" in refused.err
    assert call(f"{SCAN.format(family)} --out deep/scan --overwrite").code == 0


def test_an_unsolved_system_has_no_exact_values(folder):
    energy = LatticeEnergy(Lattice((10, 10)), 1.0, 0.1)
    save_family(folder / "f", Family(knots(energy, 0.0)))
    result = call("scan f --betas 0.3,0.4 --n-samples 200 --out s --json")
    assert result.json["scan"]["0.3"]["energy_per_spin"]["exact"] is None
    assert result.json["largest_deviation"] is None


def test_few_draws_are_unreliable_and_the_text_is_a_table(family):
    result = call(f"scan {family} --n-samples 200")
    assert result.code == 3
    assert re.search(r"scan\.0\.3\.ess_fraction[^:\n]*: only 200 draws", result.err)
    lines = [line.split() for line in result.out.splitlines()]
    head = lines.index(["beta", "ess", "E/N", "c", "S/N", "F/N", "<|m|>", "chi", "U"])
    assert [line[0] for line in lines[head + 1 :]][::15] == ["0.3", "0.4", "0.5"]
    assert lines[-1][-1] == "UNRELIABLE"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("scan {} --betas 0.2:0.4:0.1", "beta is 0.2; this family is for beta from 0.3 to 0.5"),
        ("scan {} --betas 0.4,0.51", "beta is 0.51; this family is for"),
        ("scan {} --betas cold", "betas are 'cold'"),
        ("scan {} --n-samples 5", "n_samples is 5"),
        ("scan {} --out {}", "--out is"),
        ("scan none", "none does not exist, and no family of this name is shipped"),
        (
            "scan ising2d-8-critical",
            "is a model for one beta, and no family of this name is shipped; shipped are ising",
        ),
        ("scan ./none", "none does not exist"),
    ],
)
def test_wrong_use_is_one_line_before_any_work(folder, family, line, message):
    result = call(line.replace("{}", str(family)))
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
    assert message in result.err
    assert list(folder.iterdir()) == []


def test_a_model_is_no_family_and_damage_is_told(folder, family):
    save_sampler(folder / "m", knots()[0])
    assert "'nmcmc-model', not 'nmcmc-family'" in call("scan ./m").err
    (folder / "d").write_bytes(family.read_bytes()[:-1])
    assert call("scan ./d").code == 4


def test_a_family_is_evaluated_and_sampled_at_any_beta(folder, family):
    result = call(f"evaluate {family} --beta 0.37 --n-samples 12000 --json")
    assert result.code == 0, result.err
    assert result.json["beta"] == 0.37
    assert result.json["log_z"]["exact"] == exact_values(ENERGY, 0.37)["log_z"]
    chain = call(f"sample {family} --beta 0.37 --lattice 4x4 --n-samples 16000 --warmup 50 --out c.h5 --json")
    assert chain.code == 0, chain.err
    energy = chain.json["observables"]["energy_per_spin"]
    assert energy["exact"] == exact_values(ENERGY, 0.37)["energy_per_spin"]
    for more, message in (
        ("", "is a family for beta from 0.3 to 0.5; give the --beta"),
        ("--beta 0.6", "beta is 0.6; this family is for"),
        ("--beta 0.4 --lattice 4x5", "is for another lattice"),
    ):
        refused = call(f"evaluate {family} {more}")
        assert (refused.code, refused.err.count("\n"), message in refused.err) == (2, 1, True), refused.err
