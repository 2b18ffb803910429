"""What the commands do: options → settings → experiment → a result to show."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from nmcmc import config as settings

T = TypeVar("T")


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


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Train, draw, run a neural and a Wolff chain, and compare: `main_job.run_command`."""
    from nmcmc.experiment.main_job import kept_config, run_command

    values: dict[str, Any] = {}
    if options.config is not None:
        values = settings.read_toml(options.config)
    elif options.resume and kept_config(options.out).exists():
        values = settings.read_toml(kept_config(options.out))
    values = settings.override(values, _given(options, settings.RunConfig))
    config = settings.build(settings.RunConfig, values)
    return run_command(config, options.out, _options(options, config.seed))


def train(options: argparse.Namespace) -> dict[str, Any]:
    """Train a sampler, or a family of them, and store it."""
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


def anneal(options: argparse.Namespace) -> dict[str, Any]:
    """Train along β and measure at each: `anneal.anneal_command`."""
    system, net = _config(options, settings.SystemConfig), _config(options, settings.SamplerConfig)
    config = _config(options, settings.AnnealConfig)
    from nmcmc.experiment.anneal import anneal_command, prepare_anneal

    return anneal_command(prepare_anneal(system, net, config, _options(options)), options.out)


def scan(options: argparse.Namespace) -> dict[str, Any]:
    """Measure a family over a range of β."""
    from nmcmc.experiment.scan import scan_command

    return scan_command(options.model, options.betas, options.n_samples, options.out, _options(options))


def sample(options: argparse.Namespace) -> dict[str, Any]:
    """Run the neural chain of a stored sampler."""
    chain = _config(options, settings.ChainConfig)
    from nmcmc.experiment.commands import sample_command

    return sample_command(_wanted(options), chain, options.out, _options(options))


def _wanted(options: argparse.Namespace) -> Any:
    from nmcmc.experiment.models import Wanted

    return Wanted(
        options.model, _given(options, settings.SystemConfig), options.allow_beta_mismatch, options.translations
    )


def baseline(options: argparse.Namespace) -> dict[str, Any]:
    """Run a chain of cluster or local updates."""
    system, chain = _config(options, settings.SystemConfig), _config(options, settings.ChainConfig)
    from nmcmc.experiment.commands import baseline_command

    return baseline_command(options.name, system, chain, options.out, _options(options))


def evaluate(options: argparse.Namespace) -> dict[str, Any]:
    """Measure a stored sampler by fresh draws."""
    from nmcmc.experiment.commands import evaluate_command

    wanted = _wanted(options)
    return _also_written(
        lambda: evaluate_command(wanted, options.n_samples, _options(options), options.levels, options.modes), options
    )


def optimize(options: argparse.Namespace) -> dict[str, Any]:
    """Anneal to the best configuration of a file, or check a solution of it."""
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


def mutual_information(options: argparse.Namespace) -> dict[str, Any]:
    """Estimate the mutual information of two parts."""
    sampler, target = _model_or_system(options)
    from nmcmc.experiment.information import mutual_information_command

    arguments = target, sampler, options.part, options.n_samples, _options(options), options.method, options.model
    return _also_written(lambda: mutual_information_command(*arguments), options)


def free_energy(options: argparse.Namespace) -> dict[str, Any]:
    """Estimate log Z in several ways."""
    sampler, target = _model_or_system(options)
    from nmcmc.experiment.free_energy import free_energy_command

    return _also_written(
        lambda: free_energy_command(target, sampler, options.n_samples, _options(options), options.model), options
    )


def models(options: argparse.Namespace) -> dict[str, Any]:
    """List the shipped models."""
    from nmcmc.experiment.models import models_command

    return _also_written(models_command, options)


def analyze(options: argparse.Namespace) -> dict[str, Any]:
    """Estimate observables and errors of a stored chain."""
    from nmcmc.experiment.commands import analyze_command
    from nmcmc.experiment.errors import ErrorOptions

    given = {name: value for name in ("s", "tau_exp") if (value := getattr(options, name)) is not None}
    for name in given if not options.errors else ():
        raise ValueError(f"--{name.replace('_', '-')} is for --errors; give that too, or leave it out")
    errors = ErrorOptions(**given) if options.errors else None
    return _also_written(lambda: analyze_command(options.file, errors), options)


def compare(options: argparse.Namespace) -> dict[str, Any]:
    """Compare two stored chains."""
    from nmcmc.experiment.commands import compare_command

    return _also_written(lambda: compare_command(options.a, options.b or options.a), options)


def exact(options: argparse.Namespace) -> dict[str, Any]:
    """Return what is exactly known of a system."""
    system = _config(options, settings.SystemConfig)
    from nmcmc.experiment.commands import exact_command

    return _also_written(lambda: exact_command(system), options)


def doctor(options: argparse.Namespace) -> dict[str, Any]:
    """Return versions, threads and devices."""
    from nmcmc.experiment.doctor import doctor_command

    return _also_written(doctor_command, options)


def verify(options: argparse.Namespace) -> dict[str, Any]:
    """Check this installation against exact answers."""
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
