"""The masked dense network that every autoregressive conditional here is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from nmcmc.parallel import for_chunks

if TYPE_CHECKING:
    from nmcmc.types import Ints


class MaskedNet(nn.Module):
    """Logits of P(s_i = +1 | border, s_<i) for a line of spins: a dense net with causal masks and a skip connection.

    logit_i = b_i + v_i·x_<i + w_i·h_≤i,  h = tanh(W x + c) repeated ``depth`` times; x = [border, line]. Hidden units
    belong to line positions, ``width`` each, so that drawing computes each of them once. Without biases the net is
    odd, hence q(s) = q(−s) exactly. Masked autoregressive nets: Germain, Gregor, Murray, Larochelle (2015),
    arXiv:1502.03509; for statistical mechanics: Wu, Wang, Zhang (2019), arXiv:1809.10606.

    Parameters
    ----------
    n_border, n_line : number of given spins and of spins to draw.
    width : hidden units per line spin and layer, ≥ 1.
    depth : hidden layers, ≥ 1.
    biases : whether the net has biases; needed where a field breaks s → −s.
    generator : random numbers for the initial first layers. The last layer starts at zero.

    Raises
    ------
    ValueError : for sizes below 1.
    """

    first_mask: Tensor
    middle_mask: Tensor
    last_mask: Tensor
    skip_mask: Tensor

    def __init__(
        self,
        n_border: int,
        n_line: int,
        *,
        width: int = 4,
        depth: int = 1,
        biases: bool = False,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        if min(n_line, width, depth) < 1 or n_border < 0:
            raise ValueError(
                f"a net with border {n_border}, line {n_line}, width {width}, depth {depth} is empty; use sizes ≥ 1"
            )
        self.n_border, self.n_line, self.width, self.depth, self.biases = n_border, n_line, width, depth, biases
        n_input, n_hidden = n_border + n_line, n_line * width
        known_from = torch.cat([torch.zeros(n_border), torch.arange(1, n_line + 1)])
        owner, site = torch.arange(n_line).repeat_interleave(width), torch.arange(n_line)
        self._add_mask("first", known_from[None] <= owner[:, None])
        self._add_mask("middle", owner[None] <= owner[:, None])
        self._add_mask("last", owner[None] <= site[:, None])
        self._add_mask("skip", known_from[None] <= site[:, None])
        self.first = nn.Parameter(_scaled_normal(self.first_mask, generator))
        self.middle = nn.Parameter(
            torch.stack([_scaled_normal(self.middle_mask, generator) for _ in range(depth - 1)])
            if depth > 1
            else torch.empty(0, n_hidden, n_hidden)
        )
        self.last = nn.Parameter(torch.zeros(n_line, n_hidden))
        self.skip = nn.Parameter(torch.zeros(n_line, n_input))
        self.hidden_bias = nn.Parameter(torch.zeros(depth, n_hidden), requires_grad=biases)
        self.bias = nn.Parameter(torch.zeros(n_line), requires_grad=biases)

    def _add_mask(self, name: str, mask: Tensor) -> None:
        self.register_buffer(f"{name}_mask", mask.to(torch.float32), persistent=False)

    def set_skip(self, edges: Ints, strengths: np.ndarray, fields: np.ndarray) -> None:
        """Start at the physics: 2β Σ_j J_ij s_j over the known neighbours plus 2βh_i.

        Parameters
        ----------
        edges : (n, 2) pairs of inputs, border then line; strengths : (n,) 2βJ; fields : (n_line,) 2βh.
        """
        with torch.no_grad():
            for (i, j), strength in zip(edges.tolist(), strengths.tolist(), strict=True):
                later, earlier = max(i, j), min(i, j)
                self.skip[later - self.n_border, earlier] += strength
            if self.biases:
                self.bias.copy_(torch.as_tensor(fields, dtype=torch.float32))

    def freeze(self, frozen: bool = True) -> None:
        """Let training leave the net alone, or change it again."""
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(not frozen and (self.biases or "bias" not in name))

    def logits(self, inputs: Tensor) -> Tensor:
        """Return the logits (batch, n_line) for float32 inputs (batch, n_border + n_line)."""
        h = torch.tanh(torch.nn.functional.linear(inputs, self.first * self.first_mask, self.hidden_bias[0]))
        for layer in range(self.depth - 1):
            weight = self.middle[layer] * self.middle_mask
            h = torch.tanh(torch.nn.functional.linear(h, weight, self.hidden_bias[layer + 1]))
        skip = torch.nn.functional.linear(inputs, self.skip * self.skip_mask, self.bias)
        return skip + torch.nn.functional.linear(h, self.last * self.last_mask)

    def log_prob(self, inputs: Tensor) -> Tensor:
        """Return log q(line | border) in float64, (batch,), for float32 inputs (batch, n_border + n_line).

        Where no gradient is asked for, the kernel that draws computes it: the value is that of a draw bit for bit,
        whereas matrix products round by the number of threads and rows.
        """
        if inputs.device.type == "cpu" and not torch.is_grad_enabled():
            return self._log_prob_by_kernel(inputs)
        return log_prob_of_logits(self.logits(inputs), inputs[:, self.n_border :])

    def cross_entropy(self, inputs: Tensor, chances: Tensor) -> Tensor:
        """Return −E Σ_i [c_i ln q_i + (1 − c_i) ln(1 − q_i)], q_i = P(s_i = +1 | border, s_<i).

        Parameters
        ----------
        inputs : float32 (batch, n_border + n_line). chances : float32 (batch, n_line), the c_i, P(s_i = +1) given more
            than the net knows; with c_i = (1 + s_i)/2 this is −E[log q].
        """
        logits = self.logits(inputs)
        return (torch.nn.functional.softplus(logits) - chances * logits).sum(dim=1).mean()

    def _log_prob_by_kernel(self, inputs: Tensor) -> Tensor:
        """Draw the given lines again, with numbers outside [0, 1) that leave no choice."""
        spins, sites = inputs.to(torch.int8).contiguous(), np.arange(inputs.shape[1])[None]
        forced = torch.where(spins > 0, -1.0, 2.0).to(torch.float64)
        return self.draw(spins, sites[:, : self.n_border], sites[:, self.n_border :], forced)[:, 0]

    @torch.no_grad()
    def draw(self, spins: Tensor, border: Ints, line: Ints, uniforms: Tensor) -> Tensor:
        """Draw the line of every block in place, and return log q of each line, (batch, n_blocks) float64.

        Parameters
        ----------
        spins : int8 (batch, n_sites); borders are read, lines are written.
        border, line : sites of every block, (n_blocks, n_border) and (n_blocks, n_line).
        uniforms : float64 (batch, n_sites) in [0, 1); the number at a site decides its spin.
        """
        if spins.device.type == "cpu":
            return self._draw_by_kernel(spins, border, line, uniforms)
        return self.draw_by_torch(spins, border, line, uniforms)

    def _draw_by_kernel(self, spins: Tensor, border: Ints, line: Ints, uniforms: Tensor) -> Tensor:
        from nmcmc.kernels import masked_net as kernel

        log_q = np.empty((len(spins), len(line)))
        # The kernel sums over what is known and never reads a masked weight: masks would only cost a copy.
        names = ("first", "middle", "last", "skip", "hidden_bias", "bias")
        weights = [getattr(self, name).detach().numpy() for name in names]
        sites = [np.ascontiguousarray(places).view(np.uint64) for places in (border, line)]
        into, random = spins.numpy(), uniforms.numpy()
        for_chunks(
            lambda a, b: kernel.draw(into, *sites, random, *weights, self.width, a, b, log_q), log_q.size, kernel.LANES
        )
        return torch.from_numpy(log_q)

    @torch.no_grad()
    def draw_by_torch(self, spins: Tensor, border: Ints, line: Ints, uniforms: Tensor) -> Tensor:
        """Do the same as `draw` with torch operations: the path for other devices, and a check of the kernel."""
        sites = torch.as_tensor(np.concatenate([border, line], axis=1), device=spins.device)
        x = spins[:, sites].reshape(-1, sites.shape[1]).to(torch.float32)
        random = uniforms[:, sites[:, self.n_border :]].reshape(len(x), -1)
        w, hidden = self.width, x.new_zeros(self.depth, len(x), self.n_line * self.width)
        log_q = torch.zeros(len(x), dtype=torch.float64, device=x.device)
        for i in range(self.n_line):
            own, seen, known = slice(i * w, (i + 1) * w), slice(0, (i + 1) * w), x[:, : self.n_border + i]
            unit = known @ self.first[own, : known.shape[1]].T + self.hidden_bias[0, own]
            hidden[0, :, own] = torch.tanh(unit)
            for layer in range(self.depth - 1):
                weight = (self.middle[layer] * self.middle_mask)[own, seen]
                hidden[layer + 1, :, own] = torch.tanh(
                    hidden[layer, :, seen] @ weight.T + self.hidden_bias[layer + 1, own]
                )
            logit = known @ self.skip[i, : known.shape[1]] + hidden[-1, :, seen] @ self.last[i, seen] + self.bias[i]
            spin = torch.where(random[:, i] < torch.sigmoid(logit.to(torch.float64)), 1.0, -1.0)
            x[:, self.n_border + i] = spin.to(torch.float32)
            log_q += torch.nn.functional.logsigmoid(spin * logit.to(torch.float64))
        spins[:, sites[:, self.n_border :]] = x[:, self.n_border :].to(torch.int8).reshape(len(spins), len(sites), -1)
        return log_q.reshape(len(spins), len(sites))


def log_prob_of_logits(logits: Tensor, spins: Tensor) -> Tensor:
    """Return Σ_i ln σ(s_i logit_i), accumulated in float64, for logits and spins ±1 of shape (batch, n)."""
    return torch.nn.functional.logsigmoid(spins * logits).sum(dim=1, dtype=torch.float64)


def _scaled_normal(mask: Tensor, generator: torch.Generator | None) -> Tensor:
    """Return masked normal numbers of variance 1/(number of inputs) in every row."""
    fan_in = mask.sum(dim=1, keepdim=True).clamp(min=1)
    return torch.randn(mask.shape, generator=generator) * mask / fan_in.sqrt()
