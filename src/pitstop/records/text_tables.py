"""CSV as it really comes: byte-order marks, other encodings, other delimiters, decimal commas, newlines in quotes."""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv

from pitstop.errors import UnreadableTableError

_DELIMITERS = (",", ";", "\t", "|")
_SAMPLE = 65_536
_MAX_BLOCK = 1 << 30
_DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+")
_DECIMAL_POINT = re.compile(r"[-+]?\d*\.\d+")


def read_csv(path: Path) -> tuple[pa.Table, tuple[str, ...]]:
    """Return the table in a CSV file (or .csv.gz) and notes on what was guessed.

    The encoding is UTF-8 (with or without a byte-order mark), UTF-16 by its mark, else Windows-1252 (Latin-1), which
    is noted. The delimiter is the one of comma, semicolon, tab and bar that splits the first lines most evenly. With a
    semicolon, numbers may have a decimal comma. Raises `UnreadableTableError`.
    """
    text, notes = _decode(path)
    if not text.strip():
        msg = f"{path} holds only white space; write the table again or name another file"
        raise UnreadableTableError(msg)
    sample = text[:_SAMPLE]
    delimiter = _delimiter(sample, whole=len(text) <= _SAMPLE)
    decimal = "," if delimiter == ";" and _has_decimal_commas(sample) else "."
    if delimiter != ",":
        notes.append(f"{path.name}: the delimiter was taken to be {delimiter!r}")
    if decimal == ",":
        notes.append(f"{path.name}: numbers were read with a decimal comma")
    data = text.encode("utf-8")
    try:
        table = pa_csv.read_csv(
            pa.py_buffer(data),
            # One block where possible: column types are then inferred from all rows, not from the first megabyte.
            read_options=pa_csv.ReadOptions(block_size=min(len(data) + 1, _MAX_BLOCK)),
            parse_options=pa_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
            convert_options=pa_csv.ConvertOptions(strings_can_be_null=True, decimal_point=decimal),
        )
    except (pa.ArrowException, UnicodeError) as error:
        first = str(error).strip().splitlines()[0]
        msg = f"{path} is not readable as CSV with the delimiter {delimiter!r}: {first}; mend that row and try again"
        raise UnreadableTableError(msg) from error
    return table, tuple(notes)


def _decode(path: Path) -> tuple[str, list[str]]:
    try:
        data = path.read_bytes()
        if path.suffix.lower() == ".gz":
            data = gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        msg = f"cannot read {path}: {error}; check that it is whole and may be read"
        raise UnreadableTableError(msg) from error
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            return data.decode("utf-16"), [f"{path.name}: read as UTF-16, by its byte-order mark"]
        except UnicodeDecodeError as error:
            msg = f"{path} begins like UTF-16 text but is not ({error}); save it as UTF-8"
            raise UnreadableTableError(msg) from error
    if b"\x00" in data[:_SAMPLE]:
        msg = f"{path} is not text (it holds zero bytes); if it is Parquet or Arrow, give it that suffix"
        raise UnreadableTableError(msg)
    try:
        return data.decode("utf-8-sig"), []
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        note = (
            f"{path.name}: not UTF-8 (line {line}), so it was read as Windows-1252; save it as UTF-8 if letters look "
            "wrong"
        )
        try:
            return data.decode("cp1252"), [note]
        except UnicodeDecodeError:
            return data.decode("latin-1"), [note.replace("Windows-1252", "Latin-1")]


def _delimiter(sample: str, *, whole: bool) -> str:
    """Return the delimiter that gives the most columns while all rows of the sample have the same number."""
    best, columns = ",", 1
    for candidate in _DELIMITERS:
        try:
            widths = [len(row) for row in csv.reader(_lines(sample), delimiter=candidate) if row]
        except csv.Error:
            continue
        if not whole and len(widths) > 1:
            widths = widths[:-1]  # the sample's last row may be cut
        if widths and min(widths) == max(widths) > columns:
            best, columns = candidate, widths[0]
    if columns == 1:
        # No candidate splits evenly: let the header decide, so that the parser names the row that is broken.
        header = sample.splitlines()[0]
        best = max(_DELIMITERS, key=header.count)
    return best if columns > 1 or best in sample.splitlines()[0] else ","


def _lines(sample: str) -> io.StringIO:
    """Return a text whose lines end in any of the usual ways, a carriage return alone among them."""
    return io.StringIO(sample, newline=None)


def _has_decimal_commas(sample: str) -> bool:
    fields = [field for row in list(csv.reader(_lines(sample), delimiter=";"))[1:] for field in row]
    commas = sum(bool(_DECIMAL_COMMA.fullmatch(field)) for field in fields)
    points = sum(bool(_DECIMAL_POINT.fullmatch(field)) for field in fields)
    return commas > points
