import copy
import math

import numpy as np
import pytest
import torch
from perturbed import perturbed

from nmcmc.exact.enumeration import all_states
from nmcmc.kernels import masked_net as kernel
from nmcmc.random import Rng
from nmcmc.samplers.masked_net import MaskedNet, log_prob_of_logits
from nmcmc.samplers.pretrained import load_pretrained

SIZES = [(0, 1), (1, 1), (0, 6), (5, 4), (30, 15), (2, 33)]


def net_of(n_border, n_line, seed=0, **options):
    return perturbed(MaskedNet(n_border, n_line, generator=torch.Generator().manual_seed(seed), **options), seed)


def sites_of(n_border, n_line, n_blocks, seed=0):
    """Blocks whose borders overlap and whose lines do not, among more sites than they need."""
    n_sites = n_border + n_blocks * n_line + 2
    order = np.random.default_rng(seed).permutation(n_sites)
    border = np.tile(order[:n_border], (n_blocks, 1))[:, ::-1].copy()
    return n_sites, border, order[n_border : n_border + n_blocks * n_line].reshape(n_blocks, n_line)


def random_spins(shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).choice(np.array([-1, 1], dtype=np.int8), size=shape))


def random_uniforms(shape, seed=1):
    return torch.from_numpy(np.random.default_rng(seed).random(shape))


def log_prob_of(net, spins, border, line):
    """log q of every line by the differentiable pass in the precision of the net, (batch, n_blocks)."""
    sites = torch.from_numpy(np.concatenate([border, line], axis=1))
    inputs = spins[:, sites].reshape(-1, sites.shape[1]).to(net.first.dtype)
    return net.log_prob(inputs).reshape(len(spins), len(line)).detach()


def in_double_precision(net):
    return copy.deepcopy(net).double()


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("biases", [False, True])
def test_a_logit_depends_on_the_border_and_earlier_spins_only(depth, biases):
    net = net_of(3, 5, width=2, depth=depth, biases=biases)
    inputs = random_spins((20, 8)).float()
    logits = net.logits(inputs)
    for j in range(8):
        flipped = inputs.clone()
        flipped[:, j] *= -1
        changed = (net.logits(flipped) != logits).any(dim=0).tolist()
        assert changed == [j < 3 + i for i in range(5)]


@pytest.mark.parametrize(("n_border", "n_line"), SIZES)
@pytest.mark.parametrize("biases", [False, True])
def test_cross_entropy_weighs_both_values_of_every_spin(n_border, n_line, biases):
    net = net_of(n_border, n_line, width=2, biases=biases)
    inputs = random_spins((20, n_border + n_line)).float()
    chances, logits = random_uniforms((20, n_line)).float(), net.logits(inputs).detach().double()
    up, down = torch.nn.functional.logsigmoid(logits), torch.nn.functional.logsigmoid(-logits)
    expected = -(chances * up + (1 - chances) * down).sum(dim=1).mean()
    torch.testing.assert_close(net.cross_entropy(inputs, chances).double(), expected, rtol=1e-5, atol=1e-6)
    certain = (1 + inputs[:, n_border:]) / 2
    exact = -net.log_prob(inputs).mean()
    torch.testing.assert_close(net.cross_entropy(inputs, certain).double(), exact, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("n_border", "n_line"), SIZES)
@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("biases", [False, True])
@pytest.mark.parametrize("width", [3, 4, 9])
def test_kernel_torch_path_and_log_prob_agree(n_border, n_line, depth, biases, width):
    net = net_of(n_border, n_line, width=width, depth=depth, biases=biases)
    n_sites, border, line = sites_of(n_border, n_line, n_blocks=3)
    uniforms = random_uniforms((30, n_sites))
    first = random_spins((30, n_sites))
    second = first.clone()
    log_q = net.draw(first, border, line, uniforms)
    np.testing.assert_allclose(log_q, net.draw_by_torch(second, border, line, uniforms), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(log_q, log_prob_of(in_double_precision(net), first, border, line), rtol=1e-6, atol=1e-6)
    assert torch.equal(first, second)
    assert log_q.dtype == torch.float64


def test_log_q_of_a_trained_net_s_draw_is_that_in_double_precision_to_one_in_a_million():
    sampler, _ = load_pretrained("ising2d-64-critical")
    spins, uniforms = torch.zeros((64, sampler.n_spins), dtype=torch.int8), Rng(1).uniform((64, sampler.n_spins))
    for group in sampler.whole.parts.lines:
        net = sampler.whole.net(group)
        log_q = net.draw(spins, group.border, group.line, uniforms)
        np.testing.assert_allclose(
            log_q, log_prob_of(in_double_precision(net), spins, group.border, group.line), rtol=1e-6
        )


def test_a_fresh_net_is_its_skip_connection():
    net = MaskedNet(2, 3, width=2, biases=True)
    net.set_skip(np.array([[0, 2], [4, 1], [3, 2], [0, 2]]), np.array([0.5, 0.25, 2.0, 1.0]), np.array([0.1, 0.2, 0.3]))
    s = random_spins((16, 5)).float()
    expected = torch.stack([1.5 * s[:, 0] + 0.1, 2.0 * s[:, 2] + 0.2, 0.25 * s[:, 1] + 0.3], dim=1)
    torch.testing.assert_close(net.logits(s), expected)


@pytest.mark.parametrize("depth", [1, 2])
def test_without_biases_the_net_is_odd(depth):
    net = net_of(4, 6, width=3, depth=depth)
    inputs = random_spins((50, 10)).float()
    torch.testing.assert_close(net.logits(-inputs), -net.logits(inputs))
    torch.testing.assert_close(net.log_prob(-inputs), net.log_prob(inputs))
    n_sites, border, line = sites_of(4, 6, n_blocks=1)
    spins, uniforms = random_spins((50, n_sites)), random_uniforms((50, n_sites))
    opposite = -spins
    log_q = net.draw(spins, border, line, uniforms)
    assert torch.equal(log_q, net.draw(opposite, border, line, 1 - uniforms))
    assert torch.equal(spins, -opposite)
    assert not torch.allclose(net_of(4, 6, width=3, depth=depth, biases=True).logits(-inputs), -net.logits(inputs))


@pytest.mark.parametrize("n", [1, 63, 64, 65, 128, 150])
def test_a_row_does_not_depend_on_the_rows_beside_it(n):
    net = net_of(3, 4, width=2, depth=2)
    n_sites, border, line = sites_of(3, 4, n_blocks=1)
    uniforms, whole = random_uniforms((150, n_sites)), random_spins((150, n_sites))
    head, tail = whole[:n].clone(), whole[150 - n :].clone()
    log_q = net.draw(whole, border, line, uniforms)
    assert torch.equal(net.draw(head, border, line, uniforms[:n].contiguous()), log_q[:n])
    assert torch.equal(net.draw(tail, border, line, uniforms[150 - n :].contiguous()), log_q[150 - n :])
    assert torch.equal(head, whole[:n])
    assert torch.equal(tail, whole[150 - n :])


def test_draws_do_not_depend_on_the_number_of_threads(set_threads):
    net = net_of(3, 4, width=2, depth=2)
    n_sites, border, line = sites_of(3, 4, n_blocks=5)
    uniforms, results = random_uniforms((77, n_sites)), []
    for number in (1, 2, 5):
        set_threads(number)
        spins = random_spins((77, n_sites))
        results.append((net.draw(spins, border, line, uniforms), spins))
    for log_q, spins in results[1:]:
        assert torch.equal(log_q, results[0][0])
        assert torch.equal(spins, results[0][1])


def test_a_draw_writes_the_lines_and_nothing_else():
    net = net_of(3, 4, width=2)
    n_sites, border, line = sites_of(3, 4, n_blocks=3)
    spins = torch.full((70, n_sites), 7, dtype=torch.int8)
    spins[:, border[0]] = random_spins((70, 3))
    before = spins.clone()
    net.draw(spins, border, line, random_uniforms((70, n_sites)))
    drawn = np.isin(np.arange(n_sites), line)
    assert torch.equal(spins[:, ~drawn], before[:, ~drawn])
    assert set(spins[:, drawn].unique().tolist()) == {-1, 1}


@pytest.mark.parametrize(("start", "stop"), [(0, 1), (5, 69), (64, 64), (64, 200), (130, 210)])
def test_a_call_writes_its_own_rows_only(start, stop):
    net = net_of(3, 4, width=2, depth=2)
    n_sites, border, line = sites_of(3, 4, n_blocks=3)
    names = ("first", "middle", "last", "skip")
    weights = [(getattr(net, n) * getattr(net, f"{n}_mask")).detach().numpy() for n in names]
    weights += [net.hidden_bias.detach().numpy(), net.bias.detach().numpy()]
    border, line = border.astype(np.uint64), line.astype(np.uint64)
    spins, uniforms = random_spins((70, n_sites)).numpy(), random_uniforms((70, n_sites)).numpy()
    whole, part, untouched = spins.copy(), spins.copy(), np.full((70, 3), 7.0)
    log_q = untouched.copy()
    kernel.draw(whole, border, line, uniforms, *weights, 2, 0, 210, np.empty((70, 3)))
    kernel.draw(part, border, line, uniforms, *weights, 2, start, stop, log_q)
    own = np.zeros(210, dtype=bool)
    own[start:stop] = True
    own = own.reshape(70, 3)
    np.testing.assert_array_equal(log_q == 7.0, ~own)
    for k in range(3):
        np.testing.assert_array_equal(part[own[:, k]][:, line[k]], whole[own[:, k]][:, line[k]])
        np.testing.assert_array_equal(part[~own[:, k]][:, line[k]], spins[~own[:, k]][:, line[k]])


def test_log_q_of_a_long_line_does_not_underflow():
    n = 1500
    net, line = MaskedNet(0, n, width=1), np.arange(n)[None]
    log_q = net.draw(random_spins((3, n)), line[:, :0], line, random_uniforms((3, n)))
    np.testing.assert_allclose(log_q, -n * math.log(2), rtol=1e-12)


@pytest.mark.parametrize("strength", [20.0, 90.0, 300.0, 700.0, 2000.0])
@pytest.mark.parametrize("u", [0.0, 2**-53, 0.5, 1 - 2**-53])
def test_extreme_logits_and_uniforms(strength, u):
    net, line = MaskedNet(0, 8, width=1, biases=True), np.arange(8)[None]
    with torch.no_grad():
        net.bias[:] = torch.tensor([-1.0, 1.0, 1.0, -1.0, -1.0, 1.0, 0.0, -1.0]) * strength
    first, uniforms = random_spins((2, 8)), torch.full((2, 8), u, dtype=torch.float64)
    second = first.clone()
    log_q = net.draw(first, line[:, :0], line, uniforms)
    expected = net.draw_by_torch(second, line[:, :0], line, uniforms)
    assert torch.equal(first, second)
    assert torch.isfinite(log_q).all()
    torch.testing.assert_close(log_q, expected, rtol=1e-12, atol=0)


def test_an_improbable_spin_late_in_a_line_does_not_underflow():
    n = 640
    net, line = MaskedNet(0, n, width=1, biases=True), np.arange(n)[None]
    with torch.no_grad():
        net.bias[-1] = -700.0
    uniforms = torch.full((1, n), 0.7, dtype=torch.float64)
    uniforms[:, -1] = 0.0
    spins = random_spins((1, n))
    log_q = net.draw(spins, line[:, :0], line, uniforms)
    assert int(spins[0, -1]) == 1
    assert float(log_q[0, 0]) == pytest.approx(-(n - 1) * math.log(2) - 700, rel=1e-12)


@pytest.mark.parametrize("strength", [1.0, 300.0, 740.0, 2000.0])
def test_log_prob_of_impossible_lines_is_finite_and_the_same_with_and_without_gradient(strength):
    net = MaskedNet(2, 8, width=1, biases=True)
    with torch.no_grad():
        net.bias[:] = strength * torch.tensor([-1.0, 1.0, 1.0, -1.0, -1.0, 1.0, 0.0, -1.0])
    inputs = random_spins((200, 10)).float()
    with torch.no_grad():
        log_prob = net.log_prob(inputs)
    assert torch.isfinite(log_prob).all()
    torch.testing.assert_close(log_prob, net.log_prob(inputs).detach(), rtol=1e-6, atol=0)


@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("biases", [False, True])
def test_without_gradient_log_prob_is_that_of_the_draw_bit_for_bit(depth, biases):
    net = net_of(5, 7, width=3, depth=depth, biases=biases)
    n_sites, border, line = sites_of(5, 7, n_blocks=1)
    spins = random_spins((130, n_sites))
    log_q = net.draw(spins, border, line, random_uniforms((130, n_sites)))
    with torch.no_grad():
        assert torch.equal(log_prob_of(net, spins, border, line), log_q)
        assert torch.equal(log_prob_of(net, spins[7:8], border, line), log_q[7:8])


@pytest.mark.parametrize("name", ["first", "middle", "last", "skip"])
def test_a_weight_that_is_no_number_shows_in_log_q(name):
    net = net_of(2, 3, width=2, depth=2)
    with torch.no_grad():
        getattr(net, name)[..., -1, 0] = math.nan
    n_sites, border, line = sites_of(2, 3, n_blocks=1)
    assert torch.isnan(net.draw(random_spins((4, n_sites)), border, line, random_uniforms((4, n_sites)))).all()


def test_the_kernel_s_tanh_is_tanh():
    x = np.concatenate([np.linspace(-12, 12, 100_000), [0.0, -0.0, 1e-30, np.inf, -np.inf, 7.9, -7.9] + [1e-3] * 9])
    x = x.astype(np.float32)[: len(x) // 16 * 16]
    y = x.copy()
    kernel._tanh(y, 0, len(y))
    np.testing.assert_allclose(y, np.tanh(x.astype(np.float64)), rtol=4e-7, atol=4e-7)
    opposite = -x
    kernel._tanh(opposite, 0, len(y))
    np.testing.assert_array_equal(opposite, -y)


@pytest.mark.parametrize("n", [999, 1000, 1001, 2003])
def test_log_q_of_fair_spins_is_exact_at_any_length(n):
    net, line = MaskedNet(0, n, width=1), np.arange(n)[None]
    log_q = net.draw(random_spins((1, n)), line[:, :0], line, random_uniforms((1, n)))
    assert float(log_q[0, 0]) == pytest.approx(-n * math.log(2), rel=1e-13)


@pytest.mark.parametrize("depth", [1, 2])
def test_probabilities_of_all_lines_add_up_to_one(depth):
    net = net_of(3, 8, width=5, depth=depth, biases=True)
    lines = torch.from_numpy(all_states(8)).float()
    inputs = torch.cat([random_spins((1, 3)).float().expand(256, 3), lines], dim=1)
    with torch.no_grad():
        assert float(net.log_prob(inputs).exp().sum()) == pytest.approx(1, abs=1e-6)


def test_log_prob_adds_up_in_float64():
    logits, spins = torch.full((1, 10**6), 1e-3), torch.ones(1, 10**6)
    expected = 10**6 * math.log(1 / (1 + math.exp(-float(np.float32(1e-3)))))
    assert float(log_prob_of_logits(logits, spins)) == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize("sizes", [(0, 0, 1, 1), (-1, 1, 1, 1), (1, 1, 0, 1), (1, 1, 1, 0)])
def test_empty_nets_are_refused(sizes):
    n_border, n_line, width, depth = sizes
    with pytest.raises(ValueError, match="use sizes ≥ 1"):
        MaskedNet(n_border, n_line, width=width, depth=depth)
