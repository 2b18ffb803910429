"""Who may import whom: read from the syntax tree of every module, imports inside functions included."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BASE = {"types", "random", "parallel"}
MAY_IMPORT = {
    "types": {"random"},
    "random": {"kernels"},
    "parallel": set(),
    "notation": set(),
    "text": {"notation"},
    "atomic": set(),
    "sealed": {"types"},
    "config": {"types"},
    "kernels": {"kernels"},
    "energies": BASE | {"kernels", "energies"},
    "exact": {"types", "parallel", "kernels", "energies", "exact"},
    "samplers": BASE | {"atomic", "sealed", "kernels", "energies", "samplers"},
    "updates": BASE | {"kernels", "energies", "updates"},
    "training": {"types", "random", "atomic", "sealed", "training"},
    "annealing": BASE | {"kernels", "energies"},
    "solution": {"types", "random", "energies", "annealing"},
    "dimod_sampler": {"types", "random", "energies", "annealing"},
    "analysis": {"types", "analysis"},
    "storage": {"types", "random", "config", "atomic", "storage"},
    "export": {"types", "storage"},
    "plots": {"types", "notation", "analysis"},
    "report": {"types", "notation", "atomic", "config", "storage", "analysis", "plots"},
}
ENTRANCES = {"cli", "arguments", "jobs", "__main__"}
"""The parts of the command line, which may import `experiment`; it and they may import every other layer."""
OUTSIDE = {
    "kernels": {"numpy", "numba", "llvmlite"},
    "exact": {"numpy", "mpmath"},
    "dimod_sampler": {"numpy", "dimod"},
    "sealed": {"torch", "safetensors"},
    "samplers": {"numpy", "torch", "safetensors"},
    "training": {"numpy", "torch"},
    "storage": {"numpy", "h5py"},
    "export": {"xarray", "h5netcdf", "pyerrors"},
    "plots": {"numpy", "matplotlib"},
    "report": {"numpy", "jinja2"},
    "experiment": {"numpy", "torch", "tqdm", "llvmlite"},
    "cli": {"numpy", "torch", "tqdm"},
}
"""Packages from outside the standard library; numpy and torch where a layer is not listed."""


def modules():
    """Every module of the tree, name → path, as it is installed."""
    found = {}
    for folder, package in ((ROOT / "nmcmc", "nmcmc"), (ROOT / "kernels", "nmcmc.kernels")):
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            found[".".join([package, *(part for part in parts if part != "__init__")])] = path
    return found


def imports(name, source, is_package=False):
    """All modules that the source of module ``name`` imports, anywhere, under their absolute names."""
    package = name.split(".") if is_package else name.split(".")[:-1]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            stem = package[: len(package) + 1 - node.level] if node.level else []
            base = ".".join([*stem, node.module] if node.module else stem)
            # `from nmcmc import storage` names its layer only in the alias.
            yield from (f"{base}.{alias.name}" for alias in node.names) if base == "nmcmc" else [base]


def layer(module):
    """The part of the house that a module of ours belongs to; the root's own list of names is ``__init__``."""
    return module.split(".")[1] if "." in module else "__init__"


def violations(name, source, is_package=False):
    """What the module imports against the rules, as sentences."""
    own = layer(name)
    allowed = None if own in ENTRANCES | {"experiment", "__init__"} else MAY_IMPORT[own]
    for imported in imports(name, source, is_package):
        top, other = imported.split(".")[0], layer(imported)
        if top == "nmcmc":
            if other == "experiment" and own not in ENTRANCES | {"experiment"}:
                yield f"{name} imports {imported}: only the command line imports experiment"
            elif other in ENTRANCES and own not in ENTRANCES:
                yield f"{name} imports {imported}: nothing imports the command line"
            elif allowed is not None and other not in allowed:
                yield f"{name} imports {imported}: {own} may import {', '.join(sorted(allowed)) or 'nothing of ours'}"
        elif top not in sys.stdlib_module_names and top not in OUTSIDE.get(own, {"numpy", "torch"}):
            yield f"{name} imports {imported}: not a package for {own}"


@pytest.mark.parametrize(("name", "path"), modules().items(), ids=modules().keys())
def test_module_imports_only_what_its_layer_may(name, path):
    assert list(violations(name, path.read_text(), path.name == "__init__.py")) == []


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("nmcmc.training.loop", "from nmcmc.updates.wolff import Wolff"),
        ("nmcmc.training.loop", "def f():\n    from nmcmc import updates"),
        ("nmcmc.training.loop", "from ..updates import wolff"),
        ("nmcmc.training.loop", "from .. import updates"),
        ("nmcmc.updates.independence", "from nmcmc.samplers.made import Made"),
        ("nmcmc.samplers.made", "import nmcmc.exact.kaufman"),
        ("nmcmc.kernels.wolff", "import torch"),
        ("nmcmc.kernels.wolff", "from nmcmc.random import Rng"),
        ("nmcmc.analysis.error", "if True:\n    import h5py"),
        ("nmcmc.experiment", "import h5py"),
        ("nmcmc.experiment", "import matplotlib.pyplot as plt"),
        ("nmcmc.experiment", "from nmcmc.cli import main"),
        ("nmcmc.report", "from nmcmc.experiment import run"),
        ("nmcmc", "from nmcmc.experiment import run"),
        ("nmcmc.energies.lattice", "import scipy.sparse"),
        ("nmcmc.types", "from nmcmc.parallel import n_threads"),
    ],
)
def test_forbidden_imports_are_found(name, source):
    assert len(list(violations(name, source, name == "nmcmc"))) == 1


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("nmcmc.cli", "from nmcmc.experiment import run"),
        ("nmcmc.kernels.wolff", "from .rng import uniform"),
        ("nmcmc.storage.files", "import h5py\nfrom nmcmc.types import Chain"),
        ("nmcmc.experiment", "from nmcmc import storage, training\nimport pathlib"),
    ],
)
def test_allowed_imports_pass(name, source):
    assert list(violations(name, source)) == []


def test_every_layer_has_a_rule():
    known = set(MAY_IMPORT) | ENTRANCES | {"experiment", "__init__"}
    assert {layer(name) for name in modules()} <= known


def test_importing_the_package_stays_quick():
    """No compiler, no file format, no plots: they load when first used."""
    code = (
        "import sys, nmcmc; print([m for m in ('numba', 'h5py', 'matplotlib', 'jinja2', 'tqdm') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
