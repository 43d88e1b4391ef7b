"""Real sets by the specification that `init` writes, nothing edited: outcomes that a wrong policy would not reach.

The sets but the hotel's are not in the project: the folder of the benchmark data is taken from PITSTOP_DATA, or from
../shared/data beside the checkout. Their prices, windows and periods are those that `init` guesses, so nothing here is
tuned to a set; the margins are stated beside each outcome.
"""

from __future__ import annotations

import os
from dataclasses import replace as with_changes
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pitstop.data import hotel_bookings_path, hotel_bookings_spec
from pitstop.records.infer import infer_spec
from pitstop.records.sources import read_table
from pitstop.records.spec import load_spec, parse_spec
from pitstop.records.template import template
from pitstop.replays.replay import replay

DATA = Path(os.environ.get("PITSTOP_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")
# How much more than the better rival's bill (losses and releases together) Pitstop's may be: what proving each release
# first may cost. On bike_sharing a stale model is soon useless, so the days of proof cost more than on elec2.
MARGINS = {"elec2": 0.01, "bike_sharing": 0.08}


def shared(name: str, every: int = 1) -> pa.Table:
    """Return a set of the benchmark data, or every so many of its rows."""
    path = DATA / f"{name}.parquet"
    if not path.exists():
        pytest.skip(f"{name} is not in {DATA}; put shared/data beside the checkout, or set PITSTOP_DATA")
    table = read_table(path)
    return table.take(pa.array(np.arange(0, table.num_rows, every))) if every > 1 else table


def replayed(table: pa.Table, folder: Path, *, drop: tuple[str, ...] = ()) -> dict[str, Any]:
    """Do what `pitstop init` and `pitstop replay` do; return the result's JSON object."""
    inference = infer_spec(table, drop=drop)
    written = folder / "pitstop.toml"
    written.write_text(template(inference.spec, inference.guesses, inference.warnings), encoding="utf-8")
    return dict(replay(table, load_spec(written), home=folder / "home").document)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(MARGINS))
def test_on_a_drifting_set_fewer_releases_do_nearly_as_well_as_one_every_period(name: str, tmp_path: Path) -> None:
    document = replayed(shared(name), tmp_path)
    never, monthly, ours = (document["totals"][policy] for policy in ("never", "monthly", "pitstop"))
    gain, possible = (abs(policy["mean_metric"] - never["mean_metric"]) for policy in (ours, monthly))
    assert (ours["mean_metric"] > never["mean_metric"]) == document["higher_is_better"]
    assert gain >= possible * 2 / 3, document["totals"]
    assert 0 < ours["retrains"] <= 0.7 * monthly["retrains"], document["totals"]
    # Points until the user knows the money: an error costs, so values are bills with a minus, costs included.
    assert ours["value"] >= never["value"], document["totals"]
    assert -ours["value"] <= -max(never["value"], monthly["value"]) * (1 + MARGINS[name]), document["totals"]


@pytest.mark.slow
def test_without_drift_hardly_anything_is_released(tmp_path: Path) -> None:
    # Every eighth row, in order: 34,710 of 277,677; the set's four years of one census have no drift.
    document = replayed(shared("acs_employment_ma", every=8), tmp_path, drop=("prediction", "predicted_probability"))
    totals = document["totals"]
    assert len(document["periods"]) >= 20
    assert totals["pitstop"]["retrains"] <= 2, totals
    assert totals["pitstop"]["value"] > totals["monthly"]["value"], totals
    assert -totals["pitstop"]["value"] <= -totals["never"]["value"] * 1.02, totals


@pytest.mark.slow
@pytest.mark.parametrize("price", [1500.0, 3000.0])
def test_the_hotels_few_releases_pay_at_both_prices(price: float, tmp_path: Path) -> None:
    spec = parse_spec(hotel_bookings_spec())
    spec = with_changes(spec, costs=with_changes(spec.costs, release=price))
    totals = replay(hotel_bookings_path(), spec, home=tmp_path / "home").document["totals"]
    assert totals["pitstop"]["mean_metric"] >= 0.77, totals
    assert 1 <= totals["pitstop"]["retrains"] <= 6, totals
    assert totals["pitstop"]["value"] > totals["never"]["value"], totals
    assert totals["pitstop"]["value"] > totals["monthly"]["value"], totals
