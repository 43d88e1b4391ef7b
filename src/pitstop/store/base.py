"""The two seams of the store: a catalog that speaks SQL, and files under keys.

SQLite and a local folder stand behind them today; PostgreSQL and object storage fit the same two protocols, so
statements stay portable SQLAlchemy Core and no caller sees a path that it did not ask for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import sqlalchemy as sa


class Catalog(Protocol):
    """Gives connections. One writer at a time; readers see committed transactions only."""

    def write(self) -> AbstractContextManager[sa.Connection]:
        """Open a transaction that commits when the block ends and rolls back when it raises."""

    def read(self) -> AbstractContextManager[sa.Connection]:
        """Open a consistent view of everything committed."""

    def scrub(self) -> None:
        """Leave nothing that was deleted in logs of its own."""

    def close(self) -> None:
        """Give all connections back."""


@dataclass(frozen=True)
class Staged:
    """Bytes that are durable under a temporary name: `digest` is the hex SHA-256 of the content, `size` in bytes."""

    token: str
    digest: str
    size: int


class Files(Protocol):
    """Immutable content under keys such as `segments/hotel/labels/16801-ab12.parquet`; `/` separates parts."""

    def stage(self, source: bytes | Path) -> Staged:
        """Write content durably under a temporary name."""

    def publish(self, moves: Sequence[tuple[Staged, str]]) -> None:
        """Give staged content its keys; durable on return."""

    def discard(self, staged: Sequence[Staged]) -> None:
        """Forget staged content."""

    def clear_staged(self) -> None:
        """Forget everything that a crash left staged."""

    def read(self, key: str) -> bytes:
        """Return content; raise `StoreError` if it is not there."""

    def local(self, key: str, digest: str) -> Path:
        """Return a path at which a process on this machine can read the content, whose SHA-256 is `digest`."""

    def keys(self, prefix: str) -> Iterator[str]:
        """Iterate over the keys that start with the folder `prefix`."""

    def delete(self, key: str) -> None:
        """Remove content; a key that is not there is no error."""
