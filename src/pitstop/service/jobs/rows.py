"""Where the rows of a model come from."""

from __future__ import annotations

from typing import Any

from pitstop.errors import StoreError
from pitstop.service.workspace import Registered, Workspace
from pitstop.store.home import Home
from pitstop.store.intake import intakes
from pitstop.store.received import Received


def has_rows(workspace: Workspace, model: Registered) -> bool:
    """Return whether there is anything that a tick could take in."""
    return bool(model.source) or _received(workspace, model) is not None


def rows_of(workspace: Workspace, model: Registered) -> tuple[Any, Any]:
    """Return the source of rows and the one of labels (None: they stand in the rows), as `serving.run` takes them.

    Raises `StoreError` where nothing is known of either.
    """
    if model.source:
        return model.source, model.labels or None
    found = _received(workspace, model)
    if found is not None:
        return found, None
    msg = f"no rows of {model.name} have come yet; send some to /v1/models/{model.name}/predictions"
    raise StoreError(msg)


def _received(workspace: Workspace, model: Registered) -> Received | None:
    """Return what was posted of a model, None where nothing was stored of it yet."""
    if not workspace.records.is_dir():
        return None
    with Home.open(workspace.records, read_only=True) as home:
        rows = intakes(home).get(model.name)
    return Received(workspace.records, model.name) if rows is not None and rows.rows else None
