"""Which model of a workspace is meant."""

from __future__ import annotations

from pathlib import Path

from pitstop.errors import IngestError

# Either file is in a workspace's folder: its database, or where it keeps things instead.
WORKSPACE = ("fleet.sqlite", "workspace.toml")


def is_workspace(folder: Path) -> bool:
    """Return whether a folder holds a workspace."""
    return any((folder / name).exists() for name in WORKSPACE)


def model_in(workspace: Path, model: str) -> str:
    """Return the model that is meant: `model`, or the only one there; raise `IngestError` where there are others."""
    from pitstop.service.workspace import Workspace  # noqa: PLC0415 - heavy, and `pitstop --help` must be fast

    with Workspace.open(workspace, create=False) as opened:
        names = [item.name for item in opened.models()]
    if not model and len(names) != 1:
        msg = f"{workspace} has the models {', '.join(names) or '(none)'}; say whose rows these are with --model NAME"
        raise IngestError(msg)
    return model or names[0]
