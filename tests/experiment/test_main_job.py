"""The main job in small: every file, the same numbers wherever they are read, every kind of system."""

import hashlib
import json

import pytest
from command_line import call

from nmcmc.config import RunConfig, build, read_toml
from nmcmc.experiment.main_job import FILES
from nmcmc.storage.files import groups, read

SMALL = "run --width 2 --leaf 3 --steps 20 --borders 8 --crosses 4 --batch 32 --n-samples 8000 --chains 8 --warmup 100"


def check_run(folder, result, baseline):
    """Check a finished run in the folder ``out`` against its own files."""
    summary = result.json
    out = folder / "out"
    assert sorted(path.name for path in out.iterdir()) == sorted(FILES)
    assert json.loads((out / "summary.json").read_text()) == summary
    assert set(groups(out / "run.h5")) == {"neural", baseline}
    weights = hashlib.sha256((out / "model.safetensors").read_bytes()).hexdigest()
    assert read(out / "run.h5", "neural").weights_sha256 == weights
    assert summary["baseline"]["name"] == baseline
    assert set(summary["seconds"]) == {"train", "sample", "baseline", "total"}
    report = (out / "report.html").read_text()
    assert ("Wolff</th>" in report, "heat bath</th>" in report) == (baseline == "wolff", baseline == "heat-bath")
    analyzed = call("analyze out/run.h5 --json").json
    for name in (
        "observables",
        "baseline",
        "log_z",
        "ess_fraction",
        "acceptance_rate",
        "entropy_per_spin",
        "n_draws",
        "tau_seconds",
    ):
        assert analyzed[name] == summary[name]
    compared = call("compare out/run.h5 --json").json
    assert compared["worst_deviation"] == summary["worst_deviation"]
    return summary, report


def test_the_main_job(folder):
    result = call(f"{SMALL} --lattice 6x6 --steps 100 --out out --json")
    assert (result.code, result.err) == (0, "")
    summary, report = check_run(folder, result, "wolff")
    for name in ("energy_per_spin", "m2", "binder"):
        for chain in (summary, summary["baseline"]):
            estimate = chain["observables"][name]
            assert abs(estimate["value"] - estimate["exact"]) < 5 * estimate["error"]
    assert 0.3 < summary["ess_fraction"]["value"] <= 1
    assert abs(summary["mode_drop"]["value"]) < 5 * summary["mode_drop"]["error"]
    assert report.count("<img") == 8
    assert build(RunConfig, read_toml(folder / "out" / "config.toml")).system.lattice == "6x6"
    refused = call(f"{SMALL} --lattice 6x6 --steps 100 --out out")
    assert (refused.code, "already exists" in refused.err) == (2, True)


def test_a_field_has_heat_bath_for_a_baseline(folder):
    result = call(f"{SMALL} --lattice 5x6 --boundary periodic,open --field 0.2 --out out --json")
    assert result.code in (0, 3)
    check_run(folder, result, "heat-bath")


def test_nothing_to_train(folder):
    summary, report = check_run(
        folder, call("run --lattice 6x6 --boundary open --n-samples 8000 --out out --json"), "wolff"
    )
    assert (summary["objective"], summary["steps"]) == (None, 0)
    assert summary["ess_fraction"]["value"] == pytest.approx(1, abs=1e-9)
    assert read("out/run.h5", "neural").training is None
    assert report.count("<img") == 7


@pytest.mark.slow
@pytest.mark.parametrize(
    "system",
    [
        "--lattice 6x8 --coupling 1,0.5",
        "--lattice 8x8 --coupling -1 --boundary periodic,open",
        "--lattice 8x8 --beta 0",
        "--lattice 8x8 --beta 2",
        "--lattice 3x3x3 --sampler made --beta 0.1",
        "--lattice 10 --sampler made",
        "--lattice 8x8 --objective forward-kl",
        "--lattice 8x8 --objective reverse-kl --thin 3",
        "--lattice 4x4 --thin 5000",
    ],
)
def test_every_kind_of_system(folder, system):
    result = call(f"{SMALL} {system} --out out --json")
    assert result.code in (0, 3)
    summary, _ = check_run(folder, result, "wolff")
    again = call(f"{SMALL} {system} --out out --overwrite --json").json
    timeless = {"seconds": None, "tau_seconds": None}
    assert again | timeless == summary | timeless
    assert summary["worst_deviation"] is None or summary["worst_deviation"] < 5


def test_options_win_over_the_file(folder, monkeypatch):
    seen = []
    monkeypatch.setattr(
        "nmcmc.experiment.main_job.run_command", lambda config, out, options: seen.append(config) or 1 / 0
    )
    (folder / "c.toml").write_text('lattice = "8x8"\nbeta = 0.3\nseed = 4\nsteps = 50\n')
    for line, expected in (
        ("run c.toml --lattice 6x6", ("6x6", 0.3, 4, 50, 0.0)),
        ("run c.toml --seconds 3 --seed 5", ("8x8", 0.3, 5, 0, 3.0)),
        ("run --beta 0.2", ("16x16", 0.2, 1, 700, 0.0)),
    ):
        with pytest.raises(ZeroDivisionError):
            call(line)
        config = seen[-1]
        found = (config.system.lattice, config.system.beta, config.seed, config.training.steps, config.training.seconds)
        assert found == expected


def test_a_run_does_not_touch_what_it_does_not_know(folder):
    (folder / "out").mkdir()
    (folder / "out" / "model.safetensors").write_text("mine")
    refused = call(f"{SMALL} --lattice 4x4 --out out")
    assert (refused.code, "model.safetensors already exists" in refused.err) == (2, True)
    assert [path.name for path in (folder / "out").iterdir()] == ["model.safetensors"]
    assert (folder / "out" / "model.safetensors").read_text() == "mine"
