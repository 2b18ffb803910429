"""Nets with random weights everywhere, as after training: fresh ones are linear, their last layers are zero."""

import torch


def perturbed(module, seed=0, scale=0.3):
    """Add normal noise of that scale to every trained parameter in place; return the module."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.requires_grad:
                parameter += scale * torch.randn(parameter.shape, generator=generator)
    return module
