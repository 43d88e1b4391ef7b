"""Cells joined for a picture lose no row and keep their ends; a result shows itself in a notebook."""

from __future__ import annotations

from html.parser import HTMLParser

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pitstop.replays.distributions import INNER_CELLS, drawn_cells
from pitstop.replays.result import ReplayResult
from pitstop.report.story import ReplayStory
from pitstop.statistics.bins import CategoryBins, NumericBins
from pitstop.statistics.categories import CategoryCounts
from pitstop.statistics.histogram import Histogram


@given(st.lists(st.integers(-1000, 1000), min_size=1, max_size=120))
def test_joined_cells_hold_every_row_in_order(values: list[int]) -> None:
    numbers = np.array(values, dtype=np.float64)
    bins = NumericBins.fit(numbers, 20)
    empty = Histogram.empty(bins)
    names, starts = drawn_cells(empty)
    assert len(names) == len(starts) <= max(INNER_CELLS + 2, 3)
    assert starts[0] == 0
    assert starts == sorted(set(starts))
    assert starts[-1] == bins.cells - 1 or bins.cells == 1
    counts = np.arange(1, bins.cells + 1)
    assert np.add.reduceat(counts, starts).sum() == counts.sum()
    assert names[0] == bins.names()[0]
    assert names[-1] == bins.names()[-1]


def test_categories_stay_apart() -> None:
    bins = CategoryBins.fit([f"value {index}" for index in range(30)], 30)
    names, starts = drawn_cells(CategoryCounts.empty(bins))
    assert names == bins.names()
    assert starts == list(range(bins.cells))


def test_a_result_shows_itself_in_a_notebook(hotel_story: ReplayStory) -> None:
    tags: list[tuple[str, dict[str, str | None]]] = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attrs: tags.append((tag, dict(attrs)))  # type: ignore[method-assign]
    result = ReplayResult({}, hotel_story)
    parser.feed(result._repr_html_())
    ((tag, attributes),) = tags
    assert (tag, attributes["srcdoc"], attributes["sandbox"]) == ("iframe", result.page(), "")
