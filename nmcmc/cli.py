"""The command line: arguments → experiment, results → text or JSON, errors → exit codes."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nmcmc import config as settings

OK, USAGE, UNRELIABLE, CORRUPT = 0, 2, 3, 4
EPILOG = "Exit codes: 0 done, 2 wrong use, 3 not converged or unreliable, 4 damaged file."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(stream=sys.stderr, format="%(levelname)s: %(message)s", level=logging.WARNING)
    from nmcmc.types import CorruptFileError

    try:
        _use_device(options)
        result = options.job(options)
        _show(result, options)
        return _exit_code(result)
    except CorruptFileError as error:
        return _fail(error, CORRUPT)
    except (FloatingPointError, RuntimeError) as error:
        return _fail(error, UNRELIABLE)
    except (ValueError, OSError) as error:
        return _fail(error, USAGE)
    except KeyboardInterrupt:
        return _fail("interrupted; the same command with --resume continues", 130)


def _fail(error: object, code: int) -> int:
    text = " ".join(str(error).split()) or type(error).__name__
    sys.stderr.write(f"nmcmc: error: {text}\n")
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="nmcmc", description="Neural Markov chain Monte Carlo for spin systems.", epilog=EPILOG, allow_abbrev=False
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    run = _command(commands, "run", _run, "train, draw, run a neural and a Wolff chain, compare; writes a folder")
    run.add_argument("config", nargs="?", type=Path, metavar="CONFIG.toml", help="settings; options override them")
    _settings(run, settings.RunConfig)
    _output(run, Path("nmcmc-run"), "folder of the run", resume=True)

    train = _command(commands, "train", _train, "train a sampler and store it")
    _settings(train, settings.SystemConfig, settings.SamplerConfig, settings.TrainingConfig)
    _output(train, None, "model file, .safetensors", resume=True)

    sample = _command(commands, "sample", _sample, "run the neural chain of a stored sampler")
    sample.add_argument("model", type=Path, metavar="MODEL", help="model file")
    _settings(sample, settings.ChainConfig)
    _output(sample, None, "chain file, .h5", resume=True)

    baseline = _command(commands, "baseline", _baseline, "run a chain of cluster or local updates")
    baseline.add_argument("name", choices=settings.BASELINES, help="the update")
    _settings(baseline, settings.SystemConfig, settings.ChainConfig)
    _output(baseline, None, "chain file, .h5", resume=True)

    evaluate = _command(commands, "evaluate", _evaluate, "measure the quality of a stored sampler from fresh draws")
    evaluate.add_argument("model", type=Path, metavar="MODEL", help="model file")
    evaluate.add_argument("--n-samples", type=int, default=20_000, help="fresh draws (default 20000)")
    _output(evaluate, None, "also write the JSON here", required=False)

    analyze = _command(commands, "analyze", _analyze, "estimate observables, errors and τ_int of a chain file")
    analyze.add_argument("file", type=Path, metavar="FILE", help="chain file or run.h5")
    _output(analyze, None, "also write the JSON here", required=False)

    compare = _command(commands, "compare", _compare, "compare two chain files, in combined σ")
    compare.add_argument("a", type=Path, metavar="A.h5")
    compare.add_argument("b", type=Path, metavar="B.h5")
    _output(compare, None, "also write the JSON here", required=False)

    exact = _command(commands, "exact", _exact, "print what is exactly known of a system")
    _settings(exact, settings.SystemConfig)
    _output(exact, None, "also write the JSON here", required=False)

    doctor = _command(commands, "doctor", _doctor, "print versions, threads, BLAS, threading of kernels, devices")
    _output(doctor, None, "also write the JSON here", required=False)
    return parser


def _command(commands: Any, name: str, job: Callable[[argparse.Namespace], Any], help: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=help, description=help[0].upper() + help[1:] + ".", epilog=EPILOG, allow_abbrev=False
    )
    parser.set_defaults(job=job)
    group = parser.add_argument_group("common options")
    group.add_argument("--seed", type=int, default=None, help="seed of all random numbers (default 1)")
    group.add_argument("--threads", type=int, default=0, help="threads of torch and kernels (default: all cores)")
    group.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N: where networks live (default cpu)")
    group.add_argument("--quiet", action="store_true", help="no progress bars")
    group.add_argument("--json", action="store_true", help="one JSON object on standard output, all else on error")
    return parser


def _settings(parser: argparse.ArgumentParser, *kinds: type) -> None:
    """Add an option for every setting of config classes; its value is None unless given."""
    for kind in kinds:
        defaults = kind()
        group = parser.add_argument_group((kind.__doc__ or "").split(":")[0].rstrip(".").lower())
        for name, (item, hint) in settings.flat_fields(kind).items():
            if name == "seed":
                continue
            choices = [choice for choice in item.metadata["choices"] if choice] or None
            default = settings.value_of(defaults, name)
            text = item.metadata["help"] + (f" (default {default})" if default != "" else "")
            flag = f"--{name.replace('_', '-')}"
            group.add_argument(flag, dest=name, type=hint, choices=choices, default=None, help=text)


def _output(
    parser: argparse.ArgumentParser, default: Path | None, help: str, resume: bool = False, required: bool = True
) -> None:
    needed = required and default is None
    text = help + (f" (default {default})" if default else "")
    parser.add_argument("--out", type=Path, default=default, required=needed, help=text)
    parser.add_argument("--overwrite", action="store_true", help="replace existing output")
    if resume:
        parser.add_argument("--resume", action="store_true", help="continue an interrupted run, bit for bit")


def _use_device(options: argparse.Namespace) -> None:
    """Set the number of threads and check the device before any work."""
    if options.threads < 0:
        raise ValueError(f"--threads is {options.threads}; give a number ≥ 1, or 0 for all cores")
    if options.seed is not None and options.seed < 0:
        raise ValueError(f"--seed is {options.seed}; it must be an integer ≥ 0")
    if options.command == "doctor" or options.threads or options.device != "cpu":
        import torch

        if options.threads:
            torch.set_num_threads(options.threads)
        kind = torch.device(options.device).type
        if kind not in ("cpu", "cuda"):
            raise ValueError(f"--device is {options.device}; it must be cpu, cuda or cuda:N")
        if kind == "cuda" and not torch.cuda.is_available():
            raise ValueError(f"--device is {options.device}, but torch finds no CUDA device; use --device cpu")


def _given(options: argparse.Namespace, kind: type) -> dict[str, Any]:
    """Return the settings of a config class that were given on the command line."""
    values = {name: getattr(options, name, None) for name in settings.flat_fields(kind)}
    return {name: value for name, value in values.items() if value is not None}


def _options(options: argparse.Namespace, seed: int | None = None) -> Any:
    from nmcmc.experiment.stages import Options

    chosen = seed if seed is not None else 1 if options.seed is None else options.seed
    resume = getattr(options, "resume", False)
    if resume and options.overwrite:
        raise ValueError("--resume and --overwrite exclude each other: continue the old run, or replace it")
    return Options(chosen, options.device, resume, options.overwrite, options.quiet)


def _run(options: argparse.Namespace) -> dict[str, Any]:
    values: dict[str, Any] = {}
    kept = options.out / "config.toml"
    if options.config is not None:
        values = settings.read_toml(options.config)
    elif options.resume and kept.exists():
        values = settings.read_toml(kept)
    config = settings.build(settings.RunConfig, values | _given(options, settings.RunConfig))
    chosen = _options(options, config.seed)
    from nmcmc.experiment.main_job import run_command

    return run_command(config, options.out, chosen)


def _train(options: argparse.Namespace) -> dict[str, Any]:
    system = settings.build(settings.SystemConfig, _given(options, settings.SystemConfig))
    net = settings.build(settings.SamplerConfig, _given(options, settings.SamplerConfig))
    training = settings.build(settings.TrainingConfig, _given(options, settings.TrainingConfig))
    if training.steps and training.seconds:
        raise ValueError("--steps and --seconds exclude each other; give one")
    from nmcmc.experiment.commands import train_command

    return train_command(system, net, training, options.out, _options(options))


def _sample(options: argparse.Namespace) -> dict[str, Any]:
    chain = settings.build(settings.ChainConfig, _given(options, settings.ChainConfig))
    from nmcmc.experiment.commands import sample_command

    return sample_command(options.model, chain, options.out, _options(options))


def _baseline(options: argparse.Namespace) -> dict[str, Any]:
    system = settings.build(settings.SystemConfig, _given(options, settings.SystemConfig))
    chain = settings.build(settings.ChainConfig, _given(options, settings.ChainConfig))
    from nmcmc.experiment.commands import baseline_command

    return baseline_command(options.name, system, chain, options.out, _options(options))


def _evaluate(options: argparse.Namespace) -> dict[str, Any]:
    from nmcmc.experiment.commands import evaluate_command

    return _also_written(lambda: evaluate_command(options.model, options.n_samples, _options(options)), options)


def _analyze(options: argparse.Namespace) -> dict[str, Any]:
    from nmcmc.experiment.commands import analyze_command

    return _also_written(lambda: analyze_command(options.file), options)


def _compare(options: argparse.Namespace) -> dict[str, Any]:
    from nmcmc.experiment.commands import compare_command

    return _also_written(lambda: compare_command(options.a, options.b), options)


def _exact(options: argparse.Namespace) -> dict[str, Any]:
    system = settings.build(settings.SystemConfig, _given(options, settings.SystemConfig))
    from nmcmc.experiment.commands import exact_command

    return _also_written(lambda: exact_command(system), options)


def _doctor(options: argparse.Namespace) -> dict[str, Any]:
    from nmcmc.experiment.doctor import doctor_command

    return _also_written(doctor_command, options)


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
    from nmcmc.experiment.summary import unreliable

    reasons = list(unreliable(result))
    for reason in reasons:
        sys.stderr.write(f"nmcmc: unreliable: {reason}\n")
    return UNRELIABLE if reasons else OK


if __name__ == "__main__":
    sys.exit(main())
