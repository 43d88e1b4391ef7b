"""A Spark cluster of two worker processes on this machine; without PySpark or Java the suite is skipped."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator
from typing import Any

import pytest

SETTINGS = {
    "spark.ui.enabled": "false",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.sql.shuffle.partitions": "2",
    "spark.log.level": "ERROR",
    # No key comes to the executors from the environment that the tests run in.
    "spark.executorEnv.AWS_ACCESS_KEY_ID": "",
    "spark.executorEnv.AWS_SECRET_ACCESS_KEY": "",
}


@pytest.fixture(scope="session")
def spark() -> Iterator[Any]:
    if importlib.util.find_spec("pyspark") is None:
        pytest.skip("PySpark is not installed: pip install -r requirements/spark.txt")
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        pytest.skip("there is no Java, which Spark needs: install Java 17 (Debian: openjdk-17-jre-headless)")
    from pyspark.sql import SparkSession  # noqa: PLC0415 - an optional dependency

    os.environ["PYSPARK_PYTHON"] = sys.executable
    builder = SparkSession.builder.master("local-cluster[2,1,1024]").appName("pitstop-tests")
    for name, value in SETTINGS.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    yield session
    session.stop()
