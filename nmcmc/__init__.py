"""nmcmc: neural Markov chain Monte Carlo for spin systems.

The public names are imported when they are first used, so that ``import nmcmc`` and ``nmcmc --help`` stay quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nmcmc.analysis.autocorrelation import estimate_mean as estimate_mean
    from nmcmc.analysis.burn_in import burn_in as burn_in
    from nmcmc.analysis.compare import compare as compare
    from nmcmc.analysis.free_energy import (
        bridge_log_z as bridge_log_z,
        reciprocal_log_z as reciprocal_log_z,
        temperatures_log_z as temperatures_log_z,
    )
    from nmcmc.analysis.importance import (
        ess_fraction as ess_fraction,
        kl as kl,
        log_z as log_z,
        mode_drop as mode_drop,
    )
    from nmcmc.analysis.information import (
        chain_mutual_information as chain_mutual_information,
        relative_entropy as relative_entropy,
        weighted_mutual_information as weighted_mutual_information,
    )
    from nmcmc.analysis.intervals import interval as interval
    from nmcmc.analysis.modes import split_rhat as split_rhat
    from nmcmc.analysis.observables import derive as derive, measurements as measurements
    from nmcmc.analysis.quantity import Quantity as Quantity
    from nmcmc.analysis.reweighting import reweight as reweight, reweighting_range as reweighting_range
    from nmcmc.analysis.scaling import power_law as power_law
    from nmcmc.annealing import anneal as anneal, schedule as schedule
    from nmcmc.dimod_sampler import AnnealingSampler as AnnealingSampler
    from nmcmc.energies.boltzmann import BETA_CRITICAL as BETA_CRITICAL, Boltzmann as Boltzmann
    from nmcmc.energies.disorder import (
        edwards_anderson as edwards_anderson,
        random_regular as random_regular,
        sherrington_kirkpatrick as sherrington_kirkpatrick,
    )
    from nmcmc.energies.graphs import problem_of as problem_of
    from nmcmc.energies.lattice import Lattice as Lattice, LatticeEnergy as LatticeEnergy
    from nmcmc.energies.mean_field import CurieWeissEnergy as CurieWeissEnergy, hopfield as hopfield
    from nmcmc.energies.pairwise import PairwiseEnergy as PairwiseEnergy
    from nmcmc.energies.rbm import RestrictedBoltzmannEnergy as RestrictedBoltzmannEnergy
    from nmcmc.energies.readers import read_terms as read_terms
    from nmcmc.energies.terms import from_bqm as from_bqm, from_networkx as from_networkx, terms_of as terms_of
    from nmcmc.exact.known import exact_values as exact_values
    from nmcmc.export import to_datatree as to_datatree, to_pyerrors as to_pyerrors
    from nmcmc.random import Rng as Rng
    from nmcmc.samplers.autoregressive import AutoregressiveSampler as AutoregressiveSampler
    from nmcmc.samplers.curie_weiss import (
        ExactCurieWeissSampler as ExactCurieWeissSampler,
        InfiniteCurieWeissSampler as InfiniteCurieWeissSampler,
        SaddleCurieWeissSampler as SaddleCurieWeissSampler,
    )
    from nmcmc.samplers.family import Family as Family, load_family as load_family
    from nmcmc.samplers.hierarchical.sampler import HierarchicalSampler as HierarchicalSampler
    from nmcmc.samplers.made import MADESampler as MADESampler
    from nmcmc.samplers.pixelcnn import PixelCNNSampler as PixelCNNSampler
    from nmcmc.samplers.pretrained import load_pretrained as load_pretrained
    from nmcmc.samplers.response import follow_response as follow_response, start_at_response as start_at_response
    from nmcmc.samplers.sk import CavitySampler as CavitySampler, ReplicaSampler as ReplicaSampler
    from nmcmc.samplers.sparse import SparseSampler as SparseSampler
    from nmcmc.samplers.store import (
        at_beta as at_beta,
        load_sampler as load_sampler,
        save_sampler as save_sampler,
    )
    from nmcmc.samplers.symmetrized import (
        SymmetrizedSampler as SymmetrizedSampler,
        translations as translations,
    )
    from nmcmc.samplers.tap import TAPSampler as TAPSampler, fitted as fitted, settled as settled
    from nmcmc.solution import optimize as optimize
    from nmcmc.training.annealing import Annealing as Annealing, brisk as brisk, train_along as train_along
    from nmcmc.training.loop import Plan as Plan, train as train
    from nmcmc.training.objectives import (
        block_local_reverse_kl as block_local_reverse_kl,
        forward_kl as forward_kl,
        reverse_kl as reverse_kl,
    )
    from nmcmc.types import Chain as Chain, CorruptFileError as CorruptFileError, Draw as Draw, Estimate as Estimate
    from nmcmc.updates.checkerboard import CheckerboardMetropolis as CheckerboardMetropolis
    from nmcmc.updates.compose import Cycle as Cycle, Mixture as Mixture
    from nmcmc.updates.heat_bath import HeatBath as HeatBath
    from nmcmc.updates.independence import Independence as Independence
    from nmcmc.updates.metropolis import Metropolis as Metropolis
    from nmcmc.updates.parallel_tempering import ParallelTempering as ParallelTempering
    from nmcmc.updates.run import run as run
    from nmcmc.updates.swendsen_wang import SwendsenWang as SwendsenWang
    from nmcmc.updates.walk import walk as walk
    from nmcmc.updates.wolff import Wolff as Wolff

_HOMES = {
    "nmcmc.analysis.autocorrelation": ("estimate_mean",),
    "nmcmc.analysis.burn_in": ("burn_in",),
    "nmcmc.analysis.compare": ("compare",),
    "nmcmc.analysis.free_energy": (
        "bridge_log_z",
        "reciprocal_log_z",
        "temperatures_log_z",
    ),
    "nmcmc.analysis.importance": (
        "ess_fraction",
        "kl",
        "log_z",
        "mode_drop",
    ),
    "nmcmc.analysis.information": (
        "chain_mutual_information",
        "relative_entropy",
        "weighted_mutual_information",
    ),
    "nmcmc.analysis.intervals": ("interval",),
    "nmcmc.analysis.modes": ("split_rhat",),
    "nmcmc.analysis.observables": (
        "derive",
        "measurements",
    ),
    "nmcmc.analysis.quantity": ("Quantity",),
    "nmcmc.analysis.reweighting": (
        "reweight",
        "reweighting_range",
    ),
    "nmcmc.analysis.scaling": ("power_law",),
    "nmcmc.annealing": (
        "anneal",
        "schedule",
    ),
    "nmcmc.dimod_sampler": ("AnnealingSampler",),
    "nmcmc.energies.boltzmann": (
        "BETA_CRITICAL",
        "Boltzmann",
    ),
    "nmcmc.energies.graphs": ("problem_of",),
    "nmcmc.energies.disorder": (
        "edwards_anderson",
        "random_regular",
        "sherrington_kirkpatrick",
    ),
    "nmcmc.energies.lattice": (
        "Lattice",
        "LatticeEnergy",
    ),
    "nmcmc.energies.mean_field": (
        "CurieWeissEnergy",
        "hopfield",
    ),
    "nmcmc.energies.pairwise": ("PairwiseEnergy",),
    "nmcmc.energies.readers": ("read_terms",),
    "nmcmc.energies.terms": (
        "from_bqm",
        "from_networkx",
        "terms_of",
    ),
    "nmcmc.energies.rbm": ("RestrictedBoltzmannEnergy",),
    "nmcmc.exact.known": ("exact_values",),
    "nmcmc.export": (
        "to_datatree",
        "to_pyerrors",
    ),
    "nmcmc.random": ("Rng",),
    "nmcmc.samplers.autoregressive": ("AutoregressiveSampler",),
    "nmcmc.samplers.curie_weiss": (
        "ExactCurieWeissSampler",
        "InfiniteCurieWeissSampler",
        "SaddleCurieWeissSampler",
    ),
    "nmcmc.samplers.family": (
        "Family",
        "load_family",
    ),
    "nmcmc.samplers.hierarchical.sampler": ("HierarchicalSampler",),
    "nmcmc.samplers.made": ("MADESampler",),
    "nmcmc.samplers.pixelcnn": ("PixelCNNSampler",),
    "nmcmc.samplers.pretrained": ("load_pretrained",),
    "nmcmc.samplers.sk": (
        "CavitySampler",
        "ReplicaSampler",
    ),
    "nmcmc.samplers.sparse": ("SparseSampler",),
    "nmcmc.samplers.response": (
        "follow_response",
        "start_at_response",
    ),
    "nmcmc.samplers.store": (
        "at_beta",
        "load_sampler",
        "save_sampler",
    ),
    "nmcmc.samplers.symmetrized": (
        "SymmetrizedSampler",
        "translations",
    ),
    "nmcmc.samplers.tap": (
        "TAPSampler",
        "fitted",
        "settled",
    ),
    "nmcmc.solution": ("optimize",),
    "nmcmc.training.annealing": (
        "Annealing",
        "brisk",
        "train_along",
    ),
    "nmcmc.training.loop": (
        "Plan",
        "train",
    ),
    "nmcmc.training.objectives": (
        "block_local_reverse_kl",
        "forward_kl",
        "reverse_kl",
    ),
    "nmcmc.types": (
        "Chain",
        "CorruptFileError",
        "Draw",
        "Estimate",
    ),
    "nmcmc.updates.checkerboard": ("CheckerboardMetropolis",),
    "nmcmc.updates.compose": (
        "Cycle",
        "Mixture",
    ),
    "nmcmc.updates.heat_bath": ("HeatBath",),
    "nmcmc.updates.independence": ("Independence",),
    "nmcmc.updates.metropolis": ("Metropolis",),
    "nmcmc.updates.parallel_tempering": ("ParallelTempering",),
    "nmcmc.updates.run": ("run",),
    "nmcmc.updates.swendsen_wang": ("SwendsenWang",),
    "nmcmc.updates.walk": ("walk",),
    "nmcmc.updates.wolff": ("Wolff",),
}
__all__ = sorted(name for names in _HOMES.values() for name in names)


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(home), name)
    raise AttributeError(f"nmcmc has no public name {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return __all__
