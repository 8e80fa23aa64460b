"""The condition of a filter: one SQL expression over the columns of the items, checked before it is run.

DuckDB parses the expression, and what it parsed is looked at: one expression that judges a row by its own columns, with
functions that depend on their arguments only. Subqueries, table functions, aggregates, files and settings are refused.
"""

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from rshash.archive.items import name_of, quote
from rshash.extras import require

PARTS = {
    *("COLUMN_REF", "CONSTANT", "COMPARISON", "CONJUNCTION", "BETWEEN", "OPERATOR"),
    *("FUNCTION", "LAMBDA", "CASE", "CAST", "TYPE", "COLLATE"),
}
"""What an expression may be made of, by the names of DuckDB's parser."""

REFUSED_PARTS = {
    "SUBQUERY": "a subquery",
    "WINDOW": "a window function",
    "STAR": "* or COLUMNS(...)",
    "PARAMETER": "a parameter",
    "POSITIONAL_REFERENCE": "a column by its position",
}

CLOCK = {
    *("now", "today", "current_date", "current_localtime", "current_localtimestamp"),
    *("get_current_time", "get_current_timestamp", "transaction_timestamp"),
}
"""Functions of the moment of asking; beside these only what DuckDB calls consistent is admitted."""

CLOCK_WORDS = CLOCK | {"age", "ago", "current_time", "current_timestamp", "localtime", "localtimestamp"}
"""All names of the moment of asking; DuckDB reads some of them where a column could stand. The age of one moment is
counted from today."""

SESSION = {"current_setting", "getvariable", "vector_type"}
"""Functions of the session and of how values lie in memory, which DuckDB 1.4 calls consistent."""

MACROS = {"ago", "date_add", "days_in_month", "fdiv", "fmod", "if", "nullif", "split_part"}
"""Functions that DuckDB defines by others; beside these only those of lists and arrays."""


def check_where(expression: Any, columns: Mapping[str, str]) -> str:
    """Return an expression that may stand, in parentheses on lines of their own, among other conditions.

    Args:
        expression: what is true of the rows to keep, for example ``"cloud_cover < 10 AND caption ILIKE '%ship%'"``.
        columns: column → DuckDB type.

    Raises:
        TypeError: if it is no string.
        ValueError: if DuckDB cannot read it (its message is passed on with the place), it is no condition, or it
            reaches for more than the row's own columns.
        ImportError: if duckdb is missing.

    >>> check_where("cloud_cover < 10", {"cloud_cover": "DOUBLE"})
    'cloud_cover < 10'
    >>> check_where("cloud_cover < 10) OR (true", {"cloud_cover": "DOUBLE"})
    Traceback (most recent call last):
        ...
    ValueError: where: syntax error at or near ")"
      cloud_cover < 10) OR (true
                      ^
    """
    if not isinstance(expression, str):
        raise TypeError(f"where must be an SQL expression as a string, got {type(expression).__name__}")
    if not expression.strip() or "\0" in expression:
        raise ValueError("where must be an SQL expression, for example cloud_cover < 10; leave it out to keep all rows")
    try:
        bare = _parse("SELECT ", expression, "")
        if bare is None or bare != _parse("SELECT (\n", expression, "\n)"):
            raise _not_one(expression)
        for part in _walk(bare):
            _check_part(part, expression)
    except RecursionError:
        raise ValueError(f"where is nested too deeply: {expression[:60]!r}…") from None
    _check_type(expression, columns)
    return expression


def depends_on_clock(expression: str) -> bool:
    """Tell whether a checked expression may be true of other rows later.

    >>> depends_on_clock("datetime > now() - INTERVAL 7 DAYS"), depends_on_clock("known < 3")
    (True, False)
    """
    parts = list(_walk(_parse("SELECT ", expression, "")))
    names = {part.get("function_name", "") for part in parts} | {part.get("column_names", [""])[-1] for part in parts}
    return not CLOCK_WORDS.isdisjoint(name.lower() for name in names)


def where_failed(expression: str, error: Exception) -> ValueError:
    """Return the error of a condition that DuckDB accepted but could not work out for some row."""
    reason = str(error).split("\n")[0].split(" Error: ", 1)[-1]
    return _pointed(reason, expression, 0, _place_of_text(reason, "", expression))


def _parse(before: str, expression: str, after: str) -> Any:
    """Return the syntax tree of the one selected expression without its places, None where there is more than that."""
    (found,) = _rows("SELECT json_serialize_sql(?)", [before + expression + after])
    tree = json.loads(found[0])
    if tree["error"] and tree["error_message"].startswith("Only SELECT statements"):  # others follow a semicolon
        raise _not_one(expression)
    if tree["error"]:
        raise _pointed(tree["error_message"], expression, len(before), tree.get("position"))
    node = tree["statements"][0]["node"]
    if len(tree["statements"]) != 1 or node.get("type") != "SELECT_NODE":
        return None
    selected = node.pop("select_list")
    (plain,) = _rows("SELECT json_serialize_sql('SELECT 1')")
    nothing_else = json.loads(plain[0])["statements"][0]["node"]
    del nothing_else["select_list"]
    if len(selected) != 1 or selected[0]["alias"] or _placeless(node) != _placeless(nothing_else):
        return None
    return _placeless(selected[0])


def _placeless(tree: Any) -> Any:
    """Return a syntax tree without the offsets of its parts."""
    if isinstance(tree, dict):
        return {name: _placeless(part) for name, part in tree.items() if not name.startswith("query_location")}
    return [_placeless(part) for part in tree] if isinstance(tree, list) else tree


def _walk(tree: Any) -> Iterator[dict[str, Any]]:
    """Yield every expression of a syntax tree."""
    if isinstance(tree, dict):
        if "class" in tree:
            yield tree
        tree = list(tree.values())
    if isinstance(tree, list):
        for part in tree:
            yield from _walk(part)


def _check_part(part: Mapping[str, Any], expression: str) -> None:
    """Refuse a part that looks beyond the row."""
    kind = part["class"]
    if kind not in PARTS:
        raise ValueError(
            f"where judges a row by its own columns, {REFUSED_PARTS.get(kind, kind)} is not allowed: {expression}"
        )
    if kind == "FUNCTION":
        name = part["function_name"].lower()
        if name in _every_function() - _functions():  # DuckDB's own message for one it does not know is better
            raise ValueError(f"where judges a row by its own values, the function {name} is not allowed: {expression}")


def _check_type(expression: str, columns: Mapping[str, str]) -> None:
    """Have DuckDB look up columns and types, over a row that is not there."""
    before = "SELECT (\n"
    row = ", ".join(f"NULL::{kind} AS {name_of(name)}" for name, kind in columns.items())
    connection = _connection().cursor()
    connection.execute("SET errors_as_json = true")  # an option of each connection in DuckDB 1.4
    try:
        connection.execute(f"{before}{expression}\n) FROM (SELECT {row}) LIMIT 0")
    except require("duckdb", "archive").Error as error:
        message, position = str(error), None
        try:
            fields = json.loads(message[message.index("{") :])
            message, position = fields["exception_message"], fields.get("position")
        except (ValueError, KeyError):
            pass
        raise _pointed(
            message, expression, len(before), position or _place_of_text(message, before, expression)
        ) from None
    kind = str(connection.description[0][1])
    if kind != "BOOLEAN":
        raise ValueError(f"where must be a condition, true or false, this is of type {kind}: {expression}")


def _not_one(expression: str) -> ValueError:
    return ValueError(f"where must be one SQL expression and nothing else, without semicolons, got {expression!r}")


def _place_of_text(message: str, before: str, expression: str) -> str | None:
    """Return the place, as DuckDB gives it, of a text that cannot be converted, where the expression has it once."""
    found = re.match(r"Could not convert string '(.*)' to ", message)
    text = found and quote(found[1])
    if not text or expression.count(text) != 1:
        return None
    return str(len((before + expression[: expression.index(text)]).encode()))


def _pointed(message: str, expression: str, offset: int, position: str | None) -> ValueError:
    """Return DuckDB's message with the expression and, where it names a place, a caret under it."""
    head = f"where: {message.strip()}\n  {expression}"
    if position is None:
        return ValueError(head)
    place = max(0, min(int(position) - offset, len(expression.encode())))  # in bytes
    before = expression.encode()[:place].decode(errors="ignore")
    line = before.count("\n")
    column = len(before) - (before.rfind("\n") + 1)
    lines = expression.split("\n")
    shown = [f"  {text}" for text in lines[: line + 1]] + [" " * (column + 2) + "^"]
    return ValueError("\n".join([f"where: {message.strip()}", *shown, *(f"  {text}" for text in lines[line + 1 :])]))


@cache
def _every_function() -> frozenset[str]:
    """Return the names of all functions."""
    return frozenset(name for (name,) in _rows("SELECT DISTINCT function_name FROM duckdb_functions()"))


@cache
def _functions() -> frozenset[str]:
    """Return the names of the functions that depend on their arguments, or the clock, only.

    From DuckDB 2.0 on, the form of ``+`` or ``month`` that takes moments with a zone is consistent within a query only,
    since it asks for the session's time zone, which is always UTC here; the other forms of its name stay consistent.
    What reads settings or the clock is consistent in no form.
    """
    found = _rows(
        "SELECT function_name FROM duckdb_functions() WHERE function_type = 'scalar' GROUP BY function_name"
        " HAVING bool_or(stability = 'CONSISTENT') AND bool_and(stability IN ('CONSISTENT', 'CONSISTENT_WITHIN_QUERY'))"
    )
    macros = _rows(
        "SELECT DISTINCT function_name FROM duckdb_functions() WHERE function_type = 'macro'"
        " AND (starts_with(function_name, 'list_') OR starts_with(function_name, 'array_'))"
    )
    return frozenset(name for (name,) in found + macros) - SESSION | CLOCK | MACROS


@cache
def _connection() -> Any:
    """Return a database of nothing, without access to files, that reads expressions."""
    settings = {"enable_external_access": False, "threads": 1}
    return require("duckdb", "archive").connect(":memory:", config=settings)


def _rows(sql: str, values: list[Any] | None = None) -> list[tuple[Any, ...]]:
    """Run a query on the database of nothing."""
    found: list[tuple[Any, ...]] = _connection().cursor().execute(sql, values).fetchall()
    return found
