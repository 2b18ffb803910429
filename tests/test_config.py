"""Settings: the same from TOML, the command line and Python; what is wrong is named."""

import dataclasses
import math
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from nmcmc.config import (
    DEFAULT_STEPS,
    ChainConfig,
    RunConfig,
    SamplerConfig,
    SystemConfig,
    TrainingConfig,
    build,
    differences,
    flat_fields,
    override,
    read_toml,
    to_toml,
    value_of,
)

EXAMPLE = Path(__file__).parents[1] / "docs" / "example.toml"


def written(tmp_path, text):
    path = tmp_path / "settings.toml"
    path.write_text(text, encoding="utf-8")
    return path


def config_of(tmp_path, text):
    return build(RunConfig, read_toml(written(tmp_path, text)))


@settings(max_examples=30)
@given(
    lattice=st.sampled_from(["16x16", "7", "4x5x6"]),
    boundary=st.sampled_from(["periodic", "open"]),
    coupling=st.sampled_from(["1", "-0.5", "1e-3"]),
    beta=st.floats(0, 1e300),
    field=st.floats(allow_nan=False, allow_infinity=False),
    seed=st.integers(0, 2**70),
    seconds=st.floats(0, 1e9),
)
def test_toml_and_back_is_the_same(tmp_path_factory, lattice, boundary, coupling, beta, field, seed, seconds):
    config = RunConfig(
        SystemConfig(lattice, boundary, coupling, field, beta),
        SamplerConfig("made", 3, 2, 2, 5),
        TrainingConfig("forward-kl", seconds=seconds),
        ChainConfig(64, 4, 0, 3),
        seed=seed,
    )
    assert config_of(tmp_path_factory.mktemp("config"), to_toml(config)) == config


def test_tables_only_group(tmp_path):
    flat = config_of(tmp_path, 'lattice = "8x8"\nleaf = 3\nseed = 5')
    assert flat == config_of(tmp_path, '[system]\nlattice = "8x8"\nseed = 5\n[chain]\nleaf = 3')
    assert (flat.system.extents, flat.sampler.leaf, flat.seed) == ((8, 8), 3, 5)


def test_the_example_is_the_default_and_names_every_setting():
    assert build(RunConfig, read_toml(EXAMPLE)) == RunConfig()
    assert {name for name in flat_fields(RunConfig) if f"\n{name} = " not in EXAMPLE.read_text()} == {"seconds"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("latice = 4", "unknown setting 'latice'; did you mean 'lattice'"),
        ("[system]\nbta = 4", "did you mean 'beta'"),
        ("seed = 1\n[chain]\nseed = 2", "gives 'seed' twice"),
        ("seed = ", "not a TOML file"),
        ("seed = 1\nseed = 2", "not a TOML file"),
        ('seed = "1"', "seed is '1'; it must be of type int"),
        ("steps = 2.0", "steps is 2.0; it must be of type int"),
        ("chains = true", "chains is True; it must be of type int"),
        ('beta = "hot"', "beta is 'hot'; it must be of type float"),
        ("beta = 2026-11-22", "beta is datetime.date"),
        ("sampler = 4", "it must be one of hierarchical, made"),
        ("lattice = true", "it must be of type str"),
        ("[system.b]\nseed = 1", "unknown setting 'b'"),
        ("[sistem]\nbeta = 0.3", "has a table .sistem."),
        ("steps = 5\nseconds = 3.0", "exclude each other"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        config_of(tmp_path, text)


def test_bytes_that_are_no_text_are_no_toml(tmp_path):
    path = tmp_path / "settings.toml"
    path.write_bytes(b"seed = \xff\xfe")
    with pytest.raises(ValueError, match="not a TOML file"):
        read_toml(path)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(FileNotFoundError, match=f"no settings file {path}"):
            read_toml(path)


@pytest.mark.parametrize(
    ("kind", "name", "values"),
    [
        (SystemConfig, "lattice", ["", "1", "4x", "0x4", "4x-4", "4x4x4x4", "axb", "4.5", "4,4"]),
        (SystemConfig, "boundary", ["", "closed", "periodic,periodic,open", "periodic,"]),
        (SystemConfig, "coupling", ["", "nan", "inf", "1,2,3", "one"]),
        (SystemConfig, "beta", [-0.1, math.nan, math.inf]),
        (SystemConfig, "field", [math.nan, -math.inf]),
        (SamplerConfig, "sampler", ["", "vae"]),
        (SamplerConfig, "leaf", [0, 17]),
        (SamplerConfig, "width", [0, -1]),
        (SamplerConfig, "depth", [0]),
        (TrainingConfig, "objective", ["kl"]),
        (TrainingConfig, "steps", [-1]),
        (TrainingConfig, "seconds", [-1.0, math.nan, math.inf]),
        (TrainingConfig, "learning_rate", [math.nan, math.inf, -1.0]),
        (TrainingConfig, "batch", [1]),
        (TrainingConfig, "borders", [0]),
        (TrainingConfig, "crosses", [1]),
        (TrainingConfig, "anneal_from", [math.nan, math.inf]),
        (ChainConfig, "n_samples", [0, -5, 63]),
        (ChainConfig, "chains", [0, -1]),
        (ChainConfig, "warmup", [-1]),
        (ChainConfig, "thin", [-1]),
        (RunConfig, "n_evaluate", [0, 99]),
        (RunConfig, "seed", [-1]),
    ],
)
def test_values_that_are_not_allowed_are_named(kind, name, values):
    for value in values:
        with pytest.raises(ValueError, match=f"{name} is {value!r}; it must be"):
            build(kind, {name: value})


def test_a_misspelt_name_has_a_suggestion():
    with pytest.raises(ValueError, match="did you mean 'hierarchical'"):
        SamplerConfig("hierachical")


def test_numbers_of_toml_are_taken_for_text_and_floats(tmp_path):
    config = config_of(tmp_path, "lattice = 12\ncoupling = [0.5]\nbeta = 1")
    assert (config.system.extents, config.system.couplings, config.system.beta) == ((12,), (0.5,), 1.0)


def test_per_axis_settings():
    config = SystemConfig("8X6", "periodic, open", "1,-0.5")
    assert (config.extents, config.boundaries, config.couplings) == ((8, 6), ("periodic", "open"), (1.0, -0.5))


def test_the_main_job_trains_some_steps_unless_told_otherwise():
    assert RunConfig().training.steps == DEFAULT_STEPS
    assert build(RunConfig, {"seconds": 3.0}).training == TrainingConfig(seconds=3.0)
    assert build(RunConfig, {"steps": 7}).training.steps == 7
    assert TrainingConfig().steps == 0


def test_the_later_of_steps_and_seconds_wins():
    assert override({"steps": 5, "seed": 1}, {"seconds": 2.0}) == {"seed": 1, "seconds": 2.0}
    assert override({"seconds": 5.0}, {"steps": 2}) == {"steps": 2}
    assert override({"steps": 5}, {"seed": 2}) == {"steps": 5, "seed": 2}
    with pytest.raises(ValueError, match="exclude each other"):
        build(TrainingConfig, override({}, {"steps": 5, "seconds": 2.0}))


def test_training_by_level_goes_by_steps():
    with pytest.raises(ValueError, match="seconds is 2, but objective 'by-level' trains by steps; give --steps"):
        build(RunConfig, {"objective": "by-level", "seconds": 2.0})
    assert build(RunConfig, {"objective": "by-level"}).training.steps == DEFAULT_STEPS


def test_differences_name_settings_and_both_values():
    a, b = RunConfig(), build(RunConfig, {"seed": 3, "sampler": "made"})
    assert differences(a, b) == ["sampler: 'hierarchical', 'made'", "seed: 1, 3"]
    assert differences(a, a) == []


def test_every_setting_has_help_and_a_value():
    config = RunConfig()
    for name, (item, kind) in flat_fields(RunConfig).items():
        assert item.metadata["help"]
        assert isinstance(value_of(config, name), kind)
    with pytest.raises(ValueError, match="no setting 'speed'"):
        value_of(config, "speed")


def test_settings_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        SystemConfig().beta = 1.0


def test_draws_per_chain_are_rounded_up():
    assert [ChainConfig(n, 4).n_draws for n in (16, 17, 20)] == [4, 5, 5]
