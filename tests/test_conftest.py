"""The suite's own rule, that a skipped test fails CI, on a suite that skips."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("body", ["pytest.skip('here')", "pytest.importorskip('no_such_module')", "pass"])
@pytest.mark.parametrize("ci", ["true", ""])
def test_skips_fail_in_ci_only(tmp_path, body, ci):
    shutil.copy(Path(__file__).with_name("conftest.py"), tmp_path)
    (tmp_path / "test_it.py").write_text(f"import pytest\n\n\ndef test_it():\n    {body}\n")
    environment = {**os.environ, "CI": ci}
    environment.pop("PYTEST_ADDOPTS", None)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, check=False)
    must_fail = bool(ci) and body != "pass"
    assert result.returncode == int(must_fail), result.stdout
    assert ("which fails CI" in result.stdout) == must_fail
