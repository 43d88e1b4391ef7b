"""Keeps models and predictions of a backtest in a folder by digest, so that the next one goes on from there.

A file is written whole or not at all. One that does not verify is taken for absent: everything here can be computed
again. Model files are bytes that only the trainer's own sandboxed process opens.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import threading
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pitstop.errors import StoreError
from pitstop.retraining.trainer import Model

_DIGEST = 32


@dataclass(frozen=True)
class KeptFiles:
    """A folder of models and predictions; None keeps nothing. `key` is a digest of what the model was made from."""

    folder: Path | None = None

    def model(self, key: str) -> Model | None:
        """Return a kept model, or None."""
        if self.folder is None:
            return None
        try:
            content = self._model_path(key).read_bytes()
        except OSError:
            return None
        digest, body = content[:_DIGEST], content[_DIGEST:]
        return Model(body) if hashlib.sha256(body).digest() == digest else None

    def keep_model(self, key: str, model: Model) -> None:
        """Keep a model. Raises `StoreError` where it cannot be written."""
        if self.folder is not None:
            self._write(self._model_path(key), hashlib.sha256(model.content).digest() + model.content)

    def note(self, key: str) -> dict[str, Any] | None:
        """Return what was noted of a kept model, or None."""
        if self.folder is None:
            return None
        try:
            found = json.loads(self._model_path(key).with_suffix(".json").read_bytes())
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def keep_note(self, key: str, note: Mapping[str, Any]) -> None:
        """Keep a note of a model. Raises `StoreError` where it cannot be written."""
        if self.folder is not None:
            self._write(self._model_path(key).with_suffix(".json"), json.dumps(note).encode())

    def predictions(self, key: str) -> dict[str, NDArray[Any]]:
        """Return the kept predictions of a model by the digest of the rows that they are for."""
        found: dict[str, NDArray[Any]] = {}
        if self.folder is None:
            return found
        for path in sorted((self.folder / key[:2]).glob(f"{key}-*.npz")):
            # An empty file, as a crash of the machine leaves one, is an `EOFError`.
            with contextlib.suppress(OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
                # Read whole: numpy leaves a broken file open.
                kept = np.load(io.BytesIO(path.read_bytes()))
                ends = np.cumsum(kept["lengths"])[:-1]
                found |= dict(zip(kept["digests"].tolist(), np.split(kept["values"], ends), strict=True))
        return found

    def keep_predictions(self, key: str, found: Mapping[str, NDArray[Any]]) -> None:
        """Keep predictions beside those that are there. Raises `StoreError` where they cannot be written."""
        if self.folder is None or not found:
            return
        names = hashlib.sha256("".join(found).encode()).hexdigest()[:16]
        path = self.folder / key[:2] / f"{key}-{names}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        part = _part_of(path)
        try:
            with part.open("wb") as file:
                np.savez(
                    file,
                    digests=np.array(list(found)),
                    lengths=np.array([len(values) for values in found.values()]),
                    values=np.concatenate(list(found.values())),
                )
            part.replace(path)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise self._refused(error) from error

    def _model_path(self, key: str) -> Path:
        assert self.folder is not None  # noqa: S101 - callers have looked; for the type checker
        return self.folder / key[:2] / f"{key}.model"

    def _write(self, path: Path, content: bytes) -> None:
        part = _part_of(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            part.write_bytes(content)
            part.replace(path)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise self._refused(error) from error

    def _refused(self, error: OSError) -> StoreError:
        msg = f"cannot keep the backtest's files in {self.folder}: {error.strerror or error}; name another --cache"
        return StoreError(msg)


def _part_of(path: Path) -> Path:
    """Return where a file is written before it takes its name; two recipes that choose the same rows share a key."""
    return path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.part")


def usual_folder(environment: Mapping[str, str], home: Path) -> Path:
    """Return where the files are kept unless the user says otherwise: the user's cache folder (XDG)."""
    named = environment.get("XDG_CACHE_HOME", "")
    return (Path(named) if named else home / ".cache") / "pitstop" / "backtest"
