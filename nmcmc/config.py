"""Frozen settings, the same names in TOML files and on the command line; an unknown key names its nearest valid one."""

from __future__ import annotations

import difflib
import hashlib
import json
import math
import tomllib
from collections.abc import Mapping
from dataclasses import Field, asdict, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

T = TypeVar("T")

SYSTEMS = ("lattice", "edwards-anderson", "regular-graph", "curie-weiss", "sk", "hopfield", "file")
ON_LATTICES = SYSTEMS[:2]
CURIE_WEISS = ("cw-n", "cw-inf", "cw-saddle")
SAMPLERS = (
    *("hierarchical", "made", "sparse", "pixelcnn"),
    *(*CURIE_WEISS, "one-parameter", "one-layer", "sk-rs", "sk-krsb", "cavity", "tap"),
)
DISORDER = ("gaussian", "binary")
SCHEDULES = ("brisk", "published")
OBJECTIVES = ("block-local", "reverse-kl", "forward-kl", "by-level")
TABLES = ("system", "sampler", "training", "chain")
BASELINES = ("wolff", "swendsen-wang", "metropolis", "checkerboard", "heat-bath")
PROBLEMS = ("maxcut", "qubo", "mis", "ising")
FORMATS = ("gset", "edges", "coo", "qubo", "bqm", "csr")
OF_FILES = ("couplings_file", "format", "problem", "couplings_sha256")
"""Settings of a system from a file, which has no others but beta."""
MAX_SAMPLES = 10**9
DEFAULT_STEPS = 700
"""Steps of training in the main job, unless steps or seconds are given."""


def setting(default: Any, help: str, choices: tuple[str, ...] = ()) -> Any:
    """Return a dataclass field with a default, a line of help and, for names, the allowed values."""
    return field(default=default, metadata={"help": help, "choices": choices})


@dataclass(frozen=True)
class SystemConfig:
    """The spin system and its temperature."""

    lattice: str = setting("16x16", "extents of the lattice, such as 64, 16x16 or 8x8x8")
    boundary: str = setting("periodic", "periodic or open, or one per axis: periodic,open")
    coupling: str = setting("1", "J, or one J per axis: 1,0.5; J > 0 is ferromagnetic")
    field: float = setting(0.0, "uniform magnetic field h")
    beta: float = setting(0.44068679350977147, "inverse temperature; the default is critical for the square lattice")
    system: str = setting("lattice", "kind of system; lattice is the one with the same J everywhere", SYSTEMS)
    n_spins: int = setting(0, "number of spins of a system that is neither on a lattice nor from a file")
    disorder: str = setting("gaussian", "couplings N(0, 1) or ±1 (edwards-anderson, regular-graph)", DISORDER)
    disorder_seed: int = setting(1, "seed of random couplings and patterns")
    patterns: int = setting(1, "number of random patterns (hopfield)")
    degree: int = setting(3, "neighbours of every spin (regular-graph)")
    couplings_file: str = setting(
        "",
        "couplings and fields (file), in a format of `nmcmc optimize`: an edge list, N, then i j J and i h, is "
        "H = -sum J s s - sum h s; a graph is H = sum w s s, of its largest cut; a QUBO is its value: docs/graphs.md",
    )
    format: str = setting("", "format of that file; default: what its name or first line says", ("", *FORMATS))
    problem: str = setting(
        "", "whose energy it is; default: what the file is about; ising: the weights of a graph are J", ("", *PROBLEMS)
    )
    couplings_sha256: str = setting("", "SHA-256 that the file must have; default: the one that it has")

    def __post_init__(self) -> None:
        _require(math.isfinite(self.beta) and self.beta >= 0, "beta", self.beta, "a finite number ≥ 0")
        _require(math.isfinite(self.field), "field", self.field, "a finite number")
        _choose("system", self.system, SYSTEMS)
        _choose("disorder", self.disorder, DISORDER)
        self._check_source()
        _require(self.n_spins >= 0, "n_spins", self.n_spins, "at least 2, or 0 on a lattice")
        if self.system != "file" and (self.n_spins > 1) == (self.system in ON_LATTICES):
            told = "lattice says how many spins there are" if self.system in ON_LATTICES else "give --n-spins ≥ 2"
            raise ValueError(f"n_spins is {self.n_spins} and system {self.system!r}: {told}")
        _require(self.disorder_seed >= 0, "disorder_seed", self.disorder_seed, "an integer ≥ 0")
        _require(self.patterns >= 1, "patterns", self.patterns, "at least 1")
        _require(self.degree >= 1, "degree", self.degree, "at least 1")
        if self.system == "hopfield" and self.field != 0:
            raise ValueError(f"field is {self.field:g}; the Hopfield system here has none")
        for name in self.boundaries:
            _require(name in ("periodic", "open"), "boundary", self.boundary, "periodic, open, or one per axis")
        _require(min(self.extents) >= 2, "lattice", self.lattice, "one to three extents ≥ 2 joined by x, such as 16x16")
        _require(
            len(self.boundaries) in (1, len(self.extents)), "boundary", self.boundary, "one value, or one per axis"
        )
        _require(len(self.couplings) in (1, len(self.extents)), "coupling", self.coupling, "one value, or one per axis")

    def _check_source(self) -> None:
        """Refuse settings of a file for other systems and the reverse; find the SHA-256 of the file unless it is given.

        All that is done with these settings later, such as continuing a job, thereby depends on the file's content.
        """
        from_file = self.system == "file"
        told = "the file says all but beta: leave it out" if from_file else "give --system file too, or leave it out"
        for item in fields(self):
            used = item.name in ("system", "beta") or (item.name in OF_FILES) == from_file
            if not used and getattr(self, item.name) != item.default:
                raise ValueError(f"{item.name} is {getattr(self, item.name)!r} and system {self.system!r}: {told}")
        if not from_file:
            return
        _choose("format", self.format, ("", *FORMATS))
        _choose("problem", self.problem, ("", *PROBLEMS))
        path = Path(self.couplings_file)
        if not self.couplings_file:
            raise ValueError("system 'file' needs a file of couplings; give --couplings-file")
        if not self.couplings_sha256:
            if not path.is_file():
                raise FileNotFoundError(f"there is no file {path}; give --couplings-file a file of couplings")
            with path.open("rb") as file:
                object.__setattr__(self, "couplings_sha256", hashlib.file_digest(file, "sha256").hexdigest())

    @property
    def extents(self) -> tuple[int, ...]:
        """Extents of the lattice."""
        try:
            extents = tuple(int(word) for word in self.lattice.lower().split("x"))
        except ValueError:
            extents = ()
        _require(1 <= len(extents) <= 3, "lattice", self.lattice, "one to three extents ≥ 2 joined by x, such as 16x16")
        return extents

    @property
    def boundaries(self) -> tuple[str, ...]:
        """Boundary of each axis, or one for all."""
        return tuple(word.strip() for word in self.boundary.split(","))

    @property
    def couplings(self) -> tuple[float, ...]:
        """Coupling along each axis, or one for all."""
        try:
            values = tuple(float(word) for word in self.coupling.split(","))
        except ValueError:
            values = (math.nan,)
        _require(all(abs(v) < 1e100 for v in values), "coupling", self.coupling, "finite numbers joined by commas")
        return values


@dataclass(frozen=True)
class SamplerConfig:
    """The kind and size of the networks."""

    sampler: str = setting("hierarchical", "kind of sampler", SAMPLERS)
    leaf: int = setting(7, "largest short side of an exactly summed block (hierarchical): 1, 3, 7 or 15")
    width: int = setting(8, "hidden units per spin, or channels; half as many for lines of more than 64 spins")
    depth: int = setting(1, "hidden layers")
    levels: int = setting(1, "levels k of replica symmetry breaking (sk-krsb); sk-rs has none")
    half_kernel: int = setting(3, "how far a convolution reaches (pixelcnn)")

    def __post_init__(self) -> None:
        _choose("sampler", self.sampler, SAMPLERS)
        _require(1 <= self.leaf <= 16, "leaf", self.leaf, "an extent from 1 to 16")
        _require(self.width >= 1, "width", self.width, "at least 1")
        _require(self.depth >= 1, "depth", self.depth, "at least 1")
        _require(self.levels >= 0, "levels", self.levels, "at least 0")
        _require(self.half_kernel >= 1, "half_kernel", self.half_kernel, "at least 1")


@dataclass(frozen=True)
class TrainingConfig:
    """What is minimised, how and for how long."""

    objective: str = setting(
        "", "default: block-local for hierarchical, forward-kl for tap, reverse-kl for others", ("", *OBJECTIVES)
    )
    steps: int = setting(
        0, "optimiser steps; of each stage of each net (by-level); 0: by the seconds, or 4000 (by-level)"
    )
    seconds: float = setting(0.0, "training time, from which the number of steps is found by measuring; not by-level")
    learning_rate: float = setting(
        0.0,
        "peak of the learning rate; 0: 0.01, beyond 32x32 spins 0.002 (block-local), 0.0015 and 0.002 (by-level), or "
        "less the closer a net starts and the more spins it has (one-layer, sk-rs, sk-krsb), 0.03 or less (tap)",
    )
    batch: int = setting(512, "draws, or blocks of configurations per net, and step (reverse-kl, forward-kl, by-level)")
    borders: int = setting(64, "borders per step and net (block-local, by-level)")
    crosses: int = setting(8, "draws for each border (block-local, by-level)")
    anneal_from: float = setting(
        -1.0, "start of the annealing of beta (reverse-kl); default: half of beta for made, sparse, pixelcnn, else none"
    )

    def __post_init__(self) -> None:
        _choose("objective", self.objective, ("", *OBJECTIVES))
        _require(self.steps >= 0, "steps", self.steps, "at least 1, or 0 to go by the seconds")
        _require(0 <= self.seconds < math.inf, "seconds", self.seconds, "a finite time ≥ 0")
        if self.steps and self.seconds:
            raise ValueError(f"steps ({self.steps}) and seconds ({self.seconds:g}) exclude each other; give one")
        if self.objective == "by-level" and self.seconds:
            raise ValueError(f"seconds is {self.seconds:g}, but objective 'by-level' trains by steps; give --steps")
        _require(0 <= self.learning_rate < math.inf, "learning_rate", self.learning_rate, "a number ≥ 0")
        _require(self.batch >= 2, "batch", self.batch, "at least 2")
        _require(self.borders >= 1, "borders", self.borders, "at least 1")
        _require(self.crosses >= 2, "crosses", self.crosses, "at least 2")
        _require(math.isfinite(self.anneal_from), "anneal_from", self.anneal_from, "a finite number")


@dataclass(frozen=True)
class AnnealConfig:
    """The temperatures of a run, and the training at each of them."""

    betas: str = setting("0.1:2:0.05", "inverse temperatures, rising: 0.5,1,2 or LOW:HIGH:STEP")
    schedule: str = setting(
        "brisk",
        "brisk: rates fall to 0 at every beta; published: a constant rate, and five times the steps at the first beta",
        SCHEDULES,
    )
    steps: int = setting(0, "optimiser steps at every beta; 0: 150 (brisk), 1000 (published)")
    learning_rate: float = setting(
        0.0,
        "learning rate, in brisk its peak; 0: 0.001 (published), as `nmcmc train` (brisk); brisk ones are smaller the "
        "closer a sampler is",
    )
    batch: int = setting(0, "draws per step (reverse-kl); 0: 300 (brisk), 2000 (published)")
    n_samples: int = setting(20_000, "fresh draws at every beta, from which its numbers are estimated")

    def __post_init__(self) -> None:
        _choose("schedule", self.schedule, SCHEDULES)
        _require(self.steps >= 0, "steps", self.steps, "at least 1, or 0 for those of the schedule")
        _require(0 <= self.learning_rate < math.inf, "learning_rate", self.learning_rate, "a number ≥ 0")
        _require(self.batch >= 2 or self.batch == 0, "batch", self.batch, "at least 2, or 0 for that of the schedule")
        _require(100 <= self.n_samples <= MAX_SAMPLES, "n_samples", self.n_samples, f"from 100 to {MAX_SAMPLES}")


@dataclass(frozen=True)
class ChainConfig:
    """How many states of how many chains."""

    n_samples: int = setting(100_000, "states to record, over all chains together")
    chains: int = setting(16, "chains run side by side")
    warmup: int = setting(1000, "updates of each chain before recording")
    thin: int = setting(0, "keep every thin-th configuration; 0: none, but some thousand in `nmcmc run`")

    def __post_init__(self) -> None:
        _require(self.chains >= 1, "chains", self.chains, "at least 1")
        _require(self.n_samples <= MAX_SAMPLES, "n_samples", self.n_samples, f"at most {MAX_SAMPLES}")
        _require(
            self.n_samples >= 4 * self.chains, "n_samples", self.n_samples, f"at least 4 × chains = {4 * self.chains}"
        )
        _require(self.warmup >= 0, "warmup", self.warmup, "at least 0")
        _require(self.thin >= 0, "thin", self.thin, "at least 0")

    @property
    def n_draws(self) -> int:
        """Draws of each chain: n_samples/chains, rounded up."""
        return -(-self.n_samples // self.chains)


@dataclass(frozen=True)
class OptimizeConfig:
    """What to look for, and for how long."""

    format: str = setting("", "format of the file; default: what its name or first line says", ("", *FORMATS))
    problem: str = setting("", "what to optimise; default: what the file is about", ("", *PROBLEMS))
    sweeps: int = setting(1000, "sweeps of each annealing, all sites once in each")
    replicas: int = setting(64, "annealings of a round, sixteen of them side by side in a core")
    rounds: int = setting(0, "rounds of annealings from new random starts; 0: by the seconds")
    seconds: float = setting(0.0, "begin no round after this time; default: 10, unless rounds are given")

    def __post_init__(self) -> None:
        _choose("format", self.format, ("", *FORMATS))
        _choose("problem", self.problem, ("", *PROBLEMS))
        _require(1 <= self.sweeps <= 10**9, "sweeps", self.sweeps, "from 1 to 10⁹")
        _require(1 <= self.replicas <= 2**20, "replicas", self.replicas, f"from 1 to {2**20}")
        _require(self.rounds >= 0, "rounds", self.rounds, "at least 1, or 0 to go by the seconds")
        _require(0 <= self.seconds < math.inf, "seconds", self.seconds, "a finite time ≥ 0")
        if self.rounds and self.seconds:
            raise ValueError(f"rounds ({self.rounds}) and seconds ({self.seconds:g}) exclude each other; give one")


@dataclass(frozen=True)
class RunConfig:
    """The main job: train, draw, neural chain, Wolff chain, comparison; trains 700 steps unless told otherwise."""

    system: SystemConfig = field(default_factory=SystemConfig)
    sampler: SamplerConfig = field(default_factory=SamplerConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    chain: ChainConfig = field(default_factory=ChainConfig)
    n_evaluate: int = setting(20_000, "fresh draws from which ess_fraction, log Z … are estimated")
    seed: int = setting(1, "seed of all random numbers")

    def __post_init__(self) -> None:
        _require(self.n_evaluate >= 100, "n_evaluate", self.n_evaluate, "at least 100 (10000 for a reliable ess)")
        _require(self.seed >= 0, "seed", self.seed, "an integer ≥ 0")
        fits = self.sampler.sampler == "tap" and self.training.objective in ("", "forward-kl")
        if not fits and not self.training.steps and not self.training.seconds:
            object.__setattr__(self, "training", replace(self.training, steps=DEFAULT_STEPS))


def flat_fields(kind: type) -> dict[str, tuple[Field[Any], Any]]:
    """Return every setting of a config class and of the groups in it: name → (field, type)."""
    hints = get_type_hints(kind)
    found: dict[str, tuple[Field[Any], Any]] = {}
    for item in fields(kind):
        if is_dataclass(hints[item.name]):
            found |= flat_fields(hints[item.name])
        else:
            found[item.name] = (item, hints[item.name])
    return found


def value_of(config: Any, name: str) -> Any:
    """Return the setting of that flat name from a config or the groups in it."""
    for item in fields(config):
        value = getattr(config, item.name)
        if not is_dataclass(value):
            if item.name == name:
                return value
        elif name in flat_fields(type(value)):
            return value_of(value, name)
    raise ValueError(f"{type(config).__name__} has no setting {name!r}")


def build(kind: type[T], values: Mapping[str, Any], default: T | None = None) -> T:
    """Return a config with the given values by flat name, and defaults elsewhere.

    Raises
    ------
    ValueError : for an unknown name (with its nearest valid one), a wrong type, or a value that is not allowed.
    """
    known = flat_fields(kind)
    for name in values:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
            raise ValueError(
                f"unknown setting {name!r}; did you mean {near[0]!r}? settings: {', '.join(sorted(known))}"
            )
    if default is not None:  # what a config works out itself, such as steps, is worked out anew otherwise
        values = override({name: value_of(default, name) for name in known}, values)
    return _build(kind, values)


def _build(kind: type[T], values: Mapping[str, Any]) -> T:
    hints, arguments = get_type_hints(kind), {}
    for item in fields(kind):  # type: ignore[arg-type]
        if is_dataclass(hints[item.name]):
            arguments[item.name] = _build(hints[item.name], values)
        elif item.name in values:
            arguments[item.name] = _convert(item.name, values[item.name], hints[item.name])
    return kind(**arguments)


def _convert(name: str, value: Any, kind: Any) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind is str and isinstance(value, int | float | list) and not isinstance(value, bool):
        return ",".join(str(item) for item in value) if isinstance(value, list) else str(value)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ValueError(f"{name} is {value!r}; it must be of type {kind.__name__}")
    return value


def override(values: Mapping[str, Any], others: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values with others in their place; steps displace seconds and seconds displace steps."""
    kept = dict(values)
    for name, rival in (("steps", "seconds"), ("seconds", "steps")):
        if others.get(name):
            kept.pop(rival, None)
    return kept | dict(others)


def differences(a: Any, b: Any) -> list[str]:
    """Return "name: value in a, value in b" for every setting in which two configs of a kind differ."""
    pairs = {name: (value_of(a, name), value_of(b, name)) for name in flat_fields(type(a))}
    return [f"{name}: {first!r}, {second!r}" for name, (first, second) in pairs.items() if first != second]


def read_toml(path: Path) -> dict[str, Any]:
    """Return the settings of a TOML file by flat name; tables only group them.

    Raises
    ------
    ValueError : if the file is not TOML, or gives a setting twice. FileNotFoundError : if there is none.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no settings file {path}; give the name of a TOML file")
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not a TOML file: {error}") from error
    flat: dict[str, Any] = {}
    for name, value in content.items():
        if isinstance(value, dict) and name not in TABLES:
            raise ValueError(f"{path} has a table [{name}]; the tables are {', '.join(f'[{t}]' for t in TABLES)}")
        for key, item in value.items() if isinstance(value, dict) else [(name, value)]:
            if key in flat:
                raise ValueError(f"{path} gives {key!r} twice; give it once, whatever the table")
            flat[key] = item
    return flat


def to_toml(config: Any) -> str:
    """Return a config as TOML text that `read_toml` and `build` turn back into it."""
    lines, tables = [], []
    for name, value in asdict(config).items():
        if isinstance(value, dict):
            tables.append(f"\n[{name}]\n" + "\n".join(f"{key} = {_literal(item)}" for key, item in value.items()))
        else:
            lines.append(f"{name} = {_literal(value)}")
    return "\n".join(lines + tables) + "\n"


def _literal(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def _require(condition: bool, name: str, value: Any, allowed: str) -> None:
    if not condition:
        raise ValueError(f"{name} is {value!r}; it must be {allowed}")


def _choose(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        near = difflib.get_close_matches(value, allowed, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"{name} is {value!r}; it must be one of {', '.join(filter(None, allowed))}{hint}")
