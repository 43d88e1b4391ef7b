"""A picture together with what it shows: its sentence, its numbers as a table, and the same numbers as CSV.

So nobody has to see a picture to know what it says, and every picture can be taken elsewhere.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

from pitstop.report.charts import standalone
from pitstop.report.markup import Markup
from pitstop.report.story import Number
from pitstop.report.tables import Column

Cell = str | Number | None


@dataclass(frozen=True)
class Pictured:
    """One chart: `name` for its address, `title`, one `sentence` that says what it shows.

    `drawings` holds it for a wide and (where it differs) for a narrow page; `legend` names what is drawn. `columns` and
    `texts` are the table behind it, `values` the same cells as plain values, for CSV.
    """

    name: str
    title: str
    sentence: str
    drawings: tuple[Markup, ...]
    columns: tuple[Column, ...]
    texts: Sequence[Sequence[str]]
    values: Sequence[Sequence[Cell]]
    legend: str = ""

    def csv(self) -> str:
        """Return the numbers as CSV (RFC 4180) with a head; an unknown number is an empty cell."""
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow([column.name for column in self.columns])
        for row in self.values:
            writer.writerow(["" if cell is None else _plain(cell) for cell in row])
        return text.getvalue()

    def svg(self) -> str:
        """Return the wide drawing as a file of its own."""
        return standalone(self.drawings[0])


def _plain(cell: Cell) -> Cell:
    # A spreadsheet runs what begins like a formula; an apostrophe makes it text (CWE-1236).
    if isinstance(cell, str) and cell[:1] in {"=", "+", "-", "@", "\t", "\r"}:
        return "'" + cell
    return cell
