"""Labels in a table of their own: late, repeated and corrected, taken in at once or in steps."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from pitstop.loop.orders import Order
from pitstop.loop.rowlog import NEVER
from pitstop.records.spec import ModelSpec
from pitstop.replays.ordering import opened_loop
from pitstop.replays.replay import run

Maker = Callable[..., pa.Table]


@pytest.fixture(scope="module")
def tables(history: Maker) -> tuple[pa.Table, pa.Table]:
    """Return predictions, and labels: every ninth comes again a day later, every seventh is corrected after two."""
    table = history(days=40)
    labels = table.select(["id", "label", "known_at"])
    number = pa.array(range(table.num_rows))
    days = {"again": (9, 1, labels["label"]), "corrected": (7, 2, pc.subtract(1, labels["label"]))}
    parts = [labels]
    for every, later, values in days.values():
        chosen = pc.equal(pc.subtract(number, pc.multiply(pc.divide(number, every), every)), 0)
        moved = pc.add(labels["known_at"], pa.scalar(later * 86_400_000_000, pa.duration("us")))
        parts.append(pa.table({"id": labels["id"], "label": values, "known_at": moved}).filter(chosen))
    return table.drop_columns(["label", "known_at"]), pa.concat_tables(parts)


@pytest.mark.slow
def test_corrections_are_booked_and_steps_do_not_matter(
    tables: tuple[pa.Table, pa.Table], workshop: Any, spec: ModelSpec
) -> None:
    predictions, labels = tables
    for name, steps in (("once", ("2025-01-01",)), ("steps", ("2024-01-15", "2024-01-20", "2024-01-26", "2025-01-01"))):
        for as_of in steps:
            run(
                workshop.folder / f"labels-{name}",
                spec=spec,
                source=predictions,
                labels=labels,
                as_of=as_of,
                base=workshop.folder,
            )
    once, stepped = workshop.artifacts("labels-once"), workshop.artifacts("labels-steps")
    assert stepped == once
    booked = [content["kind"] for _, kind, _, content in once if kind == "transaction"]
    assert booked.count("correction") > 10


def test_what_was_never_booked_is_not_corrected(workshop: Any, spec: ModelSpec, history: Maker) -> None:
    """A model that is only watched has answered before its start, too; its books begin there."""
    table = history(days=24)
    at = pc.min(table["at"])
    early = table.filter(pc.less(table["known_at"], pc.add(at, pa.scalar(3 * 86_400_000_000, pa.duration("us")))))
    moved = pc.add(early["known_at"], pa.scalar(16 * 86_400_000_000, pa.duration("us")))
    other = pa.table({"id": early["id"], "label": pc.subtract(1, early["label"]), "known_at": moved})
    labels = pa.concat_tables([table.select(["id", "label", "known_at"]), other])
    score = 1 / (1 + np.exp(-np.nan_to_num(table["x1"].to_numpy())))
    described = replace(
        spec,
        trainer=replace(spec.trainer, name="none", command=()),
        columns=replace(spec.columns, score="score"),
    )
    found = []
    for name, steps in (("once", ("2025-01-01",)), ("steps", ("2024-01-15", "2025-01-01"))):
        for as_of in steps:
            run(
                workshop.folder / f"unbooked-{name}",
                spec=described,
                source=table.drop_columns(["label", "known_at"]).append_column("score", pa.array(score)),
                labels=labels,
                as_of=as_of,
                base=workshop.folder,
            )
        found.append(workshop.artifacts(f"unbooked-{name}"))
    assert found[1] == found[0]
    booked = [content["kind"] for _, kind, _, content in found[0] if kind == "transaction"]
    assert booked.count("settlement") > 5
    assert "correction" not in booked


def test_a_row_that_the_champion_was_fitted_on_is_not_held_out_because_its_label_was_corrected(
    tables: tuple[pa.Table, pa.Table], workshop: Any, spec: ModelSpec
) -> None:
    predictions, labels = tables
    home = workshop.folder / "held-out"
    run(home, spec=spec, source=predictions, labels=labels, as_of="2024-01-17", base=workshop.folder)
    with ExitStack() as stack:
        _, loop = opened_loop(stack, home, spec, workshop.folder)
        order = Order("retrain", "Ada", "another system trains")
        asked = loop.upkeep.ask_elsewhere(order, loop.calendar.window_start(loop.window), loop.chain)
        log, champion = loop.log, loop.upkeep.candidates[loop.upkeep.champion]
        seen = log.first_label_at < champion.at
        assert (seen & (log.label_at >= champion.at) & (log.label_at < NEVER)).any()
        held = log.ordinals(asked.held_out["@id"].to_pylist())
        assert len(held) > 50
        assert not seen[held].any()
