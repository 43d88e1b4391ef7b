"""A recipe says which part of history a challenger is trained on, and what is left out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pitstop.errors import UnknownNameError
from pitstop.records.calendar import Calendar

Ints = NDArray[np.int64]
Span = tuple[int, int]

_LAST = re.compile(r"last_([1-9][0-9]{0,5})")


@dataclass(frozen=True)
class Recipe:
    """Which rows to train on.

    `window` is a number of periods, None for all history. `exclude` holds half-open spans [first, end) of instants of
    prediction whose rows are left out (broken batches).
    """

    name: str
    window: int | None = None
    exclude: tuple[Span, ...] = ()

    def mask(self, at: Ints, label_at: Ints, calendar: Calendar, as_of: int) -> NDArray[np.bool_]:
        """Return which rows to train on at `as_of`: only those whose label was known strictly before it.

        The window counts back from the start of the period of `as_of` by the *arrival* of labels: counted by prediction
        time it would keep only the early labels of its newest rows, which are not a fair sample (cancellations
        come before stays). `at` and `label_at` are the rows' instants; give rows without a label as `as_of` or later.
        """
        mask = label_at < as_of
        if self.window is not None:
            mask &= label_at >= calendar.period_start(calendar.period_at(as_of) - self.window)
        for first, end in self.exclude:
            mask &= (at < first) | (at >= end)
        return np.asarray(mask, dtype=np.bool_)

    def to_json(self) -> dict[str, Any]:
        """Return the recipe as plain JSON types."""
        return {"name": self.name, "window": self.window, "exclude": [list(span) for span in self.exclude]}


def parse_recipe(name: str, exclude: tuple[Span, ...] = ()) -> Recipe:
    """Return the recipe called `all` or `last_K` (the last K periods). Raises `UnknownNameError` for another name.

    >>> parse_recipe("last_6").window
    6
    """
    if name == "all":
        return Recipe("all", None, exclude)
    found = _LAST.fullmatch(name)
    if found is None:
        msg = f"no recipe is called {name!r}; known: all, and last_K for the last K periods, for instance last_6"
        raise UnknownNameError(msg)
    return Recipe(name, int(found[1]), exclude)
