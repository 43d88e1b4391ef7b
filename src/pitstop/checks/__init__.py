"""Comparison of two tables without configuration: what changed, in plain sentences, worst first."""

from pitstop.checks.comparison import check
from pitstop.checks.findings import Finding, Findings

__all__ = ["Finding", "Findings", "check"]
