"""Engines: where rows are counted."""

from pitstop.engines.base import Engine
from pitstop.engines.duckdb import DuckDBEngine
from pitstop.engines.local import LocalEngine
from pitstop.engines.spark import SparkEngine
from pitstop.registry import Registry

ENGINES: Registry[Engine] = Registry("engine", "pitstop.engines", (LocalEngine(), SparkEngine(), DuckDBEngine()))
