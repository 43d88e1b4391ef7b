"""The leaf of each row is the one that its cell codes lead to, found without making the codes."""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pitstop.baseline.baseline import cell_codes
from pitstop.baseline.tree import LeafTree, fit_tree
from pitstop.records.spec import Task
from pitstop.statistics.leaf_tests import FEW_ROWS
from pitstop.testing.monitor_laws import FEATURES, Ward, sample, ward

TASKS: tuple[Task, ...] = ("binary", "multiclass", "regression")
WARDS = {task: ward(task) for task in TASKS}


def agree(watched: Ward, tree: LeafTree, table: pa.Table, scores: Any, decided: Any) -> None:
    baseline = dataclasses.replace(watched.baseline, tree=tree)
    by_codes = tree.apply(cell_codes(baseline.layout, table, scores, decided))
    assert np.array_equal(baseline.leaves(table, scores, decided), by_codes)


@pytest.mark.parametrize("task", TASKS)
@given(st.integers(0, 2**32 - 1), st.booleans())
@settings(max_examples=15)
def test_leaves_are_those_of_the_cell_codes(task: Task, seed: int, broken: bool) -> None:
    rng = np.random.default_rng(seed)
    watched = WARDS[task]
    rows = sample(task, rng, 300)
    codes = cell_codes(watched.baseline.layout, rows.table, rows.scores, rows.decided)
    tree = fit_tree(codes, rng.random(300) + codes[:, rng.integers(codes.shape[1])])
    assert tree.leaves > 1
    met = sample(task, rng, 200, broken=broken)
    scores = np.where(rng.random(200) < 0.1, np.nan, met.scores)
    agree(watched, tree, met.table, scores, met.decided)
    plain = pa.table({name: met.table[name].cast(pa.string()) for name in ("shop", "colour")})
    for name in ("shop", "colour"):
        table = met.table.set_column(met.table.column_names.index(name), name, plain[name])
        agree(watched, tree, table, scores, met.decided)
    agree(watched, tree, met.table.slice(0, 0), scores[:0], met.decided[:0])


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("threads", [1, 3])
def test_columns_in_pieces_have_the_leaves_of_whole_ones(task: Task, threads: int) -> None:
    rng = np.random.default_rng(4)
    watched = WARDS[task]
    met = sample(task, rng, 3 * FEW_ROWS + 7)
    whole = met.table.combine_chunks()
    cuts = [0, FEW_ROWS // 2, 2 * FEW_ROWS, whole.num_rows]
    pieces = pa.concat_tables([whole.slice(at, end - at) for at, end in itertools.pairwise(cuts)])
    # One column cut elsewhere.
    first = pa.concat_tables([whole.slice(0, 11), whole.slice(11)]).column(0)
    pieces = pieces.set_column(0, pieces.column_names[0], first)
    expected = watched.baseline.leaves(whole, met.scores, met.decided)
    assert len(np.unique(expected)) > 1
    assert np.array_equal(watched.baseline.leaves(pieces, met.scores, met.decided, threads=threads), expected)


@given(st.integers(0, len(FEATURES) - 1), st.integers(-1, 24))
def test_any_split_of_any_column_agrees_on_missing_infinite_and_edge_values(feature: int, below: int) -> None:
    watched = WARDS["binary"]
    layout = watched.baseline.layout
    edges = [edge for _, bins in layout.numeric for edge in bins.edges]
    values = [*edges, *(math.nextafter(edge, -math.inf) for edge in edges), math.inf, -math.inf, math.nan, None, -0.0]
    words = [("a", "b", "c", "d", "never", None, "red")[place % 7] for place in range(len(values))]
    numbers, texts = pa.array(values, pa.float64()), pa.array(words, pa.string())
    table = pa.table({name: texts if name in ("shop", "colour") else numbers for name in FEATURES})
    tree = LeafTree(
        feature=np.array([feature, 0, 0]),
        threshold=np.array([below + 0.5, 0.0, 0.0]),
        left=np.array([1, 0, 0]),
        right=np.array([2, 0, 0]),
        leaf=np.array([-1, 0, 1]),
    )
    agree(watched, tree, table, np.full(len(values), 0.5), np.full(len(values), "yes", dtype=object))
