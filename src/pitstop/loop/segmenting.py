"""Which segments the comparison of two models looks at, and which rows lie in each."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pitstop.loop.duels import difference_bound, row_losses
from pitstop.loop.models import Predictions
from pitstop.loop.rowlog import RowLog
from pitstop.records.spec import ModelSpec
from pitstop.retraining.comparison import LEAST_BOUND
from pitstop.retraining.propensities import Ends
from pitstop.retraining.segments import SegmentTests
from pitstop.retraining.sharing import share_of

Ints = NDArray[np.int64]

# A segment with fewer labelled rows in as long as a shadow may take proves nothing either way.
LEAST_ROWS = 100
# More of them would leave each too small a share of the error probability.
MOST_SEGMENTS = 24


def segment_columns(spec: ModelSpec) -> tuple[str, ...]:
    """Return the columns by which rows are told apart: segments, and what is protected."""
    return tuple(dict.fromkeys((*spec.columns.segments, *spec.columns.protected)))


def open_segments(spec: ModelSpec, log: RowLog, since: int, as_of: int, among: int = 1) -> SegmentTests:
    """Return tests of the segments that had rows enough among those labelled from `since` to before `as_of`.

    `among` challengers, tested at once, share the error probability. The largest segments are taken. The margin is a
    share of what a row lost in that time, by whoever served.
    """
    known = np.flatnonzero((log.first_label_at >= since) & (log.first_label_at < as_of))
    counted: list[tuple[int, str, str]] = []
    for column in segment_columns(spec):
        words, inverse = log.told(column, known)
        counts = np.bincount(inverse[inverse >= 0], minlength=len(words))
        counted += [(int(count), column, word) for word, count in zip(words, counts, strict=True) if count]
    counted.sort(key=lambda item: (-item[0], item[1], item[2]))
    chosen = [(column, word) for count, column, word in counted[:MOST_SEGMENTS] if count >= LEAST_ROWS]
    margin = spec.limits.segment_margin * recent_loss(spec, log, since, as_of)
    return SegmentTests.opened(share_of(spec.policy.alpha, among), margin, chosen, len(counted) - len(chosen))


def bet_on_segments(
    spec: ModelSpec,
    log: RowLog,
    tests: SegmentTests,
    rows: Ints,
    one: Predictions,
    two: Predictions,
    ends: Ends | None = None,
) -> SegmentTests:
    """Return the tests after labelled rows, in the order given, of which `one` serves and `two` challenges.

    Where the decision hides labels, `ends` of each row's difference stand in for it.
    """
    if not tests.tests or not len(rows):
        return tests
    lost = [] if ends is not None else [row_losses(spec, log, rows, said.decided) for said in (one, two)]
    whole = difference_bound(spec, log, rows, one, two) if ends is None else ends.scale
    told = {column: log.told(column, rows) for column in dict.fromkeys(item.column for item in tests.tests)}
    found = []
    for item in tests.tests:
        words, inverse = told[item.column]
        inside = np.flatnonzero(inverse == words.index(item.value)) if item.value in words else rows[:0]
        if not len(inside):
            found.append(item)
            continue
        if ends is not None:
            bound = _own_or_all(float(ends.bounds[inside].max()), whole, item.test.scale)
            found.append(item.updated(ends.low[inside], bound, ends.high[inside]))
            continue
        mine = (Predictions(said.scores[inside], said.decided[inside]) for said in (one, two))
        bound = _own_or_all(difference_bound(spec, log, rows[inside], *mine), whole, item.test.scale)
        found.append(item.updated(lost[0][inside] - lost[1][inside], bound))
    return SegmentTests(tests.alpha, tests.margin, tuple(found), tests.left_out)


def _own_or_all(own: float, whole: float, before: float) -> float:
    """Return the bound of a segment's rows; where they cannot differ and no earlier ones could, that of all rows.

    It stands for the rows of the segment that are yet to come: those that cannot differ say nothing of how much.
    """
    return max(own if own > LEAST_BOUND or before > LEAST_BOUND else whole, before)


def recent_loss(spec: ModelSpec, log: RowLog, since: int, as_of: int) -> float:
    """Return what a served row lost on average, in currency, of those labelled from `since` to before `as_of`.

    0 where there is none. Whoever served them: it says what is little, before a comparison begins.
    """
    rows = np.flatnonzero((log.first_label_at >= since) & (log.first_label_at < as_of))
    decided = log.served_class.values[rows]
    blank = np.isnan if spec.model.task == "regression" else lambda values: values == None  # noqa: E711
    said = ~np.asarray(blank(decided), dtype=np.bool_)
    if not said.any():
        return 0.0
    return float(row_losses(spec, log, rows[said], decided[said]).mean())
