"""The tables of the documents: one that cannot be made says how its numbers are."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def tables(monkeypatch):
    """Return the script that writes the tables, as a module."""
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    import tables

    return tables


def test_a_missing_result_names_the_command_that_makes_it(tables, monkeypatch, tmp_path):
    monkeypatch.setattr("cells.ROOT", tmp_path)
    for name, command in {
        "mean_field_glasses": "python benchmarks/mean_field.py --only sk-50 sk-100 sk-200",
        "mean_field": "python benchmarks/mean_field.py",
        "coverage": "python benchmarks/coverage.py",
    }.items():
        assert tables.written(tables.TABLES[name]) == f"Not measured yet: `{command}` does it."


def test_every_stored_result_has_a_script(tables):
    names = [path.stem for path in (ROOT / "benchmarks" / "results").glob("*.json")]
    scripts = [re.match(r"python (\S+)", tables.command_of(name))[1] for name in names]
    assert [script for script in scripts if not (ROOT / script).exists()] == []
    assert len(scripts) > 20
