"""The figures of a run's report."""

from __future__ import annotations

import numpy as np

from nmcmc.analysis.compare import Row
from nmcmc.analysis.modes import replica_overlaps
from nmcmc.analysis.scales import tau_against_length
from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.experiment.build import lattice_of
from nmcmc.types import Chain, Floats


def figures(
    target: Boltzmann,
    training: dict[str, Floats],
    log_weight: Floats,
    chains: dict[str, Chain],
    rows: list[Row],
    free_energy: float | None,
) -> dict[str, bytes]:
    """Return PNG images by the names that the report knows.

    Parameters
    ----------
    target : the system.
    training : columns of the training curve, empty if nothing was trained.
    log_weight : log weights of fresh draws, (n,).
    chains : the neural chain and the baseline, by the labels to show.
    rows : their comparison.
    free_energy : exact free energy of the whole system, or None.
    """
    from nmcmc import plots  # here, so that a run is at work before matplotlib is loaded

    labels = tuple(chains)
    drawn = {
        "log_weight_histogram": plots.log_weight_histogram(log_weight),
        "observable_comparison": plots.observable_comparison(rows, (labels[0], labels[1])),
        "magnetization_histogram": plots.magnetization_histogram(
            {label: chain.series["magnetization"] for label, chain in chains.items()}, target.n_spins
        ),
        "autocorrelation_functions": plots.autocorrelation_functions(_series(chains)),
        "tau_against_length": plots.tau_against_length(
            {label: tau_against_length(series) for label, series in _series(chains).items()}
        ),
    }
    overlaps = _overlaps(chains)
    if overlaps:
        drawn["overlap_histogram"] = plots.overlap_histogram(overlaps, target.n_spins)
    if len(training["step"]):
        drawn["training_curve"] = plots.training_curve(_at_final_beta(training, target.beta), free_energy)
    kept, lattice = chains[labels[0]].spins, lattice_of(target)
    if kept is not None and kept.shape[1] and lattice is not None:
        drawn["configurations"] = plots.configurations(kept[:, -1], lattice.extents)
    return {name: plots.png(figure) for name, figure in drawn.items()}


def _overlaps(chains: dict[str, Chain]) -> dict[str, Floats]:
    kept = {label: chain.spins for label, chain in chains.items() if chain.spins is not None}
    return {label: replica_overlaps(spins) for label, spins in kept.items() if len(spins) > 1 and spins.shape[1]}


def _series(chains: dict[str, Chain]) -> dict[str, Floats]:
    series = {}
    for label, chain in chains.items():
        series[f"{label}, E"] = chain.series["energy"]
        series[f"{label}, |m|"] = np.abs(chain.series["magnetization"])
    return series


def _at_final_beta(training: dict[str, Floats], beta: float) -> dict[str, Floats]:
    """Return the training curve without free energies of the temperatures that annealing passed through."""
    kept = {name: values for name, values in training.items() if name.startswith("variational_free_energy")}
    return training | {name: np.where(training["beta"] == beta, values, np.nan) for name, values in kept.items()}
