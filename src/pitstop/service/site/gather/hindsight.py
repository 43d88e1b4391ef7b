"""What other policies would have cost on the model's own history: the losses of every candidate in every period."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pitstop.records.spec import ModelSpec
from pitstop.strategy.matrix import LossMatrix
from pitstop.strategy.oracle import oracle, schedule_cost


def policies(spec: ModelSpec, state: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the cost (losses on labels by period of arrival, and releases) of four schedules, the dearest first.

    Empty before two periods are known, and where a candidate of some period was not fitted: then no schedule that
    needs it can be charged. Fits are left out: they are paid whatever is decided.
    """
    upkeep = state.get("upkeep", {})
    if not spec.trains or "matrix" not in upkeep:
        return []
    losses = LossMatrix.from_state(upkeep["matrix"]).losses
    periods = len(losses)
    if periods < 2 or not np.isfinite(losses[np.triu_indices(periods)]).all():
        return []
    price = spec.costs.release
    own = tuple(number for number in upkeep["released_at"] if 0 < number < periods)
    schedules = {
        "never": schedule_cost(losses, (), price),
        "every period": schedule_cost(losses, tuple(range(1, periods)), price),
        "what was done": schedule_cost(losses, own, price),
        "hindsight optimum": oracle(losses, price),
    }
    found = [
        {"name": name, "cost": float(item.cost), "releases": len(item.releases), "own": name == "what was done"}
        for name, item in schedules.items()
    ]
    return sorted(found, key=lambda item: -float(item["cost"]))
