"""The single jobs: chains that do not depend on threads, files that are never read wrong, comparisons, exact values."""

import io
import json

import numpy as np
import pytest
from command_line import call

from nmcmc.cli import main
from nmcmc.config import CURIE_WEISS, SAMPLERS
from nmcmc.storage.files import read

CHAIN = "--n-samples 4000 --chains 8 --warmup 50"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    train = "train --lattice 5x6 --boundary periodic,open --leaf 1 --width 4 --steps 20 --out"
    assert call(train, folder / "model").code == 0
    assert call(f"sample {folder / 'model'} {CHAIN} --thin 100 --out", folder / "neural.h5").code in (0, 3)
    for name, seed in (("a.h5", 1), ("b.h5", 2)):
        line = f"baseline wolff --lattice 5x6 --boundary periodic,open {CHAIN} --seed {seed} --out"
        assert call(line, folder / name).code == 0
    return folder


def test_quality_needs_no_chain(files):
    trained, evaluated = call(f"evaluate {files / 'model'} --json"), call(f"evaluate {files / 'model'} --seed 2 --json")
    assert trained.code == evaluated.code == 0
    for name in ("ess_fraction", "kl", "log_z"):
        first, second = trained.json[name], evaluated.json[name]
        assert abs(first["value"] - second["value"]) < 5 * np.hypot(first["error"], second["error"])
    assert trained.json["log_z"]["exact"] == pytest.approx(trained.json["log_z"]["value"], abs=0.05)


def test_chains_agree_with_exact_values_and_each_other(files):
    chain = call(f"analyze {files / 'neural.h5'} --json").json
    for name, estimate in chain["observables"].items():
        if estimate["exact"] is not None and estimate["reliable"]:
            assert abs(estimate["value"] - estimate["exact"]) < 5 * estimate["error"], name
    assert chain["acceptance_rate"]["value"] == pytest.approx(chain["predicted_acceptance"]["value"], abs=0.05)
    compared = call(f"compare {files / 'neural.h5'} {files / 'a.h5'} --json").json
    assert compared["rows"]["energy_per_spin"]["a"]["value"] == chain["observables"]["energy_per_spin"]["value"]
    assert 0 < compared["worst_deviation"] < 5


def test_another_temperature_is_noticed(folder, files):
    """The twin that must fail: a chain of another β, taken for one of ours."""
    line = "baseline wolff --lattice 5x6 --boundary periodic,open --n-samples 40000 --chains 8 --out"
    assert call(line, "right.h5").code == 0
    assert call(f"{line} wrong.h5 --beta 0.4539").code == 0
    refused = call("compare right.h5 wrong.h5")
    assert (refused.code, "differ in beta" in refused.err) == (2, True)
    right, wrong = (
        call(f"analyze {name} --json").json["observables"]["energy_per_spin"] for name in ("right.h5", "wrong.h5")
    )
    assert abs(right["value"] - right["exact"]) < 5 * right["error"]
    assert abs(wrong["value"] - right["exact"]) > 5 * wrong["error"]


def test_chains_of_different_systems_are_not_compared(folder, files):
    for change, name in (("--lattice 6x5", "lattice"), ("--coupling 0.9", "coupling"), ("--boundary open", "boundary")):
        line = "baseline swendsen-wang --lattice 5x6 --boundary periodic,open --n-samples 64 --overwrite --out c.h5"
        call(f"{line} {change}")
        result = call(f"compare {files / 'a.h5'} c.h5")
        assert (result.code, f"differ in {name}" in result.err) == (2, True)


def test_a_chain_is_not_compared_with_itself(files):
    for line in (f"compare {files / 'a.h5'}", f"compare {files / 'a.h5'} {files / 'a.h5'}"):
        result = call(line)
        assert (result.code, "holds one chain only" in result.err) == (2, True)


def test_a_disagreement_has_its_exit_code(files, monkeypatch):
    monkeypatch.setattr("nmcmc.experiment.summary.LARGEST_DEVIATION", 0.01)
    result = call(f"compare {files / 'a.h5'} {files / 'b.h5'}")
    assert result.code == 3
    assert "the results disagree by" in result.err


@pytest.mark.parametrize(
    "line", ["baseline metropolis --lattice 5x6 --beta 0.3", "baseline swendsen-wang --lattice 5x6", "sample {}"]
)
def test_chains_do_not_depend_on_threads(folder, files, set_threads, line):
    chains = []
    for threads in (1, 2):
        call(
            f"{line.format(files / 'model')} --n-samples 800 --chains 8 --thin 7 --threads {threads} --out {threads}.h5"
        )
        chains.append(read(folder / f"{threads}.h5").chain)
    a, b = chains
    for first, second in ((a.series, b.series), (a.stats, b.stats), ({"spins": a.spins}, {"spins": b.spins})):
        assert all(np.array_equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("n_flips", [30, pytest.param(200, marks=pytest.mark.slow)])
def test_flipped_bits_of_a_chain_file_are_noticed_or_harmless(folder, files, n_flips):
    call(f"sample {files / 'model'} --n-samples 256 --chains 4 --warmup 0 --thin 8 --out intact.h5")
    content, generator, damaged = (folder / "intact.h5").read_bytes(), np.random.default_rng(4), 0
    intact = call("analyze intact.h5 --json").json
    for bit in generator.integers(0, 8 * len(content), n_flips):
        data = bytearray(content)
        data[bit // 8] ^= 1 << (bit % 8)
        (folder / "flipped.h5").write_bytes(data)
        result = call("analyze flipped.h5 --json")
        assert result.code in (0, 3, 4)
        if result.code == 4:
            damaged += 1
            assert (result.out, result.err.count("\n")) == ("", 1)
        else:
            assert result.json | {"file": None} == intact | {"file": None}
    assert damaged > n_flips / 2


def test_flipped_bits_of_a_model_are_noticed_on_the_command_line(folder, files):
    content, generator = (files / "model").read_bytes(), np.random.default_rng(5)
    for bit in generator.integers(0, 8 * len(content), 20):
        data = bytearray(content)
        data[bit // 8] ^= 1 << (bit % 8)
        (folder / "flipped").write_bytes(data)
        assert call("evaluate flipped --n-samples 100").code == 4


@pytest.mark.parametrize(
    ("line", "known"),
    [
        ("--lattice 16x16", {"log_z", "energy_per_spin", "specific_heat"}),
        ("--lattice 4x4 --field 0.2 --coupling -1,0.5", {"log_z", "abs_magnetization", "susceptibility"}),
        ("--lattice 30 --beta 0.7", {"log_z", "m2"}),
        ("--lattice 6x40 --boundary open --field -0.1", {"log_z", "m2"}),
        ("--lattice 2x3x4", {"log_z", "binder"}),
        ("--lattice 4x4 --beta 0", {"log_z", "entropy_per_spin"}),
    ],
)
def test_exact_values_are_told(line, known):
    result = call(f"exact {line} --json")
    assert result.code == 0
    told = {name for name in ("log_z", "entropy_per_spin") if result.json[name]} | set(result.json["observables"])
    assert known <= told


def test_one_exactly_summed_block_needs_no_training(folder):
    trained = call("train --lattice 6x6 --boundary open --out m --json")
    assert trained.code == 0
    assert "nothing to train" in trained.json["note"]
    assert trained.json["ess_fraction"]["value"] == pytest.approx(1, abs=1e-9)
    assert trained.json["kl"]["value"] == pytest.approx(0, abs=1e-7)  # leaves are summed in float32
    chain = call("sample m --n-samples 16000 --out c.h5 --json")
    assert (chain.code, chain.json["acceptance_rate"]["value"]) == (0, 1.0)


@pytest.mark.parametrize("system", ["--lattice 12", "--lattice 3x3x3 --beta 0.1", "--lattice 3x3 --field 0.3"])
def test_made_serves_every_lattice(folder, system):
    assert call(f"train {system} --sampler made --steps 5 --batch 32 --out m").code == 0
    assert call(f"sample m --n-samples 16000 --out c.h5 {system}").code in (0, 3)
    assert call("analyze c.h5 --json").json["lattice"] == system.split()[1]


@pytest.mark.parametrize("sampler", ["sparse", "pixelcnn --half-kernel 1"])
def test_other_nets_are_trained_stored_and_sampled(folder, sampler):
    line = f"train --lattice 3x4 --beta 0.3 --sampler {sampler} --width 2 --batch 64 --steps 60 --out m --json"
    trained, sampled = call(line), call("sample m --n-samples 20000 --chains 8 --warmup 10 --out c.h5 --json")
    assert (trained.code, sampled.code) == (0, 0)
    assert trained.json["ess_fraction"]["value"] > 0.5
    assert sampled.json["acceptance_rate"]["value"] > 0.6


@pytest.mark.parametrize("sampler", sorted(set(SAMPLERS) - set(CURIE_WEISS)))
def test_infinite_temperature(folder, sampler):
    steps = "" if sampler == "tap" else "--steps 3"  # tap is fitted
    trained = call(f"train --lattice 4x5 --beta 0 --sampler {sampler} {steps} --out m --json")
    assert trained.code == 0, trained.err
    assert trained.json["free_energy_per_spin"] is None
    assert trained.json["log_z"]["value"] == pytest.approx(20 * np.log(2), abs=0.02)
    assert call("sample m --n-samples 16000 --chains 4 --out c.h5").code == 0


def test_the_json_is_also_written(folder, files):
    result = call(f"analyze {files / 'a.h5'} --json --out a.json")
    assert json.loads((folder / "a.json").read_text()) == result.json


def test_progress_is_shown_on_a_terminal_unless_quiet(folder, monkeypatch, capsys):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    for quiet, shown in ((["--quiet"], False), ([], True)):
        terminal = Terminal()
        monkeypatch.setattr("sys.stderr", terminal)
        main(["baseline", "wolff", "--lattice", "4x4", "--n-samples", "64", "--overwrite", "--out", "c.h5", *quiet])
        assert ("wolff chain: 100%" in terminal.getvalue()) == shown
