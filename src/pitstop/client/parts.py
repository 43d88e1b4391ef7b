"""A table in parts, each of which a service takes in one request."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

# Of what a service takes at most (32 MiB, 1,000,000 rows, 30,000,000 cells), with room for what a stream adds.
PART_BYTES, PART_ROWS, PART_CELLS = 24 << 20, 100_000, 20_000_000


def parts_of(table: pa.Table, size: int = PART_BYTES) -> Iterator[pa.Table]:
    """Iterate over parts of about `size` bytes at most; a row that is larger is a part of its own."""
    by_bytes = table.num_rows * size // max(table.nbytes, 1)
    rows = max(1, min(by_bytes, PART_ROWS, PART_CELLS // max(table.num_columns, 1)))
    for first in range(0, table.num_rows, rows):
        yield table.slice(first, rows)
