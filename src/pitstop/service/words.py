"""The text columns of the service's own tables."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa


class Words(sa.types.TypeDecorator[str]):
    """Text that sorts by its bytes on every database.

    PostgreSQL keeps no NUL character: U+FFFD stands for it there, in what is kept and in what is looked for alike.
    """

    impl = sa.Text
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        """Return the column's type on a database."""
        return dialect.type_descriptor(sa.Text(collation="C") if dialect.name == "postgresql" else sa.Text())

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> str | None:
        """Return a value as the database takes it."""
        if value is None or dialect.name != "postgresql":
            return value
        return value.replace("\0", "\ufffd")
