"""Settings → objects: energy, target, sampler, objective, update."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor

from nmcmc.analysis.observables import measurements
from nmcmc.config import SamplerConfig, SystemConfig, TrainingConfig
from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.lattice import Boundary, Lattice, LatticeEnergy
from nmcmc.random import Rng
from nmcmc.samplers.hierarchical.sampler import HierarchicalSampler
from nmcmc.samplers.made import MADESampler
from nmcmc.samplers.store import AnySampler
from nmcmc.storage.record import Model
from nmcmc.training.objectives import Objective, block_local_reverse_kl, forward_kl, reverse_kl
from nmcmc.types import Floats, Spins
from nmcmc.updates.heat_bath import HeatBath
from nmcmc.updates.metropolis import Metropolis
from nmcmc.updates.run import random_start, run
from nmcmc.updates.swendsen_wang import SwendsenWang
from nmcmc.updates.wolff import Wolff

DATA_CONFIGURATIONS, DATA_CHAINS, DATA_SPACING, DATA_WARMUP = 8192, 32, 8, 500


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
    return HierarchicalSampler(energy, beta, leaf=config.leaf, width=config.width, depth=config.depth, rng=rng)


def build_update(name: str, target: Boltzmann) -> Wolff | SwendsenWang | Metropolis | HeatBath:
    """Return a baseline update by its name in `nmcmc.config.BASELINES`."""
    kinds: dict[str, Callable[[Boltzmann], Any]] = {
        "wolff": Wolff,
        "swendsen-wang": SwendsenWang,
        "metropolis": Metropolis,
        "heat-bath": HeatBath,
    }
    return cast("Wolff | SwendsenWang | Metropolis | HeatBath", kinds[name](target))


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
    if name == "block-local" and not blocks:
        raise ValueError("objective 'block-local' needs the sampler 'hierarchical'; use 'reverse-kl' or 'forward-kl'")
    return name


def build_objective(config: TrainingConfig, sampler: AnySampler, target: Boltzmann, rng: Rng) -> Objective:
    """Return the loss to minimise; for forward KL this draws the configurations to learn from."""
    name = default_objective(config, sampler)
    if name == "block-local":
        return cast("Objective", partial(block_local_reverse_kl, borders=config.borders, crosses=config.crosses))
    if name == "reverse-kl":
        return partial(reverse_kl, batch=config.batch)
    data = training_configurations(target, rng.child("data")).to(sampler.device)
    energy = lattice_energy(target)
    moves = torus_extents(energy.lattice) if energy.is_uniform else None
    return cast("Objective", partial(forward_kl, configurations=partial(_draw_data, data, moves), batch=config.batch))


def training_configurations(target: Boltzmann, rng: Rng) -> Tensor:
    """Return int8 configurations of the target to learn from: by Wolff clusters, or heat bath in a field."""
    energy = lattice_energy(target)
    update = HeatBath(target) if energy.has_field else Wolff(target)
    start = random_start(DATA_CHAINS, target.n_spins, rng.child("start"))
    chain = run(
        update,
        DATA_SPACING * DATA_CONFIGURATIONS // DATA_CHAINS,
        rng.child("chain"),
        observables={"energy": energy},
        start=start,
        warmup=DATA_WARMUP,
        thin=DATA_SPACING,
    )
    if chain.spins is None:
        raise RuntimeError("the chain kept no configurations to learn from")
    return torch.from_numpy(chain.spins.reshape(-1, target.n_spins).copy())


def _draw_data(data: Tensor, extents: tuple[int, ...] | None, n: int, rng: Rng) -> Tensor:
    """Return n random configurations, each moved by a random translation if ``extents`` close on themselves."""
    generator = rng.generator
    spins = data[torch.from_numpy(generator.integers(0, len(data), n)).to(data.device)]
    if extents is None:
        return spins
    sites = torch.zeros((n,) + (1,) * len(extents), dtype=torch.int64)
    for axis, extent in enumerate(extents):
        shape = [1] * len(extents)
        shape[axis] = extent
        shift = torch.from_numpy(generator.integers(0, extent, n)).reshape((n,) + (1,) * len(extents))
        sites = sites * extent + (torch.arange(extent).reshape(shape) + shift) % extent
    return torch.gather(spins, 1, sites.reshape(n, -1).to(spins.device))
