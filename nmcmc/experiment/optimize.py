"""Optimisation of a file's problem as a job: rounds of annealings, resumable, and a solution that can be checked."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from nmcmc.annealing import default_beta_range, schedule
from nmcmc.atomic import atomic, discard
from nmcmc.config import OptimizeConfig, to_toml
from nmcmc.energies.graphs import Problem, read_problem
from nmcmc.experiment.options import Options, claim, leftovers_of
from nmcmc.experiment.summary import versions
from nmcmc.parallel import n_threads
from nmcmc.random import Rng
from nmcmc.sealed import seal, unseal
from nmcmc.solution import START, Search, Solution, certified, check, one_round
from nmcmc.types import CorruptFileError

DEFAULT_SECONDS, CHECKPOINT_SECONDS = 10.0, 5.0
FORMAT, VERSION = "nmcmc-solution", 1
_NEEDED = {
    *("problem", "n_sites", "n_pairs", "goal", "value_name", "value", "exact_arithmetic", "bound", "proven_optimal"),
    *("energy", "labels", "file", "file_sha256", "answer", "fingerprint", "search"),
}
_VERSIONS = tuple(range(1, VERSION + 1))
_NAMES = ("problem", "value_name", "file", "file_sha256", "fingerprint")


@dataclass(frozen=True)
class OptimizeJob:
    """A file's problem and how to search; jobs of one fingerprint have the same file, settings and seed."""

    path: Path
    problem: Problem
    config: OptimizeConfig
    options: Options
    file_sha256: str

    @property
    def fingerprint(self) -> str:
        """Digest of all that decides the result."""
        text = "\n".join([self.file_sha256, self.problem.name, to_toml(self.config), str(self.options.seed)])
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def seconds(self) -> float:
        """When to stop; infinite if rounds are given."""
        return float("inf") if self.config.rounds else self.config.seconds or DEFAULT_SECONDS


def optimize_command(path: Path, config: OptimizeConfig, out: Path, options: Options) -> dict[str, Any]:
    """Search for the best answer to a file's problem, write it with its certificate to ``out``, return the summary."""
    if out.resolve() == path.resolve():
        raise ValueError(f"--out is {out}, which is read; give another name")
    job = prepare(path, config, options)
    checkpoint = leftovers_of(out, "checkpoint")
    if claim(out, checkpoint, options):
        return _finished(out, job)
    search, seconds = search_stage(job, checkpoint)
    content = solution_content(job, certified(job.problem, search), seconds)
    with atomic(out) as temporary:
        temporary.write_text(json.dumps(content, allow_nan=False), encoding="utf-8")
    if checkpoint.exists():
        discard(checkpoint)
    return _summary(content, out, seconds)


def prepare(path: Path, config: OptimizeConfig, options: Options) -> OptimizeJob:
    """Return the job that a file and settings describe; nothing is searched or written.

    Raises
    ------
    FileNotFoundError, ValueError : for a file that is not there, or gives no such problem.
    """
    problem = read_problem(path, config.format, config.problem)
    return OptimizeJob(path, problem, config, options, hashlib.sha256(path.read_bytes()).hexdigest())


def search_stage(job: OptimizeJob, checkpoint: Path) -> tuple[Search, float]:
    """Run rounds until there are enough or time is up, from the checkpoint on if there is one.

    Returns
    -------
    search : what was found. seconds : time spent, over all interruptions.
    """
    search, before = _restored(checkpoint, job)
    began = saved = time.monotonic()
    betas = schedule(job.problem.energy, job.config.sweeps)
    rng = Rng(job.options.seed).child("optimize")
    with job.options.bar(job.config.rounds or None, f"annealing ({job.problem.name})", "round", search.rounds) as bar:  # type: ignore[arg-type]
        while search.rounds < (job.config.rounds or search.rounds + 1):
            spent = before + time.monotonic() - began
            if search.rounds and spent >= job.seconds:
                break
            search = one_round(job.problem, search, betas, job.config.replicas, rng)
            _show(bar, job.problem, search)
            if time.monotonic() - saved >= CHECKPOINT_SECONDS:
                saved = time.monotonic()
                _save(checkpoint, job, search, before + saved - began)
    return search, before + time.monotonic() - began


def solution_content(job: OptimizeJob, solution: Solution, seconds: float) -> dict[str, Any]:
    """Return everything that the solution's file says."""
    config, search = job.config, solution.search
    hot, cold = default_beta_range(job.problem.energy)
    head = {"format": FORMAT, "version": VERSION, "file": job.path.name, "file_sha256": job.file_sha256}
    return {
        **head,
        **claims_of(solution),
        "search": {
            "sweeps": config.sweeps,
            "replicas": config.replicas,
            "rounds": search.rounds,
            "runs": search.runs,
            "hits": search.hits,
            "beta_range": [hot, cold],
            "seed": job.options.seed,
            "seconds": seconds,
        },
        "fingerprint": job.fingerprint,
        "versions": versions(),
        "answer": solution.answer.tolist(),
    }


def claims_of(solution: Solution) -> dict[str, Any]:
    """Return what a solution's file says of its answer and problem: all of it follows from answer and problem."""
    problem, labels = solution.problem, solution.problem.terms.labels
    return {
        "problem": problem.name,
        "n_sites": problem.terms.n_sites,
        "n_pairs": len(problem.terms.pairs),
        "goal": problem.goal,
        "value_name": problem.value_name,
        "value": solution.value,
        "exact_arithmetic": problem.is_exact,
        "bound": problem.bound,
        "proven_optimal": solution.is_optimal,
        "energy": solution.energy,
        "labels": None if labels is None else [_plain(label) for label in labels],
    }


def verify_command(path: Path, config: OptimizeConfig, solution: Path) -> dict[str, Any]:
    """Return what a solution's file claims beside what the problem's file says of its answer.

    Raises
    ------
    ValueError : if the solution is for another file, or its claims are false.
    """
    content = _read_solution(solution)
    job = prepare(path, config if config.problem else OptimizeConfig(config.format, content["problem"]), Options())
    if content["file_sha256"] != job.file_sha256:
        raise ValueError(f"{solution} is a solution of another file than {path}: their SHA-256 differ")
    if content["problem"] != job.problem.name:
        raise ValueError(f"{solution} is a solution of {content['problem']}, not of {job.problem.name}")
    found = check(job.problem, np.array(content["answer"], dtype=np.int64))
    for name, value in claims_of(found).items():
        if content[name] != value:
            raise ValueError(f"{solution} says {name} = {content[name]!r}; by the numbers of {path} it is {value!r}")
    return {"command": "optimize", "verified": True} | _shown(content)


def _finished(out: Path, job: OptimizeJob) -> dict[str, Any]:
    content = _read_solution(out)
    if content["fingerprint"] != job.fingerprint:
        raise ValueError(f"{out} is of another file, problem or seed; give another --out, or --overwrite")
    return _summary(content, out, None)


def _read_solution(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; `nmcmc optimize FILE --out SOLUTION` makes a solution")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise CorruptFileError(f"{path} is not an intact solution: {error}") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT or content.get("version") not in _VERSIONS:
        raise ValueError(f"{path} is no solution of format {FORMAT!r} up to version {VERSION}")
    missing = sorted(_NEEDED - set(content))
    if missing or not all(isinstance(content[name], str) for name in _NAMES):
        raise CorruptFileError(f"{path} is not an intact solution: {missing or list(_NAMES)} are missing or damaged")
    whole = isinstance(content["answer"], list) and all(type(x) is int for x in content["answer"])
    if not whole or max(map(abs, content["answer"]), default=0) > 1:
        raise CorruptFileError(f"{path} is not an intact solution: the answer is damaged")
    return content


def _shown(content: dict[str, Any]) -> dict[str, Any]:
    """Return the part of a solution's file that is for people."""
    hidden = ("format", "version", "fingerprint", "answer", "labels", "value", "file_sha256")
    shown = {name: value for name, value in content.items() if name not in hidden}
    return {"file": shown.pop("file"), content["value_name"]: content["value"]} | shown


def _summary(content: dict[str, Any], out: Path, seconds: float | None) -> dict[str, Any]:
    shown = {"command": "optimize"} | _shown(content) | {"threads": n_threads(), "out": str(out)}
    return shown | {"seconds": {"optimize": seconds}}


def _show(bar: tqdm[Any], problem: Problem, search: Search) -> None:
    bar.update(search.rounds - bar.n)
    best = {problem.value_name: f"{problem.value_of_energy(search.energy):g}", "hits": f"{search.hits}/{search.runs}"}
    bar.set_postfix(best, refresh=False)


def _save(checkpoint: Path, job: OptimizeJob, search: Search, seconds: float) -> None:
    header = {"fingerprint": job.fingerprint, "seconds": seconds, "energy": search.energy}
    header |= {name: getattr(search, name) for name in ("hits", "runs", "rounds")}
    content = seal({"spins": torch.from_numpy(search.spins)}, json.dumps(header))
    with atomic(checkpoint) as temporary:
        temporary.write_bytes(content)


def _restored(checkpoint: Path, job: OptimizeJob) -> tuple[Search, float]:
    """Return where an interrupted search stood, and the seconds it had taken."""
    if not checkpoint.exists():
        return START, 0.0
    try:
        tensors, text = unseal(checkpoint.read_bytes())
    except CorruptFileError as error:
        raise CorruptFileError(f"{checkpoint} is damaged ({error}); give --overwrite to begin anew") from error
    header = json.loads(text)
    if header.pop("fingerprint") != job.fingerprint:
        raise ValueError(f"checkpoint {checkpoint} belongs to another file, settings or seed; give the same")
    seconds = header.pop("seconds")
    return Search(tensors["spins"].numpy(), **header), seconds


def _plain(label: Any) -> Any:
    return [_plain(item) for item in label] if isinstance(label, tuple) else label
