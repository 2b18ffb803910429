"""Files of every format: what they mean, and errors that name file and line before anything is built."""

import io
import json
import zipfile

import dimod
import numpy as np
import pytest
import scipy.sparse
from dimod.serialization import coo

from nmcmc import config
from nmcmc.energies.graphs import PROBLEMS, problem_of, toroidal_graph
from nmcmc.energies.readers import FORMATS, format_of, gset_text, read_terms
from nmcmc.exact.enumeration import all_states
from nmcmc.random import Rng

MODEL = dimod.BinaryQuadraticModel({0: 0.5, 1: -1.25, 2: 2.0}, {(0, 1): -1.5, (1, 2): 0.75}, 0.0, "SPIN")
GOOD = {
    "gset": "3 2\n1 2 -1\n2 3 2.5\n",
    "edges": "# couplings\n3\n0 1 1.5\n\n2 0.5\n1 2 -1\n",
    "coo": "# vartype=BINARY\n0 0 1.5\n0 2 -2\n",
    "qubo": "c a comment\np qubo 0 3 1 2\n0 0 1.5\n0 2 -2\n1 2 4\n",
}


@pytest.fixture
def file(tmp_path):
    def write(content, name="system.txt"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def matrix_bytes(**changes):
    """A file of scipy.sparse.save_npz, with arrays replaced."""
    stream = io.BytesIO()
    matrix = scipy.sparse.csr_matrix(np.array([[0, 1.5, 0], [1.5, 0, -2], [0, -2, 0]]))
    scipy.sparse.save_npz(stream, matrix)
    arrays = dict(np.load(io.BytesIO(stream.getvalue())))
    out = io.BytesIO()
    np.savez(out, **{k: v for k, v in (arrays | changes).items() if v is not None})
    return out.getvalue()


def test_settings_name_all_formats_and_problems():
    assert tuple(FORMATS) == config.FORMATS
    assert tuple(PROBLEMS) == config.PROBLEMS


@pytest.mark.parametrize("name", GOOD)
def test_formats_are_recognised(file, name):
    assert format_of(file(GOOD[name])) == name


def test_a_g_set_file_counts_sites_from_one(file):
    terms = read_terms(file(GOOD["gset"]))
    assert (terms.kind, terms.n_sites, terms.pairs.tolist()) == ("graph", 3, [[0, 1], [1, 2]])
    assert terms.weights.tolist() == [-1, 2.5]
    assert read_terms(file("2 1\n1 2\n")).weights.tolist() == [1]


def test_a_g_set_file_comes_back(file):
    graph = toroidal_graph((100, 8), Rng(1))
    again = read_terms(file(gset_text(graph)))
    assert np.array_equal(again.pairs, graph.pairs)
    assert np.array_equal(again.weights, graph.weights)
    with pytest.raises(ValueError, match="only a graph"):
        gset_text(read_terms(file(GOOD["qubo"])))


def test_an_edge_list_gives_couplings_and_fields_with_our_sign(file):
    energy = problem_of(read_terms(file(GOOD["edges"]))).energy
    assert energy(np.array([[1, 1, 1]], dtype=np.int8))[0] == -1.5 + 1 - 0.5


@pytest.mark.parametrize("vartype", ["SPIN", "BINARY"])
@pytest.mark.parametrize("form", ["coo", "bqm"])
def test_files_of_dimod_have_the_energies_of_dimod(file, form, vartype):
    model = MODEL.change_vartype(vartype, inplace=False)
    model.offset = 0.0 if form == "coo" else 0.75
    text = coo.dumps(model, vartype_header=True) if form == "coo" else json.dumps(model.to_serializable())
    problem = problem_of(read_terms(file(text, f"model.{'coo' if form == 'coo' else 'json'}")))
    answers = problem.answer(all_states(3))
    np.testing.assert_allclose(problem.value(answers), model.energies((answers, [0, 1, 2])), atol=1e-5)
    assert problem.value_name == ("energy" if vartype == "SPIN" else "value")


def test_labels_of_a_model_are_kept(file):
    model = dimod.BinaryQuadraticModel({}, {("a", ("b", 1)): 1.0}, "SPIN")
    assert read_terms(file(json.dumps(model.to_serializable()), "m.json")).names == ("a", ("b", 1))


def test_a_qubo_file(file):
    problem = problem_of(read_terms(file(GOOD["qubo"])))
    assert problem.value(np.array([[1, 1, 1], [1, 0, 1]])).tolist() == [3.5, -0.5]


@pytest.mark.parametrize("kind", [scipy.sparse.csr_matrix, scipy.sparse.csc_array])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int8])
def test_matrices_of_scipy(tmp_path, kind, dtype):
    dense = np.triu(np.random.default_rng(2).integers(-3, 4, (6, 6)), 1).astype(dtype)
    scipy.sparse.save_npz(tmp_path / "a.npz", kind(dense))
    scipy.sparse.save_npz(tmp_path / "b.npz", kind(dense + dense.T))
    a, b = (problem_of(read_terms(tmp_path / name), "maxcut") for name in ("a.npz", "b.npz"))
    assert np.array_equal(a.energy(all_states(6)), b.energy(all_states(6)))
    x = problem_of(read_terms(tmp_path / "a.npz"), "qubo").answer(all_states(6))
    expected = np.einsum("bi,ij,bj->b", x, dense.astype(float), x)
    np.testing.assert_array_equal(problem_of(read_terms(tmp_path / "a.npz"), "qubo").value(x), expected)


def test_entries_in_pieces_are_summed_as_scipy_does(tmp_path):
    pieces = scipy.sparse.csr_matrix(([1.0, 2.0, 3.0, 4.0, -4.0], [1, 1, 0, 2, 2], [0, 2, 5, 5]), shape=(3, 3))
    scipy.sparse.save_npz(tmp_path / "pieces.npz", pieces)
    scipy.sparse.save_npz(tmp_path / "whole.npz", scipy.sparse.csr_matrix(pieces.toarray()))
    assert len(pieces.data) == 5
    found, expected = (read_terms(str(tmp_path / name)) for name in ("pieces.npz", "whole.npz"))
    assert found.pairs.tolist() == expected.pairs.tolist() == [[0, 1], [1, 0]]
    assert found.weights.tolist() == expected.weights.tolist() == [3, 3]


@pytest.mark.parametrize(
    ("form", "content", "message"),
    [
        ("gset", "", "holds no line of data"),
        ("gset", "3\n", "line 1: 1 words, '3'; the line must be n_sites n_edges"),
        ("gset", "3 2\n1 2 1\n", "line 1: 2 edges are announced, but 1 lines follow"),
        ("gset", "3 1\n\n0 2 1\n", "line 3: a site is 0; it must be from 1 to 3"),
        ("gset", "3 1\n1 4 1\n", "line 2: a site is 4"),
        ("gset", "3 1\n2 2 1\n", "line 2: the edge joins site 2 to itself"),
        ("gset", "3 1\n1 2 x\n", "line 2: the weight is 'x'; it must be a finite number"),
        ("gset", "3 1\n1 2 nan\n", "line 2: the weight is 'nan'"),
        ("gset", "1e9 1\n1 2 1\n", "the number of sites is '1e9'; it must be an integer"),
        ("gset", "99999999999 1\n1 2 1\n", "line 1: the number of sites is 99999999999; it must be from 1 to"),
        ("edges", "3\n0 3 1\n", "line 2: a site is 3; it must be from 0 to 2"),
        ("edges", "3\n0 1 2 3\n", "line 2: 4 words"),
        ("edges", "3\n0 1\n0 1\n", "line 3: site 0 has a value already"),
        ("edges", "3\n0 1\n1 2\n", "lists no coupling, only lines of two words, which mean i h"),
        ("gset", "3 1\n1 2 1_0\n", "line 2: the weight is '1_0'"),
        ("gset", "1_0 1\n1 2 1\n", "line 1: the number of sites is '1_0'; it must be an integer"),
        ("coo", "0 1 1.0\n", "must say once in a line of its own: # vartype=SPIN"),
        ("coo", "# vartype=SPIN\n0 1\n", "line 2: 2 words"),
        ("qubo", "p qubo 0 3 0 1\n0 0 1\n", "0 diagonal lines are announced, but 1 follow"),
        ("qubo", "p maxcut 0 3 0 1\n0 1 1\n", "must begin with 'p qubo'"),
        ("qubo", "p qubo 0 2 0 1\n0 2 1\n", "line 2: a site is 2; it must be from 0 to 1"),
        ("bqm", "{", "is no JSON file"),
        ("bqm", "[]", "is no binary quadratic model"),
        ("bqm", '{"type": "BinaryQuadraticModel"}', "damaged binary quadratic model"),
        ("bqm", 100_000 * "[", "is no JSON file"),
        ("csr", "no zip", "is no matrix of scipy"),
        ("rudy", "3 1\n", "format is 'rudy'; it must be one of gset"),
        ("gset", b"\xff\xfe", "is no text file"),
    ],
)
def test_errors_name_file_and_line(file, form, content, message):
    with pytest.raises(ValueError) as caught:
        read_terms(file(content), form)
    assert message in str(caught.value)
    assert "system.txt" in str(caught.value) or form == "rudy"


def test_texts_with_a_byte_order_mark_and_dos_lines(file):
    for name, text in GOOD.items():
        plain, marked = (read_terms(file(t), name) for t in (text, "\ufeff" + text.replace("\n", "\r\n")))
        assert np.array_equal(plain.pairs, marked.pairs)
        assert np.array_equal(plain.weights, marked.weights)


def test_an_edge_list_may_list_fields_only(file):
    assert read_terms(file("3\n0 1.0\n2 1\n"), "edges").linear.tolist() == [1, 0, 1]


@pytest.mark.parametrize("end", [0.7, True, 10**30, float("inf"), None])
def test_ends_of_interactions_are_integers(file, end):
    content = MODEL.to_serializable() | {"quadratic_head": [end, 1]}
    with pytest.raises(ValueError, match="damaged binary quadratic model"):
        read_terms(file(json.dumps(content), "m.json"))


@pytest.mark.parametrize("name", ["num_variables", "num_interactions"])
def test_counts_of_a_model_are_checked(file, name):
    content = MODEL.to_serializable() | {name: 10**9}
    with pytest.raises(ValueError, match="variables and interactions are announced"):
        read_terms(file(json.dumps(content), "m.json"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shape": np.array([3, 4])}, "must be square"),
        ({"shape": np.array([10**12, 10**12])}, "must be square with 1 to"),
        ({"indices": np.array([1, 0, 2, 7])}, "an index is 7"),
        ({"indptr": np.array([0, 3, 1, 4])}, "do not rise"),
        ({"indptr": np.array([0, 1, 3, 5])}, "do not rise from 0 to the number of entries"),
        ({"data": np.ones(3)}, "4 indices do not fit 3 entries"),
        ({"data": np.ones(4, dtype=complex)}, "must be real"),
        ({"data": np.array([1, 1, np.nan, 1])}, "finite"),
        ({"format": np.array("coo")}, "its format is 'coo'"),
        ({"shape": np.array(3)}, "is no matrix of scipy"),
        ({"indptr": None}, "indptr"),
    ],
)
def test_damaged_matrices_are_refused(file, changes, message):
    with pytest.raises(ValueError, match=message):
        read_terms(file(matrix_bytes(**changes), "m.npz"))


def test_damaged_archives_are_refused(file):
    """Whatever zipfile, zlib and numpy raise: every byte changed, and cut anywhere."""
    stream, generator = io.BytesIO(), np.random.default_rng(1)
    scipy.sparse.save_npz(stream, scipy.sparse.csr_matrix(np.diag(np.ones(4), 1)))
    whole = stream.getvalue()
    messages = []
    for place in range(0, len(whole), 2):
        changed = bytearray(whole)
        changed[place] ^= int(generator.integers(1, 256))
        for content in (bytes(changed), whole[:place]):
            try:
                read_terms(file(content, "m.npz"))
            except ValueError as error:
                messages.append(str(error))
    assert len(messages) > len(whole) / 2
    assert all("m.npz is no matrix" in message for message in messages)


def test_pickles_in_a_matrix_are_not_loaded(file):
    with pytest.raises(ValueError, match=r"type object; at most|object"):
        read_terms(file(matrix_bytes(data=np.array([print, 1, 2, 3], dtype=object)), "m.npz"))


def test_an_array_that_announces_more_than_it_holds_asks_for_no_memory(file):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (2**27,)})
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(matrix_bytes())) as source, zipfile.ZipFile(out, "w") as target:
        for name in source.namelist():
            target.writestr(name, header.getvalue() if name == "data.npy" else source.read(name))
    with pytest.raises(ValueError, match=r"data.npy announces 134217728 entries of float64, but holds 0 bytes"):
        read_terms(file(out.getvalue(), "m.npz"))


def test_missing_files_and_unclear_formats(tmp_path, file):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        read_terms(tmp_path / "none")
    with pytest.raises(FileNotFoundError, match="is a folder"):
        read_terms(tmp_path)
    with pytest.raises(ValueError, match="in no format that shows; say which: --format gset"):
        read_terms(file("0 1 1.0\n"))
