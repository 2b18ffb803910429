"""Settings become objects, and what files keep becomes the same objects again."""

import numpy as np
import pytest

from nmcmc.config import SamplerConfig, SystemConfig, TrainingConfig
from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.pairwise import PairwiseEnergy
from nmcmc.energies.rbm import RestrictedBoltzmannEnergy
from nmcmc.experiment import build
from nmcmc.experiment.options import Options
from nmcmc.experiment.train import prepare, train_stage
from nmcmc.storage.record import Model


@pytest.mark.parametrize(
    "config",
    [
        SystemConfig("4x5", "periodic,open", "1,-0.5", 0.3, 0.7),
        SystemConfig("7", "open", "2", 0.0, 0.0),
        SystemConfig("3x2x4", "periodic", "1", -1.0, 1.0),
    ],
)
def test_a_target_survives_the_file(config):
    target = build.build_target(config)
    again = build.target_of(build.build_model(target))
    spins = 2 * np.random.default_rng(1).integers(0, 2, (9, target.n_spins), dtype=np.int8) - 1
    assert np.array_equal(target.log_density(spins), again.log_density(spins))
    assert (again.beta, again.energy.lattice) == (target.beta, target.energy.lattice)


def test_anisotropic_couplings_follow_their_axes():
    energy = build.build_energy(SystemConfig("4x5", "open", "1,-0.5"))
    assert set(energy.couplings[energy.lattice.edge_axis == 0]) == {1.0}
    assert set(energy.couplings[energy.lattice.edge_axis == 1]) == {-0.5}


def test_systems_that_are_no_lattice_are_named():
    energy = PairwiseEnergy(3, [(0, 1)])
    with pytest.raises(TypeError, match="the energy is a PairwiseEnergy"):
        build.lattice_energy(Boltzmann(energy, 0.4))
    target = build.target_of(Model(energy.edges, energy.couplings, energy.fields, 0.4))
    assert build.lattice_of(target) is None
    with pytest.raises(TypeError, match="the energy is a RestrictedBoltzmannEnergy; this needs a PairwiseEnergy"):
        build.pairwise_energy(Boltzmann(RestrictedBoltzmannEnergy(np.ones((1, 2))), 0.4))


def test_each_sampler_has_its_natural_objective():
    for net, objective in (
        ("hierarchical", "block-local"),
        *((net, "reverse-kl") for net in ("made", "sparse", "pixelcnn")),
    ):
        job = prepare(SystemConfig("4x5"), SamplerConfig(net, leaf=1), TrainingConfig(), Options())
        assert job.objective == objective
        assert job.note is None


def test_settings_of_different_jobs_have_different_fingerprints():
    jobs = [
        (SystemConfig("4x4"), SamplerConfig(leaf=1), TrainingConfig(), Options()),
        (SystemConfig("4x4", beta=0.3), SamplerConfig(leaf=1), TrainingConfig(), Options()),
        (SystemConfig("4x4"), SamplerConfig(leaf=2), TrainingConfig(), Options()),
        (SystemConfig("4x4"), SamplerConfig(leaf=1), TrainingConfig(batch=3), Options()),
        (SystemConfig("4x4"), SamplerConfig(leaf=1), TrainingConfig(), Options(seed=2)),
    ]
    marks = [prepare(*settings).fingerprint for settings in jobs]
    assert len(set(marks)) == len(jobs)
    assert prepare(*jobs[0][:3], Options(quiet=True, resume=True)).fingerprint == marks[0]


@pytest.mark.parametrize(("small", "staggers"), [(16, 0), (15, 4)])
def test_block_local_training_of_large_lattices_starts_net_by_net(tmp_path, monkeypatch, small, staggers):
    """Three nets and 30 steps: within the first 0.4 of them one starts every 4 steps."""
    seen = []
    monkeypatch.setattr("nmcmc.experiment.train.SMALL_SPINS", small)

    def train(sampler, target, objective, plan, *rest, **more):
        seen.append((objective, plan))
        return {"seconds": [0.0]}

    monkeypatch.setattr("nmcmc.experiment.train.train", train)
    job = prepare(
        SystemConfig("4x4"), SamplerConfig(leaf=1, width=1), TrainingConfig("block-local", steps=30), Options()
    )
    train_stage(job, tmp_path / "checkpoint")
    [(objective, plan)] = seen
    assert len(job.sampler.trained_keys) == 3
    assert objective.keywords["stagger"] == staggers
    assert plan.learning_rate == (0.002 if staggers else 0.01)


@pytest.mark.parametrize("net", ["hierarchical", "made", "sparse", "pixelcnn"])
def test_every_sampler_has_the_size_of_its_settings(net):
    config = SamplerConfig(net, leaf=1, width=3, depth=2, half_kernel=2)
    options = prepare(SystemConfig("4x5"), config, TrainingConfig(), Options()).sampler.options
    assert (options["width"], options["depth"]) == (3, 2)
    assert options.get("half_kernel", 2) == 2


def test_made_is_annealed_by_reverse_kl_only(tmp_path):
    for objective, first in (("reverse-kl", 0.25), ("forward-kl", 0.4)):
        settings = TrainingConfig(objective, steps=101, batch=4, anneal_from=0.25)
        job = prepare(SystemConfig("4", beta=0.4), SamplerConfig("made", width=1), settings, Options())
        curve = train_stage(job, tmp_path / objective).training
        assert first <= curve["beta"][0] <= 0.4
        assert curve["beta"][-1] == 0.4
