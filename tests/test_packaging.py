"""The wheel and the editable install both hold every module of the tree, and nothing lands beside `nmcmc/`."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
IMPORT_ALL = """
import importlib, sys
target, *names = sys.argv[1:]
if target:
    sys.path.insert(0, target)
for name in names:
    module = importlib.import_module(name)
    if target and not module.__file__.startswith(target):
        raise SystemExit(f"{name} comes from {module.__file__}")
"""


def installed_paths():
    """Every module of the tree, as its path below site-packages."""
    for folder, prefix in (("nmcmc", Path("nmcmc")), ("kernels", Path("nmcmc/kernels"))):
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield (prefix / path.relative_to(ROOT / folder)).as_posix()


def module_names():
    return [path.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for path in installed_paths()]


def run(*command, cwd):
    result = subprocess.run([sys.executable, *command], capture_output=True, text=True, cwd=cwd, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel built from a copy of the tree: setuptools would pack what an earlier build left beside it."""
    work = tmp_path_factory.mktemp("wheel")
    for folder in ("nmcmc", "kernels"):
        shutil.copytree(ROOT / folder, work / "source" / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, work / "source")
    run("-m", "pip", "wheel", "-q", "--no-build-isolation", "--no-deps", "-w", "dist", "./source", cwd=work)
    (path,) = (work / "dist").glob("*.whl")
    return path


def test_wheel_holds_every_module_and_nothing_else(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {name for name in names if name.endswith(".py")} == set(installed_paths())
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"nmcmc"}
    assert "nmcmc/py.typed" in names


def test_wheel_holds_every_data_file(wheel):
    data = [path for path in (ROOT / "nmcmc").rglob("*") if path.is_file() and path.suffix not in {".py", ".pyc"}]
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {path.relative_to(ROOT).as_posix() for path in data} <= names
    assert "nmcmc/models/ising2d-8-critical.safetensors" in names


def test_wheel_imports_every_module(wheel, tmp_path):
    run("-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", str(tmp_path), str(wheel), cwd=tmp_path)
    assert {path.name for path in tmp_path.iterdir() if path.suffix != ".dist-info"} <= {"nmcmc", "bin"}
    run("-c", IMPORT_ALL, str(tmp_path), *module_names(), cwd=tmp_path)


def test_current_install_imports_every_module(tmp_path):
    run("-c", IMPORT_ALL, "", *module_names(), cwd=tmp_path)


def test_kernels_are_not_cached_inside_the_package():
    """Such files would outlive an uninstall, and their folder would hide a later editable install."""
    code = "import os, nmcmc.kernels; print(os.environ['NUMBA_CACHE_DIR'])"
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert "site-packages" not in result.stdout
    assert not Path(result.stdout.strip()).is_relative_to(Path(__file__).parents[1])
