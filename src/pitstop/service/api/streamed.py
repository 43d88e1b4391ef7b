"""Bodies that are files: written to the disk as they come, so that none of them stands in the memory."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request

from pitstop.store.disk import disk_errors

_PIECE = 1 << 20


@dataclass(frozen=True)
class Streamed:
    """A body that has come whole: its file, there until the call ends, and the digest of its bytes (SHA-256, hex)."""

    path: Path
    digest: str
    size: int


@asynccontextmanager
async def streamed(request: Request, folder: Path) -> AsyncIterator[Streamed]:
    """Write a body to a file of its own in `folder`. Raises `StoreError` where the disk does not take it."""
    with disk_errors("take a file in", folder):
        await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".coming-") as file:
            digest, waiting, size = hashlib.sha256(), bytearray(), 0
            async for piece in request.stream():
                digest.update(piece)
                waiting += piece
                size += len(piece)
                if len(waiting) >= _PIECE:
                    await asyncio.to_thread(file.write, bytes(waiting))
                    waiting.clear()
            await asyncio.to_thread(file.write, bytes(waiting))
            await asyncio.to_thread(file.flush)
            yield Streamed(Path(file.name), digest.hexdigest(), size)
