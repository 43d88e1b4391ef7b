"""Spark on two worker processes obeys the laws of engines: the same counts and findings as here, bit for bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer
from typer.testing import CliRunner

from pitstop.cli.check_command import check
from pitstop.engines.spark import SparkEngine
from pitstop.errors import EngineError, MissingColumnError, PitstopError, SpecError, UnreadableTableError
from pitstop.records.spec import ModelSpec, TimeSection
from pitstop.testing import engine_laws
from pitstop.testing.engine_laws import counted_at_once, example, folder_of, layout, model

app = typer.Typer()
app.command()(check)
# PySpark's and py4j's own; pandas is only asked for by name where tables travel as Arrow.
pytestmark = [
    pytest.mark.spark,
    pytest.mark.filterwarnings(
        "ignore::DeprecationWarning",
        "ignore::ResourceWarning",
        "ignore:PySpark does not yet fully support pandas:FutureWarning",
    ),
]


@pytest.mark.parametrize("law", engine_laws.LAWS, ids=lambda law: law.__name__)
def test_laws(spark: Any, law: engine_laws.Law) -> None:
    law(SparkEngine(session=spark))


def test_more_than_one_worker_counts(spark: Any) -> None:
    def where(batches: Any) -> Any:
        import os  # noqa: PLC0415 - runs on the executor

        for batch in batches:
            yield pa.RecordBatch.from_pydict({"process": [os.getppid()] * batch.num_rows})

    frame = spark.range(0, 1000, 1, 8).mapInArrow(where, "process bigint")
    assert len(set(frame.toArrow()["process"].to_pylist())) == 2


def test_a_data_frame_is_counted_as_its_rows(spark: Any) -> None:
    spec, table = model(), example(seed=8)
    bins = layout(table, spec)
    with folder_of(table, (30,)) as folder:
        frame = spark.read.parquet(str(folder))
        found = dict(SparkEngine().profiles(frame, spec, bins))
    assert found == counted_at_once(table, bins, spec)


def test_names_that_sql_would_read_otherwise_are_columns(spark: Any, tmp_path: Path) -> None:
    odd = ["a.b", "a`b", "select", "naïve name", "x y"]
    table = pa.table({name: [1.0, 2.0, float(at)] for at, name in enumerate(odd)})
    pq.write_table(table, tmp_path / "t.parquet")
    excerpt = SparkEngine(session=spark).excerpt(tmp_path / "t.parquet")
    assert excerpt.names == odd
    assert excerpt.sample(odd, 3).equals(table)
    assert excerpt.distinct(odd).estimate == 3


def test_what_cannot_be_read_is_told_as_everywhere(spark: Any, tmp_path: Path) -> None:
    engine, spec, table = SparkEngine(session=spark), model(), example()
    bins = layout(table, spec)
    with pytest.raises(UnreadableTableError, match="finds no file"):
        engine.excerpt(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(PitstopError, match="no Parquet file"):
        engine.excerpt(tmp_path / "empty")
    (tmp_path / "delta" / "_delta_log").mkdir(parents=True)
    for address in (tmp_path / "delta", (tmp_path / "delta").as_uri()):
        with pytest.raises(EngineError, match="lacks Delta's jars"):
            engine.excerpt(address)
    pq.write_table(table.drop_columns(["x"]), tmp_path / "t.parquet")
    with pytest.raises(MissingColumnError, match="'x'"):
        list(engine.profiles(tmp_path / "t.parquet", spec, bins))
    by_rows = ModelSpec(spec.model, spec.columns, time=TimeSection(window=30, period=5), trainer=spec.trainer)
    with pytest.raises(SpecError, match="use the local engine"):
        list(engine.profiles(tmp_path / "t.parquet", by_rows, bins))


def test_the_command_says_the_same_on_spark(spark: Any, tmp_path: Path) -> None:
    del spark  # the command finds the active session
    sides = []
    for name, seed in (("a", 6), ("b", 7)):
        sides.append(str(tmp_path / f"{name}.parquet"))
        table = example(seed=seed, rows=400)
        pq.write_table(table if name == "a" else table.drop_columns(["n"]), sides[-1], row_group_size=90)
    runner = CliRunner()
    local = runner.invoke(app, [*sides, "--json"])
    assert local.exit_code == 1
    # An address is what Spark reads: a path here, or one with a scheme, as s3a://bucket/table is.
    for addresses in (sides, [Path(side).as_uri() for side in sides]):
        other = runner.invoke(app, [*addresses, "--json", "--engine", "spark"])
        assert (other.exit_code, other.stdout) == (1, local.stdout)
