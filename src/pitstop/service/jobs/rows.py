"""Where the rows of a model come from."""

from __future__ import annotations

from typing import Any

from pitstop.errors import StoreError
from pitstop.service.workspace import Registered, Workspace


def has_rows(workspace: Workspace, model: Registered) -> bool:
    """Return whether there is anything that a tick could take in."""
    del workspace
    return bool(model.source)


def rows_of(workspace: Workspace, model: Registered) -> tuple[Any, Any]:
    """Return the source of rows and the one of labels (None: they stand in the rows), as `serving.run` takes them.

    Raises `StoreError` where nothing is known of either.
    """
    del workspace
    if model.source:
        return model.source, model.labels or None
    msg = f"no rows of {model.name} have come yet; send some to /v1/models/{model.name}/predictions"
    raise StoreError(msg)
