"""One seed → independent random streams for numpy, torch and the kernels; spawn, save, restore."""

from __future__ import annotations

import math
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch

Streams = npt.NDArray[np.uint64]
"""SFC64 states, one row (a, b, c, counter) per chain: shape (n_chains, 4)."""

MANY = 2**15
"""Uniform numbers in one call from which on a compiled loop makes them: for fewer numpy's is as good."""


class Rng:
    """Random numbers that depend on a seed and a path of names only, never on threads or the order of calls.

    ``Rng(1).child("neural", 3)`` is the same stream in every program. Each Rng holds an SFC64 generator (Chris
    Doty-Humphrey's PractRand, as in numpy), and one further SFC64 stream per chain for the kernels.

    Parameters
    ----------
    seed : non-negative integer.
    path : names or integers that lead from the seed to this stream.

    Raises
    ------
    ValueError : if the seed is negative or not an integer.

    Examples
    --------
    >>> from nmcmc.random import Rng
    >>> bool(Rng(1).child("a").generator.random() == Rng(1).child("a").generator.random())
    True
    """

    def __init__(self, seed: int, path: tuple[int, ...] = ()):
        if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
            raise ValueError(f"seed is {seed!r}; it must be an integer ≥ 0")
        self.seed, self.path = int(seed), path
        self.generator = np.random.Generator(np.random.SFC64(self._sequence(0)))
        self._streams: Streams | None = None
        self._torch: dict[str, torch.Generator] = {}

    def _sequence(self, *key: int) -> np.random.SeedSequence:
        return np.random.SeedSequence(self.seed, spawn_key=self.path + key)

    def child(self, *names: str | int) -> Rng:
        """Return the independent stream of that name; the same name always gives the same stream.

        Names are told apart by 32 bits (CRC-32): two given names share a stream with probability 2⁻³².
        """
        return Rng(self.seed, self.path + tuple(_key(name) for name in names))

    def uniform(self, shape: tuple[int, ...], device: str | torch.device = "cpu", pad: int = 0) -> torch.Tensor:
        """Return float64 uniforms in [0, 1) on the device, row-major from one sequential stream per device kind.

        Parameters
        ----------
        pad : on a CPU, so many columns more than ``shape`` says, with no numbers in them. Rows a power of two apart
            would share a few sets of the caches.
        """
        import torch

        if torch.device(device).type != "cpu":
            return torch.rand(shape, dtype=torch.float64, device=device, generator=self.torch_generator(device))
        *rows, n = shape
        numbers = np.empty((math.prod(rows), n + pad))
        if math.prod(shape) < MANY:
            numbers[:, :n] = self.generator.random((len(numbers), n))
        else:
            self._fill(numbers, n)
        return torch.from_numpy(numbers).reshape(*rows, n + pad)

    def _fill(self, numbers: npt.NDArray[np.float64], n: int) -> None:
        """Fill the first n columns with ``generator.random``, bit for bit, in little more than half its time."""
        from nmcmc.kernels.rng import fill_uniform

        bits = self.generator.bit_generator
        state: dict[str, Any] = dict(bits.state)
        stream = state["state"]["state"].copy()
        fill_uniform(stream, numbers, n)
        bits.state = state | {"state": {"state": stream}}

    def torch_generator(self, device: str | torch.device = "cpu") -> torch.Generator:
        """Return this stream's torch generator on the device."""
        import torch

        name = str(device)
        if name not in self._torch:
            seed = int(self._sequence(2).generate_state(1, np.uint64)[0] >> np.uint64(1))
            self._torch[name] = torch.Generator(device=device).manual_seed(seed)
        return self._torch[name]

    def streams(self, n_chains: int) -> Streams:
        """Return the SFC64 states of n_chains chains; kernels advance them in place. Row i depends on i only."""
        if self._streams is None:
            rows = [np.random.SFC64(self._sequence(1, chain)).state["state"]["state"] for chain in range(n_chains)]
            self._streams = np.array(rows, dtype=np.uint64).reshape(n_chains, 4)
        if len(self._streams) != n_chains:
            raise ValueError(f"this Rng serves {len(self._streams)} chains, not {n_chains}; use a child for each run")
        return self._streams

    def state(self) -> dict[str, Any]:
        """Return everything needed to continue bit for bit: numbers and arrays, no objects."""
        inner = self.generator.bit_generator.state
        return {
            "seed": self.seed,
            "path": list(self.path),
            "generator": [int(word) for word in inner["state"]["state"]],
            "has_uint32": int(inner["has_uint32"]),
            "uinteger": int(inner["uinteger"]),
            "streams": None if self._streams is None else [[int(word) for word in row] for row in self._streams],
            "torch": {name: bytes(g.get_state().numpy()).hex() for name, g in self._torch.items()},
        }

    @classmethod
    def restore(cls, state: dict[str, Any]) -> Rng:
        """Return the Rng whose ``state()`` this is."""
        import torch

        rng = cls(state["seed"], tuple(state["path"]))
        rng.generator.bit_generator.state = {
            "bit_generator": "SFC64",
            "state": {"state": np.array(state["generator"], dtype=np.uint64)},
            "has_uint32": state["has_uint32"],
            "uinteger": state["uinteger"],
        }
        if state["streams"] is not None:
            rng._streams = np.array(state["streams"], dtype=np.uint64).reshape(-1, 4)
        for name, words in state["torch"].items():
            rng.torch_generator(name).set_state(torch.frombuffer(bytearray.fromhex(words), dtype=torch.uint8))
        return rng


def _key(name: str | int) -> int:
    return zlib.crc32(name.encode()) + 2**32 if isinstance(name, str) else int(name) + 2**33
