"""`nmcmc free-energy`: every estimator agrees with the exact values; what is refused."""

import pytest
from command_line import call

from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.energies.pairwise import PairwiseEnergy
from nmcmc.experiment.free_energy import n_panels, walk_steps
from nmcmc.experiment.temperatures import clusters_serve

FROM_ZERO = {"integration", "all temperatures", "annealing"}
WITH_MODEL = FROM_ZERO | {"draws", "reciprocal", "bridge"}


def estimates(line):
    result = call(f"free-energy {line} --json --quiet --threads 1")
    assert result.code == 0, result.err
    return result.json["free_energy"]


@pytest.mark.parametrize(
    ("line", "methods"),
    [
        ("ising2d-8-critical --n-samples 8000", WITH_MODEL),
        ("ising2d-8-critical --beta 0.4 --allow-beta-mismatch --n-samples 8000", WITH_MODEL),
        ("--lattice 4x6 --boundary open,periodic --field 0.2 --beta 0.4 --n-samples 8000", FROM_ZERO),
        ("--system sk --n-spins 16 --beta 1 --n-samples 8000", FROM_ZERO),
        ("--system regular-graph --n-spins 16 --field 0.1 --beta 1 --n-samples 8000", FROM_ZERO),
        ("--system hopfield --n-spins 16 --patterns 2 --beta 1 --n-samples 8000", FROM_ZERO),
        ("--system curie-weiss --n-spins 40 --beta 1.1 --n-samples 4000", FROM_ZERO),
        ("--lattice 4x4 --coupling -1 --beta 1 --n-samples 4000", FROM_ZERO),
    ],
)
def test_every_estimator_agrees_with_the_exact_values(line, methods):
    found = estimates(line)
    assert set(found) == methods
    for numbers in found.values():
        for entry in numbers.values():
            assert abs(entry["value"] - entry["exact"]) < 5 * entry["error"]


def test_a_model_file_of_a_glass_has_the_estimators_of_its_sampler(tmp_path):
    model = tmp_path / "sk.h5"
    trained = call(
        f"train --system sk --n-spins 10 --beta 0.5 --sampler made --steps 20 --out {model} --quiet --threads 1"
    )
    assert trained.code == 0, trained.err
    found = estimates(f"{model} --n-samples 4000")
    assert set(found) == WITH_MODEL
    for numbers in found.values():
        assert abs(numbers["log_z"]["value"] - numbers["log_z"]["exact"]) < 5 * numbers["log_z"]["error"]


def test_annealing_takes_more_steps_in_larger_systems_at_the_same_spread_of_the_work():
    small, large = (Boltzmann(LatticeEnergy(Lattice((n, n))), 0.44) for n in (16, 32))
    assert walk_steps(large, n_panels(large)) >= 4 * walk_steps(small, n_panels(small))


def test_clusters_are_used_only_where_nothing_is_frustrated():
    square, odd = ([(0, 1), (1, 2), (2, 3), (3, 0)], [(0, 1), (1, 2), (2, 0)])
    assert clusters_serve(PairwiseEnergy(4, square, -1.0))
    assert not clusters_serve(PairwiseEnergy(3, odd, -1.0))
    assert not clusters_serve(PairwiseEnergy(4, square, 1.0, fields=0.1))


def test_the_text_has_a_line_for_each_estimator_and_the_exact_values():
    result = call("free-energy --lattice 4x4 --beta 0.3 --n-samples 1000 --quiet --threads 1")
    assert result.code in (0, 3)
    heads = [line.split()[0] for line in result.out.splitlines()]
    assert heads[-4:] == ["integration", "all", "annealing", "exact"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--beta 0", "beta is 0, where log Z = N ln 2"),
        ("--n-samples 5", "n_samples is 5; give at least 1000"),
        ("--allow-beta-mismatch", "is for the nets of a model"),
        ("ising2d-8-critical --lattice 16x16", "is for another lattice"),
        ("none", "none does not exist"),
    ],
)
def test_wrong_use_is_one_line(line, message):
    result = call(f"free-energy {line}")
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
    assert message in result.err
