"""Comparison of two tables without configuration: what changed, in plain sentences, worst first."""

from pitstop.check.comparison import check
from pitstop.check.findings import Finding, Findings

__all__ = ["Finding", "Findings", "check"]
