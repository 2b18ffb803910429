"""Plots: what is drawn is what was given; gaps, constants and degenerate inputs do not stop a run's last step."""

import numpy as np
import pytest

from nmcmc import plots
from nmcmc.analysis.autocorrelation import autocorrelation
from nmcmc.analysis.compare import compare
from nmcmc.analysis.scales import tau_against_length
from nmcmc.types import Estimate


def autoregressive(phi, shape, seed=0):
    noise = np.random.default_rng(seed).normal(size=shape)
    series = np.zeros(shape)
    for t in range(1, shape[1]):
        series[:, t] = phi * series[:, t - 1] + noise[:, t]
    return series


def legend(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_training_curve_shows_the_distance_and_skips_gaps():
    training = {"step": np.arange(4), "seconds": np.array([0.0, 1, 2, 3])}
    training["variational_free_energy"] = np.array([-1.0, -2, -2.5, -2.9])
    training["ess_fraction"] = np.array([0.1, np.nan, np.nan, 0.9])
    left, right = plots.training_curve(training, exact_free_energy=-3.0).axes
    assert np.allclose(left.lines[0].get_ydata(), [2, 1, 0.5, 0.1])
    assert list(right.lines[0].get_xdata()) == [0, 3]
    assert left.get_xlabel() == "training time (s)"


@pytest.mark.parametrize("missing", ["variational_free_energy", "ess_fraction", "seconds"])
def test_training_curve_without_a_column(missing):
    training = {name: np.arange(3.0) for name in ("step", "seconds", "variational_free_energy", "ess_fraction")}
    del training[missing]
    assert len(plots.training_curve(training).axes) == 2 - (missing != "seconds")


def test_log_weight_histogram_has_unit_area():
    log_weight = np.random.default_rng(1).normal(5, 0.3, 5000)
    (axes,) = plots.log_weight_histogram(np.append(log_weight, -np.inf)).axes
    assert sum(bar.get_height() * bar.get_width() for bar in axes.patches) == pytest.approx(1)
    assert any(f"σ = {log_weight.std():.3g}" in text for text in legend(axes))


def test_log_weight_histogram_of_a_perfect_sampler():
    (axes,) = plots.log_weight_histogram(np.full(100, 2.0)).axes
    assert axes.get_yscale() == "linear"


def test_autocorrelation_functions_name_tau_and_constants():
    series = {"slow": autoregressive(0.8, (4, 4000)), "frozen": np.ones((4, 100))}
    (axes,) = plots.autocorrelation_functions(series).axes
    tau = autocorrelation(series["slow"]).tau_int
    assert legend(axes)[0].startswith(f"slow: $\\tau_{{int}}$ = {tau:.2f}(")
    assert legend(axes)[1] == "frozen: does not vary"
    assert axes.lines[0].get_ydata()[1] == pytest.approx(0.8, abs=0.03)


def test_error_of_rho_is_its_scatter():
    runs = [autocorrelation(autoregressive(0.8, (4, 1000), seed)) for seed in range(200)]
    scatter = np.std([run.rho[1:9] for run in runs], axis=0)
    error = np.mean([plots._rho_error(run, 4000, 8)[1:] for run in runs], axis=0)
    assert np.all(np.abs(error / scatter - 1) < 5 / np.sqrt(2 * 200))


def test_comparison_plots_every_deviation():
    a = {"energy_per_spin": Estimate(1.0, 0.1), "m2": Estimate(0.5, 0.1), "binder": Estimate(np.nan, np.inf)}
    b = {"energy_per_spin": Estimate(1.2, 0.1), "abs_magnetization": Estimate(0.7, 0.0)}
    figure = plots.observable_comparison(compare(a, b, {"energy_per_spin": 1.1}))
    pulls, energy, modulus = figure.axes
    marks = [line.get_xdata()[0] for line in pulls.lines[1:]]
    assert np.allclose(marks, [-1, 1, -np.sqrt(2)])
    assert next(text.get_text() for text in pulls.get_yticklabels()) == plots.SYMBOLS["energy_per_spin"]
    assert legend(energy) == ["exact 1.1"]
    assert modulus.get_title() == plots.SYMBOLS["abs_magnetization"]
    figure.canvas.draw()


def test_comparison_of_nothing():
    plots.observable_comparison([]).canvas.draw()


@pytest.mark.parametrize("extents", [(12,), (4, 3), (2, 2, 3)])
def test_configurations_in_every_dimension(extents):
    spins = np.where(np.random.default_rng(0).random((13, 12)) < 0.5, 1, -1).astype(np.int8)
    figure = plots.configurations(spins, extents)
    image = figure.axes[0].get_images()[0].get_array()
    assert len(figure.axes) == 10
    assert image.shape == {1: (1, 12), 2: (4, 3), 3: (2, 3)}[len(extents)]
    assert np.array_equal(image.ravel(), spins[0, : image.size])


def test_configurations_check_the_lattice():
    with pytest.raises(ValueError, match=r"extents \(4, 4\) need \(n, 16\)"):
        plots.configurations(np.ones((2, 12), dtype=np.int8), (4, 4))


@pytest.mark.parametrize("n_spins", [1, 2, 15, 16, 255, 256, 4096])
def test_magnetization_bins_treat_all_values_alike(n_spins):
    edges = plots._magnetization_bins(n_spins)
    assert np.array_equal(edges, -edges[::-1])
    values = np.linspace(-1, 1, n_spins + 1)
    assert np.min(np.abs(values[:, None] - edges)) > 0.99 / n_spins
    (axes,) = plots.magnetization_histogram({"uniform": values}, n_spins).axes
    heights = axes.patches[0].get_data().values
    assert np.allclose(heights, n_spins / (2 * (n_spins + 1)))


def test_a_scan_shows_every_value_and_deviations_where_exact_values_are_known():
    def entry(value, exact=None):
        return {"value": value, "error": 0.1, "exact": exact}

    rows = [
        {"beta": beta, "energy_per_spin": entry(-beta, 0.1 - beta), "binder": entry(beta)} for beta in (0.3, 0.4, 0.6)
    ]
    exact = {"beta": np.array([0.3, 0.6]), "energy_per_spin": np.array([-0.2, -0.5])}
    figure = plots.scan(rows, exact)
    panels = {axes.get_title(): axes for axes in figure.axes if axes.get_title()}
    energy, binder = (panels[plots.SYMBOLS[name]] for name in ("energy_per_spin", "binder"))
    assert np.allclose(energy.lines[0].get_ydata(), exact["energy_per_spin"])
    assert np.allclose(binder.containers[0].lines[0].get_xydata(), [[0.3, 0.3], [0.4, 0.4], [0.6, 0.6]])
    (deviations,) = (axes for axes in figure.axes if axes.get_ylabel() == "σ off")
    assert np.allclose(deviations.lines[1].get_ydata(), -1)
    assert len(panels) == 8
    figure.canvas.draw()


def test_tau_against_length_shows_every_length_that_varies():
    growing, frozen = tau_against_length(autoregressive(0.8, (4, 4096))), tau_against_length(np.ones((1, 64)))
    (axes,) = plots.tau_against_length({"slow": growing, "frozen": frozen}).axes
    assert list(axes.containers[0].lines[0].get_xdata()) == list(growing.n_draws)
    assert "frozen: does not vary" in legend(axes)
    assert axes.get_xscale() == "log"


def test_overlap_histogram_has_unit_area():
    overlaps = np.random.default_rng(1).integers(-8, 9, (2, 500)) / 8
    (axes,) = plots.overlap_histogram({"chains": overlaps}, 16).axes
    assert "overlap" in axes.get_xlabel()
    assert np.sum(np.histogram(overlaps, plots._magnetization_bins(16))[0]) == overlaps.size
