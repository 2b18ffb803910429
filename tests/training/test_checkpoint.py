import pytest
import torch

from nmcmc.energies.pairwise import PairwiseEnergy
from nmcmc.random import Rng
from nmcmc.samplers.made import MADESampler
from nmcmc.training.checkpoint import TrainingState, load_state, planned_steps, save_state
from nmcmc.types import CorruptFileError

STATE = TrainingState(3, 10, ({"step": 3.0, "ess_fraction": 0.1}, {"step": 6.0, "ess_fraction": float("nan")}), 1.25)


def sampler_and_optimizer(seed=1, steps=0):
    sampler = MADESampler(PairwiseEnergy(5, [(0, 1), (2, 3)]), 0.5, rng=Rng(seed))
    optimizer = torch.optim.Adam(sampler.parameters(), lr=0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        (-sampler.log_prob(torch.ones((1, 5), dtype=torch.int8))).sum().backward()
        optimizer.step()
    return sampler, optimizer


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "run.ckpt"
    save_state(path, "mark", STATE, *sampler_and_optimizer(1, steps=3))
    return path


def test_what_is_saved_is_what_is_loaded(path):
    sampler, optimizer = sampler_and_optimizer(2)
    state = load_state(path, "mark", sampler, optimizer)
    assert (state.step, state.n_steps, state.seconds) == (3, 10, 1.25)
    assert str(state.records) == str(STATE.records)
    expected, moments = sampler_and_optimizer(1, steps=3)
    for a, b in zip(sampler.parameters(), expected.parameters(), strict=True):
        assert torch.equal(a, b)
    for a, b in zip(optimizer.state_dict()["state"].items(), moments.state_dict()["state"].items(), strict=True):
        assert a[0] == b[0]
        assert all(torch.equal(a[1][name], b[1][name]) for name in ("step", "exp_avg", "exp_avg_sq"))
    assert planned_steps(path, "mark") == 10


def test_no_file_is_a_new_run(tmp_path):
    assert load_state(None, "mark", *sampler_and_optimizer()) == TrainingState()
    assert load_state(tmp_path / "none", "mark", *sampler_and_optimizer()) == TrainingState()
    assert planned_steps(tmp_path / "none", "mark") == 0


def test_a_checkpoint_of_another_run_is_refused_and_changes_nothing(path):
    sampler, optimizer = sampler_and_optimizer(2)
    with pytest.raises(ValueError, match="other settings"):
        load_state(path, "other", sampler, optimizer)
    for a, b in zip(sampler.parameters(), sampler_and_optimizer(2)[0].parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("length", [0, 1, 7, 8, 9, 100, -1])
def test_a_truncated_checkpoint_is_refused(path, length):
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(CorruptFileError, match=r"checkpoint .* delete it to start again"):
        load_state(path, "mark", *sampler_and_optimizer())


def test_garbage_is_refused(path):
    path.write_bytes(b"garbage" * 100)
    with pytest.raises(CorruptFileError, match="delete it to start again"):
        load_state(path, "mark", *sampler_and_optimizer())


def test_a_flipped_bit_is_found_wherever_it_is(path):
    content = path.read_bytes()
    for position in range(0, len(content), max(1, len(content) // 300)):
        path.write_bytes(content[:position] + bytes([content[position] ^ 16]) + content[position + 1 :])
        with pytest.raises(CorruptFileError, match="delete it to start again"):
            load_state(path, "mark", *sampler_and_optimizer())


def test_a_crash_while_writing_leaves_the_old_checkpoint(path, monkeypatch):
    before = path.read_bytes()
    monkeypatch.setattr("os.fsync", lambda handle: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        save_state(path, "mark", STATE, *sampler_and_optimizer(3))
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_the_planned_steps_of_another_run_are_refused(path):
    with pytest.raises(ValueError, match="belongs to a run with other settings"):
        planned_steps(path, "other")
