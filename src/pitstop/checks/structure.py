"""The tables as such: columns that are missing, new or of another type, missing values, repeated rows."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

import pyarrow as pa

from pitstop.checks.breaks import family, missing
from pitstop.checks.excerpts import Excerpt
from pitstop.checks.findings import Finding, Severity
from pitstop.checks.pairs import FEWEST_ROWS, Pair, percent, shown
from pitstop.diagnosis.repeated import Words, find_repeated, find_stale
from pitstop.records import columns as convert
from pitstop.records import row_words
from pitstop.statistics.significance import rate_p

# Of tables with more rows a sample stands for all, and of repeated rows no sample tells.
ALL_ROWS = 200_000

_WORDS = {
    "number": "numbers",
    "text": "text",
    "time": "dates or times",
    "flag": "true and false",
    "other": "nested values",
}


def compare_columns(reference: Sequence[str], current: Sequence[str]) -> list[Finding]:
    """Return missing and new columns; the order of columns means nothing. A likely new name is told."""
    before, after = set(reference), set(current)
    missing = [name for name in reference if name not in after]
    new = [name for name in current if name not in before]
    found = []
    for name in missing:
        near = _same_name(name, new)
        hint = f"; {near!r} is new and may be its new name" if near else ""
        sentence = f"{name}: the column is missing from the current table{hint}."
        found.append(Finding(name, "missing_column", "critical", 1.0, sentence, upstream=True))
    found += [
        Finding(name, "new_column", "info", 1.0, f"{name}: the column is new; the reference has none.") for name in new
    ]
    return found


def _same_name(name: str, others: list[str]) -> str | None:
    plain = {other.strip().casefold().replace("-", "_").replace(" ", "_"): other for other in others}
    near = difflib.get_close_matches(name.strip().casefold().replace("-", "_").replace(" ", "_"), list(plain), n=1)
    return plain[near[0]] if near else None


def compare_type(pair: Pair) -> list[Finding]:
    """Return a finding where a column holds another kind of values. Whole numbers and fractions are one kind."""
    before, after = family(pair.reference), family(pair.current)
    if not before or not after or before == after:
        return []
    example = ""
    if after == "text" and before in ("number", "time"):
        values = convert.texts(pair.current.column, pair.name).drop_null().unique().to_pylist()
        odd = [value for value in values if before == "time" or not convert.reads_as_number(value.strip())]
        example = f" (such as {shown(odd[0])})" if odd else ""
    sentence = f"{pair.name}: the reference holds {_WORDS[before]}, the current table {_WORDS[after]}{example}."
    return [Finding(pair.name, "type_change", "critical", 1.0, sentence, upstream=True)]


def compare_filled(pair: Pair) -> list[Finding]:
    """Return a finding where far fewer values are missing than before. NaN and infinities count as missing."""
    lost, now_lost = int(missing(pair.reference).sum()), int(missing(pair.current).sum())
    before, after = lost / pair.rows, now_lost / pair.current_rows
    if before - after < 0.1 or rate_p(lost, pair.rows, now_lost, pair.current_rows) >= pair.alpha:
        return []
    sentence = (
        f"{pair.name}: {percent(after)} of the values are missing, {percent(before)} before: they are now filled in."
    )
    return [Finding(pair.name, "fewer_nulls", "info", before - after, sentence)]


def compare_rows(
    reference: Excerpt, current: Excerpt, names: Sequence[str], identity: str | None, time: str | None, alpha: float
) -> list[Finding]:
    """Return findings on ids that stand twice, rows that repeat an earlier one, and rows of the reference itself.

    `names`: the columns that both tables have; `identity` and `time` may be among them. Rows are compared without the
    id, with those of the reference without the time as well, since an old partition may be stamped anew. Both need all
    rows in their order; of more than 200,000 only repeated rows are told, against the whole reference.
    """
    if identity is not None and not _repeats(reference, [identity]):
        repeated = _repeats(current, [identity])
        if repeated:
            share = repeated / current.rows
            loud: Severity = "critical" if share >= 0.01 else "warning"
            sentence = (
                f"{identity}: {repeated} rows ({percent(share)}) repeat an id that stands earlier; every id of the "
                "reference is unique."
            )
            return [Finding(identity, "duplicates", loud, share, sentence, upstream=True)]
    content = [name for name in names if name != identity]
    if not content:
        return []
    if max(reference.rows, current.rows) > ALL_ROWS:
        return _more_repeats(reference, current, content, alpha)
    found = [find_repeated(*_row_words(reference, current, content))]
    if others := [name for name in content if name != time]:
        found.insert(0, find_stale(*_row_words(reference, current, others)))
    return [
        Finding("", item.kind, "critical" if item.share >= 0.2 else "warning", item.size, item.sentence, upstream=True)
        for item in found
        if item is not None and min(reference.rows, current.rows) >= FEWEST_ROWS
    ][:1]


def _row_words(reference: Excerpt, current: Excerpt, names: Sequence[str]) -> tuple[Words, Words]:
    """Return one hash for each row, over the columns that are of one type on both sides, numbers as floats."""
    sides = []
    for table in (reference, current):
        rows = table.sample([name for name in names if not _unlike(reference, current, name)], ALL_ROWS)
        # safe=False: numbers beyond 2^53, as ids are, are rounded; a safe cast would refuse them.
        columns = [column.cast(pa.float64(), safe=False) if _is_number(column) else column for column in rows.columns]
        sides.append(row_words.stable_hashes(columns, rows.num_rows))
    return sides[0], sides[1]


def _unlike(reference: Excerpt, current: Excerpt, name: str) -> bool:
    """Whether a column cannot be compared row by row: nested, or of another type."""
    kinds = [table.schema.field(name).type for table in (reference, current)]
    numbers = [pa.types.is_integer(kind) or pa.types.is_floating(kind) for kind in kinds]
    return any(pa.types.is_nested(kind) for kind in kinds) or not (all(numbers) or kinds[0] == kinds[1])


def _is_number(column: pa.ChunkedArray) -> bool:
    return bool(pa.types.is_integer(column.type) or pa.types.is_floating(column.type))


def _more_repeats(reference: Excerpt, current: Excerpt, content: Sequence[str], alpha: float) -> list[Finding]:
    before, after = _repeats(reference, content), _repeats(current, content)
    share, share_before = after / current.rows, before / reference.rows
    if share - share_before < 0.01 or rate_p(before, reference.rows, after, current.rows) >= alpha:
        return []
    # Rows with few different values repeat by chance, and the more rows there are the more often.
    if share_before > 0.0 and current.rows > 1.2 * reference.rows:
        return []
    severity: Severity = "critical" if share - share_before >= 0.2 else "warning"
    sentence = (
        f"{percent(share)} of the rows repeat an earlier row in every column ({percent(share_before)} in the "
        "reference)."
    )
    told = sentence[0].upper() + sentence[1:]
    return [Finding("", "duplicates", severity, share - share_before, told, upstream=True)]


def _repeats(table: Excerpt, names: Sequence[str]) -> int:
    """Return how many rows repeat an earlier one, over the columns that are not nested."""
    plain = [name for name in names if not pa.types.is_nested(table.schema.field(name).type)]
    return table.distinct(plain).repeats if plain else 0
