"""Senders that go on until each of their batches was acknowledged, whatever dies meanwhile."""

from __future__ import annotations

import http.client
import io
import json
import random
import threading
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.ipc as pa_ipc
import pyarrow.parquet as pq
from tests.service.ingest.counted import label_of, rows_of

from pitstop.service.ingest.formats import FORMATS, MEDIA_TYPES

MEDIA = {kind: media for media, kind in reversed(list(MEDIA_TYPES.items()))}
SIZE = 40


def payload_of(rows: list[dict[str, Any]], kind: str) -> bytes:
    """Return rows in one of the formats."""
    if kind == "json":
        return json.dumps(rows).encode()
    if kind == "ndjson":
        return b"\n".join(json.dumps(row).encode() for row in rows)
    sink, table = io.BytesIO(), pa.Table.from_pylist(rows)
    if kind == "csv":
        pa_csv.write_csv(table, sink)
    elif kind == "parquet":
        pq.write_table(table, sink)
    else:
        with pa_ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table)
    return sink.getvalue()


class Sender(threading.Thread):
    """Sends blocks `start`, `start + stride`, ... of predictions with their labels (early, late, corrected, repeated).

    Each try goes to one of `ports`, whichever; `pause` seconds lie between two blocks. `predictions`: the blocks of
    which all rows were acknowledged; `labels`: for each block whether the labels that hold are the corrected ones.
    """

    def __init__(self, ports: Sequence[int], start: int, stride: int, pause: float = 0.0) -> None:
        super().__init__(daemon=True)
        self._ports, self._block, self._stride = tuple(ports), start, stride
        self._random, self._pause = random.Random(start), pause
        self.stopping = threading.Event()
        self.predictions: list[int] = []
        self.labels: dict[int, bool] = {}
        self.refused: list[str] = []
        self.tries = 0

    def run(self) -> None:
        """Send until `stopping` is set; the block that was begun is finished."""
        while not self.stopping.is_set():
            block, draw = self._block, self._random
            numbers = range(block * SIZE, (block + 1) * SIZE)
            early = draw.random() < 0.3
            if early:
                self._label(block, numbers, flip=False, later=1)
            # Half of the batches have no id: sent again, their rows are known by their own.
            self._send("predictions", rows_of(numbers.start, SIZE), f"rows-{block}" if draw.random() < 0.5 else "")
            self.predictions.append(block)
            if not early and draw.random() < 0.7:
                self._label(block, numbers, flip=False, later=1)
            if block in self.labels and draw.random() < 0.4:
                self._label(block, numbers, flip=True, later=2)
            if draw.random() < 0.2:
                self._send("predictions", rows_of(numbers.start, SIZE), "")
            self._block += self._stride
            self.stopping.wait(self._pause)

    def _label(self, block: int, numbers: range, *, flip: bool, later: int) -> None:
        labels = [label_of(number, later=later, flip=flip) for number in numbers]
        self._random.shuffle(labels)
        self._send("labels", labels, f"labels-{block}-{later}" if self._random.random() < 0.5 else "")
        self.labels[block] = flip

    def _send(self, what: str, rows: list[dict[str, Any]], name: str) -> None:
        kind = self._random.choice(FORMATS)
        body = payload_of(rows, kind)
        headers = {"Content-Type": MEDIA[kind], **({"Idempotency-Key": name} if name else {})}
        while True:
            self.tries += 1
            connection = http.client.HTTPConnection("127.0.0.1", self._random.choice(self._ports), timeout=10)
            try:
                connection.request("POST", f"/v1/models/m/{what}", body, headers)
                answer = connection.getresponse()
                text = answer.read()
            except (OSError, http.client.HTTPException):
                if self.stopping.wait(0.01):
                    self.stopping.wait(0.02)
                continue
            finally:
                connection.close()
            if answer.status == http.client.OK:
                return
            if answer.status not in (429, 503):
                self.refused.append(f"{answer.status} {text!r}")
                return
