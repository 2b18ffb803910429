"""Multi-spin coding against a plain checkerboard sweep, with the random digits of numpy's generators."""

import numpy as np
import pytest
from statistical import LIMIT, z_score

from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.energies.pairwise import PairwiseEnergy
from nmcmc.exact.known import exact_values
from nmcmc.kernels.checkerboard import checkerboard_steps, pack, unpack
from nmcmc.random import Rng
from nmcmc.updates.checkerboard import CheckerboardMetropolis, bit_grid, digits
from nmcmc.updates.run import random_start, run

SHAPES = [(16, 16), (4, 64), (128, 2), (2, 128), (24, 32), (48, 48), (6, 256), (128, 20)]
ALL = 2**64 - 1


def torus(extents=(16, 16), coupling=1.0, beta=0.44):
    return Boltzmann(LatticeEnergy(Lattice(extents), coupling), beta)


def plain_sweep(spins, highest_cost, sign):
    """Flip in each colour in turn, in place, the spins (L0, L1) that have at most that cost in units of |J|."""
    colour = np.indices(spins.shape).sum(axis=0) % 2
    flips = 0
    for turn in range(2):
        around = sum(np.roll(spins, step, axis) for step in (1, -1) for axis in (0, 1))
        flip = (colour == turn) & (2 * sign * spins * around <= highest_cost)
        spins[flip] *= -1
        flips += np.count_nonzero(flip)
    return flips


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(("probabilities", "highest_cost"), [((0.0, 0.0), 0), ((0.0, 1.0), 4), ((1.0, 1.0), 8)])
def test_certain_flips_are_those_of_a_plain_sweep(shape, sign, probabilities, highest_cost):
    spins = np.random.default_rng(1).choice(np.array([-1, 1], dtype=np.int8), size=(2, *shape))
    expected, out, flips = spins.copy(), np.empty((2, 3, *shape), dtype=np.int8), np.empty((2, 3), dtype=np.int64)
    flag, levels = np.uint64(0 if sign > 0 else ALL), digits(list(probabilities))
    checkerboard_steps(spins, Rng(1).streams(2), *bit_grid(*shape), flag, levels, 1, out, flips)
    for chain in range(2):
        for step in range(3):
            assert plain_sweep(expected[chain], highest_cost, sign) == flips[chain, step]
            np.testing.assert_array_equal(out[chain, step], expected[chain])
    np.testing.assert_array_equal(spins, expected)


@pytest.mark.parametrize("shape", SHAPES)
def test_unpacking_undoes_packing(shape):
    grid, spins = bit_grid(*shape), np.random.default_rng(2).choice(np.array([-1, 1], dtype=np.int8), size=shape)
    planes, back = np.empty((2, shape[0] // grid[0] + 2, 40), dtype=np.uint64), np.zeros_like(spins)
    pack(spins, *grid, planes)
    unpack(planes, *grid, back)
    np.testing.assert_array_equal(back, spins)


def test_digits_are_those_of_the_probabilities():
    pairs = digits([0.3, 1.0]).reshape(64, 2)
    assert set(pairs.ravel().tolist()) == {0, ALL}
    assert sum(2.0 ** -(k + 1) for k in np.flatnonzero(pairs[:, 0])) == 0.3
    assert np.all(pairs[:, 1] == ALL)


def numpy_lane(stream):
    """Return the first lane that a stream seeds, from numpy's own SFC64; the stream moves on by all lanes."""
    bits = np.random.SFC64(0)
    state = bits.state
    state["state"]["state"] = stream.copy()
    bits.state = state
    words = bits.random_raw(24)
    stream[:] = bits.state["state"]["state"]
    state["state"]["state"] = np.array([words[0], words[8], words[16], 1], dtype=np.uint64)
    bits.state = state
    bits.random_raw(12)
    return bits


def test_a_spin_flips_if_its_own_random_number_is_below_the_probability():
    # On 16×16 a colour has two words, each alone in the first lane; its 64 numbers are its words' digits.
    update, rng = CheckerboardMetropolis(torus()), Rng(4)
    state = update.init(random_start(1, 256, rng))
    s, stream = state.spins[0].reshape(16, 16).copy(), rng.streams(1)[0].copy()
    _, out, _ = update.block(state, rng, 25)
    row, column = np.indices((16, 16))
    bit, one = (row // 2 * 8 + column // 2).astype(np.uint64), np.uint64(1)
    for step in range(25):
        lane = numpy_lane(stream)
        for colour in range(2):
            for line in range(2):
                mine = ((row + column) % 2 == colour) & (row % 2 == line)
                around = sum(np.roll(s, shift, axis) for shift in (1, -1) for axis in (0, 1))
                p = np.exp(-0.44 * 2.0 * s * around)
                numbers, open_ = np.zeros((16, 16)), mine & (p < 1)
                for place in range(64):
                    if place % 4 == 0 and not np.any(open_):
                        break
                    numbers += (np.uint64(lane.random_raw()) >> bit & one) * 2.0 ** -(place + 1)
                    open_ &= np.floor(numbers * 2.0 ** (place + 1)) == np.floor(p * 2.0 ** (place + 1))
                s[mine & (numbers < p)] *= -1
        np.testing.assert_array_equal(out[0, step].reshape(16, 16), s)
    np.testing.assert_array_equal(stream, rng.streams(1)[0])


@pytest.mark.parametrize(("extents", "coupling", "beta"), [((16, 16), 1.0, 0.44), ((4, 64), -0.8, 0.5)])
def test_energy_is_the_exact_one(extents, coupling, beta):
    target = torus(extents, coupling, beta)
    chain = run(
        CheckerboardMetropolis(target, sweeps=3),
        *(400, Rng(1)),
        observables={"energy": lambda spins: target.energy(spins) / target.n_spins},
        n_chains=400,
        warmup=300,
    )
    right, wrong = (exact_values(target.energy, b)["energy_per_spin"] for b in (beta, 1.03 * beta))
    scores = z_score(chain.series["energy"], right), z_score(chain.series["energy"], wrong)
    assert abs(scores[0]) < LIMIT < abs(scores[1]), scores


LATTICE = Lattice((16, 16))
OTHERS = {
    "this system is none": [
        LatticeEnergy(Lattice((16, 16), "open")),
        LatticeEnergy(Lattice((256,))),
        PairwiseEnergy(256, LATTICE.edges),
    ],
    "couplings differ": [LatticeEnergy(LATTICE, (1.0, 0.5))],
    "it has fields": [LatticeEnergy(LATTICE, 1.0, 0.1)],
    "cannot be packed": [LatticeEnergy(Lattice(extents)) for extents in ((8, 16), (15, 512), (512, 15), (20, 36))],
}


@pytest.mark.parametrize(("problem", "energy"), [(text, energy) for text in OTHERS for energy in OTHERS[text]])
def test_other_systems_are_referred_to_metropolis(problem, energy):
    with pytest.raises(ValueError, match=rf"{problem}.*use Metropolis"):
        CheckerboardMetropolis(Boltzmann(energy, 0.4))


@pytest.mark.parametrize("sweeps", [0, 2.5])
def test_sweeps_are_a_whole_number(sweeps):
    with pytest.raises(ValueError, match=f"sweeps is {sweeps}; give a whole number ≥ 1"):
        CheckerboardMetropolis(torus(), sweeps=sweeps)
