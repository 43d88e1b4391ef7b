"""Pitstop watches a model in production, names what went wrong, and knows when a retrain pays for itself.

Everything here is loaded when it is first used: importing the package is fast and does nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pitstop.version import __version__

if TYPE_CHECKING:
    from pitstop.backtests.backtest import BacktestPlan, backtest
    from pitstop.backtests.result import BacktestResult
    from pitstop.checks.comparison import check
    from pitstop.checks.findings import Findings
    from pitstop.client import Client
    from pitstop.client.sending import Sender
    from pitstop.client.watching import watch
    from pitstop.errors import PitstopError
    from pitstop.integrations.serving import run
    from pitstop.loop.auditing import served, write_evidence
    from pitstop.records.infer import Inference, infer_spec
    from pitstop.records.spec import ModelSpec, load_spec, parse_spec
    from pitstop.records.template import template
    from pitstop.replays.replay import Tick, replay
    from pitstop.replays.result import ReplayResult

__all__ = [
    "BacktestPlan",
    "BacktestResult",
    "Client",
    "Findings",
    "Inference",
    "ModelSpec",
    "PitstopError",
    "ReplayResult",
    "Sender",
    "Tick",
    "__version__",
    "backtest",
    "check",
    "infer_spec",
    "load_spec",
    "parse_spec",
    "replay",
    "run",
    "served",
    "template",
    "watch",
    "write_evidence",
]

_HOMES = {
    "BacktestPlan": "pitstop.backtests.backtest",
    "BacktestResult": "pitstop.backtests.result",
    "Client": "pitstop.client",
    "Findings": "pitstop.checks.findings",
    "Inference": "pitstop.records.infer",
    "ModelSpec": "pitstop.records.spec",
    "PitstopError": "pitstop.errors",
    "ReplayResult": "pitstop.replays.result",
    "Sender": "pitstop.client.sending",
    "Tick": "pitstop.replays.replay",
    "backtest": "pitstop.backtests.backtest",
    "check": "pitstop.checks.comparison",
    "infer_spec": "pitstop.records.infer",
    "load_spec": "pitstop.records.spec",
    "parse_spec": "pitstop.records.spec",
    "replay": "pitstop.replays.replay",
    "run": "pitstop.integrations.serving",
    "served": "pitstop.loop.auditing",
    "template": "pitstop.records.template",
    "watch": "pitstop.client.watching",
    "write_evidence": "pitstop.loop.auditing",
}


def __getattr__(name: str) -> Any:
    """Load a public name when it is first asked for (PEP 562)."""
    if name not in _HOMES:
        msg = f"module 'pitstop' has no attribute {name!r}; it has {', '.join(__all__)}"
        raise AttributeError(msg)
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """Return the public names."""
    return list(__all__)
