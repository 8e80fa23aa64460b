"""Image files and caption data sets as sources: one row a picture, or one row a caption."""

import os
from collections.abc import Iterator
from functools import partial
from typing import Any

from rshash.data.dataset import CaptionDataset
from rshash.data.images import read_image
from rshash.ingest.entry import BadInput, Entry, Stamp, digest_content, digest_text
from rshash.ingest.listing import Listed, Listing


class PictureSource:
    """One row for each file of a listing, read as `rshash.data.images.read_image` does."""

    kind = "images"

    def __init__(self, listing: Listing) -> None:
        self._listing = listing

    @property
    def name(self) -> str:
        """The listing's name."""
        return self._listing.name

    def __len__(self) -> int:
        return len(self._listing)

    def __iter__(self) -> Iterator[Entry | BadInput]:
        for listed in self._listing:
            yield listed if isinstance(listed, BadInput) else picture_entry(listed)


class DatasetSource:
    """The images or the captions of a `CaptionDataset`, in its order; what it left out comes first.

    An image's item has ``source``, ``class`` and ``captions`` where the data set has them; a caption's item has
    ``caption`` and what its image has, and the id ``<id of the image>#<position>``.

    Args:
        dataset: with an image folder if ``kind`` is "images".
        kind: "images" or "captions".
        prefix: put before every id.

    Raises:
        ValueError: if the data set has nothing of that kind.
    """

    def __init__(self, dataset: CaptionDataset, kind: str, prefix: str = "") -> None:
        self._dataset, self.kind, self._prefix = dataset, kind, prefix
        if kind not in ("images", "captions"):
            raise ValueError(f"unknown kind {kind!r}: choose images or captions")
        if kind == "captions" and not any(dataset.captions):
            raise ValueError(f"{dataset.name} has no captions to encode")
        if kind == "images" and dataset.folder is None:
            raise ValueError(f"{dataset.name} was read without images: name the image folder (--images)")

    @property
    def name(self) -> str:
        """The data set's name."""
        return self._dataset.name

    def __len__(self) -> int:
        bad = sum(not problem.declared for problem in self._dataset.report)
        return bad + (len(self._dataset) if self.kind == "images" else sum(map(len, self._dataset.captions)))

    def __iter__(self) -> Iterator[Entry | BadInput]:
        folder = self._dataset.folder
        for problem in self._dataset.report:
            if not problem.declared:
                at_fault = self._dataset.name if folder is None else str(folder / problem.id)
                yield BadInput(self._prefix + problem.id, at_fault, f"{problem.what}: {problem.reason}")
        for row, name in enumerate(self._dataset.ids):
            columns = self._columns(row)
            captions = self._dataset.captions[row]
            if self.kind == "captions":
                for position, caption in enumerate(captions):
                    yield caption_entry(f"{self._prefix}{name}#{position}", caption, columns)
            else:
                if captions:
                    columns["captions"] = list(captions)
                yield picture_entry(Listed(self._prefix + name, self._dataset.path(row), columns))

    def _columns(self, row: int) -> dict[str, Any]:
        columns: dict[str, Any] = {}
        if self._dataset.folder is not None:
            columns["source"] = str((self._dataset.folder / self._dataset.ids[row]).resolve())
        if self._dataset.labels is not None:
            columns["class"] = self._dataset.classes[self._dataset.labels[row]]
        return columns


def picture_entry(listed: Listed) -> Entry | BadInput:
    """Return the row of an image file; its ``source`` is the absolute path."""
    source = os.path.abspath(listed.path)
    try:
        stamp = Stamp.of(listed.path)
    except OSError as error:
        return BadInput(listed.id, source, "no such file" if isinstance(error, FileNotFoundError) else str(error))
    return Entry(
        listed.id,
        {**listed.columns, "source": source},
        read=partial(read_image, listed.path),
        digest=partial(digest_content, listed.path),
        stamp=stamp,
        is_zoneless=listed.is_zoneless,
    )


def caption_entry(id: str, caption: str, columns: dict[str, Any]) -> Entry:
    """Return the row of a caption."""
    return Entry(id, {**columns, "caption": caption}, read=lambda: caption, digest=partial(digest_text, caption))
