"""Stored samplers: the same after loading, the same bytes for the same sampler, and never read wrong."""

import json

import numpy as np
import pytest
import torch
from perturbed import perturbed

from nmcmc.energies.disorder import random_regular, sherrington_kirkpatrick
from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.energies.mean_field import CurieWeissEnergy
from nmcmc.energies.pairwise import PairwiseEnergy
from nmcmc.random import Rng
from nmcmc.samplers.curie_weiss import ExactCurieWeissSampler, InfiniteCurieWeissSampler, SaddleCurieWeissSampler
from nmcmc.samplers.hierarchical.sampler import HierarchicalSampler
from nmcmc.samplers.made import MADESampler
from nmcmc.samplers.partial_fields import OneLayerSampler, OneParameterSampler
from nmcmc.samplers.pixelcnn import PixelCNNSampler
from nmcmc.samplers.sk import CavitySampler, ReplicaSampler
from nmcmc.samplers.sparse import SparseSampler
from nmcmc.samplers.store import KINDS, at_beta, kind_of, load_sampler, save_sampler, to_bytes
from nmcmc.samplers.tap import TAPSampler
from nmcmc.sealed import seal
from nmcmc.types import CorruptFileError

NOTES = {"seed": 7, "objective": "block-local"}
N_FLIPS = 200


def disordered():
    lattice, generator = Lattice((4, 5), ("periodic", "open")), np.random.default_rng(1)
    return LatticeEnergy(lattice, generator.normal(size=lattice.n_bonds), generator.normal(size=20))


SAMPLERS = {
    "hierarchical": lambda: HierarchicalSampler(disordered(), 0.3, leaf=1, width=2, depth=2, rng=Rng(1)),
    "made": lambda: MADESampler(disordered(), 0.3, width=3, depth=1, rng=Rng(1)),
    "sparse": lambda: SparseSampler(disordered(), 0.3, width=3, depth=2, rng=Rng(1)),
    "pixelcnn": lambda: PixelCNNSampler(disordered(), 0.3, width=3, depth=2, half_kernel=1, rng=Rng(1)),
    "cw-n": lambda: ExactCurieWeissSampler(CurieWeissEnergy(23, 0.7, 0.1, 0.5), 0.3),
    "cw-inf": lambda: InfiniteCurieWeissSampler(CurieWeissEnergy(23, 0.7), 0.3),
    "cw-saddle": lambda: SaddleCurieWeissSampler(CurieWeissEnergy(23, 3.7), 0.3),
    "one-parameter": lambda: OneParameterSampler(PairwiseEnergy(5, [(2, 0)], 0.5, [0.1, 0.2, 0.3, 0.4, 0.5], 0.7), 0.3),
    "one-layer": lambda: OneLayerSampler(sherrington_kirkpatrick(9, 1, 0.2), 0.3),
    "sk-krsb": lambda: ReplicaSampler(random_regular(20, 3, 1), 0.3, levels=2),
    "cavity": lambda: CavitySampler(sherrington_kirkpatrick(9, 1), 0.3),
    "tap": lambda: TAPSampler(sherrington_kirkpatrick(9, 1), 0.3, reaction=0.6, layers=3),
}


def test_every_kind_is_here():
    assert set(SAMPLERS) == set(KINDS)


@pytest.fixture(params=SAMPLERS)
def sampler(request):
    return perturbed(SAMPLERS[request.param]())


@pytest.fixture
def path(sampler, tmp_path):
    save_sampler(tmp_path / "model.safetensors", sampler, NOTES)
    return tmp_path / "model.safetensors"


def same(a, b):
    """Whether two samplers are one: kind, options, target and weights."""
    return (
        (kind_of(a), a.options, a.beta, type(a.energy)) == (kind_of(b), b.options, b.beta, type(b.energy))
        and getattr(a.energy, "lattice", None) == getattr(b.energy, "lattice", None)
        and np.array_equal(a.energy.edges, b.energy.edges)
        and a.energy.offset == b.energy.offset
        and np.array_equal(a.energy.couplings, b.energy.couplings)
        and np.array_equal(a.energy.fields, b.energy.fields)
        and all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))
    )


def test_what_is_stored_is_what_is_loaded(sampler, path):
    loaded, target, notes = load_sampler(path)
    assert same(loaded, sampler)
    assert (notes, target.beta) == (NOTES, 0.3)
    ours, theirs = sampler.sample(50, Rng(2)), loaded.sample(50, Rng(2))
    assert torch.equal(ours.spins, theirs.spins)
    assert torch.equal(ours.log_prob, theirs.log_prob)
    assert torch.equal(target.log_density(ours.spins), -0.3 * sampler.energy(ours.spins))


def test_paths_may_be_strings(sampler, tmp_path):
    save_sampler(str(tmp_path / "new" / "model.safetensors"), sampler)
    assert same(load_sampler(str(tmp_path / "new" / "model.safetensors"))[0], sampler)
    with pytest.raises(FileNotFoundError, match="does not exist"):
        load_sampler(str(tmp_path / "none"))


def test_the_same_sampler_gives_the_same_bytes(sampler, path):
    assert path.read_bytes() == to_bytes(sampler, NOTES)
    assert to_bytes(load_sampler(path)[0], NOTES) == to_bytes(sampler, NOTES)


def test_flipped_bits_are_noticed(sampler, path, tmp_path):
    content, generator, damaged = path.read_bytes(), np.random.default_rng(3), 0
    for bit in generator.integers(0, 8 * len(content), N_FLIPS):
        data = bytearray(content)
        data[bit // 8] ^= 1 << (bit % 8)
        (tmp_path / "flipped").write_bytes(data)
        try:
            loaded, _, notes = load_sampler(tmp_path / "flipped")
        except CorruptFileError:
            damaged += 1
        else:
            assert same(loaded, sampler)
            assert notes == NOTES
    assert damaged > 0.9 * N_FLIPS


def test_every_truncation_is_noticed(path, tmp_path):
    content = path.read_bytes()
    for length in [*range(0, 64, 7), *range(64, len(content), 97), len(content) - 1]:
        (tmp_path / "short").write_bytes(content[:length])
        with pytest.raises(CorruptFileError, match="short is not an intact model file"):
            load_sampler(tmp_path / "short")


def test_other_files_are_no_models(tmp_path):
    (tmp_path / "text").write_text("not a model")
    with pytest.raises(CorruptFileError, match="not an intact model"):
        load_sampler(tmp_path / "text")
    (tmp_path / "other").write_bytes(seal({"x": torch.zeros(2)}, json.dumps({"fingerprint": "a"})))
    with pytest.raises(ValueError, match="is no model: its format is None") as error:
        load_sampler(tmp_path / "other")
    assert not isinstance(error.value, CorruptFileError)


def test_a_missing_model_and_a_folder_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="none does not exist; `nmcmc train"):
        load_sampler(tmp_path / "none")
    with pytest.raises(FileNotFoundError, match="is a folder, not a model"):
        load_sampler(tmp_path)


def test_a_newer_version_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("nmcmc.samplers.store.VERSION", 2)
    save_sampler(tmp_path / "model", SAMPLERS["made"]())
    monkeypatch.undo()
    with pytest.raises(ValueError, match="has version 2; this nmcmc reads up to 1: update nmcmc"):
        load_sampler(tmp_path / "model")


def test_an_exact_net_is_exact_at_another_beta():
    moved = at_beta(SAMPLERS["cw-n"](), 1.3)
    assert moved.log_z == ExactCurieWeissSampler(moved.energy, 1.3).log_z
