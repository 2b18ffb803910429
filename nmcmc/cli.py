"""The command line: arguments → experiment, results → text or JSON, errors → exit codes."""

from __future__ import annotations

import argparse
import json
import logging
import math
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from nmcmc import config as settings

T = TypeVar("T")

OK, USAGE, UNRELIABLE, CORRUPT, INTERRUPTED = 0, 2, 3, 4, 130
COMPILING = ("run", "train", "anneal", "sample", "baseline", "evaluate", "scan", "exact")
EPILOG = "Exit codes: 0 done, 2 wrong use, 3 not converged or unreliable, 4 damaged file."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    # Waiting OpenMP threads of torch must sleep: spinning costs training a factor of several on busy cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    options = _parser().parse_args(_joined(sys.argv[1:] if arguments is None else arguments))
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
    run = _command(commands, "run", _run, "train, draw, run a neural and a Wolff chain, compare; writes a folder")
    run.add_argument("config", nargs="?", type=Path, metavar="CONFIG.toml", help="settings; options override them")
    _settings(run, settings.RunConfig)
    _output(run, Path("nmcmc-run"), "folder of the run", resume=True)

    train = _command(commands, "train", _train, "train a sampler and store it")
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
    anneal = _command(commands, "anneal", _anneal, text)
    _settings(anneal, settings.SystemConfig, settings.SamplerConfig, settings.AnnealConfig, without=("beta",))
    _output(anneal, None, "folder for anneal.json, anneal.csv and samplers/BETA.safetensors", resume=True)

    sample = _command(commands, "sample", _sample, "run the neural chain of a stored sampler")
    _model(sample)
    _settings(sample, settings.ChainConfig)
    _output(sample, None, "chain file, .h5", resume=True)

    baseline = _command(commands, "baseline", _baseline, "run a chain of cluster or local updates")
    baseline.add_argument("name", choices=settings.BASELINES, help="the update")
    _settings(baseline, settings.SystemConfig, settings.ChainConfig)
    _output(baseline, None, "chain file, .h5", resume=True)


def _measuring(commands: Any) -> None:
    """Add the commands that draw, or search, to measure something."""
    evaluate = _command(commands, "evaluate", _evaluate, "measure the quality of a stored sampler from fresh draws")
    _model(evaluate)
    evaluate.add_argument("--n-samples", type=whole_number, default=20_000, help="fresh draws (default 20000)")
    evaluate.add_argument("--levels", action="store_true", help="also the share of every net in KL(q‖p)")
    text = "also chains that start in every phase, and the share of the target that the sampler covers"
    evaluate.add_argument("--modes", action="store_true", help=text)
    _output(evaluate, None, "also write the JSON here", required=False)

    text = "log Z, free energy and entropy by every estimator, side by side with the exact values"
    free = _command(commands, "free-energy", _free_energy, text)
    _model(free, "model file or name of a shipped model; without one only the estimators that start at beta = 0", "?")
    text = "states of the chain at beta, and draws of the model (default 20000)"
    free.add_argument("--n-samples", type=whole_number, default=20_000, help=text)
    _output(free, None, "also write the JSON here", required=False)

    text = "mutual information of two parts of a lattice, from draws of a model and from a chain"
    mutual = _command(commands, "mutual-information", _mutual_information, text)
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

    scan = _command(commands, "scan", _scan, "thermodynamics over a range of beta from fresh draws of a family")
    scan.add_argument(
        "model", metavar="FAMILY", help="file made by `nmcmc train --betas`, or the name of a shipped one"
    )
    text = "0.3,0.4,0.5 or LOW:HIGH:STEP (default: 31 over the whole range)"
    scan.add_argument("--betas", default="", help=text)
    scan.add_argument("--n-samples", type=whole_number, default=20_000, help="fresh draws at each (default 20000)")
    _output(scan, None, "folder for scan.json, scan.csv and scan.png", required=False)

    optimize = _command(commands, "optimize", _optimize, "best cut, QUBO value, independent set or energy of a file")
    optimize.add_argument("file", type=Path, metavar="FILE", help="a graph, a QUBO or couplings: see docs/graphs.md")
    _settings(optimize, settings.OptimizeConfig)
    optimize.add_argument("--verify", type=Path, metavar="SOLUTION", help="search nothing; check this solution instead")
    text = "solution with its certificate, JSON (default FILE.solution.json in the current folder)"
    _output(optimize, None, text, resume=True, required=False)


def _looking(commands: Any) -> None:
    """Add the commands that look at files, at what is known, and at this installation."""
    models = _command(commands, "models", _models, "list the shipped models, their quality and what they cost")
    _output(models, None, "also write the JSON here", required=False)

    analyze = _command(commands, "analyze", _analyze, "estimate observables, errors and τ_int of a chain file")
    analyze.add_argument("file", type=Path, metavar="FILE", help="chain file or run.h5")
    text = "also every error by the Γ-method, with a tail, by Sokal's window, bins and jackknife; burn-in and R̂ of each"
    analyze.add_argument("--errors", action="store_true", help=text)
    analyze.add_argument("--s", type=float, help="S of the Γ-method in --errors (default 1.5)")
    text = "decay time of the slowest mode in --errors, in updates (default: largest τ_int, or from the largest weight)"
    analyze.add_argument("--tau-exp", type=float, help=text)
    _output(analyze, None, "also write the JSON here", required=False)

    text = "compare two chain files in combined σ, or both chains of one run.h5"
    compare = _command(commands, "compare", _compare, text)
    compare.add_argument("a", type=Path, metavar="A.h5", help="chain file, or the neural chain of a run.h5")
    compare.add_argument("b", type=Path, metavar="B.h5", nargs="?", help="the other; left out for a run.h5")
    _output(compare, None, "also write the JSON here", required=False)

    exact = _command(commands, "exact", _exact, "print what is exactly known of a system")
    _settings(exact, settings.SystemConfig)
    _output(exact, None, "also write the JSON here", required=False)

    text = "check samplers, updates and estimators of this installation against exact answers: about a minute"
    verify = _command(commands, "verify", _verify, text)
    _output(verify, None, "also write the JSON here", required=False)

    doctor = _command(commands, "doctor", _doctor, "print versions, threads, BLAS, threading of kernels, devices")
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


MODEL = "model file, or the name of a shipped model: see `nmcmc models`"


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


def _given(options: argparse.Namespace, kind: type) -> dict[str, Any]:
    """Return the settings of a config class that were given on the command line."""
    values = {name: getattr(options, name, None) for name in settings.flat_fields(kind)}
    return {name: value for name, value in values.items() if value is not None}


def _options(options: argparse.Namespace, seed: int = 1) -> Any:
    from nmcmc.experiment.options import Options

    chosen = seed if options.seed is None else options.seed
    return Options(chosen, options.device, getattr(options, "resume", False), options.overwrite, options.quiet)


def _config(options: argparse.Namespace, kind: type[T]) -> T:
    return settings.build(kind, _given(options, kind))


def _run(options: argparse.Namespace) -> dict[str, Any]:
    from nmcmc.experiment.main_job import kept_config, run_command

    values: dict[str, Any] = {}
    if options.config is not None:
        values = settings.read_toml(options.config)
    elif options.resume and kept_config(options.out).exists():
        values = settings.read_toml(kept_config(options.out))
    values = settings.override(values, _given(options, settings.RunConfig))
    config = settings.build(settings.RunConfig, values)
    return run_command(config, options.out, _options(options, config.seed))


def _train(options: argparse.Namespace) -> dict[str, Any]:
    system, net = _config(options, settings.SystemConfig), _config(options, settings.SamplerConfig)
    training = _config(options, settings.TrainingConfig)
    if options.betas:
        return _train_family(system, net, training, options)
    from nmcmc.experiment.commands import train_command
    from nmcmc.experiment.growth import Growth

    if options.allow_beta_mismatch and not options.grow_from:
        raise ValueError(
            "--allow-beta-mismatch is for nets of another model; give that by --grow-from, or leave it out"
        )
    growth = Growth(tuple(options.grow_from), options.allow_beta_mismatch)
    return train_command(system, net, training, options.out, _options(options), growth)


def _train_family(system: Any, net: Any, training: Any, options: argparse.Namespace) -> dict[str, Any]:
    from nmcmc.experiment.family import prepare_family, train_family_command
    from nmcmc.experiment.grid import knots_of

    if options.grow_from:
        raise ValueError("--betas and --grow-from exclude each other: the knots of a family grow from one another")
    betas = knots_of(options.betas, system.beta)
    return train_family_command(prepare_family(system, net, training, betas, _options(options)), options.out)


def _anneal(options: argparse.Namespace) -> dict[str, Any]:
    system, net = _config(options, settings.SystemConfig), _config(options, settings.SamplerConfig)
    config = _config(options, settings.AnnealConfig)
    from nmcmc.experiment.anneal import anneal_command, prepare_anneal

    return anneal_command(prepare_anneal(system, net, config, _options(options)), options.out)


def _scan(options: argparse.Namespace) -> dict[str, Any]:
    from nmcmc.experiment.scan import scan_command

    return scan_command(options.model, options.betas, options.n_samples, options.out, _options(options))


def _sample(options: argparse.Namespace) -> dict[str, Any]:
    chain = _config(options, settings.ChainConfig)
    from nmcmc.experiment.commands import sample_command

    return sample_command(_wanted(options), chain, options.out, _options(options))


def _wanted(options: argparse.Namespace) -> Any:
    from nmcmc.experiment.models import Wanted

    return Wanted(
        options.model, _given(options, settings.SystemConfig), options.allow_beta_mismatch, options.translations
    )


def _baseline(options: argparse.Namespace) -> dict[str, Any]:
    system, chain = _config(options, settings.SystemConfig), _config(options, settings.ChainConfig)
    from nmcmc.experiment.commands import baseline_command

    return baseline_command(options.name, system, chain, options.out, _options(options))


def _evaluate(options: argparse.Namespace) -> dict[str, Any]:
    from nmcmc.experiment.commands import evaluate_command

    wanted = _wanted(options)
    return _also_written(
        lambda: evaluate_command(wanted, options.n_samples, _options(options), options.levels, options.modes), options
    )


def _optimize(options: argparse.Namespace) -> dict[str, Any]:
    config = _config(options, settings.OptimizeConfig)
    from nmcmc.experiment.optimize import optimize_command, verify_command

    if options.verify is not None:
        return verify_command(options.file, config, options.verify)
    out = options.out or Path(f"{options.file.name}.solution.json")
    return optimize_command(options.file, config, out, _options(options))


def _model_or_system(options: argparse.Namespace) -> tuple[Any, Any]:
    """Return sampler and target of a model, or no sampler and the target of the settings."""
    given = {"--allow-beta-mismatch": options.allow_beta_mismatch, "--translations": options.translations != 1}
    for name in [name for name, is_given in given.items() if is_given and options.model is None]:
        raise ValueError(f"{name} is for the nets of a model; name one, or leave it out")
    system = _config(options, settings.SystemConfig) if options.model is None else None
    from nmcmc.experiment.build import build_target
    from nmcmc.experiment.models import load_wanted

    if system is not None:
        return None, build_target(system)
    sampler, target, _ = load_wanted(_wanted(options), options.device)
    return sampler, target


def _mutual_information(options: argparse.Namespace) -> dict[str, Any]:
    sampler, target = _model_or_system(options)
    from nmcmc.experiment.information import mutual_information_command

    arguments = target, sampler, options.part, options.n_samples, _options(options), options.method, options.model
    return _also_written(lambda: mutual_information_command(*arguments), options)


def _free_energy(options: argparse.Namespace) -> dict[str, Any]:
    sampler, target = _model_or_system(options)
    from nmcmc.experiment.free_energy import free_energy_command

    return _also_written(
        lambda: free_energy_command(target, sampler, options.n_samples, _options(options), options.model), options
    )


def _models(options: argparse.Namespace) -> dict[str, Any]:
    from nmcmc.experiment.models import models_command

    return _also_written(models_command, options)


def _analyze(options: argparse.Namespace) -> dict[str, Any]:
    from nmcmc.experiment.commands import analyze_command
    from nmcmc.experiment.errors import ErrorOptions

    given = {name: value for name in ("s", "tau_exp") if (value := getattr(options, name)) is not None}
    for name in given if not options.errors else ():
        raise ValueError(f"--{name.replace('_', '-')} is for --errors; give that too, or leave it out")
    errors = ErrorOptions(**given) if options.errors else None
    return _also_written(lambda: analyze_command(options.file, errors), options)


def _compare(options: argparse.Namespace) -> dict[str, Any]:
    from nmcmc.experiment.commands import compare_command

    return _also_written(lambda: compare_command(options.a, options.b or options.a), options)


def _exact(options: argparse.Namespace) -> dict[str, Any]:
    system = _config(options, settings.SystemConfig)
    from nmcmc.experiment.commands import exact_command

    return _also_written(lambda: exact_command(system), options)


def _doctor(options: argparse.Namespace) -> dict[str, Any]:
    from nmcmc.experiment.doctor import doctor_command

    return _also_written(doctor_command, options)


def _verify(options: argparse.Namespace) -> dict[str, Any]:
    from nmcmc.experiment.verify import verify_command

    return _also_written(lambda: verify_command(_options(options)), options)


def _also_written(job: Callable[[], dict[str, Any]], options: argparse.Namespace) -> dict[str, Any]:
    """Do a job and write its JSON to ``--out`` if that was given, checked beforehand."""
    from nmcmc.atomic import atomic, check_output

    if options.out is None:
        return job()
    path = check_output(options.out, options.overwrite)
    result = job()
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(result, indent=1, allow_nan=False), encoding="utf-8")
    return result


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
