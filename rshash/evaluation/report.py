"""Report: what an evaluation found, as a table and as a file."""

import json
import os
from dataclasses import asdict, dataclass
from typing import Any

from rshash.files import write_atomically


@dataclass(frozen=True)
class Report:
    """What an evaluation found.

    Attributes:
        scores: direction → column, for example ``scores["i2t"]["mAP@20"]``; means over queries, 0..1.
        n_queries: direction → number of queries.
        n_database: direction → number of database rows.
        n_unanswerable: direction → queries without any relevant item in the database; they count as 0.
        protocol: how the numbers came about: data, split, relevance, ties, duplicates, the hasher's provenance.
    """

    scores: dict[str, dict[str, float]]
    n_queries: dict[str, int]
    n_database: dict[str, int]
    n_unanswerable: dict[str, int]
    protocol: dict[str, Any]

    def table(self) -> str:
        """Return the scores as an aligned text table: a row for each metric, a column for each direction."""
        columns = list(next(iter(self.scores.values())))
        rows = [
            ["", *self.scores],
            ["queries", *(str(self.n_queries[direction]) for direction in self.scores)],
            ["database", *(str(self.n_database[direction]) for direction in self.scores)],
            *([column, *(f"{scores[column]:.3f}" for scores in self.scores.values())] for column in columns),
        ]
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        return "\n".join(
            "  ".join([row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))])
            for row in rows
        )

    def to_json(self) -> str:
        """Return the whole report as JSON."""
        return json.dumps(asdict(self), indent=2, default=str)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the JSON, whole or not at all.

        Raises:
            OSError: if the place cannot be written.
        """
        with write_atomically(path) as draft:
            draft.write_text(self.to_json() + "\n", encoding="utf-8")
