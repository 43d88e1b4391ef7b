"""Tests of the service: its coroutines run on asyncio, as they do under the server."""

from __future__ import annotations

import pytest


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
