"""Time intervals in the grammar of STAC: words in, first and last moments out, in UTC."""

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np

from rshash.archive.zone import warn_zoneless

_MOMENT = re.compile(
    r"(?P<year>\d{4})(-(?P<month>\d\d)(-(?P<day>\d\d)"
    r"(?P<time>[Tt ]\d\d:\d\d:\d\d)?(\.(?P<fraction>\d+))?(?P<zone>[Zz]|[+-]\d\d:\d\d)?)?)?",
    re.ASCII,
)
_TICK = timedelta(microseconds=1)
_GRAMMAR = (
    'expected a moment ("2023-06-01T12:00:00Z"), a day, month or year ("2023-06"), or an interval of two of these '
    '("2023-01-01/2023-06-30") with .. for an open end ("2023-01-01/..")'
)


@dataclass(frozen=True)
class Interval:
    """Moments from ``first`` to ``last``, both included, None where it is open; in UTC, to the microsecond.

    >>> str(parse_interval("2023-02/.."))
    '2023-02-01T00:00:00Z/..'
    """

    first: datetime | None
    last: datetime | None

    def touches(self, first: datetime, last: datetime) -> bool:
        """Tell whether a moment between ``first`` and ``last`` can lie in it."""
        return (self.first is None or last >= self.first) and (self.last is None or first <= self.last)

    def __str__(self) -> str:
        return "/".join(".." if end is None else format_moment(end) for end in (self.first, self.last))


def format_moment(moment: datetime) -> str:
    """Return an aware moment as ISO 8601 in UTC.

    >>> format_moment(datetime(2023, 2, 1, tzinfo=UTC))
    '2023-02-01T00:00:00Z'
    """
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def parse_interval(value: Any) -> Interval:
    """Read a moment or an interval.

    Grammar of the STAC API: RFC 3339 moments, two of them with a slash between, ``..`` or nothing for an open end.
    A date without a time stands for all of the day, month or year in UTC. A time without a zone is taken as UTC, and a
    warning says so.

    Args:
        value: a string, a `datetime.datetime`, a `datetime.date` (that day), a `numpy.datetime64` (UTC, as it has no
            zone; in units of days, months or years all of it), or a pair of these or None.

    Raises:
        TypeError: if it is none of these.
        ValueError: if it is no moment or interval, open at both ends, or ends before it begins.

    >>> str(parse_interval("2024-02"))
    '2024-02-01T00:00:00Z/2024-02-29T23:59:59.999999Z'
    """
    ends: tuple[Any, ...]
    if isinstance(value, str):
        ends = tuple(value.split("/"))
    elif isinstance(value, tuple | list):
        ends = tuple(value)
    else:
        ends = (value,)
    if len(ends) == 1:
        if _is_open(ends[0]):
            raise ValueError(f"datetime {value!r} says no moment: {_GRAMMAR}")
        return Interval(*_period(ends[0]))
    if len(ends) != 2:
        raise ValueError(f"datetime {value!r} has {len(ends)} ends: {_GRAMMAR}")
    if _is_open(ends[0]) and _is_open(ends[1]):
        raise ValueError(f"datetime {value!r} is open at both ends: leave it out to keep all rows")
    first = None if _is_open(ends[0]) else _period(ends[0])[0]
    last = None if _is_open(ends[1]) else _period(ends[1])[1]
    if first is not None and last is not None and last < first:
        raise ValueError(f"datetime {value!r} ends before it begins")
    return Interval(first, last)


def _is_open(end: Any) -> bool:
    return end is None or (isinstance(end, str) and end.strip() in ("", ".."))


def _period(end: Any) -> tuple[datetime, datetime]:
    """Return the first and the last moment of what one end of an interval names."""
    if isinstance(end, datetime):
        return (_in_utc(end, str(end)),) * 2
    if isinstance(end, date):
        end = end.isoformat()
    elif isinstance(end, np.datetime64):
        end = _text_of(end)
    if not isinstance(end, str):
        raise TypeError(f"datetime must be a string, a datetime or a date, got {type(end).__name__} {end!r}")
    text = end.strip()
    found = _MOMENT.fullmatch(text)
    if found is None or (found["time"] is None and (found["fraction"] or found["zone"])):
        raise ValueError(f"datetime {text!r} cannot be read: {_GRAMMAR}")
    try:
        moment = None if found["time"] is None else datetime.fromisoformat(text.upper())
        year, month, day = int(found["year"]), int(found["month"] or 1), int(found["day"] or 1)
        first = datetime(year, month, day, tzinfo=UTC)
    except ValueError as error:
        raise ValueError(f"datetime {text!r} is no date of the calendar: {error}") from None
    if moment is None:
        return first, _last_of(first, bool(found["month"]), bool(found["day"]))
    moment = _in_utc(moment, text)  # to the microsecond: digits beyond the sixth are left out
    return (moment + _TICK if (found["fraction"] or "")[6:].strip("0") else moment), moment


def _text_of(moment: np.datetime64) -> str:
    """Return a moment of numpy in the grammar of STAC."""
    unit, _ = np.datetime_data(moment)
    if unit in ("W", "h", "m"):  # ISO 8601 has days, and times to the second
        moment = moment.astype("datetime64[D]" if unit == "W" else "datetime64[s]")
    text = str(moment)
    return f"{text}Z" if "T" in text and not np.isnat(moment) else text


def _last_of(first: datetime, has_month: bool, has_day: bool) -> datetime:
    """Return the last microsecond of the day, month or year that begins with ``first``."""
    month = first.month if has_month else 12
    day = first.day if has_day else monthrange(first.year, month)[1]
    return datetime(first.year, month, day, 23, 59, 59, 999999, UTC)


def _in_utc(moment: datetime, text: str) -> datetime:
    """Return the moment in UTC; one without a zone is taken as UTC, and a warning says so."""
    if moment.tzinfo is None:
        warn_zoneless(text)
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"datetime {text} is outside the years 1 to 9999 in UTC") from None
