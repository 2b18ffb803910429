"""The suite's own rule, that a skipped test fails CI, on a suite that skips."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("body", "ci"), [("pytest.skip('here')", True), ("pytest.skip('here')", False), ("pass", True)]
)
def test_skips_fail_in_ci_only(tmp_path, body, ci):
    shutil.copy(Path(__file__).with_name("conftest.py"), tmp_path)
    (tmp_path / "test_it.py").write_text(f"import pytest\n\n\ndef test_it():\n    {body}\n")
    environment = {**os.environ, "CI": "true" if ci else ""}
    environment.pop("PYTEST_ADDOPTS", None)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, check=False)
    must_fail = ci and body != "pass"
    assert result.returncode == int(must_fail), result.stdout
    assert ("which fails CI" in result.stdout) == must_fail
