"""Compiled loops over plain arrays: no torch, no import from nmcmc, results written into the caller's arrays.

A kernel is serial and releases the GIL; ``nmcmc.parallel`` runs it on chunks of chains or blocks in threads.
"""
