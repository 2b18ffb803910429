"""The hierarchical sampler: geometry, exact leaves, blocks, and the sampler that puts them together."""
