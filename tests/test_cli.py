"""The command line: what is wrong is said in one line before any work, results are one JSON object or a table."""

import json
import subprocess

import pytest
import torch
from command_line import PYTHON, call

from nmcmc.cli import main

KEYS = {
    "lattice", "beta", "n_samples", "ess_fraction", "kl", "var_log_weight", "log_z", "free_energy_per_spin",
    "entropy_per_spin", "acceptance_rate", "observables", "mode_drop", "seconds",
}  # fmt: skip
ESTIMATE = {"value", "error", "error_error", "tau_int", "tau_int_error", "exact", "reliable", "why"}
SMALL = "--n-samples 64 --chains 4 --warmup 0"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A model and a chain of a 4×4 torus, and a file that is neither."""
    folder = tmp_path_factory.mktemp("files")
    assert call("train --lattice 4x4 --leaf 1 --width 2 --steps 3 --out", folder / "model").code == 0
    assert call(f"baseline wolff --lattice 4x4 {SMALL} --out", folder / "chain.h5").code == 3
    (folder / "text").write_text("hello")
    return folder


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "arguments are required: COMMAND"),
        ("trian", "invalid choice: 'trian'"),
        ("train", "the following arguments are required: --out"),
        ("train --out m --lattice 1", "lattice is '1'; it must be one to three extents ≥ 2"),
        ("train --out m --lattice 0x4", "lattice is '0x4'"),
        ("train --out m --lattice 4x", "lattice is '4x'"),
        ("train --out m --boundary closed", "boundary is 'closed'; it must be periodic, open"),
        ("train --out m --beta -0.1", "beta is -0.1; it must be a finite number ≥ 0"),
        ("train --out m --beta nan", "beta is nan"),
        ("train --out m --beta cold", "argument --beta: invalid float value: 'cold'"),
        ("train --out m --coupling nan", "coupling is 'nan'"),
        ("train --out m --sampler mad", "did you mean 'made'"),
        ("train --out m --objective kl", "objective is 'kl'"),
        ("train --out m --sampler made --objective block-local", "needs the sampler 'hierarchical'"),
        ("train --out m --sampler made --objective by-level", "needs the sampler 'hierarchical'"),
        ("train --out m --objective by-level --seconds 5", "trains by steps; give --steps"),
        ("run --out m --objective by-level --seconds 5", "trains by steps; give --steps"),
        ("train --out m --lattice 4x4x4", "use the sampler 'made'"),
        ("train --out m --lattice 3x3", "use the sampler 'made'"),
        ("train --out m --leaf 0", "leaf is 0"),
        ("train --out m --width 0", "width is 0"),
        ("train --out m --steps 5 --seconds 5", "exclude each other"),
        ("train --out m --resume --overwrite", "--resume and --overwrite exclude each other"),
        ("train --out m --allow-beta-mismatch", "give that by --grow-from"),
        ("train --out m --grow-from m", "--out is m, which is read"),
        ("train --out m --seed -1", "--seed is -1"),
        ("train --out m --seed 1.5", "argument --seed: '1.5' is not a whole number"),
        ("train --out m --threads 0", "--threads is 0; it must be an integer ≥ 1"),
        ("train --out m --threads -1", "--threads is -1"),
        ("train --out m --threads abc", "argument --threads: 'abc' is not a whole number, such as 1000 or 1e5"),
        ("train --out m --steps 1.5", "argument --steps: '1.5' is not a whole number"),
        ("train --out m --device gpu", "--device is gpu; it must be cpu, cuda or cuda:N"),
        ("train --out m --device cuda:99", "torch finds no such device"),
        ("train --out m --latice 4x4", "unrecognized arguments: --latice"),
        ("train --out .", "is a folder"),
        ("train --out=", "argument --out: the name is empty"),
        ("train --out /dev/null/m", "cannot write /dev/null/m"),
        (f"train --out {'m' * 250}", "is too long"),
        ("run none.toml", "there is no settings file none.toml"),
        ("run .", "there is no settings file ."),
        ("run --out /dev/null/x", "cannot write"),
        ("run --lattice 4x4x4", "use the sampler 'made'"),
        ("run --n-evaluate 5", "n_evaluate is 5"),
        ("run --n-samples 0", "n_samples is 0"),
        ("baseline wolf --out c.h5", "invalid choice: 'wolf'"),
        ("baseline wolff --field 0.1 --out c.h5", "Wolff needs zero field"),
        ("baseline wolff --out c.h5 --n-samples 0", "n_samples is 0; it must be at least 4 × chains = 64"),
        ("baseline wolff --out c.h5 --chains 0", "chains is 0"),
        ("baseline wolff --out c.h5 --warmup -1", "warmup is -1"),
        ("baseline wolff --out c.h5 --thin -1", "thin is -1"),
        ("baseline wolff --out /dev/null/c.h5", "cannot write"),
        ("sample none --out c.h5", "none does not exist"),
        ("sample . --out c.h5", ". is a folder, not a model"),
        ("sample m.h5 --out m.h5", "--out is m.h5, which is read"),
        ("evaluate none", "none does not exist"),
        ("evaluate none --n-samples 0", "n_samples is 0"),
        ("analyze none.h5", "none.h5 does not exist"),
        ("analyze .", ". does not exist or is not a file"),
        ("compare none.h5 other.h5", "none.h5 does not exist"),
        ("exact --lattice 64x65 --field 1", "no exact value is known"),
        ("exact --out /dev/null/x", "cannot write"),
        ("doctor --seed x", "argument --seed"),
    ],
)
def test_wrong_use_is_one_line_before_any_work(folder, line, message):
    result = call(line)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("nmcmc: error: ")
    assert result.err.count("\n") == 1
    assert message in result.err
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [("latice = 4", "did you mean 'lattice'"), ("steps = 1.5", "must be of type int"), ("= 4", "is not a TOML file")],
)
def test_wrong_settings_in_a_file_are_one_line(folder, text, message):
    (folder / "c.toml").write_text(text)
    result = call("run c.toml --out r")
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
    assert message in result.err
    assert [path.name for path in folder.iterdir()] == ["c.toml"]


@pytest.mark.parametrize(
    "line",
    ["train --lattice 4x4 --out {}", "baseline wolff --out {}", "sample {model} --out {}", "exact --out {}"],
)
def test_existing_output_is_kept(folder, files, line):
    (folder / "precious").write_text("mine")
    result = call(line.format("precious", model=files / "model"))
    assert (result.code, result.err) == (
        2,
        "nmcmc: error: precious already exists; give another name, or --overwrite to replace it\n",
    )
    assert [(path.name, path.read_text()) for path in folder.iterdir()] == [("precious", "mine")]


def test_overwrite_replaces_existing_output(folder):
    (folder / "e.json").write_text("old")
    assert call("exact --lattice 4x4 --overwrite --out e.json").code == 0
    assert json.loads((folder / "e.json").read_text())["lattice"] == "4x4"


@pytest.mark.parametrize("command", ["sample", "evaluate"])
@pytest.mark.parametrize(
    ("wrong", "right"),
    [("--lattice 8x8", "--lattice 4x4"), ("--beta 0.5", "--boundary periodic"), ("--field 1", "--coupling 1")],
)
def test_a_model_for_another_system_is_refused(folder, files, command, wrong, right):
    arguments = f"{command} {files / 'model'} --out x {SMALL if command == 'sample' else '--n-samples 100'}"
    result = call(f"{arguments} {wrong}")
    name = wrong.split()[0][2:]
    assert result.code == 2
    assert f"is for another {name} than" in result.err
    assert list(folder.iterdir()) == []
    assert call(f"{arguments} {right}").code == 3  # too few draws, but the right system


@pytest.mark.parametrize("command", ["sample {} --out x", "evaluate {} --out x", "analyze {} --out x"])
@pytest.mark.parametrize("name", ["text", "cut"])
def test_damaged_files_have_their_own_exit_code(folder, files, command, name):
    source = files / ("chain.h5" if "analyze" in command else "model")
    (files / "cut").write_bytes(source.read_bytes()[:-100])
    result = call(command.format(files / name))
    assert (result.code, result.out, result.err.count("\n")) == (4, "", 1)
    assert list(folder.iterdir()) == []


def test_a_short_chain_keeps_its_estimates_and_says_why(folder):
    result = call("baseline metropolis --lattice 8x8 --beta 0.6 --n-samples 80 --chains 4 --out c.h5 --json")
    assert result.code == 3
    assert (
        "nmcmc: unreliable: observables.energy_per_spin: chains of 20 draws are shorter than 50 tau_int" in result.err
    )
    estimate = result.json["observables"]["energy_per_spin"]
    assert estimate["value"] < -1
    assert not estimate["reliable"]
    again = call("analyze c.h5 --json")
    assert (again.code, again.json["observables"]) == (3, result.json["observables"])


@pytest.mark.parametrize(
    "line",
    [
        "train --lattice 4x4 --leaf 1 --width 2 --steps 2 --out {out}",
        "sample {model} --n-samples 64 --chains 4 --out {out}",
        "baseline swendsen-wang --lattice 4x4 --n-samples 64 --chains 4 --out {out}",
        "evaluate {model} --n-samples 100",
        "analyze {chain}",
        "compare {chain} {chain2}",
        "exact --lattice 4x4",
        "doctor",
    ],
)
def test_json_is_one_object_with_the_common_keys(folder, files, line):
    call(f"baseline heat-bath --lattice 4x4 {SMALL} --out", folder / "chain2.h5")
    names = {"out": folder / "out", "model": files / "model", "chain": files / "chain.h5", "chain2": "chain2.h5"}
    result = call(line.format(**names) + " --json --quiet --seed 3 --threads 1 --device cpu")
    assert result.code in (0, 3)
    assert result.out.count("\n") == 1
    if line == "doctor":
        assert {"versions", "threads", "numpy_blas", "torch_blas", "threading_layer"} <= set(result.json)
        return
    assert set(result.json) >= KEYS
    for name in ("ess_fraction", "kl", "var_log_weight", "log_z", "free_energy_per_spin", "entropy_per_spin"):
        assert result.json[name] is None or {"value", "error"} <= set(result.json[name])
    for estimate in (result.json["observables"] or {}).values():
        assert set(estimate) == ESTIMATE


def test_results_without_json_are_a_table(files):
    text = call(f"analyze {files / 'chain.h5'}").out
    assert "observable" in text
    assert any(line.startswith("energy_per_spin") and line.endswith("UNRELIABLE") for line in text.splitlines())
    assert "None" not in text
    assert "nan" not in text


def test_negative_values_need_no_equals_sign(folder):
    line = "exact --lattice 4x4 --coupling -1,0.5 --field -.5 --json"
    assert call(line).json["observables"] == call(line.replace(" -", "=-").replace("=--", " --")).json["observables"]


def test_whole_numbers_may_be_written_as_powers(folder):
    assert call("exact --lattice 4x4 --seed 1e3").code == 0


def test_threads_are_set(set_threads):
    set_threads(2)
    assert call("exact --lattice 4x4 --threads 1").code == 0
    assert torch.get_num_threads() == 1


def test_an_interrupt_advises_to_resume(folder, monkeypatch):
    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr("nmcmc.experiment.commands.train_command", interrupt)
    monkeypatch.setattr("nmcmc.experiment.commands.exact_command", interrupt)
    assert call("train --out m").err == "nmcmc: error: interrupted; the same command with --resume continues\n"
    result = call("exact")
    assert (result.code, result.err) == (130, "nmcmc: error: interrupted\n")


def test_too_large_a_job_says_so(folder, monkeypatch):
    def exhaust(*args):
        raise MemoryError("Unable to allocate 3 TiB")

    monkeypatch.setattr("nmcmc.experiment.commands.train_command", exhaust)
    result = call("train --out m")
    assert (result.code, "not enough memory (Unable to allocate 3 TiB)" in result.err) == (2, True)


def test_a_sampler_that_has_lost_states_is_not_believed(folder):
    result = call("train --lattice 4x4 --leaf 1 --learning-rate 1e3 --steps 30 --out m --json")
    assert result.json["ess_fraction"]["value"] > 0.99
    assert result.code == 3
    assert "σ off the exact value 15.52" in result.err


def test_a_breakdown_of_training_is_not_a_wrong_use(folder):
    result = call("train --lattice 4x4 --sampler made --learning-rate 1e38 --steps 30 --out m")
    assert (result.code, result.out, result.err.count("\n")) == (3, "", 1)
    assert not (folder / "m").exists()


def test_help_names_exit_codes_and_settings(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["run", "--help"])
    text = capsys.readouterr().out
    assert stop.value.code == 0
    for word in ("--lattice", "--n-samples", "(default 16x16)", "--resume", "damaged"):
        assert word in text


def test_the_installed_command_runs(folder):
    done = subprocess.run(
        [PYTHON, "-m", "nmcmc.cli", "exact", "--lattice", "2x2", "--json"], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout)["lattice"] == "2x2"
    assert done.stderr == ""
