"""Release schedules of River's ADWIN and KSWIN on the served model's row losses. Runs in the environment `river`.

`strategy_river.py FILE`: FILE is an .npz with, for each stream s, `losses_s` (models, rows), `column_s` (the column of
each row, ascending) and `first_s`. Prints {stream: {"adwin": [periods], "kswin": [periods]}}.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from river import drift  # type: ignore[import-not-found]  # in the peer's environment only

# River's defaults; KSWIN draws at random, so it gets a seed.
DETECTORS: dict[str, Callable[[], Any]] = {"adwin": drift.ADWIN, "kswin": lambda: drift.KSWIN(seed=0)}
# KSWIN tests its window at every value; this many evenly spaced rows of a column keep it to minutes.
KSWIN_ROWS = 200


def schedule(make: Callable[[], Any], losses: Any, column: Any, first: int, rows_kept: int) -> list[int]:
    """Return the periods at which a detector on the live losses asks for a retrain; it starts afresh after each."""
    served, told, detector = first, first, make()
    releases: list[int] = []
    for now in range(first, losses.shape[0]):
        fired = False
        for period in range(told, now):
            values = losses[served, column == period]
            values = values[np.isfinite(values)]
            if rows_kept and len(values) > rows_kept:
                values = values[np.linspace(0, len(values) - 1, rows_kept).astype(int)]
            for value in values:
                detector.update(float(value))
                fired = fired or detector.drift_detected
        told = now
        if fired and now > served:
            served, detector = now, make()
            releases.append(now)
    return releases


def main() -> None:
    """Answer for all streams of the file."""
    content = np.load(sys.argv[1])
    names = sorted(key.removeprefix("losses_") for key in content.files if key.startswith("losses_"))
    found = {}
    for name in names:
        losses, column, first = content[f"losses_{name}"], content[f"column_{name}"], int(content[f"first_{name}"])
        found[name] = {
            kind: schedule(make, losses, column, first, KSWIN_ROWS if kind == "kswin" else 0)
            for kind, make in DETECTORS.items()
        }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
