"""Settings → objects: energy, target, sampler, objective, update."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, cast

from nmcmc.analysis.observables import measurements
from nmcmc.config import SamplerConfig, SystemConfig, TrainingConfig
from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.lattice import Boundary, Lattice, LatticeEnergy
from nmcmc.experiment.configurations import Configurations
from nmcmc.random import Rng
from nmcmc.samplers.hierarchical.partition import merged, partition, region_of
from nmcmc.samplers.hierarchical.sampler import HierarchicalSampler
from nmcmc.samplers.made import MADESampler
from nmcmc.samplers.pixelcnn import PixelCNNSampler
from nmcmc.samplers.sparse import SparseSampler
from nmcmc.samplers.store import AnySampler
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


def build_energy(config: SystemConfig) -> LatticeEnergy:
    """Return the energy of a system on a lattice."""
    boundaries = config.boundaries if len(config.boundaries) > 1 else config.boundaries * len(config.extents)
    boundary = cast("tuple[Boundary, ...]", boundaries)
    coupling = config.couplings if len(config.couplings) > 1 else config.couplings[0]
    return LatticeEnergy(Lattice(config.extents, boundary), coupling, config.field)


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


def build_sampler(config: SamplerConfig, energy: LatticeEnergy, beta: float, rng: Rng) -> AnySampler:
    """Return an untrained sampler."""
    if config.sampler == "made":
        return MADESampler(energy, beta, width=config.width, depth=config.depth, rng=rng)
    if config.sampler == "sparse":
        return SparseSampler(energy, beta, width=config.width, depth=config.depth, rng=rng)
    if config.sampler == "pixelcnn":
        size = {"width": config.width, "depth": config.depth, "half_kernel": config.half_kernel}
        return PixelCNNSampler(energy, beta, **size, rng=rng)
    groups = merged(partition(region_of(energy), config.leaf).lines)
    width = {group.region.key: _width(config.width, group.line.shape[1]) for group in groups}
    return HierarchicalSampler(energy, beta, leaf=config.leaf, width=width, depth=config.depth, rng=rng)


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


def observables(energy: LatticeEnergy) -> dict[str, Callable[[Spins], Floats]]:
    """Return what every chain on this lattice records."""
    return measurements(energy, torus_extents(energy.lattice))


def torus_extents(lattice: Lattice) -> tuple[int, ...] | None:
    """Return the extents if every axis is periodic, else None."""
    return lattice.extents if all(lattice.periodic) else None


def build_model(target: Boltzmann) -> Model:
    """Return Hamiltonian and β as the plain arrays that files keep."""
    energy = lattice_energy(target)
    lattice = energy.lattice
    return Model(
        energy.edges,
        energy.couplings,
        energy.fields,
        target.beta,
        energy.offset,
        lattice.extents,
        tuple(str(name) for name in lattice.boundary),
    )


def target_of(model: Model) -> Boltzmann:
    """Return the target that a model's arrays describe.

    Raises
    ------
    ValueError : if the model is not on a lattice.
    """
    if model.extents is None or model.boundary is None:
        raise ValueError("the file's system is not on a lattice; this command analyses lattices")
    lattice = Lattice(model.extents, cast("tuple[Boundary, ...]", model.boundary))
    return Boltzmann(LatticeEnergy(lattice, model.couplings, model.fields), model.beta)


def default_objective(config: TrainingConfig, sampler: AnySampler) -> str:
    """Return the name of the objective: the configured one, or the natural one of the sampler.

    Raises
    ------
    ValueError : for the block-local objective of a sampler without blocks.
    """
    blocks = isinstance(sampler, HierarchicalSampler)
    name = config.objective or ("block-local" if blocks else "reverse-kl")
    if name in ("block-local", "by-level") and not blocks:
        raise ValueError(f"objective {name!r} needs the sampler 'hierarchical'; use 'reverse-kl' or 'forward-kl'")
    return name


def build_objective(config: TrainingConfig, sampler: AnySampler, target: Boltzmann, rng: Rng) -> Objective:
    """Return the loss to minimise; for forward KL this draws the configurations to learn from."""
    name = default_objective(config, sampler)
    if name == "block-local":
        return cast("Objective", partial(block_local_reverse_kl, borders=config.borders, crosses=config.crosses))
    if name == "reverse-kl":
        return partial(reverse_kl, batch=config.batch)
    configurations = Configurations(target, rng.child("data"))
    return cast("Objective", partial(forward_kl, configurations=configurations, batch=config.batch))
