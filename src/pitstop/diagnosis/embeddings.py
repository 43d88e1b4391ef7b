"""Drift of embeddings: can vectors of the current rows be told from the reference's?

The vectors are turned to the axes along which the reference varies most, and these are cut at the reference's
quantiles; then it is a question for the domain classifier (`pitstop.diagnosis.domain`), which sees single axes and
several together.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pitstop.diagnosis.domain import FEWEST_ROWS, MOST_ROWS, Domain, domain_drift

Floats = NDArray[np.float64]

AXES, CELLS = 16, 20


def embedding_drift(reference: Floats, current: Floats) -> Domain | None:
    """Return how well `current` vectors are told from `reference` ones: float64[rows, dimensions] in order of time.

    Rows with a value that is not finite are left out. None with fewer than 100 rows of either.
    """
    before, after = (_spread(side[np.isfinite(side).all(axis=1)]) for side in (reference, current))
    if min(len(before), len(after)) < FEWEST_ROWS or not before.shape[1]:
        return None
    centre = before.mean(axis=0)
    _, sizes, axes = np.linalg.svd(before - centre, full_matrices=False)
    axes = axes[:AXES][sizes[:AXES] > 1e-12 * max(float(sizes[0]), 1e-300)]
    if not len(axes):
        axes = np.eye(before.shape[1])[:1]
    turned = [(side - centre) @ axes.T for side in (before, after)]
    # What lies off these axes is a length of its own: a shift along an axis in which the reference never varied.
    turned = [
        np.column_stack([part, np.linalg.norm(side - centre - part @ axes, axis=1)])
        for part, side in zip(turned, (before, after), strict=True)
    ]
    edges = np.quantile(turned[0], np.linspace(0, 1, CELLS + 1), axis=0)
    # What lies beyond all known values is a cell of its own.
    edges[-1] = np.nextafter(edges[-1], np.inf)
    codes = [
        np.column_stack([np.searchsorted(edges[:, at], part[:, at], side="right") for at in range(part.shape[1])])
        for part in turned
    ]
    names = (*(f"axis {at + 1}" for at in range(len(axes))), "off the axes")
    return domain_drift(names, codes[0].astype(np.int32), codes[1].astype(np.int32))


def _spread(rows: Floats) -> Floats:
    return rows if len(rows) <= MOST_ROWS else rows[np.linspace(0, len(rows) - 1, MOST_ROWS).astype(np.int64)]
