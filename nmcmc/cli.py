"""The command line: arguments → job → text or JSON, errors → exit codes."""

from __future__ import annotations

import argparse
import json
import logging
import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nmcmc.arguments import CORRUPT, INTERRUPTED, OK, UNRELIABLE, USAGE, parsed

COMPILING = ("run", "train", "anneal", "sample", "baseline", "evaluate", "scan", "exact")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    # Waiting OpenMP threads of torch must sleep: spinning costs training a factor of several on busy cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    options = parsed(sys.argv[1:] if arguments is None else arguments)
    logging.basicConfig(stream=sys.stderr, format="%(levelname)s: %(message)s", level=logging.WARNING)
    from nmcmc.types import CorruptFileError

    try:
        _check_options(options)
        result = _announcing_compilation(options)
        _show(result, options)
        return _exit_code(result)
    except CorruptFileError as error:
        return _fail(error, CORRUPT)
    except (FloatingPointError, RuntimeError) as error:
        return _fail(error, UNRELIABLE)
    except (ValueError, OSError) as error:
        return _fail(error, USAGE)
    except OverflowError as error:
        return _fail(f"a number is out of range ({error}); take smaller beta, couplings or fields", USAGE)
    except MemoryError as error:
        return _fail(f"not enough memory ({error}); take a smaller lattice, fewer samples or chains", USAGE)
    except KeyboardInterrupt:
        advice = "; the same command with --resume continues" if "resume" in options else ""
        return _fail(f"interrupted{advice}", INTERRUPTED)


def _announcing_compilation(options: argparse.Namespace) -> Any:
    """Do the job; should kernels have to be compiled, as on a first run, say so on a terminal: it takes a while."""
    if options.quiet or options.command not in COMPILING or not sys.stderr.isatty():
        return options.job(options)
    from nmcmc.kernels.compilation import at_first_compilation

    stop = at_first_compilation(lambda: sys.stderr.write("nmcmc: compiling kernels (once)…\n"))
    try:
        return options.job(options)
    finally:
        stop()


def _fail(error: object, code: int) -> int:
    text = " ".join(str(error).split()) or type(error).__name__
    sys.stderr.write(f"nmcmc: error: {text}\n")
    return code


def _check_options(options: argparse.Namespace) -> None:
    """Check the common options before any work, and set the number of threads."""
    if options.seed is not None and options.seed < 0:
        raise ValueError(f"--seed is {options.seed}; it must be an integer ≥ 0")
    if options.threads is not None and options.threads < 1:
        raise ValueError(f"--threads is {options.threads}; it must be an integer ≥ 1")
    if options.threads is not None and options.threads > (most := 4 * (os.cpu_count() or 1)):
        raise ValueError(
            f"--threads is {options.threads}; more than {most}, four for each core here, only slow it down"
        )
    if getattr(options, "resume", False) and options.overwrite:
        raise ValueError("--resume and --overwrite exclude each other: continue the old run, or replace it")
    inputs = [getattr(options, name, None) for name in ("model", "file", "a", "b", "config", "couplings_file")]
    inputs += getattr(options, "grow_from", None) or []
    if options.out is not None and any(path and Path(path).resolve() == options.out.resolve() for path in inputs):
        raise ValueError(f"--out is {options.out}, which is read; give another name")
    if not re.fullmatch(r"cpu|cuda(:\d+)?", options.device):
        raise ValueError(f"--device is {options.device}; it must be cpu, cuda or cuda:N")
    if options.threads is not None or options.device != "cpu":
        import torch

        if options.device != "cpu" and int(options.device[5:] or 0) >= torch.cuda.device_count():
            raise ValueError(f"--device is {options.device}, but torch finds no such device; use --device cpu")
        if options.threads is not None:
            torch.set_num_threads(options.threads)


def _show(result: Mapping[str, Any], options: argparse.Namespace) -> None:
    if options.json:
        sys.stdout.write(json.dumps(result, allow_nan=False) + "\n")
    else:
        from nmcmc.text import text_of

        sys.stdout.write(text_of(result))
    sys.stdout.flush()


def _exit_code(result: Mapping[str, Any]) -> int:
    if result["command"] == "doctor":
        return OK
    from nmcmc.experiment.summary import remarks, said_once, unreliable

    for remark in said_once(remarks(result)):
        sys.stderr.write(f"nmcmc: note: {remark}\n")
    reasons = said_once(unreliable(result))
    for reason in reasons:
        sys.stderr.write(f"nmcmc: unreliable: {reason}\n")
    return UNRELIABLE if reasons else OK


if __name__ == "__main__":
    sys.exit(main())
