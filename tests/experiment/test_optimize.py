"""`nmcmc optimize`: solutions that can be checked, and jobs that go on after they were killed."""

import json

import pytest
from command_line import Killer, call

from nmcmc.energies.graphs import toroidal_graph
from nmcmc.energies.readers import gset_text
from nmcmc.random import Rng

LINE = "optimize g --sweeps 5 --replicas 16 --rounds 3 --out o"


@pytest.fixture
def graph(folder):
    (folder / "g").write_text(gset_text(toroidal_graph((6, 6), Rng(1))))
    return folder


def timeless(path):
    content = json.loads(path.read_text())
    content["search"].pop("seconds")
    return content


def test_the_solution_holds_the_answer_and_its_certificate(graph):
    result = call(f"{LINE} --json")
    assert result.code == 0
    content = json.loads((graph / "o").read_text())
    graph_lines = [line.split() for line in (graph / "g").read_text().splitlines()[1:]]
    cut = sum(int(w) for i, j, w in graph_lines if content["answer"][int(i) - 1] != content["answer"][int(j) - 1])
    assert cut == content["value"] == result.json["cut"]
    assert (content["problem"], content["goal"], content["exact_arithmetic"]) == ("maxcut", "largest", True)
    assert (content["search"]["rounds"], content["search"]["runs"]) == (3, 48)
    assert "answer" not in result.json
    assert call("optimize g --verify o --json").json["verified"]


def test_without_a_name_the_solution_is_called_after_the_file(graph):
    assert call("optimize g --sweeps 5 --rounds 1").code == 0
    assert (graph / "g.solution.json").exists()


@pytest.mark.parametrize("problem", ["maxcut", "mis", "ising"])
def test_problems_and_text(graph, problem):
    result = call(f"{LINE} --problem {problem}")
    name = {"maxcut": "cut", "mis": "set_size", "ising": "energy"}[problem]
    assert result.code == 0
    assert any(line.startswith(f"{name} ") for line in result.out.splitlines())
    assert call("optimize g --verify o").code == 0


def test_time_ends_a_search_after_a_whole_round(graph):
    result = call("optimize g --sweeps 5 --replicas 16 --seconds 1e-9 --out o --json")
    assert result.json["search"]["rounds"] == 1


CLAIMS = [
    *(("value", 99.0), ("energy", -1.0), ("proven_optimal", True), ("bound", 1e6), ("goal", "smallest")),
    *(("exact_arithmetic", False), ("n_sites", 35), ("n_pairs", 1), ("value_name", "energy"), ("labels", ["a"] * 36)),
]


@pytest.mark.parametrize(("name", "value"), CLAIMS)
def test_false_claims_are_found_out(graph, name, value):
    call(LINE)
    content = json.loads((graph / "o").read_text())
    (graph / "o").write_text(json.dumps(content | {name: value}))
    result = call("optimize g --verify o")
    assert (result.code, f"o says {name}" in result.err) == (2, True)


def test_a_solution_of_another_file_is_none(graph):
    call(LINE)
    (graph / "h").write_text(gset_text(toroidal_graph((6, 6), Rng(2))))
    assert "of another file than h" in call("optimize h --verify o").err
    assert call("optimize g --verify g").code == 4
    for text in ("{}", '{"format": "nmcmc-solution", "version": "1"}', '{"format": "nmcmc-solution", "version": 2}'):
        (graph / "j").write_text(text)
        assert call("optimize g --verify j").code == 2
    (graph / "j").write_text(100_000 * "[")
    assert call("optimize g --verify j").code == 4


def test_a_solution_of_another_problem_is_none(graph):
    call(LINE)
    assert "o is a solution of maxcut, not of ising" in call("optimize g --verify o --problem ising").err


DAMAGES = [
    *({"answer": "0101"}, {"answer": [0.5] * 36}, {"answer": [10**30] * 36}, {"value_name": []}, {"problem": 3}),
    *("energy", "bound", "labels"),
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_solutions_are_named(graph, damage):
    call(LINE)
    content = json.loads((graph / "o").read_text())
    content = content | damage if isinstance(damage, dict) else {k: v for k, v in content.items() if k != damage}
    (graph / "o").write_text(json.dumps(content))
    assert call("optimize g --verify o").code == 4


@pytest.mark.parametrize("problem", ["maxcut", "mis", "ising"])
def test_a_graph_without_edges(folder, problem):
    (folder / "g").write_text("5 0\n")
    result = call(f"{LINE} --problem {problem} --json")
    assert (result.code, result.json["proven_optimal"]) == (0, True)
    assert result.json[result.json["value_name"]] == (5 if problem == "mis" else 0)


def test_a_killed_search_goes_on_to_the_same_end(graph, monkeypatch):
    monkeypatch.setattr("nmcmc.experiment.optimize.CHECKPOINT_SECONDS", 0.0)
    killer = Killer(monkeypatch)
    moments = killer.run(lambda: call(LINE))
    expected = timeless(graph / "o")
    assert moments > 3
    for fatal in range(moments):
        (graph / "o").unlink()
        killer.run(lambda: call(LINE), fatal)
        if (graph / "o.checkpoint").exists() or (graph / "o").exists():
            assert call(LINE).code == 2
        assert call(f"{LINE} --resume").code == 0
        assert timeless(graph / "o") == expected
        assert sorted(path.name for path in graph.iterdir()) == ["g", "o"]


def test_a_finished_search_repeats_its_answer(graph):
    first = call(f"{LINE} --json").json
    again = call(f"{LINE} --resume --json").json
    assert again.pop("seconds") == {"optimize": None}
    first.pop("seconds")
    assert again == first
    assert "another file, problem or seed" in call(f"{LINE} --seed 2 --resume").err


def test_leftovers_of_other_settings_are_refused(graph, monkeypatch):
    monkeypatch.setattr("nmcmc.experiment.optimize.CHECKPOINT_SECONDS", 0.0)
    Killer(monkeypatch).run(lambda: call(LINE), fatal=1)
    assert "other" not in call(f"{LINE} --resume").err
    Killer(monkeypatch).run(lambda: call(f"{LINE} --overwrite"), fatal=2)
    assert "belongs to another file, settings or seed" in call(f"{LINE} --seed 5 --resume").err
    (graph / "o.checkpoint").write_bytes(b"torn")
    assert call(f"{LINE} --resume").code == 4


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("optimize none", "does not exist"),
        ("optimize g --problem tsp", "must be one of maxcut"),
        ("optimize g --problem qubo", "g: the file gives a graph, which is no qubo problem"),
        ("optimize g --format rudy", "must be one of gset"),
        ("optimize g --format csr", "is no matrix"),
        ("optimize g --sweeps 0", "sweeps is 0"),
        ("optimize g --replicas 0", "replicas is 0"),
        ("optimize g --rounds 2 --seconds 3", "exclude each other"),
        ("optimize g --out g", "which is read"),
    ],
)
def test_wrong_use_leaves_nothing(graph, line, message):
    result = call(line)
    assert (result.code, message in result.err) == (2, True), result.err
    assert [path.name for path in graph.iterdir()] == ["g"]
