"""Parquet files in a bucket, by an address such as `s3://bucket/table?region=eu-west-1`, read through PyArrow alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
from pyarrow import fs

from pitstop.errors import UnreadableTableError
from pitstop.records.sources import DELTA_LOG, delta_message, is_hidden

SCHEMES = ("s3", "gs", "gcs")
# Stores that are only compatible with S3 take the newer checksums in trailers for content.
PLAIN_CONTENT = {
    "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
    "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
}


def is_address(source: Any) -> bool:
    """Whether a source is the address of something in a bucket."""
    return isinstance(source, str) and source.partition("://")[0] in SCHEMES


@dataclass(frozen=True)
class Address:
    """A folder or an object in a bucket. Two processes may hold the same one: what opens it is made where it is used.

    `url` as PyArrow's file systems take it: `endpoint_override`, `scheme` and `region` behind a question mark.
    Credentials come from where the store's own programs take them (the environment, a profile, the machine's role).
    """

    url: str

    def __post_init__(self) -> None:
        """Refuse credentials in the address, which would stand in messages and process lists."""
        try:
            parts = urlsplit(self.url)
        except ValueError as error:
            msg = f"{self.url!r} is no address ({error}); expected one such as s3://bucket/table?region=R"
            raise UnreadableTableError(msg) from error
        if parts.username is not None or parts.password is not None:
            msg = f"{self}: the address has credentials in it; leave them out, and give them in the environment"
            raise UnreadableTableError(msg)

    def __str__(self) -> str:
        """Return it without its options."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.hostname}{parts.path}"

    def __reduce__(self) -> tuple[type[Address], tuple[str]]:
        # An open file system is of one process, and holds that one's credentials.
        return type(self), (self.url,)

    @cached_property
    def _opened(self) -> tuple[fs.FileSystem, str]:
        for name, value in PLAIN_CONTENT.items():
            os.environ.setdefault(name, value)
        try:
            return fs.FileSystem.from_uri(self.url)  # type: ignore[no-any-return]
        except (pa.ArrowException, OSError, ValueError) as error:
            msg = f"{self} cannot be read ({error}); expected an address such as s3://bucket/table?region=R"
            raise UnreadableTableError(msg) from error

    def files(self, suffixes: tuple[str, ...]) -> list[str]:
        """Return the paths of its objects with these suffixes, in order of their names; hidden ones are left out.

        Raises `UnreadableTableError` where there is nothing, a Delta table, or the store does not answer.
        """
        store, root = self._opened
        with self.errors("list"):
            here = store.get_file_info(root)
            if here.type == fs.FileType.File:
                return [root]
            selector = fs.FileSelector(root, recursive=True, allow_not_found=True)
            found = [item.path for item in store.get_file_info(selector) if item.type == fs.FileType.File]
        if not found:
            msg = f"there is nothing at {self}; check the address"
            raise UnreadableTableError(msg)
        below = {path: path.removeprefix(f"{root.rstrip('/')}/").split("/") for path in found}
        if any(DELTA_LOG in parts[:-1] for parts in below.values()):
            raise UnreadableTableError(delta_message(str(self)))
        shown = [path for path in found if not is_hidden(below[path])]
        files = sorted((path for path in shown if path.lower().endswith(suffixes)), key=lambda path: path.split("/"))
        if not files:
            msg = f"{self} holds no Parquet file; expected objects that end in {', '.join(suffixes)}"
            raise UnreadableTableError(msg)
        return files

    def has(self, name: str) -> bool:
        """Whether there is anything under this name in the folder."""
        store, root = self._opened
        with self.errors("list"):
            selector = fs.FileSelector(f"{root}/{name}", recursive=False, allow_not_found=True)
            return bool(store.get_file_info(selector))

    def open(self, path: str) -> Any:
        """Return a file of `files`, opened for random access. Raises `OSError` as PyArrow does."""
        return self._opened[0].open_input_file(path)

    def whole(self, path: str) -> str:
        """Return the full name of a file of `files`, for messages."""
        return f"{urlsplit(self.url).scheme}://{path}"

    @contextmanager
    def errors(self, doing: str) -> Iterator[None]:
        """Tell what the store refuses as `UnreadableTableError`."""
        try:
            yield
        except (pa.ArrowException, OSError) as error:
            first = str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
            msg = f"cannot {doing} {self} ({first}); check that the store answers and that these credentials may read"
            raise UnreadableTableError(msg) from error
