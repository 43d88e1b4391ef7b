"""Whether rows that another system was given to train on were erased since."""

from __future__ import annotations

import pyarrow as pa

from pitstop.service.elsewhere.trainings import Asked, Trainings
from pitstop.service.workspace import Registered
from pitstop.store.disk import disk_errors
from pitstop.store.home import Home


class Erasures:
    """Looks through the homes of models whose journals have grown; for one thread."""

    def __init__(self, trainings: Trainings) -> None:
        self._trainings = trainings
        self._seen: dict[str, int] = {}

    def touch(self, model: Registered, asked: Asked) -> bool:
        """Return whether a row of a training's files is not in its home any more, because it was erased there.

        Raises `StoreError` where the home cannot be read.
        """
        with Home.open(model.home, read_only=True) as home:
            size = home.journal_head().size
            if self._seen.get(asked.id) == size:
                return False
            known = home.artifacts(model=model.name)
            begun = next((place for place, item in enumerate(known) if item.id == asked.id), len(known))
            erased = any(item.kind == "erasure" and item.content["segments"] for item in known[begun:])
            found = erased and not self._ids(asked) <= set(
                home.read_segments("predictions", model.name, columns=["@id"])["@id"].to_pylist()
            )
        if not found:
            self._seen[asked.id] = size
        return found

    def _ids(self, asked: Asked) -> set[str]:
        found: set[str] = set()
        folder = self._trainings.folder(asked.job)
        for path in sorted(folder.glob("*.arrow")):
            with disk_errors("read the rows of a training", folder), pa.OSFile(str(path), "rb") as source:
                found |= set(pa.ipc.open_file(source).read_all()["@id"].to_pylist())
        return found
