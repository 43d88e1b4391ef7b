"""Laws of engines, to run over any of them: every engine gives the same counts and the same excerpts, bit for bit.

    @pytest.mark.parametrize("law", engine_laws.LAWS)
    def test_my_engine(law):
        law(MyEngine())

A law writes small Parquet files and raises `AssertionError` saying what should have held.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pitstop.checks.comparison import check
from pitstop.checks.excerpts import excerpt_of
from pitstop.engines.base import Engine
from pitstop.errors import RecordError
from pitstop.profile import Layout, Profile, profile_rows
from pitstop.records.batches import normalise
from pitstop.records.columns import row_hashes
from pitstop.records.spec import ColumnsSection, DecisionSection, ModelSection, ModelSpec, Task, TrainerSection

Law = Callable[[Engine], None]
TASKS: tuple[Task, ...] = ("binary", "multiclass", "regression")


def model(task: Task = "binary") -> ModelSpec:
    """Return the specification of `example`'s model."""
    columns = ColumnsSection(
        time="at",
        id="id",
        label="label",
        prediction=None if task == "binary" else "said",
        score=None if task == "regression" else "score",
        features=("x", "n", "kind", "empty"),
        categorical=("kind", "empty"),
    )
    return ModelSpec(ModelSection("m", task), columns, decision=DecisionSection(), trainer=TrainerSection(name="none"))


def example(task: Task = "binary", *, seed: int = 0, rows: int = 90, days: int = 4) -> pa.Table:
    """Return rows in order of time, with NaN, infinities, both zeros and nulls; many repeat another's features."""
    random = np.random.default_rng(seed)
    start = np.datetime64("2024-01-01T00:00:00", "us")
    at = np.sort(start + random.integers(0, days * 86_400, rows) * np.timedelta64(1, "s"))
    odd = np.array([0.0, -0.0, 1.0, 2.5, np.nan, np.inf, 1e12])
    said = {
        "binary": random.choice(["0", "1"], rows),
        "multiclass": random.choice(["high", "low", "middle"], rows),
        "regression": random.normal(5, 2, rows),
    }
    return pa.table(
        {
            "at": at,
            "id": [f"r{place}" for place in range(rows)],
            "x": pa.array(random.choice(odd, rows), mask=random.random(rows) < 0.1),
            "n": random.integers(0, 2, rows),
            "kind": pa.array(random.choice(["a", "b", "ü"], rows), mask=random.random(rows) < 0.1),
            "empty": pa.nulls(rows, pa.string()),
            "score": random.random(rows),
            "said": pa.array(said[task]),
            "label": pa.array(random.permutation(said[task])),
        }
    )


def layout(table: pa.Table, spec: ModelSpec) -> Layout:
    """Return bins fitted on these rows."""
    return Layout.fit(spec, normalise(spec, table).table)


def counted_at_once(table: pa.Table, bins: Layout, spec: ModelSpec) -> dict[int, Profile]:
    """Return the profile of each window, from normalised rows in memory: what every engine has to give."""
    rows = normalise(spec, table, labelled=False)
    windows = spec.calendar.window_of(rows.at)
    found = {}
    for window in np.unique(windows):
        part = rows.table.filter(pa.array(windows == window)).combine_chunks()
        scores = None if spec.columns.score is None else part["@score"]
        said = (
            np.asarray(part["@score"].to_numpy()) >= spec.decision.threshold
            if spec.columns.prediction is None
            else part["@prediction"]
        )
        hashes = row_hashes([part.column(name).chunk(0) for name in spec.columns.features])
        repeated = part.num_rows - len(np.unique(hashes))
        leaves = np.zeros(part.num_rows, np.int64)
        found[int(window)] = profile_rows(bins, part, scores, said, leaves, duplicates=repeated)
    return found


@contextmanager
def folder_of(table: pa.Table, cuts: Iterable[int] = (), group: int = 40) -> Iterator[Path]:
    """Write rows as Parquet files, cut before these rows, and give their folder."""
    with TemporaryDirectory() as folder:
        places = sorted({0, table.num_rows, *cuts})
        for number, (first, end) in enumerate(pairwise(places)):
            path = Path(folder) / f"{number:02}.parquet"
            pq.write_table(table.slice(first, end - first), path, row_group_size=group)
        yield Path(folder)


def profiles_are_those_of_all_rows_counted_at_once(engine: Engine) -> None:
    """Whatever the task, each window has the counts of its rows, and windows come in order."""
    for task in TASKS:
        spec, table = model(task), example(task)
        bins = layout(table, spec)
        with folder_of(table, (33, 34)) as folder:
            found = list(engine.profiles(folder, spec, bins))
        _require_same(f"{engine.name}, {task}", found, counted_at_once(table, bins, spec))


def the_cut_into_files_and_the_order_of_rows_change_nothing(engine: Engine) -> None:
    """One file, many files, small row groups and shuffled rows give the same bits."""
    spec, table = model(), example(seed=3)
    bins = layout(table, spec)
    expected = counted_at_once(table, bins, spec)
    shuffled = table.take(pa.array(np.random.default_rng(0).permutation(table.num_rows)))
    for rows, cuts, group in ((table, (), 7), (table, (1, 50, 51), 100), (shuffled, (20,), 25)):
        with folder_of(rows, cuts, group) as folder:
            found = list(engine.profiles(folder, spec, bins))
        _require_same(f"{engine.name}, cut at {cuts} in groups of {group}", found, expected)


def only_windows_that_are_asked_for_come(engine: Engine) -> None:
    """From the first to before the second, and none where there is none."""
    spec, table = model(), example(seed=4, days=6)
    bins = layout(table, spec)
    expected = counted_at_once(table, bins, spec)
    first, end = min(expected) + 1, max(expected)
    with folder_of(table) as folder:
        found = list(engine.profiles(folder, spec, bins, windows=(first, end)))
        later = list(engine.profiles(folder, spec, bins, windows=(end + 1, None)))
    wanted = {window: profile for window, profile in expected.items() if first <= window < end}
    _require_same(f"{engine.name}, windows {first} to {end}", found, wanted)
    _require_same(f"{engine.name}, windows after the last", later, {})


def excerpts_are_those_of_the_table(engine: Engine) -> None:
    """Names, rows, samples and counts of different rows are those of the table in memory."""
    table = example(seed=5)
    memory = excerpt_of(table)
    names = ["kind", "x", "at"]
    with folder_of(table, (33, 34)) as folder:
        found = engine.excerpt(folder)
        facts = (found.names, found.rows), (memory.names, memory.rows)
        samples = found.samples(names, [5, 1000]), memory.samples(names, [5, 1000])
        distinct = found.distinct(names), memory.distinct(names)
    if facts[0] != facts[1]:
        msg = f"{engine.name}: the excerpt has (columns, rows) {facts[0]}; expected {facts[1]}"
        raise AssertionError(msg)
    for mine, expected in zip(*samples, strict=True):
        if mine.to_pydict().__repr__() != expected.to_pydict().__repr__():
            msg = f"{engine.name}: a sample of {expected.num_rows} rows is not the table's evenly spaced rows"
            raise AssertionError(msg)
    if distinct[0].pack() != distinct[1].pack():
        msg = f"{engine.name}: {distinct[0].estimate} different rows; expected {distinct[1].estimate}, of equal hashes"
        raise AssertionError(msg)


def a_comparison_finds_the_same(engine: Engine) -> None:
    """`check` says the same of excerpts as of the tables."""
    before, after = example(seed=6, rows=400), example(seed=7, rows=500)
    kinds = pa.array(["b" if value == "a" else value for value in after["kind"].to_pylist()])
    after = after.set_column(after.column_names.index("kind"), "kind", kinds)
    expected = check(before, after)
    with folder_of(before, (99,)) as first, folder_of(after, (1,)) as second:
        found = check(engine.excerpt(first), engine.excerpt(second))
    if not expected.findings or found.to_json() != expected.to_json() or found.distributions != expected.distributions:
        msg = f"{engine.name}: the comparison says {found.to_json()}; expected {expected.to_json()}"
        raise AssertionError(msg)


def rows_that_do_not_fit_are_an_error(engine: Engine) -> None:
    """A row without a time, or a text where a number should be, is a `RecordError`, not a count."""
    spec, table = model(), example()
    bins = layout(table, spec)
    for name, values in (("at", pa.nulls(table.num_rows, pa.timestamp("us"))), ("n", pa.array(["?"] * table.num_rows))):
        with folder_of(table.set_column(table.column_names.index(name), name, values)) as folder:
            try:
                found = list(engine.profiles(folder, spec, bins))
            except RecordError:
                continue
        msg = f"{engine.name}: {len(found)} windows were counted although {name} does not fit; expected RecordError"
        raise AssertionError(msg)


LAWS: tuple[Law, ...] = (
    profiles_are_those_of_all_rows_counted_at_once,
    the_cut_into_files_and_the_order_of_rows_change_nothing,
    only_windows_that_are_asked_for_come,
    excerpts_are_those_of_the_table,
    a_comparison_finds_the_same,
    rows_that_do_not_fit_are_an_error,
)


def _require_same(where: str, found: list[tuple[int, Profile]], expected: dict[int, Profile]) -> None:
    windows = [window for window, _ in found]
    if windows != sorted(expected):
        msg = f"{where}: got the windows {windows}; expected {sorted(expected)}"
        raise AssertionError(msg)
    for window, profile in found:
        if profile.pack() != expected[window].pack():
            msg = (
                f"{where}: window {window} has other counts than its rows: {profile.id}, expected {expected[window].id}"
            )
            raise AssertionError(msg)
