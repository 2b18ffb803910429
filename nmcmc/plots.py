"""Plots of a run as matplotlib figures; no global state. The only module that imports matplotlib."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nmcmc.analysis.autocorrelation import Autocorrelation, autocorrelation
from nmcmc.analysis.compare import Row
from nmcmc.analysis.reliability import TAUS_NEEDED
from nmcmc.analysis.scales import TauGrowth
from nmcmc.analysis.windows import rho_error
from nmcmc.notation import compact
from nmcmc.types import Estimate, Floats, Spins

# Palette of Okabe and Ito (2008), distinguishable with every kind of colour vision.
BLUE, RED, GREEN, PURPLE, ORANGE, SKY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"
CYCLE, MARKERS, INK = (BLUE, RED, GREEN, PURPLE, ORANGE, SKY), "osD^vP", "#333333"
MAX_LAG = 400
SYMBOLS = {
    "energy_per_spin": "energy $E/N$",
    "specific_heat": "specific heat $c$",
    "magnetization": r"magnetisation $\langle m\rangle$",
    "abs_magnetization": r"$\langle|m|\rangle$",
    "m2": r"$\langle m^2\rangle$",
    "m4": r"$\langle m^4\rangle$",
    "binder": "Binder cumulant $U$",
    "susceptibility": r"susceptibility $\chi$",
    "correlation_length": r"correlation length $\xi$",
    "entropy_per_spin": "entropy $S/N$",
    "free_energy_per_spin": "free energy $F/N$",
    "ess_fraction": "ess_fraction",
}
SCAN_PANELS = (
    ("energy_per_spin", "specific_heat", "entropy_per_spin", "free_energy_per_spin"),
    ("abs_magnetization", "susceptibility", "binder", "ess_fraction"),
)
"""Panels of a scan's figure, row by row."""


def png(figure: Figure) -> bytes:
    """Return the figure as a PNG image, 110 dots per inch."""
    data = io.BytesIO()
    with warnings.catch_warnings():  # legends look for room among the data; that it takes long is no news for users
        warnings.filterwarnings("ignore", "Creating legend with loc", UserWarning)
        figure.savefig(data, format="png", dpi=110)
    return data.getvalue()


def training_curve(training: Mapping[str, Floats], exact_free_energy: float | None = None) -> Figure:
    """Plot the variational free energy F_q ≥ F, or its distance to the exact F, and ess_fraction against training.

    Parameters
    ----------
    training : columns of the training record (n_records,): "step" or "seconds", and any of
        "variational_free_energy", "variational_free_energy_std", "ess_fraction"; NaN where nothing was measured.
    exact_free_energy : F = −log Z/β of the whole system, if known.
    """
    timed = "seconds" in training and np.ptp(training["seconds"]) > 0
    x = np.asarray(training["seconds" if timed else "step"], dtype=np.float64)
    panels = [name for name in ("variational_free_energy", "ess_fraction") if name in training]
    figure, axes = _figure(len(panels), "training time (s)" if timed else "training step")
    for name, axis in zip(panels, axes, strict=True):
        if name == "ess_fraction":
            _ess(axis, x, training[name])
        elif exact_free_energy is None:
            _line(axis, x, training[name], BLUE, "")
            axis.set_ylabel("variational free energy $F_q$")
            axis.set_title("Training lowers the free energy")
        else:
            _distance(axis, x, training, exact_free_energy)
    return figure


def log_weight_histogram(log_weight: Floats) -> Figure:
    """Plot the density of log w − mean for log weights (n,), with the Gaussian of the same mean and variance."""
    finite = log_weight[np.isfinite(log_weight)]
    x = finite - finite.mean()
    figure, (axes,) = _figure(1, r"log weight $\ln w - \overline{\ln w}$ (nats)")
    sigma = float(x.std())
    edges = np.histogram_bin_edges(x, bins=60) if sigma > 0 else np.array([-0.5, 0.5])
    axes.hist(
        x, bins=edges.tolist(), density=True, color=BLUE, alpha=0.75, label=f"{len(log_weight)} draws of the sampler"
    )
    if sigma > 0:
        grid = np.linspace(edges[0], edges[-1], 400)
        gaussian = np.exp(-0.5 * (grid / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))
        axes.plot(grid, gaussian, color=RED, linewidth=1.8, label=f"Gaussian of the same width, σ = {sigma:.3g}")
        axes.set_yscale("log")
        axes.set_ylim(0.3 / (len(x) * (edges[1] - edges[0])), 3 * gaussian.max())
    axes.set_ylabel("probability density")
    axes.set_title("How unevenly the sampler weights configurations")
    _legend(axes)
    return figure


def autocorrelation_functions(series: Mapping[str, Floats], max_lag: int | None = None) -> Figure:
    """Plot ρ(t) with one-σ bands for one observable of several chains: label → (n_chains, n_draws).

    A series that does not vary has no ρ(t); the legend says so. Lags run to twice the longest summation window by
    default, at most 400.
    """
    figure, (axes,) = _figure(1, "distance $t$ in the chain (updates)")
    varying = {label: values for label, values in series.items() if np.ptp(values) > 1e-12 * np.abs(values).max()}
    found = {label: autocorrelation(values) for label, values in varying.items()}
    if max_lag is None:
        max_lag = min(max([2 * curve.window for curve in found.values()] + [10]), MAX_LAG)
    for k, (label, values) in enumerate(series.items()):
        if label not in found:
            axes.plot([], [], color=CYCLE[k % len(CYCLE)], label=f"{label}: does not vary")
            continue
        rho = found[label].rho[: max_lag + 1]
        error = _rho_error(found[label], values.size, len(rho) - 1)
        tau = compact(found[label].tau_int, found[label].tau_int_error)
        _curve(axes, k, rho, error, f"{label}: $\\tau_{{int}}$ = {tau}")
    axes.axhline(0, color=INK, linewidth=0.8)
    axes.set_ylim(-0.15, 1.05)
    axes.set_ylabel(r"autocorrelation $\rho(t)$")
    axes.set_title("How fast each chain forgets where it was")
    _legend(axes)
    return figure


def observable_comparison(rows: Sequence[Row], labels: tuple[str, str] = ("neural chain", "Wolff")) -> Figure:
    """Plot deviations in σ of two chains from the exact values and from each other, and ⟨E⟩/N, ⟨|m|⟩ themselves.

    Parameters
    ----------
    rows : as `nmcmc.analysis.compare.compare` returns them.
    labels : names of the two chains.
    """
    shown = [row for row in rows if row.name in ("energy_per_spin", "abs_magnetization") and (row.a or row.b)]
    figure = Figure(figsize=(9.6, 0.5 * max(len(rows), 5) + 1.4), layout="constrained")
    grid = figure.add_gridspec(max(len(shown), 1), 2, width_ratios=(3, 1.35))
    pulls = figure.add_subplot(grid[:, 0])
    _style(pulls)
    _pulls(pulls, rows, labels)
    for k, row in enumerate(shown):
        axes = figure.add_subplot(grid[k, 1])
        _style(axes)
        _values(axes, row, labels)
    return figure


def configurations(spins: Spins, extents: tuple[int, ...]) -> Figure:
    """Draw up to ten configurations (n, n_spins) of a lattice; of a 3D lattice its first layer.

    Raises
    ------
    ValueError : if the extents do not hold n_spins sites.
    """
    if spins.ndim != 2 or spins.shape[1] != int(np.prod(extents)):
        raise ValueError(f"spins have the shape {spins.shape}; extents {extents} need (n, {int(np.prod(extents))})")
    images = spins.reshape(-1, *extents)
    images = images[:, None] if len(extents) == 1 else images[:, 0] if len(extents) == 3 else images
    images = images[:10]
    n_columns = min(5, len(images))
    n_rows = -(-len(images) // n_columns)
    figure = Figure(figsize=(9.6, 0.5 + 1.95 * n_rows), layout="constrained")
    for k, image in enumerate(images):
        axes = figure.add_subplot(n_rows, n_columns, k + 1)
        axes.imshow(
            image,
            cmap="Blues",
            vmin=-1.4,
            vmax=1.1,
            interpolation="nearest",
            aspect="auto" if len(image) == 1 else "equal",
        )
        axes.set_xticks([])
        axes.set_yticks([])
    layer = ", first layer of each" if len(extents) == 3 else ""
    figure.suptitle(f"Configurations drawn by the sampler (dark: up, light: down{layer})", fontsize=11)
    return figure


def magnetization_histogram(magnetizations: Mapping[str, Floats], n_spins: int) -> Figure:
    """Plot the distribution of the magnetisation per spin of several chains: label → values of any shape."""
    figure, (axes,) = _figure(1, r"magnetisation per spin $m$")
    edges = _magnetization_bins(n_spins)
    possible, _ = np.histogram(np.linspace(-1, 1, n_spins + 1), edges)
    for k, (label, values) in enumerate(magnetizations.items()):
        counts, _ = np.histogram(values, edges)
        density = counts / np.size(values) / (2 / n_spins * possible)
        dash = "--" if k % 2 else "-"
        axes.stairs(density, edges, color=CYCLE[k % len(CYCLE)], linewidth=1.8, linestyle=dash, label=label)
    axes.set_xlim(-1.02, 1.02)
    axes.set_ylim(bottom=0)
    axes.set_ylabel("probability density")
    axes.set_title("Distribution of the magnetisation")
    _legend(axes)
    return figure


def scan(rows: Sequence[Mapping[str, Any]], exact: Mapping[str, Floats]) -> Figure:
    """Plot quantities against β with exact curves, and below each its deviations in σ where exact values are known.

    Parameters
    ----------
    rows : one per β: "beta", and {value, error, exact} by the names of `SCAN_PANELS`; those that are missing are left
        out.
    exact : "beta" (n,) and exact curves (n,) by name.
    """
    figure = Figure(figsize=(13.5, 7.2), layout="constrained")
    grid = figure.add_gridspec(4, len(SCAN_PANELS[0]), height_ratios=(3, 1, 3, 1))
    beta = np.array([row["beta"] for row in rows])
    for k, names in enumerate(SCAN_PANELS):
        for column, name in enumerate(names):
            entries = [row.get(name) or {"value": None, "error": None, "exact": None} for row in rows]
            facts = {f: np.array([e[f] for e in entries], dtype=np.float64) for f in ("value", "error", "exact")}
            known = bool(np.isfinite(facts["exact"]).any())
            axes = figure.add_subplot(grid[2 * k : 2 * k + 1 + (not known), column])
            _scanned(axes, name, beta, facts, exact)
            if known:
                _deviations(figure.add_subplot(grid[2 * k + 1, column], sharex=axes), beta, facts)
                axes.tick_params(labelbottom=False)
            else:
                axes.set_xlabel(r"$\beta$")
    _legend(figure.axes[0])
    return figure


def overlap_histogram(overlaps: Mapping[str, Floats], n_spins: int) -> Figure:
    """Plot the distribution of the overlap of replicas (`modes.replica_overlaps`): label → values of any shape."""
    figure = magnetization_histogram(overlaps, n_spins)
    (axes,) = figure.axes
    axes.set_xlabel(r"overlap of two chains $q = \sum_i s_i s'_i/N$")
    axes.set_title("Distribution of the overlap")
    return figure


def tau_against_length(growths: Mapping[str, TauGrowth]) -> Figure:
    """Plot τ_int with errors against the length of chains that it comes from: label → `scales.tau_against_length`."""
    figure, (axes,) = _figure(1, "draws per chain")
    for k, (label, growth) in enumerate(growths.items()):
        known = np.isfinite(growth.tau_int)
        axes.errorbar(
            growth.n_draws[known],
            growth.tau_int[known],
            growth.tau_int_error[known],
            color=CYCLE[k % len(CYCLE)],
            marker=MARKERS[k % len(MARKERS)],
            markersize=4,
            capsize=3,
            label=label if known.any() else f"{label}: does not vary",
        )
    draws = np.concatenate([growth.n_draws for growth in growths.values()])
    reach = axes.get_ylim()
    edge = np.array([draws.min(), draws.max()])
    axes.plot(edge, edge / TAUS_NEEDED, color=INK, linewidth=0.8, linestyle=":", label=f"$n/{TAUS_NEEDED}$")
    axes.set_ylim(0, reach[1])
    axes.set_xscale("log", base=2)
    axes.set_ylabel(r"$\tau_{int}$ (updates)")
    axes.set_title("Does the autocorrelation time settle as chains grow?")
    _legend(axes)
    return figure


def _scanned(axes: Axes, name: str, beta: Floats, facts: Mapping[str, Floats], exact: Mapping[str, Floats]) -> None:
    _style(axes)
    if name in exact:
        axes.plot(exact["beta"], exact[name], color=RED, linewidth=1.4, label="exact")
    axes.errorbar(beta, facts["value"], facts["error"], fmt="o", color=BLUE, markersize=3.5, label="weighted draws")
    if name == "ess_fraction":
        axes.set_ylim(0, 1.03)
    axes.set_title(SYMBOLS[name])


def _deviations(axes: Axes, beta: Floats, facts: Mapping[str, Floats]) -> None:
    _style(axes)
    axes.axhline(0, color=INK, linewidth=0.8)
    with np.errstate(divide="ignore", invalid="ignore"):
        axes.plot(beta, (facts["value"] - facts["exact"]) / facts["error"], "o", color=BLUE, markersize=3.5)
    reach = max(3.2, *(abs(limit) for limit in axes.get_ylim()))
    axes.set_ylim(-reach, reach)
    axes.set_ylabel("σ off")
    axes.set_xlabel(r"$\beta$")


def _figure(n_axes: int, x_label: str) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(9.6, 3.6) if n_axes > 1 else (7.2, 3.8), layout="constrained")
    panels = [figure.add_subplot(1, n_axes, k + 1) for k in range(n_axes)]
    for axes in panels:
        _style(axes)
        axes.set_xlabel(x_label)
    return figure, panels


def _style(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#e3e3e3", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.title.set_fontsize(11)


def _legend(axes: Axes) -> None:
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize=9)


def _line(axes: Axes, x: Floats, y: Any, color: str, label: str) -> None:
    y = np.asarray(y, dtype=np.float64)
    known = np.isfinite(y)
    few = np.count_nonzero(known) <= 40
    axes.plot(x[known], y[known], color=color, marker="o" if few else "", markersize=3.5, label=label)


def _ess(axes: Axes, x: Floats, values: Floats) -> None:
    _line(axes, x, values, GREEN, "")
    axes.axhline(1, color=INK, linewidth=0.8, linestyle=":")
    axes.set_ylim(0, 1.03)
    axes.set_ylabel("ess_fraction")
    axes.set_title("Share of the draws that count: 1 is perfect")


def _distance(axes: Axes, x: Floats, training: Mapping[str, Floats], exact: float) -> None:
    _line(axes, x, np.asarray(training["variational_free_energy"]) - exact, BLUE, "distance $F_q - F$")
    if "variational_free_energy_std" in training:
        _line(axes, x, training["variational_free_energy_std"], ORANGE, "spread between configurations (1 σ)")
    axes.set_yscale("log", nonpositive="mask")
    axes.set_ylabel("energy")
    axes.set_title("Distance of the free energy from the exact one")
    axes.legend(frameon=False, fontsize=9)


def _curve(axes: Axes, k: int, rho: Floats, error: Floats, label: str) -> None:
    color, lags = CYCLE[k % len(CYCLE)], np.arange(len(rho))
    marker = MARKERS[k % len(MARKERS)] if len(lags) <= 60 else ""
    axes.plot(lags, rho, color=color, marker=marker, markersize=3.5, label=label)
    axes.fill_between(lags, rho - error, rho + error, color=color, alpha=0.2, linewidth=0)


def _rho_error(found: Autocorrelation, n: int, max_lag: int) -> Floats:
    """Return the one-σ error of ρ(t) for t = 0 … max_lag."""
    reach = max_lag + min(found.window, MAX_LAG)
    rho = np.zeros(reach + max_lag + 1)
    kept = min(2 * found.window + 1, len(found.rho), len(rho))  # beyond, ρ is noise
    rho[:kept] = found.rho[:kept]
    return np.array([rho_error(rho, t, n) for t in range(max_lag + 1)])


def _magnetization_bins(n_spins: int) -> Floats:
    """Return some 40 bins, symmetric about 0, whose edges lie halfway between possible values of m."""
    group = 2 * round(n_spins / 80) + 1
    first = 0.5 * group if n_spins % 2 == 0 else 0.0
    upper = (first + group * np.arange((n_spins + 1) // (2 * group) + 2)) * 2 / n_spins
    edges = np.concatenate([-upper[::-1], upper[upper > 0]])
    inside = np.abs(edges) < 1
    return np.concatenate([[-1 - 1 / n_spins], edges[inside], [1 + 1 / n_spins]])


def _pulls(axes: Axes, rows: Sequence[Row], labels: tuple[str, str]) -> None:
    y = np.arange(len(rows))[::-1]
    kinds = (
        ([row.deviation_a for row in rows], f"{labels[0]} − exact"),
        ([row.deviation_b for row in rows], f"{labels[1]} − exact"),
        ([row.deviation for row in rows], f"{labels[0]} − {labels[1]}"),
    )
    for band, shade in ((2, "#f0f0f0"), (1, "#dddddd")):
        axes.axvspan(-band, band, color=shade, zorder=0)
    axes.axvline(0, color=INK, linewidth=0.8)
    for k, (values, label) in enumerate(kinds):
        pulls = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
        if np.isfinite(pulls).any():
            axes.plot(pulls, y + 0.18 * (1 - k), MARKERS[k], color=CYCLE[k], markersize=6, label=label)
    reach = max([3.0] + [1.1 * abs(v) for values, _ in kinds for v in values if v is not None and np.isfinite(v)])
    axes.set_xlim(-reach, reach)
    axes.set_yticks(y, [SYMBOLS.get(row.name, row.name.replace("_", " ")) for row in rows])
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("deviation in units of its error (σ)")
    axes.set_title("Do the chains agree with the exact values and each other?")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=3, frameon=False, fontsize=9)


def _values(axes: Axes, row: Row, labels: tuple[str, str]) -> None:
    pairs: list[tuple[int, str, Estimate]] = [
        (k, label, estimate) for k, (label, estimate) in enumerate(zip(labels, (row.a, row.b), strict=True)) if estimate
    ]
    for k, _, estimate in pairs:
        axes.errorbar(k, estimate.value, estimate.error, color=CYCLE[k], marker=MARKERS[k], capsize=4)
    if row.exact is not None:
        axes.axhline(row.exact, color=INK, linewidth=1.2, linestyle="--", label=f"exact {compact(row.exact)}")
    axes.set_xticks([k for k, _, _ in pairs], [label for _, label, _ in pairs])
    axes.set_xlim(-0.6, 1.6)
    axes.ticklabel_format(axis="y", useOffset=False)
    axes.set_title(SYMBOLS[row.name])
    _legend(axes)
