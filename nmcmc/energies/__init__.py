"""Hamiltonians of spin systems and their Boltzmann distributions. Imports only types, random, parallel and kernels."""
