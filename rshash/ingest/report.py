"""What an ingest did: how many rows it added, replaced and left alone, and what it could not use, with the reason."""

import json
import os
from dataclasses import asdict, dataclass, field
from typing import Any

from rshash.files import write_atomically
from rshash.ingest.entry import BadInput


@dataclass
class IngestReport:
    """Counts of one run.

    Attributes:
        archive: its path.
        added: rows that are new.
        replaced: rows whose content had changed; they were encoded again.
        described: rows whose content was the same under other metadata; their codes stayed.
        unchanged: rows that were there already.
        empty: chips with too little data.
        zoneless: rows whose time was told without a zone; it was taken as UTC.
        bad: what could not be used.
        seconds: wall time of the whole run.
        encode_seconds: the share of it in which the encoder was at work.
        rows: rows in the archive afterwards.

    >>> report = IngestReport("a.rshash", added=2, bad=[BadInput("x.tif", "/x.tif", "no such file")], seconds=1.0)
    >>> report.summary()
    'a.rshash: 2 added, 0 replaced, 0 unchanged, 1 bad (x.tif: no such file); 2.0 rows/s'
    """

    archive: str
    added: int = 0
    replaced: int = 0
    described: int = 0
    unchanged: int = 0
    empty: int = 0
    zoneless: int = 0
    bad: list[BadInput] = field(default_factory=list)
    seconds: float = 0.0
    encode_seconds: float = 0.0
    rows: int = 0

    @property
    def encoded(self) -> int:
        """Rows that went through the encoder."""
        return self.added + self.replaced

    @property
    def others(self) -> int:
        """Rows of the archive that this run did not meet: of other sources, gone from this one, or bad by now."""
        return max(self.rows - self.encoded - self.described - self.unchanged, 0)

    def summary(self) -> str:
        """Say it in one line."""
        counts = [f"{self.added:,} added", f"{self.replaced:,} replaced"]
        counts += [f"{self.described:,} described anew"] * bool(self.described)
        counts += [f"{self.unchanged:,} unchanged"]
        counts += [f"{self.empty:,} chips without enough data left out"] * bool(self.empty)
        counts += [f"{self.zoneless:,} times without a zone taken as UTC"] * bool(self.zoneless)
        if self.bad:
            counts += [f"{len(self.bad):,} bad ({self.bad[0]}{'; …' if len(self.bad) > 1 else ''})"]
        rate = f"; {self.encoded / self.seconds:,.1f} rows/s" if self.encoded and self.seconds else ""
        return f"{self.archive}: {', '.join(counts)}{rate}"

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return asdict(self) | {"others": self.others}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it as JSON.

        Raises:
            OSError: if the place cannot be written.
        """
        with write_atomically(path) as draft:
            draft.write_text(json.dumps(self.to_json(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
