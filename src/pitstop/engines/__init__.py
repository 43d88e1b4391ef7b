"""Engines: where rows are counted."""

from pitstop.engines.base import Engine
from pitstop.engines.local import LocalEngine
from pitstop.registry import Registry

ENGINES: Registry[Engine] = Registry("engine", "pitstop.engines", (LocalEngine(),))
