"""What each monitor could not have seen: simulated once for each baseline, apart from everything else."""

from __future__ import annotations

from typing import Any

from pitstop.errors import PitstopError
from pitstop.loop.discerning import discern
from pitstop.loop.revisiting import revisit
from pitstop.store.home import Home

WITHIN, PROBABILITY = 7, 0.8


def no_power(baseline: str) -> dict[str, Any]:
    """Return the document before it is simulated; `baseline` is the id that it will hold for, "" for none."""
    return {
        "baseline": baseline,
        "pending": bool(baseline),
        "within": WITHIN,
        "probability": PROBABILITY,
        "monitors": [],
        "why": "it is being simulated; load this page again in a minute" if baseline else "there is no baseline yet",
    }


def power(home: Home, model: str) -> dict[str, Any]:
    """Return the power of every monitor of the newest baseline, or why it is not known."""
    baselines = home.artifacts("baseline", model)
    document = {**no_power(baselines[-1].id if baselines else ""), "pending": False}
    if not baselines:
        return document
    try:
        found = discern(revisit(home, model), within=WITHIN, probability=PROBABILITY)
    except PitstopError as error:
        return {**document, "why": str(error)}
    document["monitors"] = [
        {
            "monitor": item.monitor,
            "kind": item.kind,
            "indicator": item.indicator,
            "change": item.sight.change,
            "expected": item.sight.expected,
            "up": item.sight.up,
            "rows": item.rows,
            "worth": item.worth,
            "after": item.after,
        }
        for item in found
    ]
    return document
