"""Logistic regressions with a ridge: known solutions, and a likelihood that is flat."""

import numpy as np
import pytest
import torch

from nmcmc.samplers.logistic import cross_entropy, likeliest


def problem(n=5, batch=200, k=3, seed=1):
    generator = np.random.default_rng(seed)
    return torch.from_numpy(generator.normal(size=(n, batch, k))), torch.from_numpy(generator.random((n, batch)))


def test_one_constant_term_gives_the_logit_of_the_mean():
    terms, chances = torch.ones((4, 50, 1), dtype=torch.float64), problem(4, 50)[1]
    mean = chances.mean(dim=1, keepdim=True)
    torch.testing.assert_close(likeliest(terms, chances, 1e-9), (mean / (1 - mean)).log(), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("ridge", [1e-3, 1.0, 1e3])
def test_the_slope_vanishes(ridge):
    terms, chances = problem()
    weights = likeliest(terms, chances, ridge).requires_grad_()
    (cross_entropy(terms, chances, weights).sum() + 0.5 * ridge * ((weights - 1) ** 2).sum()).backward()
    assert float(weights.grad.abs().max()) < 1e-6


def test_a_stiff_ridge_leaves_weights_at_one():
    assert float((likeliest(*problem(), 1e9) - 1).abs().max()) < 1e-6


def test_chances_that_the_terms_explain_are_found():
    terms, _ = problem(batch=2000)
    truth = torch.tensor([[0.5, -1.0, 2.0]] * 5, dtype=torch.float64)
    chances = torch.sigmoid((terms * truth[:, None]).sum(dim=2))
    torch.testing.assert_close(likeliest(terms, chances, 1e-9), truth, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("scale", [1e4, 1e8, 1e12])
def test_the_unit_of_the_terms_does_not_matter(scale):
    terms, _ = problem(batch=2000)
    truth = torch.tensor([[0.5, -1.0, 2.0]] * 5, dtype=torch.float64)
    chances = torch.sigmoid((terms * truth[:, None]).sum(dim=2))
    torch.testing.assert_close(scale * likeliest(scale * terms, chances, 1e-9), truth, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("scale", [1e6, 1e9, 1e12])
def test_terms_that_are_huge_and_alike_have_a_solution(scale):
    terms, chances = problem()
    twins = scale * torch.cat((terms, terms), dim=2)
    weights = likeliest(twins, chances, 1.0)
    assert bool(torch.isfinite(weights).all())
    best = cross_entropy(terms, chances, likeliest(terms, chances, 1e-9))
    assert float((cross_entropy(twins, chances, weights) - best).max()) < 1e-3 * 200 + 3
