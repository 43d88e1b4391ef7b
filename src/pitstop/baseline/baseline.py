"""The baseline of a release: what healthy means for it.

Its scores are out of sample: each reference row was scored by a model that had not seen it. Feature bins belong to the
model and survive releases; the calibrator, the leaf tree and the reference counts belong to a release.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from sklearn.tree import DecisionTreeRegressor

from pitstop.baseline.calibration import isotonic
from pitstop.baseline.expectation import Expectation
from pitstop.baseline.margins import Margins
from pitstop.baseline.tree import MAX_LEAVES, Codes, LeafTree
from pitstop.profile import Layout, OutcomeProfile, Profile
from pitstop.statistics.arrays import Piece, as_floats
from pitstop.statistics.categories import CategoryCounts
from pitstop.statistics.cells import Cells, LeafBins
from pitstop.statistics.histogram import Histogram
from pitstop.statistics.leaf_tests import FEW_ROWS, LeafTest, find_leaves
from pitstop.statistics.outcome_bins import STEPS
from pitstop.statistics.words import cells_by_code

# Edges of the score's own bins: quantiles of the reference, as for a feature.
SCORE_BINS = 20
# Enough for a standard error to a fifth of itself.
DRAWS = 20


@dataclass(frozen=True, eq=False)
class Baseline:
    """What one release is compared with.

    `calibrated` (classes) is the probability, float64[1001] by score bin, that the label is positive (binary) or that
    the prediction is right (multiclass); `calibrator_draws` holds the same, fitted on bootstrap samples. `score_edges`
    are score bins at reference quantiles. `importance` is each feature's share of what explains the output. `profile`
    and `outcomes` are the reference windows added up; `cells` holds only labelled rows that the tree was not fitted on.
    `windows` is the first and the last reference window, `ages` the ages in windows at which cohorts of predictions are
    compared, `unit` the word for a window (day, hour, week; "" with row-count windows). `expectation` is what labelled
    reference rows teach of outcomes beyond the calibrator (None without any). `breaks` says whether far and repeated
    values are watched: not in a baseline that was kept before they were. `groups` are the groups of people that are
    watched: (protected column or columns, their names) each. `margins` tell what inputs that move within leaves do to
    the loss (None where few rows are labelled, and in a baseline that was kept before there were any).
    """

    id: str
    at: int
    layout: Layout
    tree: LeafTree
    calibrated: NDArray[np.float64] | None
    calibrator_draws: NDArray[np.float64] | None
    score_edges: tuple[int, ...]
    importance: Mapping[str, float]
    profile: Profile
    outcomes: OutcomeProfile
    cells: Cells
    windows: tuple[int, int]
    ages: tuple[int, ...]
    unit: str
    expectation: Expectation | None = None
    breaks: bool = False
    groups: tuple[tuple[str, tuple[str, ...]], ...] = ()
    margins: Margins | None = None

    @property
    def features(self) -> Mapping[str, Histogram | CategoryCounts]:
        """Reference counts of each feature."""
        return self.profile.features

    def to_state(self) -> dict[str, Any]:
        """Return everything but the layout as arrays and JSON values."""
        state: dict[str, Any] = {f"tree.{name}": array for name, array in self.tree.to_state().items()}
        state |= {f"cells.{name}": array for name, array in self.cells.to_state().items()}
        if self.calibrated is not None:
            state["calibrated"] = self.calibrated
        if self.calibrator_draws is not None:
            state["calibrator_draws"] = self.calibrator_draws
        if self.expectation is not None:
            state |= {f"expectation.{name}": value for name, value in self.expectation.to_state().items()}
        if self.margins is not None:
            state |= {f"margins.{name}": value for name, value in self.margins.to_state().items()}
        return state | {
            "profile": np.frombuffer(self.profile.pack(), dtype=np.uint8),
            "outcomes": np.frombuffer(self.outcomes.pack(), dtype=np.uint8),
            "id": self.id,
            "at": self.at,
            "score_edges": list(self.score_edges),
            "importance": dict(self.importance),
            "windows": list(self.windows),
            "ages": list(self.ages),
            "unit": self.unit,
            "breaks": self.breaks,
            "groups": [[column, list(names)] for column, names in self.groups],
        }

    @classmethod
    def from_state(cls, layout: Layout, state: Mapping[str, Any]) -> Self:
        """Return the baseline that `to_state` described."""

        def part(prefix: str) -> dict[str, Any]:
            return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}

        return cls(
            id=state["id"],
            at=state["at"],
            layout=layout,
            tree=LeafTree.from_state(part("tree.")),
            calibrated=state.get("calibrated"),
            calibrator_draws=state.get("calibrator_draws"),
            score_edges=tuple(state["score_edges"]),
            importance=state["importance"],
            profile=Profile.unpack(layout, state["profile"].tobytes()),
            outcomes=OutcomeProfile.unpack(layout, state["outcomes"].tobytes()),
            cells=Cells.from_state(LeafBins(), part("cells.")),
            windows=(state["windows"][0], state["windows"][1]),
            ages=tuple(state["ages"]),
            unit=state["unit"],
            expectation=Expectation.from_state(part("expectation.")) if "expectation.numbers" in state else None,
            breaks=state.get("breaks", False),
            groups=tuple((column, tuple(names)) for column, names in state.get("groups", ())),
            margins=Margins.from_state(part("margins.")) if "margins.numbers" in state else None,
        )

    def leaves(
        self, rows: pa.Table, scores: NDArray[np.float64], decided: NDArray[np.object_], *, threads: int = 1
    ) -> NDArray[np.int32]:
        """Return the leaf of each row: that of its cell codes, found without making the codes. `threads` share it."""
        asked = np.unique(self.tree.feature[self.tree.leaf < 0]).tolist()
        features = self.layout.statistics()
        names = [features[feature][0] for feature in asked if feature < len(features)]
        batches = rows.select(names).to_batches() if names else []
        if len(batches) < 2 or len(batches) * FEW_ROWS > rows.num_rows:
            return self._leaves(rows, scores, decided, asked, threads)
        # Batch by batch: columns in several pieces would have to be copied together first, by one thread.
        firsts = np.cumsum([0, *(batch.num_rows for batch in batches)]).tolist()

        def some(batch: pa.RecordBatch, first: int) -> NDArray[np.int32]:
            end = first + batch.num_rows
            return self._leaves(pa.Table.from_batches([batch]), scores[first:end], decided[first:end], asked, 1)

        if threads == 1:
            return np.concatenate(list(map(some, batches, firsts)))
        with ThreadPoolExecutor(threads, thread_name_prefix="leaves") as pool:
            return np.concatenate(list(pool.map(some, batches, firsts)))

    def _leaves(
        self,
        rows: pa.Table,
        scores: NDArray[np.float64],
        decided: NDArray[np.object_],
        asked: Sequence[int],
        threads: int,
    ) -> NDArray[np.int32]:
        tree, layout = self.tree, self.layout
        masks, order = tree.reach
        tests = []
        for feature in asked:
            nodes = (tree.feature == feature) & (tree.leaf < 0)
            # Halves between codes: a row goes left where its code is at most this whole number.
            highest = np.floor(tree.threshold[nodes]).astype(np.int64)
            if feature < len(layout.numeric):
                name, bins = layout.numeric[feature]
                values = np.ascontiguousarray(as_floats(rows[name]))
                # Code c or less is below edge c; -1 is missing, which goes left of everything.
                tests.append(_reaching(values, np.array([-np.inf, *bins.edges, np.nan]), highest, masks[nodes]))
            elif feature < len(layout.numeric) + len(layout.categorical):
                name, categories = layout.categorical[feature - len(layout.numeric)]
                codes, cells = cells_by_code(rows[name], categories.prepared)
                goes_right = cells[:, np.newaxis] > highest
                by_code = np.bitwise_and.reduce(np.where(goes_right, masks[nodes], _ALL), axis=1)
                tests.append(LeafTest(codes, by_code))
            elif layout.outcome_bins.prediction is not None:
                found = _output_codes(layout, scores, decided).astype(np.float64)
                tests.append(LeafTest(Piece(found, None, 0), masks[nodes], highest + 0.5))
            else:
                tests.append(_reaching(np.ascontiguousarray(scores, np.float64), _TENTHS, highest, masks[nodes]))
        return find_leaves(tests, order, rows.num_rows, threads)


def _reaching(values: NDArray[np.float64], edges: NDArray[np.float64], highest: Any, masks: Any) -> LeafTest:
    """Return the test of numbers whose code is at most c below edges[c + 1]; the last edge, NaN, is never reached."""
    return LeafTest(Piece(values, None, 0), masks, edges[np.minimum(highest + 1, edges.size - 1)])


def _first_of_tenth(tenth: int) -> float:
    """Return the smallest score that counts in a tenth of the scores, or above: floor(10 x score) >= tenth."""
    score = tenth / 10
    while score * 10 >= tenth:
        score = math.nextafter(score, -math.inf)
    return math.nextafter(score, math.inf)


_ALL = np.uint64(2**64 - 1)
_TENTHS = np.array([-np.inf, *(_first_of_tenth(tenth) for tenth in range(1, 10)), np.nan])


def cell_codes(
    layout: Layout, rows: pa.Table, scores: NDArray[np.float64], decided: NDArray[np.object_] | NDArray[np.float64]
) -> Codes:
    """Return the cell number of each feature (missing: -1) and of the output, int32[rows, features + 1].

    The output is the score's tenth for classes (-1 without a score) and the prediction's cell for a regression (-1
    without a prediction), as a profile counts them.
    """
    columns = []
    for name, bins in layout.numeric:
        values = np.asarray(rows[name].to_numpy(), dtype=np.float64)
        cells = np.searchsorted(np.asarray(bins.edges), values, side="right")
        columns.append(np.where(np.isnan(values), -1, cells))
    for name, categories in layout.categorical:
        column = rows[name].combine_chunks() if isinstance(rows[name], pa.ChunkedArray) else rows[name]
        column = column.chunk(0) if isinstance(column, pa.ChunkedArray) else column
        if not pa.types.is_dictionary(column.type):
            column = column.dictionary_encode()
        table = np.array([*(categories.cell_of(word) for word in column.dictionary.to_pylist()), -1])
        columns.append(table[np.asarray(pc.fill_null(column.indices, -1))])
    columns.append(_output_codes(layout, scores, decided))
    return np.column_stack(columns).astype(np.int32)


def _output_codes(
    layout: Layout, scores: NDArray[np.float64], decided: NDArray[np.object_] | NDArray[np.float64]
) -> NDArray[Any]:
    if layout.outcome_bins.prediction is not None:
        said = decided.astype(np.float64)
        cells = np.searchsorted(np.asarray(layout.outcome_bins.prediction.edges), said, side="right")
        return np.where(np.isnan(said), -1, cells)
    tenth = np.floor(np.nan_to_num(scores, nan=-0.1) * 10)
    return np.minimum(tenth, 9)


def calibrate(outcomes: OutcomeProfile) -> NDArray[np.float64] | None:
    """Return the calibrated probability of each score bin from reference outcomes, None for a regression.

    Isotonic regression of positives (or of right predictions) on the score, weighted by counts. Without scores, or with
    fewer than 50 labelled rows or one outcome only, the score stands for itself.
    """
    counted = outcomes.outcomes
    if counted.bins.task == "regression":
        return None
    return isotonic(*(side.astype(np.float64) for side in counted.by_score))


def calibrator_draws(outcomes: OutcomeProfile) -> NDArray[np.float64] | None:
    """Return `calibrate` on `DRAWS` bootstrap samples of the same rows, float64[DRAWS, 1001]; None for a regression.

    Their spread is the calibrator's own uncertainty. The seed is fixed: equal counts give equal draws.
    """
    counted = outcomes.outcomes
    if counted.bins.task == "regression":
        return None
    both = counted.by_score.astype(np.float64)
    rows = int(both.sum())
    if rows == 0:
        return None
    generator = np.random.default_rng(rows)
    samples = generator.multinomial(rows, (both / rows).ravel(), size=DRAWS).reshape(DRAWS, *both.shape)
    return np.stack([isotonic(negatives, positives) for negatives, positives in samples.astype(np.float64)])


def quantile_edges(by_score: NDArray[np.int64]) -> tuple[int, ...]:
    """Return score bins at the reference's quantiles: edge e counts scores in bins below e. At least one."""
    total = int(by_score.sum())
    if total == 0:
        return (STEPS // 2,)
    below = np.cumsum(by_score)
    targets = np.arange(1, SCORE_BINS) / SCORE_BINS * total
    edges = np.searchsorted(below, targets, side="left") + 1
    kept = tuple(int(edge) for edge in np.unique(edges) if 0 < below[edge - 1] < total)
    return kept or (int(np.flatnonzero(by_score)[0]) + 1,)


def surrogate_importance(codes: Codes, output: NDArray[np.float64], names: tuple[str, ...]) -> dict[str, float]:
    """Return how much of the model's output each feature explains: shares of 0 to 1 that sum to 1.

    They are the impurity importances of a tree of 64 leaves fitted to the output over the features' cells (Breiman et
    al. 1984), so they need no labels and no access to the model. A constant output gives equal shares.
    """
    features = codes[:, : len(names)]
    if not len(output) or not names or float(np.ptp(output)) == 0.0:
        return {name: 1.0 / len(names) for name in names}
    model = DecisionTreeRegressor(max_leaf_nodes=MAX_LEAVES, min_samples_leaf=5, random_state=0)
    shares = model.fit(features, output).feature_importances_
    return {name: float(share) for name, share in zip(names, shares, strict=True)}
