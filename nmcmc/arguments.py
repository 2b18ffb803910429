"""The arguments of the command line: a parser with a sub-parser for every command."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from nmcmc import config as settings, jobs

OK, USAGE, UNRELIABLE, CORRUPT, INTERRUPTED = 0, 2, 3, 4, 130
EPILOG = "Exit codes: 0 done, 2 wrong use, 3 not converged or unreliable, 4 damaged file."
MODEL = "model file, or the name of a shipped model: see `nmcmc models`"


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the options that arguments mean; ``job`` is the function of `jobs` that does the command.

    Wrong arguments end the process with one line and exit code 2.
    """
    return _parser().parse_args(_joined(arguments))


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f"nmcmc: error: {message}; see `{self.prog} --help`\n")


def _joined(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with ``--option -1,0.5`` as ``--option=-1,0.5``: argparse takes the former for an option."""
    joined: list[str] = []
    for word in arguments:
        if re.match(r"-[\d.]", word) and joined and re.fullmatch(r"--[a-z-]+", joined[-1]):
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined


def whole_number(text: str) -> int:
    """Return the integer that a text means; 1e5 is one."""
    try:
        return int(text)
    except ValueError:
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not number.is_integer():
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number, such as 1000 or 1e5") from None
        return int(number)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="nmcmc", description="Neural Markov chain Monte Carlo for spin systems.", epilog=EPILOG, allow_abbrev=False
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _making(commands)
    _measuring(commands)
    _looking(commands)
    return parser


def _making(commands: Any) -> None:
    """Add the commands that train samplers and run chains."""
    run = _command(commands, "run", jobs.run, "train, draw, run a neural and a Wolff chain, compare; writes a folder")
    run.add_argument("config", nargs="?", type=Path, metavar="CONFIG.toml", help="settings; options override them")
    _settings(run, settings.RunConfig)
    _output(run, Path("nmcmc-run"), "folder of the run", resume=True)

    train = _command(commands, "train", jobs.train, "train a sampler and store it")
    _settings(train, settings.SystemConfig, settings.SamplerConfig, settings.TrainingConfig)
    growth = train.add_argument_group("nets of trained models")
    text = "take the nets of this model, a file or a shipped name, for all blocks that it shares; they stay as they are"
    growth.add_argument("--grow-from", action="append", default=[], metavar="MODEL", help=f"{text}; repeatable")
    text = "take nets of models at another beta too, as a start, and train them"
    growth.add_argument("--allow-beta-mismatch", action="store_true", help=text)
    text = (
        "train a family for every beta from the first to the last of these: 0.3,0.4,0.5 or LOW:HIGH:STEP, or LOW:HIGH "
        "for knots that are densest about --beta, where training starts"
    )
    train.add_argument_group("a range of temperatures").add_argument("--betas", default="", help=text)
    _output(train, None, "model file, .safetensors", resume=True)

    text = "train along rising beta, each from the one before: variational free energy and log Z at every beta"
    anneal = _command(commands, "anneal", jobs.anneal, text)
    _settings(anneal, settings.SystemConfig, settings.SamplerConfig, settings.AnnealConfig, without=("beta",))
    _output(anneal, None, "folder for anneal.json, anneal.csv and samplers/BETA.safetensors", resume=True)

    sample = _command(commands, "sample", jobs.sample, "run the neural chain of a stored sampler")
    _model(sample)
    _settings(sample, settings.ChainConfig)
    _output(sample, None, "chain file, .h5", resume=True)

    baseline = _command(commands, "baseline", jobs.baseline, "run a chain of cluster or local updates")
    baseline.add_argument("name", choices=settings.BASELINES, help="the update")
    _settings(baseline, settings.SystemConfig, settings.ChainConfig)
    _output(baseline, None, "chain file, .h5", resume=True)


def _measuring(commands: Any) -> None:
    """Add the commands that draw, or search, to measure something."""
    evaluate = _command(commands, "evaluate", jobs.evaluate, "measure the quality of a stored sampler from fresh draws")
    _model(evaluate)
    evaluate.add_argument("--n-samples", type=whole_number, default=20_000, help="fresh draws (default 20000)")
    evaluate.add_argument("--levels", action="store_true", help="also the share of every net in KL(q‖p)")
    text = "also chains that start in every phase, and the share of the target that the sampler covers"
    evaluate.add_argument("--modes", action="store_true", help=text)
    _output(evaluate, None, "also write the JSON here", required=False)

    text = "log Z, free energy and entropy by every estimator, side by side with the exact values"
    free = _command(commands, "free-energy", jobs.free_energy, text)
    _model(free, "model file or name of a shipped model; without one only the estimators that start at beta = 0", "?")
    text = "states of the chain at beta, and draws of the model (default 20000)"
    free.add_argument("--n-samples", type=whole_number, default=20_000, help=text)
    _output(free, None, "also write the JSON here", required=False)

    text = "mutual information of two parts of a lattice, from draws of a model and from a chain"
    mutual = _command(commands, "mutual-information", jobs.mutual_information, text)
    _model(mutual, "model file or name of a shipped model; without one only the chain", "?")
    text = "halves (the first rows and the others) or checkerboard (both colours) (default halves)"
    mutual.add_argument("--part", default="halves", metavar="PART", help=text)
    text = (
        "sums: log Z of one part given the other exactly; bracket: bounds of it, without fields and frustration; "
        "default: sums where they are possible (halves: uniform lattices without field, others up to a width of 19)"
    )
    mutual.add_argument("--method", default="", metavar="{sums,bracket}", help=text)
    text = "states of the chain, and draws of the model (default 400)"
    mutual.add_argument("--n-samples", type=whole_number, default=400, help=text)
    _output(mutual, None, "also write the JSON here", required=False)

    scan = _command(commands, "scan", jobs.scan, "thermodynamics over a range of beta from fresh draws of a family")
    scan.add_argument(
        "model", metavar="FAMILY", help="file made by `nmcmc train --betas`, or the name of a shipped one"
    )
    text = "0.3,0.4,0.5 or LOW:HIGH:STEP (default: 31 over the whole range)"
    scan.add_argument("--betas", default="", help=text)
    scan.add_argument("--n-samples", type=whole_number, default=20_000, help="fresh draws at each (default 20000)")
    _output(scan, None, "folder for scan.json, scan.csv and scan.png", required=False)

    optimize = _command(
        commands, "optimize", jobs.optimize, "best cut, QUBO value, independent set or energy of a file"
    )
    optimize.add_argument("file", type=Path, metavar="FILE", help="a graph, a QUBO or couplings: see docs/graphs.md")
    _settings(optimize, settings.OptimizeConfig)
    optimize.add_argument("--verify", type=Path, metavar="SOLUTION", help="search nothing; check this solution instead")
    text = "solution with its certificate, JSON (default FILE.solution.json in the current folder)"
    _output(optimize, None, text, resume=True, required=False)


def _looking(commands: Any) -> None:
    """Add the commands that look at files, at what is known, and at this installation."""
    models = _command(commands, "models", jobs.models, "list the shipped models, their quality and what they cost")
    _output(models, None, "also write the JSON here", required=False)

    analyze = _command(commands, "analyze", jobs.analyze, "estimate observables, errors and τ_int of a chain file")
    analyze.add_argument("file", type=Path, metavar="FILE", help="chain file or run.h5")
    text = "also every error by the Γ-method, with a tail, by Sokal's window, bins and jackknife; burn-in and R̂ of each"
    analyze.add_argument("--errors", action="store_true", help=text)
    analyze.add_argument("--s", type=float, help="S of the Γ-method in --errors (default 1.5)")
    text = "decay time of the slowest mode in --errors, in updates (default: largest τ_int, or from the largest weight)"
    analyze.add_argument("--tau-exp", type=float, help=text)
    _output(analyze, None, "also write the JSON here", required=False)

    text = "compare two chain files in combined σ, or both chains of one run.h5"
    compare = _command(commands, "compare", jobs.compare, text)
    compare.add_argument("a", type=Path, metavar="A.h5", help="chain file, or the neural chain of a run.h5")
    compare.add_argument("b", type=Path, metavar="B.h5", nargs="?", help="the other; left out for a run.h5")
    _output(compare, None, "also write the JSON here", required=False)

    exact = _command(commands, "exact", jobs.exact, "print what is exactly known of a system")
    _settings(exact, settings.SystemConfig)
    _output(exact, None, "also write the JSON here", required=False)

    text = "check samplers, updates and estimators of this installation against exact answers: about a minute"
    verify = _command(commands, "verify", jobs.verify, text)
    _output(verify, None, "also write the JSON here", required=False)

    doctor = _command(commands, "doctor", jobs.doctor, "print versions, threads, BLAS, threading of kernels, devices")
    _output(doctor, None, "also write the JSON here", required=False)


def _command(commands: Any, name: str, job: Callable[[argparse.Namespace], Any], help: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=help, description=help[0].upper() + help[1:] + ".", epilog=EPILOG, allow_abbrev=False
    )
    parser.set_defaults(job=job)
    group = parser.add_argument_group("common options")
    group.add_argument("--seed", type=whole_number, help="seed of all random numbers (default 1)")
    group.add_argument("--threads", type=whole_number, help="threads of torch and kernels (default: all cores)")
    group.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N: where networks live (default cpu)")
    group.add_argument("--quiet", action="store_true", help="no progress bars")
    group.add_argument("--json", action="store_true", help="one JSON object on standard output, all else on error")
    return parser


def _settings(parser: argparse.ArgumentParser, *kinds: type, title: str = "", without: tuple[str, ...] = ()) -> None:
    """Add an option for every setting of config classes but some; its value is None unless given."""
    for kind in kinds:
        defaults = kind()
        group = parser.add_argument_group(title or (kind.__doc__ or "").split(":")[0].rstrip(".").lower())
        for name, (item, hint) in settings.flat_fields(kind).items():
            if name in ("seed", *without):
                continue
            default = settings.value_of(defaults, name)
            choices = "{" + ",".join(filter(None, item.metadata["choices"])) + "}" if item.metadata["choices"] else None
            group.add_argument(
                f"--{name.replace('_', '-')}",
                dest=name,
                type=whole_number if hint is int else hint,
                metavar=choices,
                help=item.metadata["help"] + ("" if title or default == "" else f" (default {default})"),
            )


def _model(parser: argparse.ArgumentParser, help: str = MODEL, nargs: str | None = None) -> None:
    """Add a stored or shipped model, and the settings that it must agree with."""
    parser.add_argument("model", metavar="MODEL", help=help, nargs=nargs)
    _settings(parser, settings.SystemConfig, title="what the model must be for, if given")
    parser.add_argument(
        "--allow-beta-mismatch",
        action="store_true",
        help="use the model's nets at another --beta: leaves and weights are exact for that beta, so the chain still "
        "has no bias; proposals fit less the further it is from the model's own",
    )
    parser.add_argument(
        "--translations",
        type=whole_number,
        default=1,
        metavar="K",
        help="average the model's distribution over K translations of a periodic lattice: the variance of log weights "
        "falls, nearly like 1/K if it is small, for K times the work (default 1)",
    )


def _named(text: str) -> Path:
    """Return a path, which "" would be too: that of the folder where one is."""
    if not text:
        raise argparse.ArgumentTypeError("the name is empty; give one")
    return Path(text)


def _output(
    parser: argparse.ArgumentParser, default: Path | None, help: str, resume: bool = False, required: bool = True
) -> None:
    needed = required and default is None
    text = help + (f" (default {default})" if default else "")
    parser.add_argument("--out", type=_named, default=default, required=needed, help=text)
    parser.add_argument("--overwrite", action="store_true", help="replace existing output")
    if resume:
        parser.add_argument("--resume", action="store_true", help="continue an interrupted run, bit for bit")
