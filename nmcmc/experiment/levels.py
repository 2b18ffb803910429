"""Training level by level: forward KL on configurations, then block-local reverse KL, each net on its own.

A net's loss has no other net's parameters in it, so nets are trained in processes side by side. The reverse KL that
finishes a net needs the nets inside its blocks finished first: its noise is what they leave of their own divergence.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

from nmcmc.experiment.configurations import Configurations
from nmcmc.experiment.options import open_folder
from nmcmc.experiment.workers import side_by_side
from nmcmc.random import Rng
from nmcmc.samplers.hierarchical.sampler import HierarchicalSampler
from nmcmc.training.checkpoint import Finished, finished
from nmcmc.training.loop import Plan, train
from nmcmc.training.objectives import Objective, block_local_reverse_kl, forward_kl

if TYPE_CHECKING:
    from nmcmc.experiment.train import TrainingJob

FORWARD, REVERSE = "forward", "reverse"
RATES = {FORWARD: 0.0015, REVERSE: 0.002}
"""Peaks of the learning rate, unless one is given."""
LEVEL_STEPS = 4000
"""Steps of each stage of each net, unless steps are given."""
FINISHED_SPINS = 64 * 64
"""Spins of the largest region that is finished by reverse KL. In larger ones what the nets inside leave of their own
divergence is noise enough to undo what forward KL has taught: they get twice the steps of that instead."""


@dataclass(frozen=True)
class Level:
    """One stage of the training of one net.

    Attributes
    ----------
    passes : its length in units of the steps that were asked for.
    after : the stages that it needs, the last of each net.
    """

    key: str
    stage: str
    passes: int = 1
    after: tuple[Level, ...] = field(default=(), repr=False)

    @property
    def name(self) -> str:
        """A name for files and random streams."""
        return f"{self.key}.{self.stage}"


def levels_of(sampler: HierarchicalSampler) -> list[Level]:
    """Return every stage of every net to be trained, smaller blocks first, the last stage of each net last."""
    levels, last = [], dict[str, Level]()
    for key in reversed(sampler.trained_keys):
        finish = sampler.n_inside(key) <= FINISHED_SPINS
        levels.append(Level(key, FORWARD, passes=1 if finish else 2))
        if finish:
            inside = [last[k] for k in sampler.keys_inside(key) if k in last]
            levels.append(Level(key, REVERSE, after=(levels[-1], *inside)))
        last[key] = levels[-1]
    return levels


def train_levels(job: TrainingJob, folder: Path, workers: int) -> float:
    """Train the nets of a job in place, ``workers`` at a time, and return the seconds of work, over all workers.

    Every stage keeps its checkpoint in ``folder``, the last one with the trained net: a job that was killed goes on
    there, and ends with the same bits whatever the number of workers.

    Raises
    ------
    CorruptFileError, ValueError : if what is in the folder is damaged or belongs to a job with other settings.
    FloatingPointError, RuntimeError : if training breaks down.
    """
    levels = levels_of(cast("HierarchicalSampler", job.sampler))
    open_folder(folder, {_path(folder, level) for level in levels})
    left = [level for level in levels if _result(job, folder, level) is None]
    total, rest = (job.training.steps * sum(level.passes for level in some) for some in (levels, left))
    work = partial(_train_level, job.anew, folder)
    with job.options.bar(total, "training levels", "step", total - rest) as bar:
        if workers > 1:
            side_by_side(work, left, workers, bar.update)
        else:
            for level in left:
                work(level, bar.update)
    return sum(_take(job, folder, level) for level in levels)


def _train_level(
    anew: Callable[[], TrainingJob], folder: Path, level: Level, progress: Callable[[int], object]
) -> None:
    """Do one stage of one net in a fresh copy of the job, from its checkpoint on if there is one."""
    job = anew()
    sampler, rng = cast("HierarchicalSampler", job.sampler), Rng(job.options.seed).child("train", level.name)
    for earlier in level.after:
        _take(job, folder, earlier)
    sampler.train_only(level.key)
    reached = 0

    def show(done: int, record: dict[str, float]) -> None:
        nonlocal reached
        progress(done - reached)
        reached = done

    train(
        sampler,
        job.target,
        _objective(job, level, Configurations(job.target, rng.child("data"))),
        Plan(level.passes * job.training.steps, job.training.learning_rate or RATES[level.stage], evaluate_every=0),
        rng.child("steps"),
        checkpoint=_path(folder, level),
        fingerprint=_fingerprint(job, level),
        progress=show,
    )


def _objective(job: TrainingJob, level: Level, configurations: Configurations) -> Objective:
    given = job.training
    if level.stage == FORWARD:
        return cast("Objective", partial(forward_kl, configurations=configurations, batch=given.batch))
    objective = partial(block_local_reverse_kl, borders=given.borders, crosses=given.crosses)
    return cast("Objective", partial(objective, configurations=configurations))


def _path(folder: Path, level: Level) -> Path:
    return folder / f"{level.name}.safetensors"


def _fingerprint(job: TrainingJob, level: Level) -> str:
    rate = job.training.learning_rate or RATES[level.stage]
    return f"{job.fingerprint} {level.name} {level.passes * job.training.steps} {rate}"


def _result(job: TrainingJob, folder: Path, level: Level) -> Finished | None:
    return finished(_path(folder, level), _fingerprint(job, level))


def _take(job: TrainingJob, folder: Path, level: Level) -> float:
    """Put the net of a finished stage into the job's sampler and return the seconds that the stage took."""
    found = _result(job, folder, level)
    if found is None:
        raise RuntimeError(f"{level.name} is not finished; train it first")
    net = cast("HierarchicalSampler", job.sampler).nets[level.key]
    prefix = f"nets.{level.key}."
    net.load_state_dict({n.removeprefix(prefix): t for n, t in found.weights.items() if n.startswith(prefix)})
    return found.seconds
