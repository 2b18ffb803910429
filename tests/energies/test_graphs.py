"""Problems against all answers: the energy's lowest states are the best answers, and values agree both ways."""

import math

import networkx
import numpy as np
import pytest
from statistical import LIMIT

from nmcmc.energies.graphs import IndependentSet, Ising, MaxCut, Qubo, problem_of, toroidal_graph
from nmcmc.energies.terms import from_bqm, from_networkx, terms_of
from nmcmc.exact.enumeration import all_states
from nmcmc.random import Rng


def random_terms(kind, n=8, seed=1, integers=False):
    rng = np.random.default_rng(seed)
    pairs = [(i, j) for i in range(n) for j in range(i) if rng.random() < 0.5]
    draw = (lambda size: rng.integers(-3, 4, size)) if integers else (lambda size: rng.normal(size=size))
    linear = 0 if kind == "graph" else draw(n)
    return terms_of(kind, n, pairs, draw(len(pairs)), linear, 0 if kind == "graph" else 0.75)


def dense(terms):
    """The symmetric matrix of a graph, or the upper triangle of a QUBO with its diagonal."""
    matrix = np.diag(terms.linear)
    for (i, j), w in zip(terms.pairs, terms.weights, strict=True):
        matrix[i, j] += w
    return matrix


def values_by_definition(problem, states):
    terms, matrix = problem.terms, dense(problem.terms)
    x = (1 + states.astype(float)) / 2
    if isinstance(problem, MaxCut):
        return np.einsum("bi,ij,bj->b", x, matrix + matrix.T, 1 - x)
    if isinstance(problem, Qubo):
        return np.einsum("bi,ij,bj->b", x, matrix, x) + terms.constant
    s = states.astype(float)
    couplings = matrix - np.diag(terms.linear)
    return terms.constant - np.einsum("bi,ij,bj->b", s, couplings, s) - s @ terms.linear


@pytest.mark.parametrize("integers", [False, True])
@pytest.mark.parametrize(
    ("kind", "name"), [("graph", "maxcut"), ("qubo", "qubo"), ("ising", "ising"), ("graph", "ising")]
)
def test_values_are_those_of_the_definition_and_of_the_energy(kind, name, integers):
    problem = problem_of(random_terms(kind, integers=integers), name)
    states = all_states(8)
    values = problem.value(problem.answer(states))
    np.testing.assert_allclose(values, values_by_definition(problem, states), atol=1e-12)
    np.testing.assert_allclose([problem.value_of_energy(e) for e in problem.energy(states)], values, atol=1e-12)
    best = values.max() if problem.goal == "largest" else values.min()
    assert best == values[np.argmin(problem.energy(states))]
    assert (problem.bound >= best) if problem.goal == "largest" else (problem.bound <= best)
    assert problem.is_exact == (integers and kind == "graph")


@pytest.mark.parametrize(("kind", "name"), [("graph", "maxcut"), ("qubo", "qubo"), ("ising", "ising")])
def test_spins_and_answers_map_into_each_other(kind, name):
    problem, states = problem_of(random_terms(kind), name), all_states(8)
    back = problem.spins(problem.answer(states))
    np.testing.assert_array_equal(back * back[:, :1] * states[:, :1] if name == "maxcut" else back, states)
    np.testing.assert_array_equal(problem.answer(back), problem.answer(states))
    assert set(np.unique(problem.answer(states))) == set(problem.choices)


def test_the_largest_independent_set_is_that_of_all_subsets():
    graph = networkx.gnp_random_graph(10, 0.35, seed=3)
    problem = problem_of(from_networkx(graph), "mis")
    states = all_states(10)
    chosen = states > 0
    i, j = np.array(graph.edges).T
    independent = ~np.any(chosen[:, i] & chosen[:, j], axis=1)
    largest = chosen.sum(axis=1)[independent].max()
    assert largest == -problem.energy(states).min()
    answers = problem.answer(states)
    sizes = problem.value(answers)
    assert sizes.max() == largest
    assert np.all(sizes >= -problem.energy(states) - 1e-12)
    np.testing.assert_array_equal(problem.value(chosen[independent].astype(np.int64)), chosen[independent].sum(axis=1))
    with pytest.raises(ValueError, match="both ends of the edge"):
        problem.value(np.ones((1, 10), dtype=np.int64))
    assert problem.bound >= largest


def test_an_edge_of_weight_zero_is_an_edge_of_a_graph_but_no_entry_of_a_matrix():
    pairs, weights, both = [(0, 1), (1, 2)], [0.0, 1.0], np.array([[1, 1, 0]])
    graph, matrix = (problem_of(terms_of(kind, 3, pairs, weights), "mis") for kind in ("graph", "matrix"))
    assert (-graph.energy(all_states(3)).min(), -matrix.energy(all_states(3)).min()) == (2, 2)
    with pytest.raises(ValueError, match="both ends of the edge"):
        graph.value(both)
    assert matrix.value(both) == [2]


def test_a_matching_bounds_the_independent_sets_of_a_bipartite_graph_tightly():
    problem = problem_of(from_networkx(networkx.path_graph(7)), "mis")
    assert problem.bound == 4 == problem.value(np.array([[1, 0, 1, 0, 1, 0, 1]]))[0]


def test_values_are_rounded_once():
    weights = [1e16, 1.0, -1e16, 1.0]
    problem = problem_of(terms_of("graph", 5, [(0, 1), (1, 2), (2, 3), (3, 4)], weights))
    assert problem.value(np.array([[0, 1, 0, 1, 0]]))[0] == 2.0
    assert not problem.is_exact


def test_a_symmetric_matrix_lists_each_edge_once_but_all_of_its_qubo():
    entries = {(0, 1): 2.0, (1, 0): 2.0, (1, 2): -3.0, (2, 1): -3.0}
    matrix = terms_of("matrix", 3, list(entries), list(entries.values()))
    triangle = terms_of("matrix", 3, [(1, 0), (2, 1)], [2.0, -3.0])
    for name in ("maxcut", "ising"):
        a, b = (problem_of(terms, name).energy for terms in (matrix, triangle))
        np.testing.assert_array_equal(a(all_states(3)), b(all_states(3)))
    x = np.array([[1, 1, 0], [0, 1, 1], [1, 1, 1]])
    np.testing.assert_array_equal(problem_of(matrix, "qubo").value(x), [4, -6, -2])


@pytest.mark.parametrize(
    ("pairs", "linear", "message"),
    [([(0, 1), (1, 0)], 0.0, "neither symmetric nor triangular"), ([(0, 1)], 1.0, "2 entries on its diagonal")],
)
def test_a_matrix_that_is_no_graph_is_refused(pairs, linear, message):
    matrix = terms_of("matrix", 2, pairs, np.arange(1, 1 + len(pairs)), linear)
    with pytest.raises(ValueError, match=message):
        problem_of(matrix, "maxcut")


def test_what_a_file_cannot_mean_is_refused():
    with pytest.raises(ValueError, match="a QUBO, which is no maxcut problem; possible: qubo"):
        problem_of(random_terms("qubo"), "maxcut")
    with pytest.raises(ValueError, match="couplings and fields, which is no mis problem; possible: ising"):
        problem_of(random_terms("ising"), "mis")
    with pytest.raises(ValueError, match="must be one of maxcut, qubo, mis, ising"):
        problem_of(random_terms("ising"), "tsp")


def test_natural_problems():
    kinds = {kind: type(problem_of(random_terms(kind, integers=True))) for kind in ("graph", "ising", "qubo")}
    assert kinds == {"graph": MaxCut, "ising": Ising, "qubo": Qubo}
    assert type(problem_of(random_terms("graph"), "mis")) is IndependentSet


def test_networkx_graphs_keep_their_node_names():
    graph = networkx.Graph([("a", "b"), ("b", "c")])
    graph["a"]["b"]["weight"] = 2.5
    terms = from_networkx(graph)
    assert terms.names == ("a", "b", "c")
    assert terms.weights.tolist() == [2.5, 1.0]
    with pytest.raises(ValueError, match="to_undirected"):
        from_networkx(networkx.DiGraph([(0, 1)]))


@pytest.mark.parametrize(
    ("edge", "name", "message"),
    [
        (("a", "a", 1.0), "weight", "joins node 'a' to itself"),
        (("a", "b", "3"), "weight", "edge of 'a' and 'b' has weight '3'"),
        (("a", "b", None), "weight", "has weight None"),
        (("a", "b", np.inf), "weight", "has weight inf"),
        (("a", "b", 1j), "weight", "has weight 1j"),
        (("a", "b", 1.0), "capacity", "no edge of the graph has 'capacity'"),
    ],
)
def test_networkx_graphs_whose_weights_are_none_are_refused(edge, name, message):
    graph = networkx.Graph()
    graph.add_weighted_edges_from([edge])
    with pytest.raises(ValueError, match=message):
        from_networkx(graph, name)


@pytest.mark.parametrize("vartype", ["SPIN", "BINARY"])
def test_models_of_dimod_have_their_own_energies(vartype):
    import dimod

    rng = np.random.default_rng(4)
    linear = {f"v{i}": float(rng.normal()) for i in range(6)}
    quadratic = {(f"v{i}", f"v{j}"): float(rng.normal()) for i in range(6) for j in range(i)}
    bqm = dimod.BinaryQuadraticModel(linear, quadratic, 1.5, vartype)
    problem = problem_of(from_bqm(bqm))
    answers = problem.answer(all_states(6))
    theirs = bqm.energies((answers, list(problem.terms.names)))
    np.testing.assert_allclose(problem.value(answers), theirs, atol=1e-12)
    np.testing.assert_allclose(problem.energy(all_states(6)), theirs, atol=1e-12)


def test_a_toroidal_graph_is_one_of_the_g_set():
    terms = toroidal_graph((100, 8), Rng(1))
    assert (terms.n_sites, len(terms.weights)) == (800, 1600)
    assert set(terms.weights) == {-1.0, 1.0}
    assert np.all(np.bincount(terms.pairs.ravel()) == 4)
    assert len(np.unique(np.sort(terms.pairs, axis=1), axis=0)) == 1600
    assert abs(terms.weights.sum()) < LIMIT * math.sqrt(1600)
    assert np.array_equal(terms.weights, toroidal_graph((100, 8), Rng(1)).weights)
    with pytest.raises(ValueError, match="double edges"):
        toroidal_graph((2, 8), Rng(1))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("graph", 0, [], []), "0 sites"),
        (("graph", 3, [(0, 3)], [1]), "names site 3"),
        (("graph", 3, [(1, 1)], [1]), "joins site 1 to itself"),
        (("graph", 3, [(0, 1)], [1, 2]), "2 weights"),
        (("graph", 3, [(0, 1)], [math.nan]), "not a finite number"),
        (("graph", 3, [(0, 1)], [1], 0.0, 0.0, ("a",)), "1 labels"),
    ],
)
def test_terms_that_make_no_sense_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        terms_of(*arguments)
