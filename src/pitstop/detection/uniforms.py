"""Random numbers that are a function of what they are for, so that a replay draws the same ones."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX2 = np.uint64(0x94D049BB133111EB)


def seeds(stream: str, indicators: tuple[str, ...]) -> Words:
    """Return one 64-bit seed for each indicator of a stream: the BLAKE2b digest of both names."""
    digests = (hashlib.blake2b(f"{stream}\x00{name}".encode(), digest_size=8).digest() for name in indicators)
    return np.array([int.from_bytes(digest, "little") for digest in digests], dtype=np.uint64)


def uniforms(seed: Words, windows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return numbers in (0, 1), shape windows.shape + seed.shape: SplitMix64 of (seed, window).

    Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
    """
    steps = windows.astype(np.uint64)[..., np.newaxis] * _GOLDEN
    word = seed + steps
    word = (word ^ (word >> np.uint64(30))) * _MIX1
    word = (word ^ (word >> np.uint64(27))) * _MIX2
    word = word ^ (word >> np.uint64(31))
    return np.asarray(((word >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53, dtype=np.float64)
