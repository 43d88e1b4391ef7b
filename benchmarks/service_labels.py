"""Labels of millions of predictions, joined in random order: what one costs as predictions and labels grow."""

from __future__ import annotations

import io
import tempfile
import time
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.ipc as pa_ipc

from benchmarks.service_load import SPEC
from pitstop.records.spec import parse_spec
from pitstop.service.ingest.batch import Batch, Kind
from pitstop.service.ingest.drain import Drain
from pitstop.service.ingest.inbox import Inbox
from pitstop.store.intake import intakes

DAYS = 100
BATCH = 50_000
# Two features instead of twenty: this measures the join, and rows are stored before it begins.
TEXT = SPEC.replace(
    SPEC[SPEC.index("features") : SPEC.index("]", SPEC.index("features")) + 1], 'features = ["f0", "f1"]'
)
LABELLED_POINTS = 20


def join_all(count: int) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """Store `count` predictions, then their labels in random order; return the curve, and the figures of the bars.

    The cost is the processor time of the process that stores, from the spool to segments, counts and join records.
    """
    spec = parse_spec(TEXT)
    rows: list[dict[str, Any]] = []
    random = np.random.default_rng(7)
    order = random.permutation(count)
    with (
        tempfile.TemporaryDirectory(prefix="pitstop-") as folder,
        Inbox(folder, lambda _: spec) as inbox,
        inbox.drain() as drain,
    ):
        tenth = count // 10
        loading = _predictions(inbox, drain, 0, tenth, count)
        sample = order[order < tenth][:BATCH]
        small = _labels(inbox, drain, sample)
        loading += _predictions(inbox, drain, tenth, count, count)
        rows.append({"what": "labels", "predictions": tenth, "labelled before": 0, "us a label": small})
        rest = order[~np.isin(order, sample)]
        pieces = np.array_split(rest, LABELLED_POINTS)
        done = len(sample)
        for piece in pieces:
            cost = _labels(inbox, drain, piece)
            rows.append({"what": "labels", "predictions": count, "labelled before": done, "us a label": cost})
            done += len(piece)
        intake = intakes(drain.home)["m"]
        found = sum(segment.rows for segment in drain.home.segments("labels", "m"))
    curve = [row["us a label"] for row in rows[1:]]
    rows.insert(0, {"what": "predictions", "predictions": count, "us a row": loading / count * 1e6})
    return rows, {
        "more predictions": float(np.mean(curve[:3]) / small),
        "more labels": float(np.mean(curve[-3:]) / np.mean(curve[:3])),
        "missing": float(count - found + intake.early),
        "us a label": float(np.mean(curve)),
    }


def _predictions(inbox: Inbox, drain: Drain, first: int, end: int, count: int) -> float:
    seconds = 0.0
    for start in range(first, end, BATCH):
        numbers = np.arange(start, min(start + BATCH, end))
        random = np.random.default_rng(start)
        scores = random.random(len(numbers))
        # A tenth over a hundred days, then nine tenths over the same days: more history, and not more windows.
        lead = count // 10
        within = np.where(numbers < lead, numbers / lead, (numbers - lead) / (count - lead))
        at = np.datetime64("2026-01-01", "us") + (within * DAYS * 86_400_000_000).astype("timedelta64[us]")
        table = pa.table(
            {
                "id": pa.array(_ids(numbers)),
                "at": pa.array(at),
                "f0": random.normal(size=len(numbers)),
                "f1": random.normal(size=len(numbers)),
                "score": scores,
                "said": (scores >= 0.5).astype(np.int64),
            }
        )
        seconds += _stored(inbox, drain, "predictions", table)
    return seconds


def _labels(inbox: Inbox, drain: Drain, numbers: np.ndarray) -> float:
    """Return the microseconds that each of these labels costs, in batches of 50,000."""
    seconds = 0.0
    for start in range(0, len(numbers), BATCH):
        part = numbers[start : start + BATCH]
        known = np.full(len(part), np.datetime64("2026-06-01", "us"))
        table = pa.table({"id": pa.array(_ids(part)), "label": part % 2, "known": known})
        seconds += _stored(inbox, drain, "labels", table)
    return seconds / len(numbers) * 1e6


def _ids(numbers: np.ndarray) -> list[str]:
    return [f"request-{number:012d}" for number in numbers.tolist()]


def _stored(inbox: Inbox, drain: Drain, kind: Kind, table: pa.Table) -> float:
    sink = io.BytesIO()
    with pa_ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    inbox.accept_now(Batch("m", kind, "arrow", sink.getvalue()))
    started = time.process_time()
    drain.run_dry()
    return time.process_time() - started
