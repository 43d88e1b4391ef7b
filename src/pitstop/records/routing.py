"""Which rows a share of the traffic is: decided by a row's id alone, so that whoever asks gets the same answer."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_PLACES = 2.0**64


def in_share(ids: Sequence[str], share: float, salt: str) -> NDArray[np.bool_]:
    """Return which rows belong to a share, from 0 to 1, of all rows.

    A row belongs where the first 8 bytes of the SHA-256 of `salt`, a line feed and its id, as a number from 0 to 1, lie
    below the share: so a larger share holds a smaller one, and another salt chooses other rows.

    >>> in_share(["d", "e", "f", "g"], 0.5, "release-1").tolist()
    [False, True, False, True]
    """
    bound = int(share * _PLACES)
    start = hashlib.sha256(f"{salt}\n".encode())
    found = np.empty(len(ids), dtype=np.bool_)
    for place, name in enumerate(ids):
        digest = start.copy()
        digest.update(str(name).encode())
        found[place] = int.from_bytes(digest.digest()[:8], "big") < bound
    return found
