"""`nmcmc mutual-information` against enumeration and transfer matrices; what is refused."""

import math

import numpy as np
import pytest
from command_line import call

from nmcmc.analysis.quantity import Quantity
from nmcmc.energies.boltzmann import BETA_CRITICAL, Boltzmann
from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.exact.parts import checkerboard, first_half
from nmcmc.experiment.controls import controls_of_halves
from nmcmc.experiment.information import method_for
from nmcmc.experiment.parts import sums_of
from nmcmc.experiment.temperatures import states_at
from nmcmc.random import Rng
from nmcmc.updates.run import random_start


def found_by(line):
    result = call(f"mutual-information {line} --json --quiet --threads 1")
    assert result.code == 0, result.err
    return result.json


@pytest.mark.parametrize(
    ("line", "sources"),
    [
        ("ising2d-8-critical", {"draws", "chain"}),
        ("ising2d-8-critical --beta 0.4 --allow-beta-mismatch --translations 4", {"draws", "chain"}),
        ("--lattice 24x8 --beta 0.44", {"chain"}),
        ("--lattice 6x5 --boundary open,periodic --coupling -1,0.8 --beta 0.5 --n-samples 1600", {"chain"}),
        ("--lattice 6x5 --boundary periodic,open --beta 0.4", {"chain"}),
        ("--lattice 4x4 --field 0.2 --beta 0.4 --n-samples 1600", {"chain"}),
        ("--lattice 4x3 --boundary open --part checkerboard --beta 0.5", {"chain"}),
        ("--system edwards-anderson --lattice 4x4 --disorder-seed 2 --beta 0.7", {"chain"}),
        ("--lattice 16 --boundary open --beta 0.7", {"chain"}),
    ],
)
def test_sums_agree_with_the_exact_values(line, sources):
    found = found_by(line)
    assert (found["method"], set(found["mutual_information"])) == ("sums", sources)
    for entry in found["mutual_information"].values():
        assert abs(entry["value"] - entry["exact"]) < 5 * entry["error"]
        assert 0 < entry["error"] < 0.2 * entry["exact"]


@pytest.mark.parametrize("line", ["ising2d-8-critical", "--lattice 4x4 --part checkerboard --beta 0.4"])
def test_a_bracket_holds_the_exact_value(line, monkeypatch):
    monkeypatch.setattr("nmcmc.experiment.seams.STEPS", 3)  # wider than by default, and quick
    found = found_by(f"{line} --method bracket")["mutual_information"]
    exact = found["chain"]["exact"]
    for name in {entry.split(",")[0] for entry in found}:
        least, most = (found[f"{name}, at {end}"] for end in ("least", "most"))
        assert least["value"] < exact + 5 * least["error"]
        assert most["value"] > exact - 5 * most["error"]
        assert abs(found[name]["value"] - exact) < 5 * found[name]["error"]
        assert most["value"] - least["value"] < 0.4 * exact


@pytest.mark.parametrize("part", ["halves", "checkerboard"])
def test_wide_lattices_are_summed_exactly_by_draws_and_chain_alike(part):
    found = found_by(f"ising2d-32-critical --part {part}")
    draws, chain = (found["mutual_information"][name] for name in ("draws", "chain"))
    assert found["method"] == "sums"
    assert abs(draws["value"] - chain["value"]) < 5 * (draws["error"] ** 2 + chain["error"] ** 2) ** 0.5
    assert draws["error"] < 0.1 * draws["value"]


def test_a_cold_lattice_needs_more_states_and_says_so():
    """Nearly all states have one value of log p(a, b)/(p(a) p(b)); rare ones carry what it scatters by."""
    result = call("mutual-information --lattice 8x8 --beta 0.6 --json --quiet --threads 1")
    assert (result.code, result.json["mutual_information"]["chain"]["reliable"]) == (3, False)
    assert "rarer ones may be missing: give more samples" in result.err
    entry = found_by("--lattice 8x8 --beta 0.6 --n-samples 10000")["mutual_information"]["chain"]
    assert abs(entry["value"] - entry["exact"]) < 5 * entry["error"]
    assert entry["error"] < 0.01 * entry["exact"]
    frozen = call("mutual-information --lattice 8x8 --beta 2 --json --quiet --threads 1")
    assert "only 0 states carry" in frozen.err
    assert frozen.json["mutual_information"]["chain"]["value"] == pytest.approx(math.log(2), abs=1e-6)


def test_log_z_that_is_not_known_comes_from_bridge_or_all_temperatures(monkeypatch):
    monkeypatch.setattr("nmcmc.experiment.parts.known_exactly", lambda target: {})
    for line in ("ising2d-8-critical", "--lattice 8x8 --beta 0.4"):
        entry = found_by(line)["mutual_information"]["chain"]
        assert abs(entry["value"] - entry["exact"]) < 5 * entry["error"]


def test_sums_are_taken_where_they_are_possible():
    torus, plane, cube = Lattice((64, 64)), Lattice((48, 48), "open"), Lattice((8, 8, 8))
    for lattice, halves in ((torus, "sums"), (plane, "bracket"), (cube, "bracket")):
        target = Boltzmann(LatticeEnergy(lattice), 0.4)
        assert method_for(target, first_half(lattice), "") == halves
        assert method_for(target, checkerboard(lattice), "") == "sums"


def test_controls_leave_less_than_a_fifth_of_the_scatter_of_halves():
    target, rng = Boltzmann(LatticeEnergy(Lattice((8, 8))), BETA_CRITICAL), Rng(2)
    terms = sums_of(target, first_half(target.energy.lattice), controls_of_halves(target.energy))
    states = states_at(target, np.zeros(2), 400, rng)
    rows = states.reshape(-1, 64)
    found = terms.along(rows, rng, lambda n: None).reshape(5, *states.shape[:2])
    means = [Quantity(float(control(rows).mean())) for control in terms.controls.values()]
    steady, _ = terms.steadied(found, rows, means)
    before, after = (density - a - b for density, a, b, *_ in (found, steady))
    assert after.std() < 0.2 * before.std()


@pytest.mark.parametrize("extents", [(8,), (2, 2), (4, 6), (5, 3), (2, 3, 4)])
def test_controls_are_observables_of_any_lattice(extents):
    energy = LatticeEnergy(Lattice(extents), field=0.1)
    spins = random_start(7, energy.n_spins, Rng(1))
    for name, control in controls_of_halves(energy).items():
        values = control(spins)
        assert (values.shape, str(values.dtype)) == ((7,), "float64"), name


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--beta 0", "beta is 0, where the mutual information is 0"),
        ("--n-samples 50", "n_samples is 50; give at least 400"),
        ("--part thirds", "part is 'thirds'; it must be halves or checkerboard"),
        ("--method guess", "method is 'guess'; it must be sums or bracket"),
        ("--system sk --n-spins 10", "is not on a lattice"),
        ("--lattice 48x48 --boundary open --method sums", "or use the method bracket"),
        ("--lattice 32x32 --field 0.1", "does not serve in fields"),
        ("--lattice 4x4 --field 0.1 --method bracket", "use the method sums"),
        ("--translations 4", "is for the nets of a model"),
        ("ising2d-8-critical --lattice 16x16", "is for another lattice"),
    ],
)
def test_wrong_use_is_one_line(line, message):
    result = call(f"mutual-information {line}")
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
    assert message in result.err
