"""Minimise a Kullback–Leibler divergence between a sampler and a target: objectives, schedule, loop, checkpoints."""
