"""Solutions carry values that were computed in two ways."""

from dataclasses import replace

import numpy as np
import pytest

from nmcmc.annealing import schedule
from nmcmc.energies.graphs import MaxCut, Qubo, problem_of, toroidal_graph
from nmcmc.energies.terms import terms_of
from nmcmc.exact.enumeration import all_states
from nmcmc.random import Rng
from nmcmc.solution import START, certified, check, one_round, optimize

TRIANGLE = MaxCut(terms_of("graph", 3, [(0, 1), (1, 2), (2, 0)], [1.0, 1.0, 5.0]))
SQUARE = MaxCut(terms_of("graph", 4, [(0, 1), (1, 2), (2, 3), (3, 0)], np.ones(4)))


@pytest.mark.parametrize("kind", ["graph", "qubo", "ising"])
def test_the_best_of_all_answers_is_found(kind):
    rng = np.random.default_rng(1)
    pairs = [(i, j) for i in range(12) for j in range(i)]
    problem = problem_of(
        terms_of(kind, 12, pairs, rng.integers(-9, 9, 66), 0 if kind == "graph" else rng.integers(-9, 9, 12))
    )
    found = optimize(problem, schedule(problem.energy, 50), Rng(1), rounds=2, replicas=16)
    values = problem.value(problem.answer(all_states(12)))
    assert found.value == (values.max() if problem.goal == "largest" else values.min())
    assert found.energy == problem.energy(problem.spins(found.answer[None]))[0]
    assert 1 <= found.search.hits <= found.search.runs == 32


def test_a_value_at_the_bound_is_proven():
    assert optimize(SQUARE, schedule(SQUARE.energy, 20), Rng(1), replicas=1).is_optimal
    best = optimize(TRIANGLE, schedule(TRIANGLE.energy, 20), Rng(1), replicas=16)
    assert (best.value, best.is_optimal) == (6.0, False)


@pytest.mark.parametrize("kind", ["graph", "qubo", "ising"])
def test_a_value_that_only_rounds_to_the_bound_is_not_proven(kind):
    """A term of 1e-9 beside one of 1e9 is lost in the value, and still must be at its best."""
    sign = -1 if kind == "qubo" else 1
    problem = problem_of(terms_of(kind, 4, [(0, 1), (2, 3)], [sign * 1e-9, sign * 1e9]))
    best, other = {
        "graph": ([0, 1, 0, 1], [0, 0, 0, 1]),
        "qubo": ([1, 1, 1, 1], [0, 1, 1, 1]),
        "ising": ([1, 1, 1, 1], [-1, 1, 1, 1]),
    }[kind]
    right, wrong = check(problem, np.array(best)), check(problem, np.array(other))
    assert right.value == wrong.value == problem.bound
    assert (right.is_optimal, wrong.is_optimal) == (True, False)


def test_rounds_go_on_where_others_stopped():
    problem = MaxCut(toroidal_graph((8, 8), Rng(1)))
    betas, search = schedule(problem.energy, 3), START
    hits = []
    for _ in range(3):
        search = one_round(problem, search, betas, 16, Rng(2))
        hits.append(search.hits)
    whole = optimize(problem, betas, Rng(2), replicas=16, rounds=3)
    assert np.array_equal(whole.search.spins, search.spins)
    assert (whole.search.hits, whole.search.runs, whole.search.rounds) == (hits[-1], 48, 3)
    assert whole.energy == search.energy


def test_an_energy_that_belongs_to_another_problem_is_found_out():
    """Annealing with a wrong energy must not give a value that looks right."""

    class Wrong(MaxCut):
        def value_of_energy(self, energy):
            return super().value_of_energy(energy) + 1e-3

    with pytest.raises(RuntimeError, match="by the file's numbers"):
        certified(Wrong(SQUARE.terms), replace(START, spins=np.array([1, -1, 1, -1], dtype=np.int8)))


def test_either_side_of_a_cut_may_be_called_the_first():
    assert check(TRIANGLE, np.array([0, 1, 1])).value == check(TRIANGLE, np.array([1, 0, 0])).value == 6.0


@pytest.mark.parametrize(("answer", "message"), [([0, 1], "2 entries for 3"), ([0, 1, 2], "other than 0 and 1")])
def test_answers_that_are_none_are_refused(answer, message):
    for problem in (TRIANGLE, Qubo(replace(TRIANGLE.terms, kind="qubo"))):
        with pytest.raises(ValueError, match=message):
            check(problem, np.array(answer))


def test_rounds_must_be_positive():
    with pytest.raises(ValueError, match="rounds is 0"):
        optimize(SQUARE, schedule(SQUARE.energy, 20), Rng(1), rounds=0)
