"""A recipe says which part of history a challenger is trained on, what is left out, and what the fit starts from.

A name is a base and its options, in this order: `all`, `last_6+warm`, `all+clean_5`, `last_6+warm+clean_5`.
"""

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
_OPTIONS = re.compile(r"([^+]+)(\+warm)?(?:\+clean_([1-9]|[1-4][0-9]|50))?")
# Parts of the rows in turn, so that each row is looked at by a model that did not see it (`label_issues`).
FOLDS = 3
FORMS = (
    "Each may be followed by +warm, to start from the model before, then by +clean_P, to leave out labels that look "
    "wrong, at most P percent"
)


@dataclass(frozen=True)
class Options:
    """What a recipe's name asks for beside its rows.

    `base` is the name without options. `warm`: the fit starts from the recipe's model before. `clean`: labels that look
    wrong are left out, at most so many percent of each class's rows; 0 leaves out none.
    """

    base: str
    warm: bool = False
    clean: int = 0

    @property
    def passes(self) -> int:
        """How often each row is paid for: two in three folds look for wrong labels, and the fit itself is one."""
        return FOLDS if self.clean else 1


def options_of(name: str) -> Options:
    """Return what a recipe's name asks for; a name that has not the form is all base, which nobody knows.

    >>> options_of("last_6+warm+clean_5")
    Options(base='last_6', warm=True, clean=5)
    """
    found = _OPTIONS.fullmatch(name)
    return Options(found[1], found[2] is not None, int(found[3] or 0)) if found else Options(name)


@dataclass(frozen=True)
class Recipe:
    """Which rows to train on.

    `window` is a number of periods, None for all history. `exclude` holds half-open spans [first, end) of instants of
    prediction whose rows are left out (broken batches). The name holds the options.
    """

    name: str
    window: int | None = None
    exclude: tuple[Span, ...] = ()

    @property
    def options(self) -> Options:
        """What its name asks for beside the rows."""
        return options_of(self.name)

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
    """Return the recipe called `all` or `last_K` (the last K periods), with options or without.

    Raises `UnknownNameError` for another name.

    >>> parse_recipe("last_6+warm").window
    6
    """
    base = options_of(name).base
    if base == "all":
        return Recipe(name, None, exclude)
    found = _LAST.fullmatch(base)
    if found is None:
        msg = (
            f"no recipe is called {name!r}; known: all, and last_K for the last K periods, for instance last_6. {FORMS}"
        )
        raise UnknownNameError(msg)
    return Recipe(name, int(found[1]), exclude)
