"""Training of a family as a job: one knot after the other, each begun from the nets of its neighbour."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from nmcmc.atomic import discard
from nmcmc.config import SamplerConfig, SystemConfig, TrainingConfig, to_toml
from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.experiment.growth import Growth
from nmcmc.experiment.options import Options, claim, leftovers_of, open_folder
from nmcmc.experiment.scan import extremes, scan_rows
from nmcmc.experiment.summary import summarize
from nmcmc.experiment.train import TrainingJob, prepare, train_stage
from nmcmc.parallel import n_threads
from nmcmc.random import Rng
from nmcmc.samplers.family import Family, load_family, save_family
from nmcmc.samplers.hierarchical.sampler import HierarchicalSampler
from nmcmc.samplers.store import load_sampler, save_sampler

DEFAULT_STEPS = 2000
"""Steps of the first knot, unless they are given."""
SHARE = 0.3
"""Steps of a knot that starts from its neighbour's nets for each step of the first one."""
EVALUATION = 10_000
"""Fresh draws at every knot, and at every β halfway between two, that tell how good the family is."""


@dataclass(frozen=True)
class FamilyJob:
    """A family to be trained: the knots, the first of them nearest to the system's β, and all settings."""

    betas: tuple[float, ...]
    system: SystemConfig
    net: SamplerConfig
    training: TrainingConfig
    options: Options

    @property
    def fingerprint(self) -> str:
        """Shared by jobs with the same result only."""
        settings = [to_toml(self.system), to_toml(self.net), to_toml(self.training), repr(self.betas)]
        settings += [str(self.options.seed), self.options.device]
        return hashlib.sha256("\n".join(settings).encode()).hexdigest()

    def order(self) -> Iterator[tuple[float, float | None]]:
        """Yield every knot and the one whose nets it begins with: the first, then those below and above, outwards."""
        first = min(range(len(self.betas)), key=lambda k: abs(self.betas[k] - self.system.beta))
        yield self.betas[first], None
        for k in range(first, 0, -1):
            yield self.betas[k - 1], self.betas[k]
        for k in range(first, len(self.betas) - 1):
            yield self.betas[k + 1], self.betas[k]

    def knot(self, beta: float, source: Path | None) -> TrainingJob:
        """Return the training of one knot: from nothing, or in fewer steps from the sampler in a file."""
        steps = self.training.steps if source is None else max(1, round(SHARE * self.training.steps))
        growth = Growth() if source is None else Growth((str(source),), allow_beta_mismatch=True)
        system, training = replace(self.system, beta=beta), replace(self.training, steps=steps)
        return prepare(system, self.net, training, self.options, growth)

    @property
    def notes(self) -> dict[str, Any]:
        """What is kept with the weights."""
        first = replace(self.knot(self.betas[0], None), system=self.system)
        betas = ",".join(map(repr, self.betas))
        return {
            "seed": self.options.seed,
            "objective": self.training.objective,
            "steps": self.training.steps,
            "fingerprint": self.fingerprint,
            "command": f"{first.command(self.training.steps)} --betas={betas}",
        }


def prepare_family(
    system: SystemConfig, net: SamplerConfig, training: TrainingConfig, betas: Sequence[float], options: Options
) -> FamilyJob:
    """Return the job that the settings describe: by level and 2000 steps unless they say otherwise.

    Raises
    ------
    ValueError : for another sampler than the hierarchical one, a time instead of steps, or a lattice without nets.
    """
    if net.sampler != "hierarchical":
        raise ValueError(f"a family is made of samplers 'hierarchical', not {net.sampler!r}; leave out --sampler")
    if training.seconds:
        raise ValueError("a family is trained in steps, not in seconds; give --steps, of the first knot")
    training = replace(training, objective=training.objective or "by-level", steps=training.steps or DEFAULT_STEPS)
    job = FamilyJob(tuple(betas), system, net, training, options)
    for beta in job.betas:
        if (note := job.knot(beta, None).note) is not None:
            raise ValueError(f"{note}; a family needs nets")
    return job


def train_family_command(job: FamilyJob, out: Path) -> dict[str, Any]:
    """Train a family, write it to ``out``, and return its quality at every knot and halfway between them."""
    options, folder, seconds = job.options, leftovers_of(out, "checkpoint"), None
    if claim(out, folder, options):
        family, notes = load_family(out, options.device)
        if notes.get("fingerprint") != job.fingerprint:
            raise ValueError(f"{out} was trained with other settings; give the same, another --out, or --overwrite")
    else:
        family, seconds = train_knots(job, folder)
        save_family(out, family, job.notes)
        discard(folder)
    middles = [round((a + b) / 2, 10) for a, b in itertools.pairwise(job.betas)]
    rows = scan_rows(family, sorted([*job.betas, *middles]), EVALUATION, Rng(options.seed).child("evaluate"), options)
    return summarize(
        "train",
        Boltzmann(family.energy, job.betas[0]),
        beta=None,
        betas=list(job.betas),
        seed=options.seed,
        seconds={"train": seconds},
        steps=job.training.steps,
        objective=job.training.objective,
        n_parameters=sum(p.numel() for knot in family.knots for p in knot.parameters()),
        threads=n_threads(),
        out=str(out),
        n_draws=EVALUATION,
        **extremes(rows),
        scan=rows,
    )


def train_knots(job: FamilyJob, folder: Path) -> tuple[Family, float]:
    """Train every knot that the folder does not hold yet; return the family and the seconds of work on all of them.

    A finished knot is a file, the present one has checkpoints: a job that was killed goes on there, and ends with the
    same bits.

    Raises
    ------
    CorruptFileError, ValueError : if what is in the folder is damaged or belongs to a job with other settings.
    FloatingPointError, RuntimeError : if training breaks down.
    """
    open_folder(
        folder, {folder / f"{beta!r}.safetensors{ending}" for beta in job.betas for ending in ("", ".checkpoint")}
    )
    files, knots, seconds = dict[float, Path](), [], 0.0
    for beta, neighbour in job.order():
        files[beta] = folder / f"{beta!r}.safetensors"
        _train_knot(job.knot(beta, None if neighbour is None else files[neighbour]), files[beta])
        sampler, _, notes = load_sampler(files[beta], job.options.device)
        knots.append(cast("HierarchicalSampler", sampler))
        seconds += notes["seconds"]
    return Family(knots), seconds


def _train_knot(knot: TrainingJob, path: Path) -> None:
    if path.exists():
        _, _, notes = load_sampler(path)
        if notes["fingerprint"] != knot.fingerprint:
            raise ValueError(f"{path} belongs to a run with other settings; give the same, or another output")
        return
    trained = train_stage(knot, leftovers_of(path, "checkpoint"))
    save_sampler(path, trained.sampler, {"fingerprint": knot.fingerprint, "seconds": trained.seconds})
