"""`nmcmc verify`: everything that results rest on, held against exact answers on the user's own machine."""

from __future__ import annotations

import time
from typing import Any

from tqdm import tqdm

from nmcmc.experiment.checks import Check, guarded
from nmcmc.experiment.options import Options
from nmcmc.experiment.summary import versions
from nmcmc.experiment.verify_errors import error_checks
from nmcmc.experiment.verify_estimators import estimator_checks
from nmcmc.experiment.verify_predictions import prediction_checks
from nmcmc.experiment.verify_samplers import sampler_checks
from nmcmc.experiment.verify_updates import reference_checks, update_checks
from nmcmc.random import Rng


def verify(options: Options) -> list[Check]:
    """Return all checks of the self-test, made with the seed and on the device of the options.

    Deterministic ones have a tolerance of their own, statistical ones fail at 5 standard errors, which with about 110
    of these happens by chance to one seed in fifteen thousand.
    """
    rng, device = Rng(options.seed).child("verify"), options.device
    groups = {
        "exact": reference_checks,
        "samplers": lambda: sampler_checks(rng.child("samplers"), device),
        "updates": lambda: update_checks(rng.child("updates"), device),
        "estimators": lambda: estimator_checks(rng.child("estimators"), device),
        "errors": lambda: error_checks(rng.child("errors")),
        "predictions": lambda: prediction_checks(rng.child("predictions"), device),
    }
    checks: list[Check] = []
    with tqdm(desc="verify", unit="check", disable=True if options.quiet else None) as bar:
        for name, group in groups.items():
            for check in guarded(name, group):
                checks.append(check)
                bar.update()
    return checks


def verify_command(options: Options) -> dict[str, Any]:
    """Run the self-test and return every check by name, how many failed, and the seconds it took."""
    began = time.monotonic()
    checks = verify(options)
    return {
        "command": "verify",
        "seed": options.seed,
        "device": options.device,
        "versions": versions(),
        "checks": {check.name: check.to_json() for check in checks},
        "n_checks": len(checks),
        "n_failed": sum(not check.passed for check in checks),
        "seconds": time.monotonic() - began,
    }
