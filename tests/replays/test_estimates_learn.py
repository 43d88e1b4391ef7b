"""Labels of earlier periods correct the estimates of later ones; what no label has told yet corrects nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pitstop.records.spec import ModelSpec

TURN = 30


@pytest.fixture(scope="module")
def told(workshop: Any, spec: ModelSpec, history: Callable[..., pa.Table]) -> dict[int, dict[str, Any]]:
    """Return the estimates of the accuracy by the day that their period ended, of models that are retrained seldom."""
    table = history(days=80, rows=60, turns=(TURN,))
    calm = table.set_column(
        table.column_names.index("x2"), "x2", pa.array(np.random.default_rng(5).normal(size=len(table)))
    )
    never = replace(spec, policy=replace(spec.policy, fit_every=100))
    run = workshop.replay(calm, never, "learning")
    first, day = (
        round(datetime(2024, 1, 1, tzinfo=UTC).timestamp() * 1e6),
        timedelta(days=1) / timedelta(microseconds=1),
    )
    return {round((at - first) / day): content["metrics"]["accuracy"] for _, _, at, content in run.of("estimate")}


def test_nothing_is_corrected_before_labels_tell_and_then_most_of_it(told: dict[int, dict[str, Any]]) -> None:
    first = next(iter(told.values()))["model"]
    before = [item["correction"] for day, item in told.items() if day <= TURN + 7]
    # The first release after the turn begins a record of its own.
    after = [item for day, item in told.items() if day >= TURN + 20 and item["model"] == first]
    assert len(before) > 3
    assert after
    assert max(map(abs, before)) < 0.05
    # A relation that turned round: most of what was right is wrong.
    assert all(item["correction"] < -0.2 for item in after)


def test_a_model_is_not_corrected_by_what_another_missed(told: dict[int, dict[str, Any]]) -> None:
    models = list(dict.fromkeys(item["model"] for item in told.values()))
    assert len(models) > 1
    second = [item for item in told.values() if item["model"] == models[1]]
    assert (second[0]["correction"], second[0]["withdrawn"]) == (0.0, None)


def test_an_estimate_says_what_it_was_before_correction_and_lies_in_its_interval(
    told: dict[int, dict[str, Any]],
) -> None:
    for item in told.values():
        assert item["low"] <= item["value"] <= item["high"]
        assert 0.6 < item["value"] - item["correction"] < 0.9
        assert item["model"]
