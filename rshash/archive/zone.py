"""Moments without a zone: they are taken as UTC, and a warning says so, once for each call of a user."""

import sys
import warnings

ZONE_PATTERN = r"([Zz]|[+-]\d\d(:?\d\d)?| [A-Za-z_/]+)\s*$"
"""How text of a moment ends that says its zone, as a regular expression of Python and of DuckDB."""


def warn_zoneless(text: str, n_more: int = 0) -> None:
    """Warn that a moment has no zone, at the line that called rshash.

    Args:
        text: the moment as it was given.
        n_more: how many others of the same call have none either.
    """
    more = f", nor have {n_more:,} more" if n_more else ""
    warnings.warn(f"datetime {text} has no zone{more}: taken as UTC (write {text}Z)", UserWarning, _level_of_caller())


def _level_of_caller() -> int:
    """Return the stack level, as `warn_zoneless` counts it, of the nearest function outside this package."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").split(".")[0] in ("rshash", "contextlib"):
        level, frame = level + 1, frame.f_back
    return level
