"""A new sampler that starts from stored ones: which models it takes nets from, and which nets came from where."""

from __future__ import annotations

from dataclasses import dataclass

from nmcmc.samplers.hierarchical.growth import take_levels
from nmcmc.samplers.hierarchical.sampler import HierarchicalSampler
from nmcmc.samplers.pretrained import model_file, sha256_of
from nmcmc.samplers.store import AnySampler, kind_of, load_sampler


@dataclass(frozen=True)
class Growth:
    """Models to take nets from, each a path or a shipped name; where several have a net, the last one gives it."""

    models: tuple[str, ...] = ()
    allow_beta_mismatch: bool = False

    def into(self, sampler: AnySampler) -> dict[str, str]:
        """Put the models' nets into a sampler and return the SHA-256 of the file that each came from, by key.

        Raises
        ------
        ValueError : if a model has nothing to give: see `take_levels`.
        """
        origin: dict[str, str] = {}
        for model in self.models:
            path = model_file(model)
            source, _, _ = load_sampler(path)
            try:
                keys = self._take(sampler, source)
            except ValueError as error:
                raise ValueError(f"cannot grow from {model}: {error}") from error
            origin |= dict.fromkeys(keys, sha256_of(path))
        return origin

    def _take(self, sampler: AnySampler, source: AnySampler) -> list[str]:
        if isinstance(sampler, HierarchicalSampler) and isinstance(source, HierarchicalSampler):
            return take_levels(sampler, source, allow_beta_mismatch=self.allow_beta_mismatch)
        raise ValueError(
            f"it is a sampler {kind_of(source)!r}, the new one is {kind_of(sampler)!r}; both must be 'hierarchical'"
        )
