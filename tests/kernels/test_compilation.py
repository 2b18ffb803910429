"""The first compilation is told once, and none where kernels come from the cache."""

import os
import subprocess
import sys

import numba as nb

from nmcmc.kernels.compilation import at_first_compilation


def doubled(x):
    return 2 * x


def test_the_first_compilation_is_told_once():
    told = []
    stop = at_first_compilation(lambda: told.append(True))
    kernel = nb.njit(doubled)
    assert told == []
    assert kernel(3) == 6
    assert told == [True]
    assert kernel(3.0) == 6.0
    stop()
    assert told == [True]


def test_nothing_is_told_after_the_watch():
    told = []
    at_first_compilation(lambda: told.append(True))()
    nb.njit(doubled)(3)
    assert told == []


def on_a_terminal(arguments, environment):
    """Return what a command of nmcmc writes to standard error, which is a terminal."""
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "nmcmc.cli", *arguments]
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, stderr=theirs, check=True)
    os.write(theirs, b"end")
    text = os.read(ours, 1000).decode()
    os.close(ours)
    os.close(theirs)
    return text.removesuffix("end")


def test_the_command_line_says_it_where_kernels_are_not_cached_yet(tmp_path):
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    errors = [on_a_terminal(["exact", "--lattice", "2x3"], environment) for _ in range(2)]
    assert errors == ["nmcmc: compiling kernels (once)…\r\n", ""]
