"""Files in a local folder: written under a temporary name, synced, renamed, and the folder synced."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from pitstop.errors import StoreError
from pitstop.store.base import Staged
from pitstop.store.disk import disk_errors

_CHUNK = 1 << 20
_STAGING = "tmp"


class LocalFiles:
    """The `Files` protocol on the folder `root`. A key's content is either wholly there or not at all."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._count = 0

    def stage(self, source: bytes | Path) -> Staged:
        """Write `source` (content, or a file to copy) and sync it; the disk full is a `StoreError`."""
        token = f"{os.getpid()}-{self._count}"
        self._count += 1
        path = self._staging(token)
        with disk_errors("write", self._root):
            try:
                path.parent.mkdir(exist_ok=True)
                return self._copied(source, path, token)
            except BaseException:
                path.unlink(missing_ok=True)
                raise

    def _copied(self, source: bytes | Path, path: Path, token: str) -> Staged:
        digest = hashlib.sha256()
        size = 0
        with path.open("xb", buffering=0) as target:
            for chunk in _chunks(source):
                digest.update(chunk)
                size += len(chunk)
                view = memoryview(chunk)
                while view:  # a raw write may stop half-way, for instance at a limit of file size
                    view = view[target.write(view) :]
            os.fsync(target.fileno())
        return Staged(token, digest.hexdigest(), size)

    def publish(self, moves: Sequence[tuple[Staged, str]]) -> None:
        """Rename staged files to their keys, then sync each folder once."""
        folders: dict[Path, None] = {}
        with disk_errors("write", self._root):
            for staged, key in moves:
                target = self._path(key)
                if not target.parent.is_dir():
                    folders |= dict.fromkeys(make_folder(target.parent))
                # Content is named by its digest, so replacing a file changes nothing but who wrote it.
                self._staging(staged.token).replace(target)
                folders[target.parent] = None
            for folder in folders:
                sync_folder(folder)

    def discard(self, staged: Sequence[Staged]) -> None:
        """Delete staged files."""
        with disk_errors("clean up", self._root):
            for item in staged:
                self._staging(item.token).unlink(missing_ok=True)

    def clear_staged(self) -> None:
        """Delete every staged file; only for the one process that holds the home."""
        with disk_errors("clean up", self._root):
            if (self._root / _STAGING).is_dir():
                for path in (self._root / _STAGING).iterdir():
                    path.unlink(missing_ok=True)

    def read(self, key: str) -> bytes:
        """Return the content of `key`."""
        with disk_errors(f"read {key}", self._root):
            try:
                return self._path(key).read_bytes()
            except FileNotFoundError as error:
                msg = f"{key} is missing from {self._root}; the catalog names it: restore the home from a backup"
                raise StoreError(msg) from error

    def local(self, key: str, digest: str) -> Path:  # noqa: ARG002 - the protocol's; here nothing is fetched
        """Return the file's path."""
        path = self._path(key)
        if not path.is_file():
            msg = f"{key} is missing from {self._root}; the catalog names it: restore the home from a backup"
            raise StoreError(msg)
        return path

    def keys(self, prefix: str) -> Iterator[str]:
        """Iterate over all keys in the folder `prefix`, sorted."""
        with disk_errors("list files", self._root):
            found = sorted(path for path in (self._root / prefix).rglob("*") if path.is_file())
        yield from (path.relative_to(self._root).as_posix() for path in found)

    def delete(self, key: str) -> None:
        """Delete the file of `key`."""
        with disk_errors("clean up", self._root):
            self._path(key).unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self._root / key

    def _staging(self, token: str) -> Path:
        return self._root / _STAGING / token


def make_folder(folder: Path) -> list[Path]:
    """Make a folder with its parents; return the folders that changed and have to be synced."""
    new = [item for item in (folder, *folder.parents) if not item.is_dir()]
    folder.mkdir(parents=True, exist_ok=True)
    return [item.parent for item in new]


def digest_of_file(path: Path) -> str:
    """Return the hex SHA-256 of a file, read in pieces."""
    digest = hashlib.sha256()
    for chunk in _chunks(path):
        digest.update(chunk)
    return digest.hexdigest()


def _chunks(source: bytes | Path) -> Iterator[bytes]:
    if isinstance(source, bytes):
        yield source
        return
    with source.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
