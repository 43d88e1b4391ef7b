"""Where a home keeps what it keeps: by default in its own folder, else as its file `home.toml` says.

The folder stays the home whatever the file says: the keys that sign and seal are in it and nowhere else, so whoever
holds the database or the bucket can neither sign nor read what was sealed.
"""

from __future__ import annotations

import json
import os
import tomllib
from dataclasses import dataclass
from pathlib import Path

from pitstop.errors import StoreError
from pitstop.store.base import Catalog, Files
from pitstop.store.catalog import SqliteCatalog
from pitstop.store.disk import disk_errors
from pitstop.store.files import LocalFiles, make_folder, sync_folder

FILE = "home.toml"
CATALOG = "catalog.sqlite"


@dataclass(frozen=True)
class Location:
    """`catalog` is a PostgreSQL URL (`?schema=NAME`), `files` that of a bucket; empty: in the home's own folder."""

    catalog: str = ""
    files: str = ""


def read_location(folder: Path, file: str = FILE) -> Location:
    """Return what `home.toml` in the folder says, or another `file`. Raises `StoreError` where it cannot be used."""
    path = folder / file
    with disk_errors("open a home", folder):
        if not path.exists():
            return Location()
        content = path.read_bytes()
    try:
        found = tomllib.loads(content.decode("utf-8"))
        strange = sorted(set(found) - {"catalog", "files"})
        if strange or not all(isinstance(value, str) for value in found.values()):
            msg = f"{path} has {', '.join(strange) or 'a value that is no text'}; it takes catalog and files, two URLs"
            raise StoreError(msg)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        msg = f'{path} is not TOML ({error}); it takes two lines: catalog = "URL" and files = "URL"'
        raise StoreError(msg) from error
    return Location(**found)


def write_location(folder: Path, location: Location, file: str = FILE) -> None:
    """Say in a folder, which is made, where a home keeps things; nothing is written where the default holds."""
    with disk_errors("make a home", folder):
        for changed in make_folder(folder):
            sync_folder(changed)
        lines = [f"{name} = {json.dumps(value)}\n" for name, value in vars(location).items() if value]
        if lines:
            part = folder / f".{file}.{os.getpid()}.part"
            with part.open("w", encoding="utf-8") as written:
                written.write("".join(lines))
                written.flush()
                # An empty file would say that everything is in the folder itself.
                os.fsync(written.fileno())
            part.replace(folder / file)
            sync_folder(folder)


def open_catalog(folder: Path, location: Location, *, read_only: bool = False) -> Catalog:
    """Open the catalog of a home; see `SqliteCatalog` and `PostgresCatalog` for what they raise."""
    if not location.catalog:
        return SqliteCatalog(folder / CATALOG, read_only=read_only)
    from pitstop.store.postgres import PostgresCatalog  # noqa: PLC0415 - an optional dependency

    return PostgresCatalog(location.catalog, read_only=read_only)


def open_files(folder: Path, location: Location) -> Files:
    """Return the files of a home."""
    if not location.files:
        return LocalFiles(folder)
    from pitstop.store.objects import ObjectFiles  # noqa: PLC0415 - pyarrow's file systems take long to import

    return ObjectFiles(folder, location.files)
