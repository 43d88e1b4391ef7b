"""`pitstop feed`: by what it tells one source from another; what it hands over is in `tests/integrations`."""

from __future__ import annotations

import pytest

from pitstop.cli import feed_command


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("postgresql://me:secret@host/rides", "postgresql://you@host/rides?sslmode=require", True),
        ("postgresql://me:secret@host/rides", "postgresql://me:secret@host:5433/rides", False),
        ("postgresql:///rides?host=/one&password=secret", "postgresql:///rides?host=/two&password=secret", False),
        ("s3://bucket/rides?region=eu", "s3://bucket/rides?endpoint_override=localhost:9000", False),
        ("rides.duckdb", "./rides.duckdb", True),
    ],
)
def test_a_source_is_remembered_by_where_it_is_and_without_secrets(one: str, other: str, *, same: bool) -> None:
    shown = [feed_command._shown(source) for source in (one, other)]
    assert (shown[0] == shown[1]) is same
    assert not any("secret" in text for text in shown)
