"""Where a workspace keeps what it keeps: in its folder, else as its file `workspace.toml` says.

catalog = "postgresql://HOST/DATABASE?schema=NAME"   the service's tables; jobs in the schema NAME_jobs, and each home
                                                     that is made in a schema of its own: NAME_records, NAME_m_...
files = "s3://BUCKET/PREFIX?region=R"                the files of those homes, each under a prefix of its own

The keys that sign and seal stay in the folders of the homes, as `store.location` says, and the spool in the workspace.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit, urlunsplit

import sqlalchemy as sa

from pitstop.errors import StoreBusyError, StoreError, StoreUnavailableError
from pitstop.store.home import Home
from pitstop.store.location import FILE as HOME_FILE
from pitstop.store.location import Location, read_location, write_location

FILE = "workspace.toml"
DATABASE = "fleet.sqlite"
RECORDS = "records"
# Names of PostgreSQL have at most 63 characters, and what is added here has up to 32.
_LONGEST_SCHEMA = 31
_LONGEST_SLUG = 20


@dataclass(frozen=True)
class Places:
    """`catalog` is a PostgreSQL URL (`?schema=NAME`), `files` that of a bucket; empty: in the folder."""

    catalog: str = ""
    files: str = ""

    def __post_init__(self) -> None:
        """Refuse a schema whose name leaves no room for those of the homes. Raises `StoreError`."""
        if self.catalog and len(self.schema) > _LONGEST_SCHEMA:
            msg = f"schema {self.schema!r} has {len(self.schema)} characters; a workspace takes {_LONGEST_SCHEMA}"
            raise StoreError(msg)

    @classmethod
    def of(cls, folder: Path) -> Self:
        """Return what `workspace.toml` in the folder says. Raises `StoreError` where it cannot be used."""
        found = read_location(folder, FILE)
        return cls(found.catalog, found.files)

    @property
    def schema(self) -> str:
        """The schema of the service's own tables."""
        from pitstop.store.postgres import parsed  # noqa: PLC0415 - an optional dependency

        return parsed(self.catalog)[1]

    @property
    def jobs(self) -> tuple[sa.URL, str]:
        """The database and the schema in which DBOS keeps how far each job has come."""
        from pitstop.store.postgres import parsed  # noqa: PLC0415 - as above

        place, schema = parsed(self.catalog)
        return place, f"{schema}_jobs"

    def home(self, model: str = "") -> Location:
        """Return where the home of a model is kept; without one, that of the received rows."""
        part = RECORDS
        if model:
            slug = re.sub(r"[^a-z0-9_]", "_", model.lower())[:_LONGEST_SLUG]
            part = f"m_{slug}_{hashlib.sha256(model.encode()).hexdigest()[:8]}"
        return Location(self._schema_for(part), self._prefix_for(part))

    def prepare(self, folder: Path, model: str = "") -> None:
        """Make the home in `folder` where it is to be kept, unless it is in the folder itself or was made before.

        Raises `StoreError` where its catalog was made elsewhere, and its keys are not here.
        """
        if self == Places() or (folder.is_dir() and any(folder.iterdir())):
            return
        where = self.home(model)
        write_location(folder, where)
        try:
            _require_unused(folder, where)
            Home.open(folder).close()
        except StoreBusyError:
            return  # another process of this workspace was faster
        except BaseException:
            (folder / HOME_FILE).unlink(missing_ok=True)
            raise

    def _schema_for(self, part: str) -> str:
        if not self.catalog:
            return ""
        url = sa.make_url(self.catalog)
        return url.update_query_dict({"schema": f"{self.schema}_{part}"}).render_as_string(hide_password=False)

    def _prefix_for(self, part: str) -> str:
        if not self.files:
            return ""
        parts = urlsplit(self.files)
        return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{part}"))


def _require_unused(folder: Path, where: Location) -> None:
    """Raise `StoreError` where a home that was not opened here before has a journal already."""
    try:
        with Home.open(folder, read_only=True) as home:
            size = home.journal_head().size
    except StoreUnavailableError:
        raise
    except StoreError:
        return  # there is nothing yet
    if size:
        msg = (
            f"{where.catalog or where.files} is in use already, and its keys are not in {folder / 'keys'}: "
            "share the workspace's folder between machines, or copy it, so that each has them"
        )
        raise StoreError(msg)
