"""Tables and folders that the tests of the store share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest


def make_rows(count: int, seed: int = 0) -> pa.Table:
    """Return rows as `records` makes them: text ids, instants, scores, numbers and categories, with nulls and NaN."""
    random = np.random.default_rng(seed)
    number = random.normal(size=count)
    number[::7] = np.nan
    return pa.table(
        {
            "@id": pa.array([f"row-{seed}-{i}" for i in range(count)], pa.string()),
            "@at": pa.array(random.integers(0, 10**15, count), pa.int64()),
            "@score": pa.array([None if i % 5 == 0 else float(value) for i, value in enumerate(random.random(count))]),
            "lead.time": pa.array(number, mask=random.random(count) < 0.1),
            "country": pa.array(
                [None if i % 11 == 0 else f"c{code}" for i, code in enumerate(random.integers(0, 5, count))],
                pa.string(),
            ).dictionary_encode(),
        }
    )


@pytest.fixture
def rows() -> Callable[..., Any]:
    return make_rows
