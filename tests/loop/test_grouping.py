"""Groups of people are fixed on the reference, counted by what was decided about them, and watched under the budget."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pitstop.loop.grouping import count_groups, fit_groups
from pitstop.loop.rowlog import RowLog
from pitstop.loop.watch import Watch
from pitstop.records.spec import ColumnsSection, DecisionSection, ModelSection, ModelSpec, Task
from pitstop.testing import monitor_laws as laws

ROWS = 2_000


def spec_of(task: Task = "binary") -> ModelSpec:
    columns = ColumnsSection(time="at", features=("x",), label="y", protected=("sex", "origin"))
    return ModelSpec(ModelSection("m", task), columns, decision=DecisionSection(positive="yes"))


def logged(random: np.random.Generator, spec: ModelSpec) -> RowLog:
    log = RowLog(spec)
    sex = np.array(["f", "m", None], dtype=object)[random.choice(3, ROWS, p=[0.5, 0.45, 0.05])]
    origin = np.array(["here", "there", "rare"], dtype=object)[random.choice(3, ROWS, p=[0.7, 0.29, 0.01])]
    table = pa.table(
        {
            "@id": pa.array([str(row) for row in range(ROWS)]),
            "@at": pa.array(np.arange(ROWS)),
            "x": pa.array(random.normal(size=ROWS)),
            "sex": pa.array(sex.tolist(), pa.string()).dictionary_encode(),
            "origin": pa.array(origin.tolist(), pa.string()).dictionary_encode(),
        }
    )
    decided: Any = np.array(["no", "yes"], dtype=object)[random.integers(0, 2, ROWS)]
    rows = log.append(table, random.random(ROWS), decided)
    labels: Any = np.array(["no", "yes"], dtype=object)[random.integers(0, 2, ROWS)]
    log.set_labels(rows, labels, np.zeros(ROWS, dtype=np.int64))
    return log


def test_large_groups_of_each_column_and_of_all_together_are_counted_as_by_hand() -> None:
    spec = spec_of()
    log = logged(np.random.default_rng(0), spec)
    rows = np.arange(ROWS)
    groups = fit_groups(spec, log, rows)
    assert groups == (
        ("sex", ("f", "m")),
        ("origin", ("here", "there")),
        ("sex x origin", ("f / here", "f / there", "m / here", "m / there")),
    )
    said, labels = log.served_class.values, log.labels
    found = count_groups(spec, log, groups, (rows[:700], said[:700]), (rows[500:], said[500:]))
    words = {name: np.array([*log.words(name), None], dtype=object)[log.values(name)] for name in ("sex", "origin")}
    both = (words["sex"] == "m") & (words["origin"] == "there")
    chosen, positive = said == "yes", labels == "yes"
    for rate, span, of in (
        ("selection", slice(0, 700), both),
        ("tpr", slice(500, ROWS), both & positive),
        ("fpr", slice(500, ROWS), both & ~positive),
    ):
        k, n = found[f"{rate}:sex x origin"]
        assert (k[3], n[3]) == ((of & chosen)[span].sum(), of[span].sum())
    assert found["selection:sex"][1].sum() == (words["sex"][:700] != None).sum()  # noqa: E711 - elementwise


def test_a_column_may_be_called_one_x_another() -> None:
    spec = spec_of()
    plain = logged(np.random.default_rng(0), spec)
    named = replace(spec, columns=replace(spec.columns, protected=("sex x age", "origin")))
    log = RowLog(named)
    rows = np.arange(ROWS)
    table = plain.features(rows, extra=True).rename_columns({"sex": "sex x age"})
    table = table.append_column("@id", pa.array(plain.ids)).append_column("@at", pa.array(plain.at))
    log.append(table, plain.served_score.values, plain.served_class.values)
    log.set_labels(rows, plain.labels, np.zeros(ROWS, dtype=np.int64))
    found = []
    for said_of, of in ((spec, plain), (named, log)):
        said = of.served_class.values
        counted = count_groups(said_of, of, fit_groups(said_of, of, rows), (rows, said), (rows, said))
        found.append([(k.tolist(), n.tolist()) for k, n in counted.values()])
    assert found[1] == found[0]
    assert len(found[1]) == 9


def test_other_tasks_and_few_rows_have_no_groups() -> None:
    spec = spec_of("multiclass")
    assert fit_groups(spec, logged(np.random.default_rng(1), spec), np.arange(ROWS)) == ()
    spec = spec_of()
    log = logged(np.random.default_rng(1), spec)
    assert fit_groups(spec, log, np.arange(0)) == ()
    assert fit_groups(spec, log, np.arange(150)) == ()


@pytest.mark.parametrize("seed", range(2))
def test_a_group_that_is_selected_otherwise_is_alarmed_and_named_and_healthy_windows_are_not(seed: int) -> None:
    known = laws.ward("binary")
    assert known.baseline.groups == (("colour", ("blue", "red")),)
    watch, random = Watch.fit(known.spec, known.baseline, known.reference), np.random.default_rng([5, seed])
    first, told = laws.FIRST + laws.REFERENCE_WINDOWS, []
    for day in range(60):
        sample = laws.sample("binary", random)
        if day >= 30:
            red = np.array(sample.table["colour"].cast(pa.string()).to_pylist()) == "red"
            sample.decided[red & (random.random(len(red)) < 0.6)] = "no"
        watch, findings = watch.step(known.counted(first + day, sample))
        told += [item for item in findings if item.stream.kind == "fairness"]
    assert told
    assert all(item.window >= first + 30 for item in told)
    assert {item.stream.name for item in told} >= {"selection:colour"}
    assert all("colour = red" in item.indicator for item in told)
