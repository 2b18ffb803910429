"""The public names: what the lazy table offers is what type checkers are told, and every name resolves."""

import ast
import inspect

import pytest

import nmcmc


def announced():
    block = next(node for node in ast.parse(inspect.getsource(nmcmc)).body if isinstance(node, ast.If))
    return {(node.module, alias.asname) for node in block.body for alias in node.names}


def test_lazy_table_and_type_checking_block_name_the_same_things():
    assert announced() == {(home, name) for home, names in nmcmc._HOMES.items() for name in names}


def test_every_public_name_resolves_to_its_home():
    for home, name in announced():
        thing = getattr(nmcmc, name)
        assert getattr(thing, "__module__", home) == home


def test_whatever_takes_a_path_takes_a_string():
    hints = {
        f"{name}({hint})": hint
        for _, name in announced()
        if callable(getattr(nmcmc, name))
        for hint in inspect.get_annotations(getattr(nmcmc, name)).values()
        if "Path" in str(hint)
    }
    assert len(hints) >= 3
    assert [name for name, hint in hints.items() if "str" not in hint.replace("PathLike[str]", "").split(" | ")] == []


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(AttributeError, match="Wolff"):
        nmcmc.Wolf  # noqa: B018
