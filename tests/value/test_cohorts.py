"""Coverage and estimate error by age, and value exposed, from a ledger made by hand."""

from __future__ import annotations

from decimal import Decimal

import numpy as np

from pitstop.records.calendar import DAY, Calendar
from pitstop.value.cohorts import cohorts, foretold
from pitstop.value.exposure import exposure, worth_by_window
from pitstop.value.ledger import Expected, Ledger, Settled, correction, estimate, settlement, write_off

DAILY = Calendar("day", "month")


def at(window: int) -> int:
    """Return the instant at which a window is booked: its end."""
    return (window + 1) * DAY


def ledger() -> Ledger:
    """Two windows of three rows: the labels of window 0 come at once, after 5 and after 40 days, of window 50 one."""
    four, nine = Decimal(4), Decimal(9)
    return Ledger("EUR").posted(
        estimate(at(0), "EUR", {0: Expected(Decimal(30), 3, four + 2 * nine, Decimal(3))}, ("a",)),
        settlement(at(0), "EUR", {0: Settled(Decimal(12), 1, Decimal(10), four)}, ("b",)),
        settlement(at(5), "EUR", {0: Settled(Decimal(0), 1, Decimal(10), nine)}, ("c",)),
        settlement(at(40), "EUR", {0: Settled(Decimal(20), 1, Decimal(10), nine)}, ("d",)),
        estimate(at(50), "EUR", {50: Expected(Decimal(30), 3, 3 * nine)}, ("e",)),
        settlement(at(51), "EUR", {50: Settled(Decimal(5), 1, Decimal(10), nine)}, ("f",)),
    )


def test_labels_are_counted_by_the_age_at_which_they_came() -> None:
    found = {(item.first, item.last): item for item in cohorts(ledger().transactions, DAILY, at(55))}
    young, week, quarter = found[0, 1], found[2, 7], found[31, 90]
    assert [young.rows, young.estimated, young.realised, young.deviation] == [2, 20, 17, Decimal("3.6056")]
    assert [week.rows, week.error, week.surprise] == [1, -10, float(Decimal(-10) / Decimal(3))]
    assert (quarter.rows, quarter.error) == (1, Decimal(10))
    # Of six predictions that are two windows old, two had a label by then; no prediction is 90 windows old.
    assert (young.old_enough, young.covered, young.coverage) == (6, 2, 2 / 6)
    assert (week.old_enough, week.covered) == (3, 2)
    assert quarter.coverage is None
    early = cohorts(ledger().transactions, DAILY, at(3))
    assert [item.rows for item in early] == [1, 0, 0, 0, 0, 0]


def test_only_windows_with_every_label_judge_the_estimates() -> None:
    told = foretold(ledger().transactions, at(55))
    assert [told.windows, told.rows, told.estimated, told.realised] == [1, 3, 30, 32]
    # Outcomes 4 + 9 + 9, and the calibration's own 3 squared.
    assert told.deviation == Decimal("5.5678")
    assert foretold(ledger().transactions, at(39)).windows == 0
    right = ledger().posted(correction(at(52), "EUR", {0: Decimal(-2)}, ("g",)))
    assert foretold(right.transactions, at(55)).realised == 30
    gone = ledger().posted(write_off(at(53), "EUR", {50: Expected(Decimal(20), 2, Decimal(18))}, ("h",)))
    assert foretold(gone.transactions, at(55)).windows == 2


def test_variance_is_left_only_where_rows_wait() -> None:
    books = ledger()
    # Outcomes 9 + 9, and two thirds of the calibration's own 3, squared.
    assert books.deviation(at(0) + 1) == Decimal("4.6904")
    assert books.deviation() == Decimal("4.2426")
    (january, february) = books.balances(DAILY)
    assert [january.deviation, february.deviation] == [0, Decimal("4.2426")]
    # The last label of January came in February; a posting belongs to the period of its window.
    assert january.settled == 3


def test_exposure_is_the_drop_a_row_times_the_rows_of_a_day() -> None:
    rng = np.random.default_rng(0)
    worth = {
        window: (Decimal(str(round(float(rng.normal(100 if window < 60 else 70, 5)), 4))), 10) for window in range(80)
    }
    found = exposure("incident", 60, worth, days=7)
    assert found is not None
    assert 25 < found.a_day < 35
    assert found.low < found.a_day < found.high
    assert found.total == found.a_day * 7
    better = exposure("incident", 60, {**worth, **{window: (Decimal(200), 10) for window in range(60, 80)}})
    assert better is not None
    assert better.a_day == 0
    assert exposure("incident", 78, worth) is None
    hourly = exposure("incident", 60, worth, windows_a_day=24)
    assert hourly is not None
    assert hourly.a_day > 20 * found.a_day


def test_worth_is_known_and_estimated_together() -> None:
    assert worth_by_window(ledger().transactions) == {0: (Decimal(32), 3), 50: (Decimal(25), 3)}
