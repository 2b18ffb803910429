"""Markov transitions that leave a Boltzmann distribution invariant, and the loop that runs them.

Imports only types, random, parallel, kernels and energies; a sampler is known by its Protocol alone.
"""
