"""Files in a bucket: staged in the home's folder, put under their keys before the catalog commits, read back checked.

Any store that PyArrow speaks to serves: S3 and what is compatible with it, Google Cloud Storage, Azure. An object is
wholly there or not at all, and is named by its content, so putting it twice changes nothing.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pyarrow as pa
from pyarrow import fs

from pitstop.errors import StoreError
from pitstop.records.addresses import PLAIN_CONTENT
from pitstop.store.base import Staged
from pitstop.store.disk import disk_errors
from pitstop.store.files import LocalFiles, digest_of_file, make_folder

CACHE = "cache"
# Enough to hide what a request waits for; more only queue at the server.
_PARALLEL = 8
_CHUNK = 1 << 20


class ObjectFiles:
    """The `Files` protocol on the bucket and prefix that `url` names, such as `s3://bucket/models?region=eu-west-1`.

    Credentials come from where the store's own programs take them (for S3: the environment, a profile, the machine's
    role). `folder` is the home's: files are staged there, and `local` keeps copies in its `cache/`.
    """

    def __init__(self, folder: Path, url: str) -> None:
        try:
            parts = urlsplit(url)
        except ValueError as error:
            msg = f"the place of files is no URL ({error}); expected one such as s3://bucket/prefix?region=R"
            raise StoreError(msg) from error
        self._where = f"{parts.scheme}://{parts.hostname}{parts.path}"
        if parts.password is not None or parts.username is not None:
            msg = f"{self._where}: the URL has credentials in it; leave them out, and give them in the environment"
            raise StoreError(msg)
        self._folder = folder
        self._local = LocalFiles(folder)
        self._checked: set[str] = set()
        # We check SHA-256 ourselves.
        for name, value in PLAIN_CONTENT.items():
            os.environ.setdefault(name, value)
        try:
            self._store, self._root = fs.FileSystem.from_uri(url)
        except (pa.ArrowException, OSError, ValueError) as error:
            msg = (
                f"{self._where} cannot be used for files ({error}); expected a URL such as s3://bucket/prefix?region=R"
            )
            raise StoreError(msg) from error

    def stage(self, source: bytes | Path) -> Staged:
        """Write content durably in the home's folder."""
        return self._local.stage(source)

    def publish(self, moves: Sequence[tuple[Staged, str]]) -> None:
        """Put staged files under their keys, several at a time; they are deleted here once all of them are there."""
        with ThreadPoolExecutor(_PARALLEL) as pool:
            list(pool.map(lambda move: self._put(*move), moves))
        self._local.discard([staged for staged, _ in moves])

    def _put(self, staged: Staged, key: str) -> None:
        with self._errors(f"write {key}"):
            source = self._folder / "tmp" / staged.token
            with source.open("rb") as file, self._store.open_output_stream(self._path(key)) as target:
                while chunk := file.read(_CHUNK):
                    target.write(chunk)
            size = self._store.get_file_info(self._path(key)).size
            if size != staged.size:
                msg = f"{key} was put into {self._where} with {staged.size} bytes and has {size} there; check the store"
                raise StoreError(msg)

    def discard(self, staged: Sequence[Staged]) -> None:
        """Delete staged files."""
        self._local.discard(staged)

    def clear_staged(self) -> None:
        """Delete every staged file; only for the one process that holds the home."""
        self._local.clear_staged()

    def read(self, key: str) -> bytes:
        """Return the content of `key`."""
        with self._errors(f"read {key}"):
            try:
                with self._store.open_input_stream(self._path(key)) as source:
                    return bytes(source.read())
            except FileNotFoundError as error:
                msg = f"{key} is missing from {self._where}; the catalog names it: restore the home from a backup"
                raise StoreError(msg) from error

    def local(self, key: str, digest: str) -> Path:
        """Return the path of a copy in the home's `cache/`, fetched if it is not there or was changed.

        A copy is read through once in a process. Raises `StoreError` where what the bucket holds is not of that digest.
        """
        path = self._folder / CACHE / key
        if key in self._checked and path.exists():
            return path
        with disk_errors("fetch a file", self._folder):
            if not path.exists() or digest_of_file(path) != digest:
                content = self.read(key)
                if hashlib.sha256(content).hexdigest() != digest:
                    msg = (
                        f"{key} in {self._where} was changed or damaged: its digest does not fit the catalog's; "
                        "restore it from a backup, or from an earlier version of the object if the bucket keeps those"
                    )
                    raise StoreError(msg)
                make_folder(path.parent)
                part = path.with_name(f".{path.name}.{os.getpid()}.part")
                part.write_bytes(content)
                part.replace(path)
        self._checked.add(key)
        return path

    def keys(self, prefix: str) -> Iterator[str]:
        """Iterate over all keys in the folder `prefix`, sorted."""
        with self._errors("list files"):
            selector = fs.FileSelector(self._path(prefix), recursive=True, allow_not_found=True)
            found = sorted(item.path for item in self._store.get_file_info(selector) if item.type == fs.FileType.File)
        yield from (path.removeprefix(f"{self._root}/") for path in found)

    def delete(self, key: str) -> None:
        """Delete the object of `key`, and the copy that was fetched."""
        self._checked.discard(key)
        with disk_errors("clean up", self._folder):
            (self._folder / CACHE / key).unlink(missing_ok=True)
        with self._errors("clean up", "what is to be deleted is left to the next step"):
            try:
                self._store.delete_file(self._path(key))
            except FileNotFoundError:
                return

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}"

    @contextmanager
    def _errors(self, doing: str, then: str = "nothing of this step was kept") -> Iterator[None]:
        try:
            yield
        except (OSError, pa.ArrowException) as error:
            msg = (
                f"cannot {doing} in {self._where}: {error}; check that the store answers and that these credentials "
                f"may read and write there, then run again; {then}"
            )
            raise StoreError(msg) from error
