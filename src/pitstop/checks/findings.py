"""What a comparison of two tables found: plain sentences, worst first."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from pitstop.records.identity import canonical

Severity = Literal["critical", "warning", "info"]
Kind = Literal[
    "missing_column",
    "new_column",
    "type_change",
    "all_null",
    "new_nulls",
    "fewer_nulls",
    "unit_change",
    "renamed_category",
    "unseen_categories",
    "vanished_category",
    "stuck_value",
    "misspelt",
    "new_values",
    "range",
    "swapped_columns",
    "drift",
    "duplicates",
    "stale_rows",
    "volume",
    "time_shift",
    "label_shift",
    "score_drift",
    "performance_drop",
]
SEVERITIES: tuple[Severity, ...] = ("critical", "warning", "info")


@dataclass(frozen=True)
class Finding:
    """One difference. `column` is empty for the table as a whole.

    `size` is 0 or more; its unit depends on `kind`: a share of rows (nulls, categories, stuck values, range,
    duplicates, columns: 1), a Kolmogorov-Smirnov or total-variation distance (drift, shifts), a factor (unit change,
    volume), hours (time shift), a difference of the metric (performance). `upstream` marks what a pipeline does when it
    breaks, and what the column or the rows never did in any stretch of the reference.
    """

    column: str
    kind: Kind
    severity: Severity
    size: float
    sentence: str
    upstream: bool = False


@dataclass(frozen=True)
class Distribution:
    """One column in both tables, as shares (0 to 1) of the same named cells."""

    column: str
    cells: tuple[str, ...]
    reference: tuple[float, ...]
    current: tuple[float, ...]


@dataclass(frozen=True)
class Findings:
    """All findings, worst first, with the rows of both tables and notes on what could not be compared."""

    findings: tuple[Finding, ...]
    reference_rows: int
    current_rows: int
    notes: tuple[str, ...] = ()
    distributions: tuple[Distribution, ...] = ()

    def __len__(self) -> int:
        return len(self.findings)

    def __iter__(self) -> Iterator[Finding]:
        """Iterate over the findings, worst first."""
        return iter(self.findings)

    def at_least(self, severity: Severity) -> tuple[Finding, ...]:
        """Return the findings that are as bad as `severity` or worse."""
        return tuple(item for item in self.findings if SEVERITIES.index(item.severity) <= SEVERITIES.index(severity))

    def to_json(self) -> str:
        """Return one JSON object: findings (with `upstream`), rows of both tables, notes."""
        document = {
            "findings": [
                {
                    "column": item.column,
                    "kind": item.kind,
                    "severity": item.severity,
                    "size": canonical(float(item.size)),
                    "sentence": item.sentence,
                    "upstream": item.upstream,
                }
                for item in self.findings
            ],
            "reference_rows": self.reference_rows,
            "current_rows": self.current_rows,
            "notes": list(self.notes),
        }
        return json.dumps(document, indent=2, ensure_ascii=False)

    def _repr_html_(self) -> str:
        """Return a small table for notebooks; everything from the data is escaped."""
        if not self.findings:
            return "<p>Nothing found: the two tables differ no more than chance allows.</p>"
        rows = "".join(
            f"<tr><td>{item.severity}</td><td>{html.escape(item.column) or 'the table'}</td>"
            f"<td>{item.kind.replace('_', ' ')}</td><td style='text-align:left'>{html.escape(item.sentence)}</td></tr>"
            for item in self.findings
        )
        head = "<tr><th>severity</th><th>column</th><th>kind</th><th>what</th></tr>"
        return f"<table><thead>{head}</thead><tbody>{rows}</tbody></table>"
