"""Monitors: baseline and profiles in, signals and indicator counts out."""

from pitstop.monitors.base import Monitor
from pitstop.monitors.breaks import Breaks
from pitstop.monitors.drift import FeatureDrift
from pitstop.monitors.estimated import EstimatedPerformance
from pitstop.monitors.groups import GroupRates
from pitstop.monitors.outputs import OutputDrift
from pitstop.monitors.performance import Performance
from pitstop.monitors.quality import Quality, Volume
from pitstop.registry import Registry

MONITORS: Registry[Monitor] = Registry(
    "monitor",
    "pitstop.monitors",
    (Performance(), OutputDrift(), FeatureDrift(), Quality(), Volume(), Breaks(), GroupRates(), EstimatedPerformance()),
)
