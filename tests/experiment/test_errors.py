"""`nmcmc analyze --errors`: stored chains of known autocorrelations, clear refusals, the same numbers as in Python."""

import math

import numpy as np
import pytest
from command_line import call
from series import ar1, tau_of

from nmcmc.analysis.autocorrelation import estimate_mean
from nmcmc.analysis.windows import AutomaticWindow
from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.experiment.build import build_model
from nmcmc.storage.files import write
from nmcmc.storage.record import Record
from nmcmc.types import Chain

TARGET = Boltzmann(LatticeEnergy(Lattice((4, 4))), 0.4)
RULES = ("gamma", "tail", "sokal", "binning", "jackknife")
TAU = {"energy": 0.9, "magnetization": 0.5, "mine": 0.0}
"""Recorded series are AR(1) of these a, and τ_int = (1 + a)/(2(1 − a))."""


def chain_of(n_draws=20_000, **stats):
    """Return a chain whose series are AR(1), the energy of total variance N²."""
    scale = {"energy": TARGET.n_spins}
    series = {name: scale.get(name, 1) * ar1(a, 4, n_draws, seed=k) for k, (name, a) in enumerate(TAU.items())}
    return Chain(series, {name: np.broadcast_to(values, (4, n_draws)) for name, values in stats.items()})


def stored(path, chain, group="", **others):
    records = {group: chain, **others}
    model = build_model(TARGET)
    write(path, {name: Record(each, model, 1, "", seconds_per_update=0.5) for name, each in records.items()})
    return path


def test_every_rule_finds_the_known_tau_of_a_stored_chain(folder):
    stored(folder / "c.h5", chain_of(cluster_size=4.0))
    result = call("analyze c.h5 --errors --json")
    found, rules = result.json["errors"], result.json["error_rules"]
    assert rules["sweeps_per_update"] == 0.25
    assert (rules["s"], rules["tau_exp_from"]) == (1.5, "largest tau_int")
    slowest = max(row["gamma"]["tau_int"] for row in found.values())
    assert rules["tau_exp"] == slowest
    for name, a in (("energy_per_spin", 0.9), ("magnetization", 0.5), ("mine", 0.0)):
        assert set(found[name]) == {*RULES, "burn_in", "split_rhat"}
        for rule in RULES:
            row = found[name][rule]
            assert row["reliable"], (name, rule, row["why"])
            assert abs(row["tau_int"] - tau_of(a)) < 5 * row["tau_int_error"], (name, rule)
            assert abs(row["error"] - math.sqrt(2 * tau_of(a) / 80_000)) < 5 * row["error_error"], (name, rule)
            assert row["tau_sweeps"] == pytest.approx(0.25 * row["tau_int"])
            assert row["tau_seconds"] == pytest.approx(0.5 * row["tau_int"])
            assert row["tau_seconds_error"] == pytest.approx(0.5 * row["tau_int_error"])
            assert row["window"] > 0
        assert (found[name]["burn_in"]["value"], found[name]["burn_in"]["reliable"]) == (0, True)
        assert found[name]["split_rhat"]["value"] == pytest.approx(1, abs=0.01)
    assert found["energy_per_spin"]["gamma"]["error"] == result.json["observables"]["energy_per_spin"]["error"]


def test_a_chain_run_by_the_program_has_its_seconds_in_the_file(folder):
    made = call("baseline wolff --lattice 4x4 --n-samples 8000 --chains 4 --out c.h5 --json").json
    read = call("analyze c.h5 --errors --json").json
    assert read["tau_seconds"] == made["tau_seconds"]
    row = read["errors"]["energy_per_spin"]["gamma"]
    assert row["tau_seconds"] == pytest.approx(made["tau_seconds"]["energy_per_spin"]["value"])
    assert "  in seconds" in call("analyze c.h5 --errors").out


def test_a_file_without_seconds_leaves_them_out(folder):
    write(folder / "c.h5", {"": Record(chain_of(1000), build_model(TARGET), 1, "")})
    result = call("analyze c.h5 --errors --json").json
    assert result["tau_seconds"] is result["errors"]["mine"]["gamma"]["tau_seconds"] is None
    assert "seconds" not in call("analyze c.h5 --errors").out


def test_s_and_tau_exp_are_those_given(folder):
    chain = chain_of()
    stored(folder / "c.h5", chain)
    found = call("analyze c.h5 --errors --json --s 3 --tau-exp 40").json
    expected = estimate_mean(chain.series["mine"], AutomaticWindow(3.0))
    assert found["errors"]["mine"]["gamma"]["error"] == pytest.approx(expected.error, rel=1e-12)
    assert found["errors"]["mine"]["gamma"]["window"] == expected.window
    assert (found["error_rules"]["tau_exp"], found["error_rules"]["tau_exp_from"]) == (40, "given")


def test_the_tail_of_a_neural_chain_is_that_of_its_largest_weight(folder):
    weights = np.zeros(20_000)
    weights[7] = math.log(1000)  # a state of weight 1000, left once in about a thousand proposals
    stored(folder / "c.h5", chain_of(proposal_log_weight=weights))
    rules = call("analyze c.h5 --errors --json").json["error_rules"]
    assert rules["tau_exp_from"] == "largest weight"
    assert 900 < rules["tau_exp"] < 1000


def test_both_chains_of_a_run_are_checked(folder):
    stored(folder / "run.h5", chain_of(2000), "neural", wolff=chain_of(2000, cluster_size=8.0))
    result = call("analyze run.h5 --errors --json").json
    assert result["error_rules"]["sweeps_per_update"] == 1
    assert result["baseline"]["error_rules"]["sweeps_per_update"] == 0.5
    assert set(result["baseline"]["errors"]) == set(result["errors"])
    text = call("analyze run.h5 --errors").out.splitlines()
    heads = [line.split() for line in text if line.startswith("errors")]
    assert heads == [["errors", *RULES], ["errors,", "wolff", *RULES]]
    assert sum(line.startswith("mine ") for line in text) == 3  # among the observables, and of each chain
    assert not any("nan" in line or "None" in line for line in text)


def test_bad_chains_are_marked_and_end_with_exit_code_3(folder):
    chain = chain_of(400)
    late = {**chain.series, "mine": chain.series["mine"] + 9 * np.exp(-np.arange(400) / 20)}
    stored(folder / "c.h5", Chain(late | {"magnetization": np.full((4, 400), 0.5)}))
    result = call("analyze c.h5 --errors --json")
    assert result.code == 3
    for rule in RULES:
        assert "never moves" in result.json["errors"]["magnetization"][rule]["why"]
    assert not result.json["errors"]["mine"]["burn_in"]["reliable"]
    assert "errors.mine.burn_in: the first" in result.err
    assert "UNRELIABLE: gamma, tail, sokal, binning, jackknife" in call("analyze c.h5 --errors").out


def test_the_correlation_length_of_an_ordered_lattice_gets_a_remark_by_every_rule_and_no_exit_code(folder):
    made = call("baseline swendsen-wang --lattice 8x8 --beta 0.55 --n-samples 8000 --chains 4 --out c.h5")
    assert made.code == 0
    assert "nmcmc: note: observables.correlation_length: longer than the lattice, 8" in made.err
    assert next(line for line in made.out.splitlines() if line.startswith("correlation_length")).endswith("  NOTE")
    result = call("analyze c.h5 --errors --json").json
    assert result["observables"]["correlation_length"]["reliable"]
    assert all("longer than the lattice, 8" in result["errors"]["correlation_length"][rule]["why"] for rule in RULES)
    assert all(result["errors"]["energy_per_spin"][rule]["reliable"] for rule in RULES)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--s 2", "--s is for --errors"),
        ("--tau-exp 2", "--tau-exp is for --errors"),
        ("--errors --s 0", "s is 0.0; the window needs a finite s > 0"),
        ("--errors --tau-exp nan", "tau_exp is nan"),
    ],
)
def test_wrong_use_is_refused_before_anything_is_read(folder, options, message):
    result = call(f"analyze none.h5 {options}")
    assert (result.code, result.out, message in result.err) == (2, "", True)


def test_a_chain_without_energy_is_refused(folder):
    chain = chain_of(100)
    stored(folder / "c.h5", Chain({"mine": chain.series["mine"]}))
    for command in ("analyze c.h5", "analyze c.h5 --errors", "compare c.h5 c.h5"):
        result = call(command)
        assert result.code == 2
    assert "c.h5 has no series of energy and magnetization, only mine" in call("analyze c.h5").err
