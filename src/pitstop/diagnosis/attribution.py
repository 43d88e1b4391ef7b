"""Why performance changed: the inputs (X), the relation of inputs to outcome (Y|X), and which features moved.

Method: cell decomposition over the leaf tree (docs/explanation/causes.md). With reference share and mean loss of leaf l
written p_l and m_l, and those of the window q_l and m'_l, the change of the mean loss is exactly
`sum (q_l - p_l) m_l` (X) plus `sum q_l (m'_l - m_l)` (Y|X). What inputs that move within leaves add to the first part
(`pitstop.baseline.margins`) is taken from the second.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pitstop.statistics.cells import Cells

# A leaf with fewer labelled reference rows has no mean of its own; it takes the mean over all leaves.
MIN_REFERENCE_ROWS = 5


@dataclass(frozen=True)
class Decomposition:
    """The change of the mean loss per labelled row, split; `se` are standard errors. Units: those of the loss."""

    total: float
    inputs: float
    relation: float
    inputs_se: float
    relation_se: float
    leaves: tuple[int, ...]

    @property
    def x_share(self) -> float | None:
        """Share of the change that comes from the inputs; None where the change is within two standard errors."""
        return None if self._unclear() else self.inputs / self.total

    @property
    def yx_share(self) -> float | None:
        """Share of the change that comes from the relation; None where the change is within two standard errors."""
        return None if self._unclear() else self.relation / self.total

    def _unclear(self) -> bool:
        return abs(self.total) <= 2.0 * float(np.hypot(self.inputs_se, self.relation_se)) or self.total == 0.0


def decompose(reference: Cells, window: Cells, moved: tuple[float, float] = (0.0, 0.0)) -> Decomposition | None:
    """Split the change of the mean loss from `reference` to `window`; None where either has no labelled row.

    `moved`: what inputs that moved within leaves change the mean loss by, and its standard error (`Margins.moved`).
    `leaves` are the leaves whose relation changed most, worst first (at most three, each above two standard errors).
    """
    n0, n1 = reference.labelled.astype(float), window.labelled.astype(float)
    if n0.sum() == 0 or n1.sum() == 0:
        return None
    m0, v0 = _means(reference, n0)
    m1, v1 = _means(window, n1)
    overall = float((m0 * n0).sum() / n0.sum())
    m0 = usual_losses(reference)
    q = n1 / n1.sum()
    # Not sum (q - p) m0: over the rare leaves that would miss the reference's own mean, and the parts the change.
    inputs = float((q * m0).sum() - overall) + moved[0]
    turned = q * np.where(n1 > 0, m1 - m0, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        own = np.where(n1 > 0, v1 / np.maximum(n1, 1), 0.0)
        base = np.where(n0 > 0, v0 / np.maximum(n0, 1), 0.0)
    p = n0 / n0.sum()
    spreads = [max(float((share * m0**2).sum() - (share * m0).sum() ** 2), 0.0) for share in (p, q)]
    # The shares of the leaves are drawn, and so is each leaf's mean: where the shares moved, its noise is in the part.
    drawn = spreads[0] / n0.sum() + spreads[1] / n1.sum() + ((q - p) ** 2 * base).sum()
    inputs_se = float(np.sqrt(drawn + moved[1] ** 2))
    leaf_se = q * np.sqrt(own + base)
    relation = float(turned.sum()) - moved[0]
    order = np.argsort(-turned, kind="stable")
    worst = tuple(int(leaf) for leaf in order[:3] if turned[leaf] > 2.0 * leaf_se[leaf] > 0.0)
    return Decomposition(
        total=inputs + relation,
        inputs=inputs,
        relation=relation,
        inputs_se=inputs_se,
        relation_se=float(np.sqrt((leaf_se**2).sum() + moved[1] ** 2)),
        leaves=worst,
    )


def usual_losses(reference: Cells) -> NDArray[np.float64]:
    """Return the mean loss of each leaf, float64[64]; of a leaf with fewer than five labelled rows that of all rows.

    So one row cannot carry a result. `reference` has a labelled row.
    """
    n = reference.labelled.astype(float)
    mean, _ = _means(reference, n)
    return np.where(n >= MIN_REFERENCE_ROWS, mean, float((mean * n).sum() / n.sum()))


def _means(cells: Cells, n: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    mean = np.where(n > 0, cells.mean_loss, 0.0)
    return mean, np.where(n > 1, cells.variance, 0.0)


@dataclass(frozen=True)
class Suspect:
    """A feature by how much it matters and how far it moved. `share` is its part of all suspicion, 0 to 1."""

    column: str
    importance: float
    distance: float
    share: float


def rank_features(importance: Mapping[str, float], distances: Mapping[str, float]) -> tuple[Suspect, ...]:
    """Return features by importance x distance, greatest first; `distances` are Jensen-Shannon distances (0 to 1).

    Importances are scaled to sum to 1; a feature without one counts as the least important that has one.
    """
    known = [value for value in importance.values() if value > 0]
    least = min(known) if known else 1.0
    weights = {name: max(importance.get(name, 0.0), least) for name in distances}
    total = sum(weights.values()) or 1.0
    suspicion = {name: weights[name] / total * max(distance, 0.0) for name, distance in distances.items()}
    whole = sum(suspicion.values()) or 1.0
    ranked = sorted(suspicion, key=lambda name: (-suspicion[name], name))
    return tuple(Suspect(name, weights[name] / total, distances[name], suspicion[name] / whole) for name in ranked)
