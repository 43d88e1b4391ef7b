"""A folder of tables that grows, on a disk or in a bucket: what is in it, and the content of each file."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyarrow as pa
from pyarrow import fs

from pitstop.errors import UnreadableTableError
from pitstop.records.sources import ARROW_SUFFIXES, CSV_SUFFIXES, PARQUET_SUFFIXES, read_table

JSON_SUFFIXES = (".jsonl", ".ndjson")
_KNOWN = PARQUET_SUFFIXES + ARROW_SUFFIXES + CSV_SUFFIXES + JSON_SUFFIXES
# Stores that are only compatible with S3 refuse the newer checksums in trailers.
_PLAIN_CONTENT: Mapping[str, str] = MappingProxyType(
    {"AWS_REQUEST_CHECKSUM_CALCULATION": "when_required", "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required"}
)


@dataclass(frozen=True)
class Listed:
    """One file: its name below the folder, its bytes, and when it was changed last (nanoseconds since 1970)."""

    name: str
    size: int
    changed: int


class FolderSource:
    """The tables below `place`: a folder, or a URL such as s3://bucket/prefix?region=eu-west-1.

    Files whose name begins with a dot or an underscore are not there yet, as for every tool of the field. Credentials
    come from where the store's own programs take them. Raises `UnreadableTableError` where it cannot be read.
    """

    def __init__(self, place: str) -> None:
        self.place = place
        self.local = "://" not in place
        if self.local:
            self._store, self._root = fs.LocalFileSystem(), str(Path(place).absolute())
        else:
            for name, value in _PLAIN_CONTENT.items():
                os.environ.setdefault(name, value)
            with self._errors("find"):
                self._store, self._root = fs.FileSystem.from_uri(place)

    def listed(self) -> tuple[Listed, ...]:
        """Return the files by name."""
        with self._errors("list"):
            found = self._store.get_file_info(fs.FileSelector(self._root, recursive=True))
        files = [item for item in found if item.type == fs.FileType.File and _is_table(item.path)]
        named = [Listed(item.path[len(self._root) :].lstrip("/"), item.size, item.mtime_ns or 0) for item in files]
        return tuple(sorted(named, key=lambda item: item.name))

    def read(self, name: str) -> pa.Table | bytes:
        """Return the table in a file; of JSON lines, which may be rows or events, the content."""
        with (
            self._errors(f"read {name} in"),
            self._store.open_input_stream(f"{self._root}/{name}", compression=None) as stream,
        ):
            content: bytes = stream.read()
        if name.lower().endswith(JSON_SUFFIXES):
            return content
        with tempfile.TemporaryDirectory(prefix="pitstop-") as folder:
            path = Path(folder) / Path(name).name
            path.write_bytes(content)
            try:
                return read_table(path)
            except UnreadableTableError as error:
                msg = str(error).replace(str(path), f"{self._shown}: {name}")
                raise UnreadableTableError(msg) from error

    @property
    def _shown(self) -> str:
        """The place without options, and without a key and its secret, which some write before the bucket."""
        scheme, sign, rest = self.place.partition("?")[0].rpartition("://")
        bucket, slash, path = rest.partition("/")
        return f"{scheme}{sign}{bucket.rpartition('@')[2] if sign else bucket}{slash}{path}"

    @contextmanager
    def _errors(self, what: str) -> Any:
        try:
            yield
        except (pa.ArrowException, OSError, ValueError) as error:
            shown, said = self._shown, str(error).replace(self.place, self._shown)
            msg = f"cannot {what} {shown}: {said[:300]}; check the address, and that it may be read from here"
            raise UnreadableTableError(msg) from error


def _is_table(path: str) -> bool:
    name = path.rpartition("/")[2].lower()
    plain = name.removesuffix(".gz") if name.removesuffix(".gz").endswith(CSV_SUFFIXES) else name
    return plain.endswith(_KNOWN) and not name.startswith((".", "_"))
