"""The counts of a profile as one SQL query, for rows that may not leave their warehouse; only counts come back.

Every count is a whole number and every comparison is one of doubles, so the result has the same bits as the kernel's,
where the database keeps the same doubles and computes with them as IEEE 754 says: DuckDB and PostgreSQL are tested;
BigQuery and Snowflake get the same text in their spelling.
"""

# ruff: noqa: S608 - names and texts of the model are quoted; the table is the caller's own SQL

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pitstop.errors import ColumnValueError, SpecError, UnknownNameError
from pitstop.profile import Layout, Profile
from pitstop.records.calendar import HOUR
from pitstop.records.spec import ModelSpec
from pitstop.statistics.bins import CategoryBins, NumericBins
from pitstop.statistics.outcome_bins import STEPS
from pitstop.statistics.scores import Scores

# Cells of what is not counted in a cell of the layout.
_NULL, _INFINITE, _NAN, _REFUSED = -1, -2, -3, -9
_LEAST, _MAGNITUDE = 5e-324, 2**63 - 1
COLUMNS = ("part", "window_number", "cell", "row_count", "sums", "squares", "clipped")


@dataclass(frozen=True)
class Dialect:
    """How a database spells what the standard leaves open. `{}` stands for the expression."""

    name: str
    quote: str = '"'
    double: str = "DOUBLE PRECISION"
    whole: str = "BIGINT"
    text: str = "VARCHAR"
    nan: str = "{} <> {}"
    infinite: str = "ABS({}) > CAST('1.7976931348623157e308' AS DOUBLE PRECISION)"
    micros: str = "CAST(EXTRACT(EPOCH FROM CAST({} AS TIMESTAMP)) * 1000000 AS BIGINT)"

    def name_of(self, column: str) -> str:
        """Return a column's name in quotes."""
        inner = column.replace("\\", "\\\\").replace("`", "\\`") if self.quote == "`" else column.replace('"', '""')
        return f"{self.quote}{inner}{self.quote}"

    def literal(self, text: str) -> str:
        """Return a text as a literal."""
        if self.quote == "`":
            # BigQuery's backslash escapes.
            inner = text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("\r", "\\r")
            return f"'{inner}'"
        doubled = text.replace("'", "''")
        return "'" + (doubled.replace("\\", "\\\\") if self.name == "snowflake" else doubled) + "'"

    def number(self, value: float) -> str:
        """Return a double, exact to its last bit; a bare 1.5 would be a decimal number in most databases."""
        return f"CAST('{value!r}' AS {self.double})"


_INFINITIES = "{{}} IN (CAST('{0}' AS {1}), CAST('-{0}' AS {1}))"
DIALECTS: tuple[Dialect, ...] = (
    Dialect("generic"),
    Dialect("duckdb", double="DOUBLE", nan="isnan({})", infinite="isinf({})", micros="epoch_us(CAST({} AS TIMESTAMP))"),
    Dialect(
        "postgresql",
        text="TEXT",
        nan="{} = CAST('NaN' AS DOUBLE PRECISION)",
        infinite=_INFINITIES.format("Infinity", "DOUBLE PRECISION"),
    ),
    Dialect(
        "bigquery",
        quote="`",
        double="FLOAT64",
        whole="INT64",
        text="STRING",
        nan="IS_NAN({})",
        infinite="IS_INF({})",
        micros="UNIX_MICROS(CAST({} AS TIMESTAMP))",
    ),
    Dialect(
        "snowflake",
        double="DOUBLE",
        nan="{} = CAST('NaN' AS DOUBLE)",
        infinite=_INFINITIES.format("inf", "DOUBLE"),
        micros="DATE_PART(EPOCH_MICROSECOND, CAST({} AS TIMESTAMP_NTZ))",
    ),
)


def dialect_named(name: str) -> Dialect:
    """Return a dialect. Raises `UnknownNameError` naming the known ones."""
    for dialect in DIALECTS:
        if dialect.name == name:
            return dialect
    msg = f"no SQL dialect is called {name!r}; known: {', '.join(item.name for item in DIALECTS)}"
    raise UnknownNameError(msg)


def profile_query(
    spec: ModelSpec,
    layout: Layout,
    table: str,
    *,
    dialect: str = "generic",
    windows: tuple[int | None, int | None] = (None, None),
) -> str:
    """Return the query whose lines `profiles_from_counts` makes into profiles.

    `table`: what stands after FROM, as it is to be written. `windows` as in `Engine.profiles`. Run it in a session
    whose time zone is UTC. Numbers are read as doubles; categories are compared as text, so a category that is kept
    as a floating-point number has to be cast to text first. Raises `SpecError` for windows of a number of rows.
    """
    if spec.calendar.by_rows:
        msg = "windows of a number of rows need rows in one order, which a SQL table has not; use the local engine"
        raise SpecError(msg)
    spelled = dialect_named(dialect)
    writer = _Writer(spelled, spec, layout)
    window = writer.number
    bounds = [f"{window} {sign} {edge}" for sign, edge in zip((">=", "<"), windows, strict=True) if edge is not None]
    kept = f" WHERE {window} IS NULL OR (" + " AND ".join(bounds) + ")" if bounds else ""
    blocks = [writer.rows(), writer.different(), *writer.features(), *writer.outputs()]
    return (
        f"WITH windowed AS (SELECT {writer.window()} AS {window}, t.* FROM {table} AS t),\n"
        f"source AS (SELECT * FROM windowed{kept})\n" + "\nUNION ALL\n".join(blocks)
    )


@dataclass(frozen=True)
class _Writer:
    """Writes the parts of the query; each gives lines of `COLUMNS`."""

    sql: Dialect
    spec: ModelSpec
    layout: Layout

    @property
    def number(self) -> str:
        """The name of a row's window, which is none of the model's columns in whatever case."""
        named = self.spec.columns
        taken = {str(name).lower() for name in (named.time, named.score, named.prediction, *named.features)}
        name = "pitstop_window"
        while name in taken:
            name += "_"
        return name

    def window(self) -> str:
        """Return the expression of a row's window."""
        calendar = self.spec.calendar
        length = calendar.window_start(1) - calendar.window_start(0)
        micros = self.sql.micros.format(self.sql.name_of(self.spec.columns.time))
        # A quotient of doubles: an hour's share of the epoch is far above their spacing.
        start = calendar.window_start(0)
        moved = f"({micros} - ({start}))" if start % HOUR or start else micros
        return f"CAST(FLOOR(CAST({moved} AS {self.sql.double}) / {self.sql.number(float(length))}) AS {self.sql.whole})"

    def rows(self) -> str:
        """Return the number of rows; the first part of the query names its columns."""
        return (
            f"SELECT 'rows' AS part, {self.number} AS window_number, 0 AS cell, COUNT(*) AS row_count, 0 AS sums, "
            f"0 AS squares, 0 AS clipped FROM source GROUP BY {self.number}"
        )

    def different(self) -> str:
        """Return the number of different rows; NaN is null, and both zeros are one."""
        columns: list[str] = []
        for name, _ in self.layout.numeric:
            value = self._double(name)
            columns.append(
                f"CASE WHEN {self.sql.nan.format(value, value)} THEN NULL ELSE {value} + 0 END AS f{len(columns)}"
            )
        for name, _ in self.layout.categorical:
            columns.append(f"{self._text(name)} AS f{len(columns)}")
        rows = f"SELECT DISTINCT {self.number}, {', '.join(columns)} FROM source"
        return f"SELECT 'different', {self.number}, 0, COUNT(*), 0, 0, 0 FROM ({rows}) AS d GROUP BY {self.number}"

    def features(self) -> list[str]:
        numeric = [
            self._numbers(f"n{at}", self._double(name), bins) for at, (name, bins) in enumerate(self.layout.numeric)
        ]
        return numeric + [
            self._counts(f"c{at}", self._categories(self._text(name), bins))
            for at, (name, bins) in enumerate(self.layout.categorical)
        ]

    def outputs(self) -> list[str]:
        """Return the counts of what the model said."""
        named, bins = self.spec.columns, self.layout.outcome_bins
        if bins.prediction is not None:
            said = (
                "CAST(NULL AS " + self.sql.double + ")" if named.prediction is None else self._double(named.prediction)
            )
            return [self._numbers("outputs", said, bins.prediction)]
        score = None if named.score is None else self._double(named.score)
        positive = f" WHEN {score} >= {self.sql.number(self.spec.decision.threshold)} THEN 1"
        others, given = "0", score
        if named.prediction is not None:
            given = self._text(named.prediction)
            cells = list(enumerate(bins.classes)) if bins.task == "multiclass" else [(1, bins.classes[1])]
            positive = "".join(f" WHEN {given} = {self.sql.literal(name)} THEN {at}" for at, name in cells)
            others = str(len(bins.classes)) if bins.task == "multiclass" else "0"
        elif score is None or bins.task == "multiclass":
            given = None
        group = "-1" if given is None else f"CASE WHEN {given} IS NULL THEN -1{positive} ELSE {others} END"
        return [self._counts("outputs", self._scored(group, score))]

    def _scored(self, group: str, score: str | None) -> str:
        """Return the cell of a row by class and score bin, as `Scores` counts them."""
        width = STEPS + 2
        if score is None:
            return f"CASE WHEN {group} < 0 THEN {_NULL} ELSE ({group}) * {width} + {STEPS + 1} END"
        step = f"CAST(FLOOR({score} * {self.sql.number(float(STEPS))} + {self.sql.number(0.5)}) AS {self.sql.whole})"
        nan = self.sql.nan.format(score, score)
        return (
            f"CASE WHEN {nan} OR {score} < 0 OR {score} > 1 THEN {_REFUSED} WHEN {group} < 0 THEN {_NULL} "
            f"WHEN {score} IS NULL THEN ({group}) * {width} + {STEPS + 1} ELSE ({group}) * {width} + {step} END"
        )

    def _numbers(self, part: str, value: str, bins: NumericBins) -> str:
        last = bins.cells - 1
        edges = "".join(f" WHEN v < {self.sql.number(edge)} THEN {at}" for at, edge in enumerate(bins.edges))
        missing = f"WHEN v IS NULL THEN {_NULL} WHEN {self.sql.nan.format('v', 'v')} THEN {_NAN}"
        cell = f"CASE {missing} WHEN {self.sql.infinite.format('v')} THEN {_INFINITE}{edges} ELSE {last} END"
        places = "".join(f" WHEN {at} THEN {self._place(bins, at)}" for at in range(bins.cells))
        floor = f"CAST(FLOOR(e) AS {self.sql.whole})"
        position = f"CASE WHEN cell < 0 OR e < 0 THEN 0 WHEN e >= 65536 THEN 65535 ELSE {floor} END"
        beyond = f"CASE WHEN cell IN (0, {last}) AND (e < 0 OR e >= 65536) THEN 1 ELSE 0 END"
        square = f"CAST(FLOOR(CAST(q * q AS {self.sql.double}) / 65536) AS {self.sql.whole})"
        return (  # names are quoted
            f"SELECT '{part}', {self.number}, cell, COUNT(*), SUM(q), SUM({square}), SUM(clip) FROM ("
            f"SELECT {self.number}, cell, {position} AS q, {beyond} AS clip FROM ("
            f"SELECT {self.number}, cell, CASE cell{places} ELSE 0 END AS e FROM ("
            f"SELECT {self.number}, v, {cell} AS cell FROM ("
            f"SELECT {self.number}, {value} AS v FROM source) AS a) AS b) AS c) AS d GROUP BY {self.number}, cell"
        )

    def _categories(self, value: str, bins: CategoryBins) -> str:
        named = "".join(f" WHEN {value} = {self.sql.literal(name)} THEN {at}" for at, name in enumerate(bins.values))
        other, unseen = bins.cells - 2, bins.cells - 1
        rest = [self.sql.literal(name) for name in bins.known if name not in set(bins.values)]
        known = f" WHEN {value} IN ({', '.join(rest)}) THEN {other}" if rest else ""
        return f"CASE WHEN {value} IS NULL THEN {_NULL}{named}{known} ELSE {other if bins.open else unseen} END"

    def _place(self, bins: NumericBins, at: int) -> str:
        """Return the expression of a value's place in a cell, in 2^16ths of its width.

        PostgreSQL, for one, refuses a product that is too large or too small for a double, where the kernel goes on
        with infinity or 0. Such products are not computed: what they would be is written down.
        """
        left, inverse, number = float(bins.half_left[at]), float(bins.inverse[at]), self.sql.number
        if not inverse:
            return "0"

        def place(value: float) -> float:
            return (value * 0.5 - left) * inverse

        known = []
        start = max(2.0 * left, -sys.float_info.max)
        if place(math.nextafter(start, math.inf)) == 0.0:
            first, last = _zeros(place, start)
            known.append(f"WHEN v >= {number(first)} AND v <= {number(last)} THEN 0")
        edges = (-math.inf, *bins.edges, math.inf)
        if left and edges[at] < 0 < edges[at + 1]:
            # Half of the least double is 0.
            known.append(f"WHEN v = {number(_LEAST)} OR v = {number(-_LEAST)} THEN {number(place(0.0))}")
        if at in (0, bins.cells - 1):
            far = 131072.0 / inverse
            known += [
                f"WHEN v {sign} {number(end)} THEN {number(place(end))}"
                for sign, end in (("<=", start - far), (">=", start + 2.0 * far))
                if math.isfinite(end) and math.isfinite(place(end))
            ]
        product = f"(v * {number(0.5)} - {number(left)}) * {number(inverse)}"
        return f"CASE {' '.join(known)} ELSE {product} END" if known else product

    def _counts(self, part: str, cell: str) -> str:
        inner = f"SELECT {self.number}, {cell} AS cell FROM source"
        return (
            f"SELECT '{part}', {self.number}, cell, COUNT(*), 0, 0, 0 FROM ({inner}) AS a GROUP BY {self.number}, cell"
        )

    def _double(self, column: str) -> str:
        return f"CAST({self.sql.name_of(column)} AS {self.sql.double})"

    def _text(self, column: str) -> str:
        return f"CAST({self.sql.name_of(column)} AS {self.sql.text})"


def _zeros(place: Callable[[float], float], start: float) -> tuple[float, float]:
    """Return the least and the largest double around `start` whose place, which rises with them, is 0."""
    ends = []
    for far in (-1.0, 1.0):
        inside, outside = start, math.copysign(sys.float_info.max, far)
        # Halves the distance in doubles, not in numbers: those of one sign are ordered as their bits are.
        while (middle := _between(inside, outside)) not in (inside, outside):
            inside, outside = (middle, outside) if place(middle) == 0.0 else (inside, middle)
        ends.append(inside)
    return ends[0], ends[1]


def _between(one: float, two: float) -> float:
    places = [(bits if bits >= 0 else -(bits & _MAGNITUDE)) for bits in np.array([one, two]).view(np.int64).tolist()]
    middle = sum(places) // 2
    return float(np.array(middle if middle >= 0 else -middle).view(np.float64)) * (1.0 if middle >= 0 else -1.0)


def profiles_from_counts(lines: Iterable[Sequence[Any]], layout: Layout) -> list[tuple[int, Profile]]:
    """Return (window, profile) by window from the query's lines (`COLUMNS`), in any order.

    Raises `ColumnValueError` where a row had no time, or a score that is no probability.
    """
    numeric = {f"n{at}": name for at, (name, _) in enumerate(layout.numeric)}
    categorical = {f"c{at}": name for at, (name, _) in enumerate(layout.categorical)}
    found: dict[int, _Vectors] = {}
    for part, window, cell, rows, sums, squares, clipped in lines:
        if window is None:
            msg = f"{rows} rows have no time; every row needs one, so fill them in or remove these rows"
            raise ColumnValueError(msg)
        if cell == _REFUSED:
            msg = f"window {window}: {rows} rows have a score outside 0 to 1; convert it to a probability first"
            raise ColumnValueError(msg)
        vectors = found.setdefault(int(window), _Vectors(layout))
        if part in ("rows", "different"):
            vectors.sizes[part] = int(rows)
        elif part in numeric or (part == "outputs" and layout.outcome_bins.prediction is not None):
            vector = vectors.outputs if part == "outputs" else vectors.features[numeric[part]]
            if part == "outputs" and cell in (_NAN, _INFINITE):
                msg = f"window {window}: {rows} rows have a prediction that is not finite; make it null"
                raise ColumnValueError(msg)
            _add_numbers(vector, int(cell), (int(rows), int(sums), int(squares), int(clipped)))
        else:
            vector = vectors.outputs if part == "outputs" else vectors.features[categorical[part]]
            vector[-1 if cell == _NULL else int(cell)] += int(rows)
    return [(window, found[window].profile()) for window in sorted(found)]


def _add_numbers(vector: np.ndarray[Any, np.dtype[np.int64]], cell: int, line: tuple[int, int, int, int]) -> None:
    cells = (vector.size - 3) // 3
    if cell < 0:
        vector[-2 if cell == _INFINITE else -3] += line[0]
        return
    for at in range(3):
        vector[at * cells + cell] += line[at]
    vector[-1] += line[3]


class _Vectors:
    """The counts of one window while its lines come in."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self.sizes = {"rows": 0, "different": 0}
        self.features = {name: np.zeros(kind.size_for(bins), np.int64) for name, kind, bins in layout.statistics()}
        self.outputs = np.zeros(Scores.size_for(layout.outcome_bins), np.int64)

    def profile(self) -> Profile:
        """Return the window's profile; all rows are in leaf 0."""
        empty, rows = Profile.empty(self._layout), self.sizes["rows"]
        leaves = empty.leaves.copy()
        leaves[0] = rows
        return replace(
            empty,
            rows=rows,
            duplicates=rows - self.sizes["different"],
            features={name: kind(bins, self.features[name]) for name, kind, bins in self._layout.statistics()},
            scores=Scores(self._layout.outcome_bins, self.outputs),
            leaves=leaves,
        )
