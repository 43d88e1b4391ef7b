"""Instants as other systems write them, in the form in which rows carry them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pitstop.errors import ColumnValueError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def text_of(at: int) -> str:
    """Return an instant in microseconds since 1970 as RFC 3339 in UTC."""
    return _written(_EPOCH + timedelta(microseconds=at))


def read_moment(text: object, what: str) -> str:
    """Return an instant written as RFC 3339 in UTC, to the microsecond; raise `ColumnValueError` for anything else."""
    try:
        found = datetime.fromisoformat(str(text))
        moment = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        msg = f"{what} is {str(text)[:60]!r}; expected an instant such as 2026-11-28T10:00:00Z"
        raise ColumnValueError(msg) from error
    return _written(moment)


def _written(moment: datetime) -> str:
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
