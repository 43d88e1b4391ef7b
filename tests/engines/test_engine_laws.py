"""The engines that need nothing but the test environment obey the laws of engines; Spark's are in `test_spark.py`."""

from __future__ import annotations

import pytest

from pitstop.engines.duckdb import DuckDBEngine
from pitstop.engines.local import LocalEngine
from pitstop.testing import engine_laws


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("law", engine_laws.LAWS, ids=lambda law: law.__name__)
def test_the_local_engine(law: engine_laws.Law, threads: int) -> None:
    law(LocalEngine(threads=threads))


@pytest.mark.parametrize("law", engine_laws.LAWS, ids=lambda law: law.__name__)
def test_the_duckdb_engine(law: engine_laws.Law) -> None:
    law(DuckDBEngine())
