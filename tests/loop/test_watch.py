"""What an owner leaves out is neither judged nor learnt from: quiet days, and rates of too few rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pitstop.detection.streams import SPREAD
from pitstop.errors import SpecError
from pitstop.loop.rehearsing import rehearse
from pitstop.loop.watch import Table, Watch
from pitstop.monitors import MONITORS
from pitstop.records.alarms import AlarmsSection, quiet_spans
from pitstop.records.spec import ModelSpec, TimeSection
from pitstop.testing.monitor_laws import Ward, ward

DAY = 86_400_000_000


@pytest.fixture(scope="module")
def watched() -> Ward:
    return ward("binary")


def asked(spec: ModelSpec, **rules: object) -> ModelSpec:
    return replace(spec, alarms=AlarmsSection(**rules))  # type: ignore[arg-type]


def day(window: int) -> str:
    return str(np.datetime64(window, "D"))


def test_a_quiet_window_changes_nothing_and_its_neighbours_do(watched: Ward) -> None:
    last = watched.reference[-1]
    spec = asked(watched.spec, quiet=(day(last.window + 1),))
    watch = Watch.fit(spec, watched.baseline, watched.reference)
    same, found = watch.step(replace(last, window=last.window + 1))
    assert same is watch
    assert found == ()
    later, _ = watch.step(replace(last, window=last.window + 2))
    assert later.panel.last_window == last.window + 2


def test_quiet_days_of_the_reference_are_not_learnt_from(watched: Ward) -> None:
    first, last = watched.reference[0].window, watched.reference[-1].window
    rest = [window for window in watched.reference if window.window > first + 9]
    period = f"{day(first)}/{day(first + 9)}"
    quiet = Watch.fit(asked(watched.spec, quiet=(period,)), watched.baseline, watched.reference)
    without = Watch.fit(watched.spec, watched.baseline, rest)
    assert last > first + 9
    for name, value in without.to_state().items():
        assert np.array_equal(value, quiet.to_state()[name], equal_nan=value.dtype.kind == "f")


def test_quiet_days_are_no_part_of_the_self_test(watched: Ward) -> None:
    first = watched.reference[0].window
    rest = tuple(window for window in watched.reference if window.window > first + 9)
    quiet = asked(watched.spec, quiet=(f"{day(first)}/{day(first + 9)}",))
    found = rehearse(quiet, watched.baseline, tuple(watched.reference), runs=2)
    assert found == rehearse(watched.spec, watched.baseline, rest, runs=2)
    assert found.left_out == 0


def test_whatever_shares_the_budget_is_counted(watched: Ward) -> None:
    watch = Watch.fit(watched.spec, watched.baseline, watched.reference)
    names = [stream.name for monitor in MONITORS for stream in monitor.streams(watched.baseline)]
    assert sorted(stream.name for stream in watch.streams) == sorted(names)
    assert any(stream.family == SPREAD for stream in watch.streams)


def test_too_few_rows_are_not_judged(watched: Ward) -> None:
    table = Table.of(watched.spec, watched.baseline, watched.reference)
    most = int(table.n.max())
    spec = asked(watched.spec, minimum_rows=most + 1)
    watch = Watch.fit_table(spec, watched.baseline, table)
    before = watch.panel.evidence
    window = watched.reference[-1].window + 1
    watch, _ = watch.step_counts(window, 0, table.n[-1], table.n[-1], table.rows[-1].tolist(), table.spreads[-1])
    assert np.array_equal(watch.panel.evidence, before)
    assert not watch.panel.total.any()
    judged = Watch.fit_table(asked(watched.spec, minimum_rows=1), watched.baseline, table)
    assert judged.panel.total.any()


def test_periods_are_days_both_included() -> None:
    assert quiet_spans(("1970-01-02", "1970-01-04/1970-01-05")) == ((DAY, 2 * DAY), (3 * DAY, 5 * DAY))
    for text in ("soon", "2026-01-01/soon", "2026-02-01/2026-01-01"):
        with pytest.raises(SpecError, match="quiet"):
            quiet_spans((text,))


def test_what_cannot_be_asked_is_refused_and_what_is_not_asked_leaves_the_id(watched: Ward) -> None:
    with pytest.raises(SpecError, match="minimum_rows"):
        AlarmsSection(minimum_rows=0)
    with pytest.raises(SpecError, match="quiet"):
        replace(watched.spec, time=TimeSection(50, 30), alarms=AlarmsSection(quiet=("2026-01-01",)))
    assert asked(watched.spec, minimum_rows=1).id == watched.spec.id
    assert asked(watched.spec, minimum_rows=2).id != watched.spec.id
