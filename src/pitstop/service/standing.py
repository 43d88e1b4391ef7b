"""How many incidents of a model stand open."""

from __future__ import annotations

from pitstop.incidents import QUIET_WINDOWS
from pitstop.store.home import Home, SavedState


def open_incidents(home: Home, model: str, saved: SavedState, window: int) -> int:
    """Return how many incidents have neither recovered by `window` nor been closed by a person; snoozed ones count."""
    closed = {item.content["item"] for item in home.artifacts("disposition", model)}
    found = saved.values["incidents"]
    return sum(window - item["last"] <= QUIET_WINDOWS and item["id"] not in closed for item in found)
