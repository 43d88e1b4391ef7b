"""Tables and folders that the tests of the store share."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pitstop.store.location import Location, write_location


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


_SCHEMAS = count()
PLACES = ("folder", "PostgreSQL", "PostgreSQL and S3")


@pytest.fixture
def new_place(request: pytest.FixtureRequest) -> Callable[[str], Location]:
    """Give a place of its own for a home, on servers that are started when they are first asked for."""

    def place_of(kind: str) -> Location:
        if kind == "folder":
            return Location()
        worker = getattr(request.config, "workerinput", {}).get("workerid", "")
        name = f"home{worker}_{next(_SCHEMAS)}"
        catalog = request.getfixturevalue("postgres").url(name)
        return Location(catalog, request.getfixturevalue("bucket").url(name) if "S3" in kind else "")

    return place_of


@pytest.fixture(params=PLACES)
def home_folder(request: pytest.FixtureRequest, tmp_path: Path, new_place: Callable[[str], Location]) -> Path:
    """Return the folder of a home that is still to be made, once for each kind of place."""
    folder = tmp_path / "home"
    write_location(folder, new_place(request.param))
    return folder
