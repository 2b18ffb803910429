"""The command line called in this process, and a process that is killed at a chosen moment."""

import contextlib
import io
import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from nmcmc.cli import main


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def json(self):
        """The one JSON object on standard output; NaN and infinity are not JSON."""
        return json.loads(self.out, parse_constant=lambda name: 1 / 0)


def call(line, *more):
    """Run a command line and return its exit code, standard output and standard error."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main([*line.split(), *map(str, more)])
        except SystemExit as stop:
            code = stop.code
    return Result(code, out.getvalue(), err.getvalue())


class Killed(BaseException):
    """Stands for a signal that no handler sees."""


class Killer:
    """Counts the moments at which files change their names or are deleted, and kills before a chosen one."""

    def __init__(self, monkeypatch):
        self.count, self.fatal = 0, None
        for owner, name in ((Path, "replace"), (Path, "rename"), (shutil, "rmtree")):
            monkeypatch.setattr(owner, name, self._counted(getattr(owner, name)))

    def _counted(self, function):
        def counted(*args, **options):
            self.count += 1
            if self.count - 1 == self.fatal:
                raise Killed
            return function(*args, **options)

        return counted

    def run(self, job, fatal=None):
        """Run a job, kill it before its moment ``fatal``; return the number of moments."""
        self.count, self.fatal = 0, fatal
        with contextlib.suppress(Killed) if fatal is not None else contextlib.nullcontext():
            job()
        self.fatal = None
        return self.count


def suicide(fatal):
    """Return Python code that makes its process kill itself with SIGKILL before the moment ``fatal``."""
    return f"""
import os, shutil, signal, sys
from pathlib import Path
count = 0
def counted(function):
    def wrapper(*args, **options):
        global count
        count += 1
        if count - 1 == {fatal}:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **options)
    return wrapper
for owner, name in ((Path, "replace"), (Path, "rename"), (shutil, "rmtree")):
    setattr(owner, name, counted(getattr(owner, name)))
from nmcmc.cli import main
sys.exit(main(sys.argv[1:]))
"""


PYTHON = sys.executable
