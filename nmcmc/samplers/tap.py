"""A network whose hidden layers are the equations of Thouless, Anderson and Palmer (TAP) for the spins left."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nmcmc.energies.boltzmann import Boltzmann
from nmcmc.energies.pairwise import PairwiseEnergy
from nmcmc.parallel import for_chunks
from nmcmc.random import Rng
from nmcmc.samplers.incremental import IncrementalSampler, Kernel
from nmcmc.samplers.logistic import cross_entropy, likeliest, logits_of
from nmcmc.samplers.masked_net import log_prob_of_logits
from nmcmc.types import Draw

TERMS = 4
"""Weights of a spin: own partial field, and energy, entropy and reaction of the spins left."""
DAMPING, MOMENTUM = 0.4, 0.6
"""Shares of what is new, and of the change of the layer before, in the change of a magnetisation in every layer."""
LIMIT = 1e18
"""Its square is within the range of float32."""
REACTIONS, SETTLING_DRAWS = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4), 200
RIDGES = (1.0, 30.0, 1e3, 1e5)
"""What may pull the weights of a fit towards 1, in configurations."""
CHOOSING = 512
"""Configurations that choose the reaction of a fit."""


class TAPSampler(IncrementalSampler):
    """logit_i = 2βv_i x_ii + a_i ΔE + b_i ΔS + c_i ΔR: ln ρ⁺ − ln ρ⁻ as a difference of two TAP free energies.

    For both signs of s_i the spins left feel x_l ± J_il. From those found for the spin before, their magnetisations go
    through ``layers`` steps m → tanh y, y = gβ(x_l ± J_il + Σ J m − rβ m_l Σ_l' J_ll'² (1 − m_l'²)), damped and with
    momentum: 0.4 of what is new and 0.6 of the last change (B. T. Polyak 1964). The sum in the reaction is that of
    the spin before. E = βΣ m(x ± J_i + ½Jm), S = Σ (ln 2cosh y − ym), which is the
    entropy where m = tanh y, R = ¼β² Σ (1 − m²)J²(1 − m²): D. J. Thouless, P. W. Anderson, R. G. Palmer (1977);
    T. Plefka (1982). All four weights of a spin start at 1: with r = 1 and many layers logits are right to second order
    in the couplings among the spins left. Deep in a glass the equations have many solutions; r < 1 with g = ½(1 + r)
    keeps the magnetisations from taking one of them too early, see `settled`. That has its price: with g < 1 logits are
    a little off even where the spins left are not coupled to one another.

    The weights are only 4N: few steps train them. A draw takes about ⅔(layers + 3)N³ multiply-adds.

    Parameters
    ----------
    energy : the system. beta : inverse temperature. reaction : r, from 0 to 1. layers : ≥ 1.
    rng : not used, nothing starts at random.

    Raises
    ------
    ValueError : for a beta that is negative or not finite, a reaction outside 0 … 1, layers that are no whole number
        ≥ 1, or couplings, fields or a beta whose squares leave the range of float32.
    """

    granularity = 16
    couplings: Tensor
    squares: Tensor
    fields: Tensor

    def __init__(
        self,
        energy: PairwiseEnergy,
        beta: float,
        *,
        reaction: float = 1.0,
        layers: int = 7,
        rng: Rng | None = None,
    ):
        super().__init__(energy, beta)
        if not 0 <= reaction <= 1:
            raise ValueError(f"reaction is {reaction}; it must be from 0 to 1")
        if not isinstance(layers, int | np.integer) or isinstance(layers, bool) or layers < 1:
            raise ValueError(f"layers is {layers!r}; it must be a whole number, at least 1")
        _check_range(energy, self.beta)
        self.reaction, self.gain, self.layers = float(reaction), 0.5 * (1 + float(reaction)), int(layers)
        matrix, fields = (torch.as_tensor(a, dtype=torch.float32) for a in (energy.coupling_matrix, energy.fields))
        for name, value in (("couplings", matrix), ("squares", matrix**2), ("fields", fields)):
            self.register_buffer(name, value, persistent=False)
        self.weights = nn.Parameter(torch.ones(self.n_spins, TERMS))

    @property
    def options(self) -> dict[str, Any]:
        """What `__init__` needs beyond energy, beta and rng to build a sampler of the same shape."""
        return {"reaction": self.reaction, "layers": self.layers}

    def logits(self, spins: Tensor) -> Tensor:
        """Return the logits (batch, n_spins) for float32 spins ±1."""
        return (self.terms(spins) * self.weights).sum(dim=2)

    @torch.no_grad()
    def terms(self, spins: Tensor) -> Tensor:
        """Return x_ii · 2β, ΔE, ΔS and ΔR of every spin, (batch, n_spins, 4), for spins ±1; they have no parameters."""
        spins = self._inputs(spins)
        if self.device.type != "cpu":
            return self.walk(len(spins), lambda i, logit: spins[:, i])[1]
        found, given = torch.empty((*spins.shape, TERMS)), torch.where(spins > 0, -1.0, 2.0).double()
        self._run(torch.empty(spins.shape, dtype=torch.int8), given, found)
        return found

    def chances(self, spins: Tensor) -> Tensor:
        """Return the heat-bath chances of +1 of every spin given all others, (batch, n_spins), for spins ±1."""
        return torch.sigmoid(2 * self.beta * (spins @ self.couplings + self.fields))

    @torch.no_grad()
    def sample(self, n: int, rng: Rng) -> Draw:
        """Draw n configurations with their log q, each partial sum once."""
        if self.device.type == "cpu":
            return super().sample(n, rng)
        uniforms = rng.uniform((n, self.n_spins), self.device)
        spins, terms = self.walk(
            n, lambda i, logit: torch.where(uniforms[:, i] < torch.sigmoid(logit.double()), 1.0, -1.0)
        )
        return Draw(spins.to(torch.int8), log_prob_of_logits((terms * self.weights).sum(dim=2), spins))

    @torch.no_grad()
    def walk(self, n: int, choose: Callable[[int, Tensor], Tensor]) -> tuple[Tensor, Tensor]:
        """Return n configurations as ``choose`` (spin, logits (n,)) → ±1 (n,) decides, and their terms, by torch."""
        spins = torch.empty((n, self.n_spins), device=self.device)
        terms = torch.empty((n, self.n_spins, TERMS), device=self.device)
        x, m = self.fields.repeat(n, 1), torch.zeros((n, self.n_spins), device=self.device)
        for i in range(self.n_spins):
            terms[:, i], both = self._terms_of(i, x, m)
            spins[:, i] = s = choose(i, (terms[:, i] * self.weights[i]).sum(dim=1))
            m = torch.where(s[:, None] > 0, both[0], both[1])
            x = x + s[:, None] * self.couplings[i]
        return spins, terms

    def _terms_of(self, i: int, x: Tensor, m: Tensor) -> tuple[Tensor, Tensor]:
        """Return the terms of logit i, (batch, 4), and m of the spins left for both signs, (2, batch, n_spins)."""
        rest = (torch.arange(self.n_spins, device=self.device) > i).float()
        couplings, squares = (a * rest[:, None] * rest for a in (self.couplings, self.squares))
        felt = torch.stack((x + self.couplings[i], x - self.couplings[i]))
        answer, both = self.beta * self.reaction * (1 - m**2) @ squares, torch.stack((m, m))
        y, change = both, torch.zeros_like(both)
        for _ in range(self.layers):
            y = self.beta * self.gain * (felt + both @ couplings - answer * both)
            change = DAMPING * (torch.tanh(y) - both) + MOMENTUM * change
            both = both + change
        energy = self.beta * (both * (felt + 0.5 * both @ couplings))
        size = y.abs()
        entropy = size + torch.log1p(torch.exp(-2 * size)) - y * both
        free = 1 - both**2
        reaction = 0.25 * self.beta**2 * free * (free @ squares)
        sums = torch.stack([(part[0] - part[1]) @ rest for part in (energy, entropy, reaction)], dim=1)
        return torch.cat((2 * self.beta * x[:, i, None], sums), dim=1), both

    def kernel(self) -> Kernel:
        """Return the compiled draw with the present weights."""
        from nmcmc.kernels import tap

        empty = np.empty((0, self.n_spins, TERMS), np.float32)
        return lambda spins, uniforms, log_q: tap.draw(spins, uniforms, *self._arrays(), log_q, empty)

    def _run(self, spins: Tensor, uniforms: Tensor, terms: Tensor) -> None:
        """Draw as `kernel` does, and keep all terms."""
        from nmcmc.kernels import tap

        arrays, log_q = self._arrays(), np.empty(len(spins))
        parts = spins.numpy(), uniforms.numpy(), log_q, terms.numpy()

        def work(a: int, b: int) -> None:
            drawn, numbers, values, found = (part[a:b] for part in parts)
            tap.draw(drawn, numbers, *arrays, values, found)

        for_chunks(work, len(log_q), self.granularity)

    @torch.no_grad()
    def _arrays(self) -> tuple[Any, ...]:
        """Return system, weights and numbers as the kernel takes them."""
        system = self.couplings.numpy(), self.squares.numpy(), self.fields.numpy()
        numbers = (np.float32(number) for number in (self.beta, self.reaction, self.gain))
        return (*system, self.weights.detach().numpy(), *numbers, self.layers)


def _check_range(energy: PairwiseEnergy, beta: float) -> None:
    """Raise ValueError where β, a sum of couplings and fields, or the square of these or of their product may overflow.

    That would be βJ ~ 10¹⁸ or more; what overflows is not a number, and no draw would say so.
    """
    largest = max(float(np.abs(part).max()) for part in (energy.coupling_matrix, energy.fields))
    if not max(1.0, beta) * max(1.0, largest * energy.n_spins**2) < LIMIT:
        raise ValueError(
            f"beta is {beta:g}, and the largest coupling or field {largest:g}; that is too large for the network: "
            f"beta, N² times the coupling, and their product must be below {LIMIT:g}"
        )


@torch.no_grad()
def settled(sampler: TAPSampler, rng: Rng) -> TAPSampler:
    """Return the sampler with that reaction of `REACTIONS` whose draws, by the same numbers, come nearest.

    Their distance is E[−ln w]; see `_nearest`.
    """
    density = Boltzmann(sampler.energy, sampler.beta).log_density

    def trial(reaction: float) -> tuple[float, float, float]:
        draw = with_reaction(sampler, reaction).sample(SETTLING_DRAWS, rng.child("settle"))
        gap = draw.log_prob - density(draw.spins)
        return float(gap.mean()), float(gap.std()), reaction

    return with_reaction(sampler, _nearest([trial(reaction) for reaction in REACTIONS]))


@torch.no_grad()
def fitted(sampler: TAPSampler, spins: Tensor) -> TAPSampler:
    """Return the sampler with the reaction and the weights of maximum likelihood for given configurations.

    The four weights of a spin are a logistic regression on its terms, a convex problem that Newton's method solves;
    what is predicted is the chance of s_i = +1 given all other spins. Maximum likelihood spreads q over all that the
    configurations visit, where the reverse divergence, with no configurations, may leave out parts that q never draws.
    For n independent configurations the noise of 4N weights costs 2N/n in KL, less where they say less. A ridge
    ½λ(w − 1)² keeps weights near 1 as far as they hardly matter: high temperatures want a strong one, glasses a weak
    one. Reaction and λ are those which, fitted to the first half, best predict the later one; the reaction is chosen
    on no more than `CHOOSING` of all configurations.

    Parameters
    ----------
    sampler : its system, β and layers are kept. spins : int8 (n, n_spins), n ≥ 2, tensor or array.

    Raises
    ------
    ValueError : for configurations of another shape, with numbers other than ±1, or fewer than two.

    Examples
    --------
    >>> from nmcmc import Boltzmann, ParallelTempering, exact_values, log_z, run, sherrington_kirkpatrick
    >>> energy, betas = sherrington_kirkpatrick(20, seed=1), (0.5, 1.0, 2.0)
    >>> tempering, ladders = ParallelTempering(energy, betas), {"n_chains": 8 * len(betas), "warmup": 200, "thin": 10}
    >>> chain = run(tempering, 1000, Rng(1), observables={"energy": energy}, **ladders)
    >>> coldest = torch.from_numpy(chain.spins[2::3].reshape(-1, 20))
    >>> draw = fitted(TAPSampler(energy, 2.0), coldest).sample(10_000, Rng(2))
    >>> log_weight = (Boltzmann(energy, 2.0).log_density(draw.spins) - draw.log_prob).numpy()
    >>> print(f"{log_z(log_weight).value:.2f}, exact {exact_values(energy, 2.0)['log_z']:.2f}")
    29.19, exact 29.19
    """
    given = sampler._inputs(torch.as_tensor(spins))
    if not bool((given.abs() == 1).all()):
        raise ValueError("configurations have numbers other than −1 and +1; give spins ±1")
    if len(given) < 2:
        raise ValueError(f"{len(given)} configurations were given; a fit needs at least 2")
    samplers = {reaction: with_reaction(sampler, reaction) for reaction in REACTIONS}
    few, found = given[torch.linspace(0, len(given) - 1, min(CHOOSING, len(given))).long()], []
    for reaction, other in samplers.items():
        found += [(loss, spread, reaction) for loss, spread, _ in _trials(other, few, *_inputs_of(other, few))]
    chosen = samplers[_nearest(found)]
    inputs = _inputs_of(chosen, given)
    ridge = _nearest(list(_trials(chosen, given, *inputs)))
    chosen.weights.copy_(likeliest(*inputs, ridge))
    return chosen


def _inputs_of(sampler: TAPSampler, spins: Tensor) -> tuple[Tensor, Tensor]:
    """Return terms (n_spins, batch, 4) and chances (n_spins, batch) of configurations, for `logistic.likeliest`."""
    return sampler.terms(spins).double().transpose(0, 1).contiguous(), sampler.chances(spins).double().T.contiguous()


def _nearest(found: Sequence[tuple[float, float, float]]) -> float:
    """Return the choice of the row (distance, standard deviation of ln w, choice) that is nearest to the target.

    That is the one of least distance; if its deviation is below 1, the one of least deviation: KL ≈ ½ Var[ln w] is
    known to ten per cent where distances are nothing but noise.
    """
    _, spread, best = min(found)
    return best if not spread < 1 else min(found, key=lambda row: row[1])[2]


def _trials(sampler: TAPSampler, spins: Tensor, terms: Tensor, chances: Tensor) -> Iterator[tuple[float, float, float]]:
    """Yield cross entropy and deviation of ln w on the later half of configurations, fitted to the first, by ridge.

    Halves are as they come, since the neighbours of a configuration in its chain are no test of a fit to it.
    """
    half = len(spins) // 2
    later = spins[half:]
    target = torch.as_tensor(Boltzmann(sampler.energy, sampler.beta).log_density(later.to(torch.int8)))
    for ridge in RIDGES:
        weights = likeliest(terms[:, :half], chances[:, :half], ridge)
        loss = float(cross_entropy(terms[:, half:], chances[:, half:], weights).sum()) / len(later)
        log_prob = log_prob_of_logits(logits_of(terms[:, half:], weights).T, later)
        yield loss, float((target.to(log_prob) - log_prob).std(correction=0)), ridge


def with_reaction(sampler: TAPSampler, reaction: float) -> TAPSampler:
    """Return a sampler with the same weights and another reaction."""
    options = sampler.options | {"reaction": reaction}
    other = TAPSampler(sampler.energy, sampler.beta, **options)
    other.load_state_dict(sampler.state_dict())
    return other.to(sampler.device)
