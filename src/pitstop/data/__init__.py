"""The demo's data: real hotel bookings, shipped in the package under CC BY 4.0 (see the notice beside the file)."""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path

from pitstop.errors import UnreadableTableError

HOTEL_BOOKINGS = "hotel_bookings.parquet"
HOTEL_BOOKINGS_NOTICE = "hotel_bookings.NOTICE.txt"
HOTEL_BOOKINGS_SPEC = "hotel_bookings.toml"


def hotel_bookings_path() -> Path:
    """Return where the demo's Parquet file lies: 56,461 bookings, one row each, 2015-07-01 to 2017-04-30.

    `booked_on` is the time of the prediction, `is_canceled` (0 or 1) the label, `resolved_on` the day on which it
    became known. Source and changes: `hotel_bookings_notice`.

    Raises `UnreadableTableError` where the package is not unpacked on a file system (imported from a zip file):
    the trainer's process, which is another one, could not open the file there.
    """
    resource = files(__name__) / HOTEL_BOOKINGS
    with as_file(resource) as path:
        location = path
    if not location.is_file():
        msg = (
            f"{HOTEL_BOOKINGS} is not a file on this system (looked at {location}); expected an unpacked "
            "installation of pitstop: install it with pip instead of importing it from an archive"
        )
        raise UnreadableTableError(msg)
    return location


def hotel_bookings_notice() -> str:
    """Return the credit, licence and changes of the demo's data, as text to be shown beside anything made of it."""
    return (files(__name__) / HOTEL_BOOKINGS_NOTICE).read_text(encoding="utf-8")


def hotel_bookings_spec() -> str:
    """Return the text of the demo's `pitstop.toml`."""
    return (files(__name__) / HOTEL_BOOKINGS_SPEC).read_text(encoding="utf-8")
