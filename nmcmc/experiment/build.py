"""Settings → objects: energy, target, sampler, objective, update."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np

from nmcmc.analysis.observables import measurements
from nmcmc.config import CURIE_WEISS, SamplerConfig, SystemConfig, TrainingConfig
from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.disorder import Disorder, edwards_anderson, random_regular, sherrington_kirkpatrick
from nmcmc.energies.graphs import read_problem
from nmcmc.energies.lattice import Boundary, Lattice, LatticeEnergy
from nmcmc.energies.mean_field import CurieWeissEnergy, HopfieldEnergy, fastest, hopfield
from nmcmc.energies.pairwise import PairwiseEnergy
from nmcmc.experiment.configurations import Configurations
from nmcmc.random import Rng
from nmcmc.samplers.curie_weiss import ExactCurieWeissSampler, InfiniteCurieWeissSampler, SaddleCurieWeissSampler
from nmcmc.samplers.hierarchical.partition import merged, partition, region_of
from nmcmc.samplers.hierarchical.sampler import HierarchicalSampler
from nmcmc.samplers.made import MADESampler
from nmcmc.samplers.partial_fields import OneLayerSampler, OneParameterSampler
from nmcmc.samplers.pixelcnn import PixelCNNSampler
from nmcmc.samplers.pretrained import sha256_of
from nmcmc.samplers.response import start_at_response
from nmcmc.samplers.sk import CavitySampler, ReplicaSampler
from nmcmc.samplers.sparse import SparseSampler
from nmcmc.samplers.store import AnySampler
from nmcmc.samplers.tap import TAPSampler
from nmcmc.storage.record import Model
from nmcmc.training.objectives import Objective, block_local_reverse_kl, forward_kl, reverse_kl
from nmcmc.types import Floats, Spins
from nmcmc.updates.checkerboard import CheckerboardMetropolis
from nmcmc.updates.compiled import CompiledUpdate
from nmcmc.updates.heat_bath import HeatBath
from nmcmc.updates.metropolis import Metropolis
from nmcmc.updates.swendsen_wang import SwendsenWang
from nmcmc.updates.wolff import Wolff

LONG_LINE = 64
"""Spins of the longest line whose net has the full width."""
LARGEST_RESPONSE = 1024
"""Spins of the largest system whose linear response is worth its N⁴ operations: some ten seconds."""
LARGEST_COUPLING = 1e100
"""Of a file: sums of larger ones may be no numbers."""
OVERLAPS = 4
"""Stored patterns of a Hopfield system whose overlaps a chain records one by one."""


def build_energy(config: SystemConfig) -> PairwiseEnergy:
    """Return the energy of a system; J multiplies random couplings and Hebb's rule.

    Raises
    ------
    ValueError : for a coupling per axis where there are no axes, an impossible degree, or a file of couplings that has
        changed, gives no such energy, a single spin or huge numbers. FileNotFoundError : if there is no such file.
    """
    disorder, seed = cast("Disorder", config.disorder), config.disorder_seed
    if config.system == "lattice":
        return LatticeEnergy(_lattice(config), _coupling(config), config.field)
    if config.system == "file":
        return _of_file(config)
    if len(config.couplings) > 1:
        raise ValueError(f"coupling is {config.coupling!r}; a system {config.system!r} takes one number")
    if config.system == "curie-weiss":
        return CurieWeissEnergy(config.n_spins, config.couplings[0], config.field)
    energy: PairwiseEnergy
    if config.system == "edwards-anderson":
        energy = edwards_anderson(_lattice(config), seed, disorder, config.field)
    elif config.system == "regular-graph":
        energy = random_regular(config.n_spins, config.degree, seed, disorder, config.field)
    elif config.system == "sk":
        energy = sherrington_kirkpatrick(config.n_spins, seed, config.field)
    else:
        energy = hopfield(config.n_spins, config.patterns, seed)
    return energy if config.couplings == (1.0,) else _scaled(energy, config.couplings[0])


def _of_file(config: SystemConfig) -> PairwiseEnergy:
    path = Path(config.couplings_file)
    if path.is_file() and sha256_of(path) != config.couplings_sha256:
        raise ValueError(
            f"{path} has another content than the settings say: its SHA-256 is not {config.couplings_sha256}; give the "
            "file as it was, or begin anew without couplings_sha256"
        )
    energy = read_problem(path, config.format, config.problem).energy
    if energy.n_spins < 2:
        raise ValueError(f"{path} has a single spin; give at least two")
    if not np.all(np.abs(np.concatenate([energy.couplings, energy.fields])) < LARGEST_COUPLING):
        raise ValueError(f"{path} has a coupling or field not below {LARGEST_COUPLING:g}; give it in other units")
    return fastest(energy.n_spins, energy.edges, energy.couplings, energy.fields, energy.offset)


def _scaled(energy: PairwiseEnergy, factor: float) -> PairwiseEnergy:
    """Return the system with all couplings multiplied by a factor."""
    couplings = factor * energy.couplings
    if isinstance(energy, LatticeEnergy):
        return LatticeEnergy(energy.lattice, couplings, energy.fields)
    return fastest(energy.n_spins, energy.edges, couplings, energy.fields)


def _coupling(config: SystemConfig) -> Any:
    return config.couplings if len(config.couplings) > 1 else config.couplings[0]


def _lattice(config: SystemConfig) -> Lattice:
    boundaries = config.boundaries if len(config.boundaries) > 1 else config.boundaries * len(config.extents)
    return Lattice(config.extents, cast("tuple[Boundary, ...]", boundaries))


def build_target(config: SystemConfig) -> Boltzmann:
    """Return the Boltzmann distribution of a system."""
    return Boltzmann(build_energy(config), config.beta)


def lattice_energy(target: Boltzmann) -> LatticeEnergy:
    """Return the energy of a target on a lattice.

    Raises
    ------
    TypeError : if the energy is not on a lattice.
    """
    if not isinstance(target.energy, LatticeEnergy):
        raise TypeError(f"the energy is a {type(target.energy).__name__}; this needs a LatticeEnergy")
    return target.energy


def pairwise_energy(target: Boltzmann) -> PairwiseEnergy:
    """Return the energy of a target with edges, couplings and fields.

    Raises
    ------
    TypeError : if the energy is of another kind.
    """
    if not isinstance(target.energy, PairwiseEnergy):
        raise TypeError(f"the energy is a {type(target.energy).__name__}; this needs a PairwiseEnergy")
    return target.energy


def lattice_of(target: Boltzmann) -> Lattice | None:
    """Return the lattice of a target, None if it is not on one."""
    return target.energy.lattice if isinstance(target.energy, LatticeEnergy) else None


PLAIN: dict[str, Callable[..., AnySampler]] = {
    "cw-n": ExactCurieWeissSampler,
    "cw-inf": InfiniteCurieWeissSampler,
    "cw-saddle": SaddleCurieWeissSampler,
    "one-parameter": OneParameterSampler,
    "one-layer": OneLayerSampler,
    "sk-rs": partial(ReplicaSampler, levels=0),
    "cavity": CavitySampler,
    "tap": TAPSampler,
}
"""Samplers of which the settings say no more than the name."""


def build_sampler(config: SamplerConfig, energy: PairwiseEnergy, beta: float, rng: Rng) -> AnySampler:
    """Return an untrained sampler; replica layers and one layer start at linear response, see `samplers.response`.

    Raises
    ------
    ValueError : for a sampler that is made for other systems.
    """
    if config.sampler in CURIE_WEISS and not isinstance(energy, CurieWeissEnergy):
        raise ValueError(f"sampler {config.sampler!r} is for the system 'curie-weiss'; use 'made', 'sk-krsb' or 'tap'")
    if config.sampler in PLAIN:
        return _started(PLAIN[config.sampler](energy, beta, rng=rng))
    if config.sampler == "sk-krsb":
        return _started(ReplicaSampler(energy, beta, levels=config.levels, rng=rng))
    if config.sampler == "made":
        return MADESampler(energy, beta, width=config.width, depth=config.depth, rng=rng)
    if config.sampler == "sparse":
        return SparseSampler(energy, beta, width=config.width, depth=config.depth, rng=rng)
    if not isinstance(energy, LatticeEnergy):
        raise ValueError(
            f"sampler {config.sampler!r} needs a lattice; use --sampler made, sparse, cw-n, cw-inf, sk-krsb or tap"
        )
    if config.sampler == "pixelcnn":
        size = {"width": config.width, "depth": config.depth, "half_kernel": config.half_kernel}
        return PixelCNNSampler(energy, beta, **size, rng=rng)
    groups = merged(partition(region_of(energy), config.leaf).lines)
    width = {group.region.key: _width(config.width, group.line.shape[1]) for group in groups}
    return HierarchicalSampler(energy, beta, leaf=config.leaf, width=width, depth=config.depth, rng=rng)


def _started(sampler: AnySampler) -> AnySampler:
    """Return the sampler, at linear response if it has such a start and the system is not too large."""
    if starts_at_response(sampler):
        start_at_response(cast("ReplicaSampler | OneLayerSampler", sampler))
    return sampler


def starts_at_response(sampler: AnySampler) -> bool:
    """Return whether an untrained sampler of this kind and size starts at linear response."""
    return isinstance(sampler, ReplicaSampler | OneLayerSampler) and sampler.n_spins <= LARGEST_RESPONSE


def _width(width: int, n_line: int) -> int:
    """Return the hidden units per spin of a line: half as many for long ones, whose weights are many as it is."""
    return width if n_line <= LONG_LINE else max(1, width // 2)


def build_update(name: str, target: Boltzmann) -> CompiledUpdate:
    """Return a baseline update by its name in `nmcmc.config.BASELINES`."""
    kinds: dict[str, Callable[[Boltzmann], Any]] = {
        "wolff": Wolff,
        "swendsen-wang": SwendsenWang,
        "metropolis": Metropolis,
        "checkerboard": CheckerboardMetropolis,
        "heat-bath": HeatBath,
    }
    return cast("CompiledUpdate", kinds[name](target))


def observables(target: Boltzmann) -> dict[str, Callable[[Spins], Floats]]:
    """Return what every chain of this target records; of a Hopfield system also its overlaps with stored patterns."""
    recorded = measurements(target.energy, torus_extents(target))
    return recorded | _overlaps(target.energy) if isinstance(target.energy, HopfieldEnergy) else recorded


def _overlaps(energy: HopfieldEnergy) -> dict[str, Callable[[Spins], Floats]]:
    """Return the largest |m_μ|, by which retrieval is told, and the overlaps with the first patterns, by name."""
    few = min(len(energy.patterns), OVERLAPS)
    each = {f"overlap_{mu + 1}": partial(lambda mu, spins: energy.overlaps(spins)[:, mu], mu) for mu in range(few)}
    return {"largest_overlap": lambda spins: np.abs(energy.overlaps(spins)).max(axis=1), **each}


def torus_extents(target: Boltzmann) -> tuple[int, ...] | None:
    """Return the extents of a lattice that is periodic along every axis, else None."""
    lattice = lattice_of(target)
    return lattice.extents if lattice is not None and all(lattice.periodic) else None


def baseline_of(target: Boltzmann) -> str:
    """Return the update that a neural chain is compared with: Wolff, or heat bath where clusters do not serve."""
    energy = pairwise_energy(target)
    clusters = lattice_of(target) is not None or bool((energy.couplings >= 0).all())
    return "wolff" if clusters and not energy.has_field else "heat-bath"


def build_model(target: Boltzmann) -> Model:
    """Return Hamiltonian and β as the plain arrays that files keep."""
    energy, lattice = pairwise_energy(target), lattice_of(target)
    return Model(
        energy.edges,
        energy.couplings,
        energy.fields,
        target.beta,
        energy.offset,
        lattice.extents if lattice else None,
        tuple(str(name) for name in lattice.boundary) if lattice else None,
    )


def target_of(model: Model) -> Boltzmann:
    """Return the target that a model's arrays describe."""
    if model.extents is None or model.boundary is None:
        energy = fastest(model.n_spins, model.edges, model.couplings, model.fields, model.offset)
        return Boltzmann(energy, model.beta)
    lattice = Lattice(model.extents, cast("tuple[Boundary, ...]", model.boundary))
    return Boltzmann(LatticeEnergy(lattice, model.couplings, model.fields), model.beta)


def default_objective(config: TrainingConfig, sampler: AnySampler) -> str:
    """Return the name of the objective: the configured one, or the natural one of the sampler.

    Raises
    ------
    ValueError : for the block-local objective of a sampler without blocks.
    """
    blocks = isinstance(sampler, HierarchicalSampler)
    natural = "block-local" if blocks else "forward-kl" if isinstance(sampler, TAPSampler) else "reverse-kl"
    name = config.objective or natural
    if name in ("block-local", "by-level") and not blocks:
        raise ValueError(f"objective {name!r} needs the sampler 'hierarchical'; use 'reverse-kl' or 'forward-kl'")
    return name


def build_objective(
    config: TrainingConfig, sampler: AnySampler, target: Boltzmann, rng: Rng, stagger: int = 0
) -> Objective:
    """Return the loss to minimise; ``stagger`` is of block-local training, see `block_local_reverse_kl`."""
    name = default_objective(config, sampler)
    if name == "block-local":
        objective = partial(block_local_reverse_kl, borders=config.borders, crosses=config.crosses)
        return cast("Objective", partial(objective, stagger=stagger))
    if name == "reverse-kl":
        return partial(reverse_kl, batch=config.batch)
    configurations = Configurations(target, rng.child("data"))
    return cast("Objective", partial(forward_kl, configurations=configurations, batch=config.batch))
