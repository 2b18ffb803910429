"""The logistic regression of every spin on terms of its own, with a ridge that pulls weights towards 1."""

from __future__ import annotations

import torch
from torch import Tensor

NEWTON_STEPS, HALVINGS, SMALL, JITTER = 20, 8, 1e-5, 1e-12
"""Most steps, halvings of each, the change of a weight that ends a fit, and what keeps terms apart that are alike, both
in units of their own curvature."""


def likeliest(terms: Tensor, chances: Tensor, ridge: float) -> Tensor:
    """Return the weights w (n_spins, n_terms) of least cross entropy + ½ ridge Σ (w − 1)² by Newton's method.

    Parameters
    ----------
    terms : (n_spins, batch, n_terms) float64, so that σ(terms · w) are chances of +1. chances : (n_spins, batch), what
        these should be. ridge : > 0.

    The problem is convex. Weights start at 0, where no chance is certain; steps are halved until the loss falls.
    """
    weights = terms.new_zeros(len(terms), terms.shape[2])
    ones = ridge * torch.eye(terms.shape[2]).to(terms)
    loss = cross_entropy(terms, chances, weights) + _pull(weights, ridge)
    for _ in range(NEWTON_STEPS):
        up = torch.sigmoid(logits_of(terms, weights))
        slope = ((up - chances)[:, None] @ terms)[:, 0] + ridge * (weights - 1)
        bend = (terms * (up * (1 - up))[:, :, None]).mT @ terms + ones
        scale = bend.diagonal(dim1=1, dim2=2).sqrt()
        even = bend / (scale[:, :, None] * scale[:, None]) + JITTER * torch.eye(terms.shape[2]).to(terms)
        step = torch.linalg.solve(even, slope / scale) / scale
        for _ in range(HALVINGS):
            new = cross_entropy(terms, chances, weights - step) + _pull(weights - step, ridge)
            falls = new <= loss
            if bool(falls.all()):
                break
            step = torch.where(falls[:, None], step, 0.5 * step)
        step = torch.where(falls[:, None], step, 0.0)
        weights, loss = weights - step, torch.where(falls, new, loss)
        if float((step * scale).abs().max()) < SMALL:
            break
    return weights


def logits_of(terms: Tensor, weights: Tensor) -> Tensor:
    """Return terms · weights, (n_spins, batch)."""
    return (terms @ weights[:, :, None])[:, :, 0]


def cross_entropy(terms: Tensor, chances: Tensor, weights: Tensor) -> Tensor:
    """Return −Σ [c ln σ + (1 − c) ln(1 − σ)] over the batch, σ = σ(terms · w) and c the chances, (n_spins,)."""
    logits = logits_of(terms, weights)
    return (torch.nn.functional.softplus(logits) - chances * logits).sum(dim=1)


def _pull(weights: Tensor, ridge: float) -> Tensor:
    return 0.5 * ridge * ((weights - 1) ** 2).sum(dim=1)
