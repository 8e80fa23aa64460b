"""What was wrong with the data: one entry for each thing that was left out, with its name and the reason."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Literal

OnBad = Literal["refuse", "skip"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing left out of a data set.

    Attributes:
        id: file name of the image, or the number of the row where there is none.
        what: ``"row"``, ``"image"``, ``"caption"``, ``"class"`` or ``"split"``.
        reason: what was expected and what came.
        declared: worth knowing but no fault (``image_available: false``, a split of another name); never refused.
    """

    id: str
    what: str
    reason: str
    declared: bool = False

    def __str__(self) -> str:
        return f"{self.id}: {self.what}: {self.reason}"


@dataclass(frozen=True, slots=True)
class DataReport:
    r"""Problems found in a data set, in the order of its rows.

    >>> report = DataReport((Problem("a.tif", "image", "no such file"),))
    >>> len(report), str(report)
    (1, '1 problem\n  a.tif: image: no such file')
    """

    problems: tuple[Problem, ...] = ()

    def __len__(self) -> int:
        return len(self.problems)

    def __iter__(self) -> Iterator[Problem]:
        return iter(self.problems)

    def __str__(self) -> str:
        if not self.problems:
            return "no problems"
        head = f"{len(self)} problem{'s' if len(self) > 1 else ''}"
        return "\n".join([head, *(f"  {problem}" for problem in self.problems)])

    def summary(self) -> str:
        """The first three problems on one line, for an error message."""
        first = "; ".join(str(problem) for problem in self.problems[:3]) or "no problems"
        return first + (f"; … {len(self) - 3} more" if len(self) > 3 else "")

    def to_json(self) -> list[dict[str, str | bool]]:
        """The problems as plain dictionaries, ready for ``json.dump``."""
        return [asdict(problem) for problem in self.problems]

    def refuse(self, source: str, on_bad: OnBad) -> None:
        """Raise if anything undeclared was found and the user chose ``on_bad="refuse"``.

        Raises:
            ValueError: naming the first three problems and their number, or an unknown ``on_bad``.
        """
        if on_bad not in ("refuse", "skip"):
            raise ValueError(f'on_bad is {on_bad!r}, expected "refuse" or "skip"')
        bad = [problem for problem in self.problems if not problem.declared]
        if bad and on_bad == "refuse":
            named = DataReport(tuple(bad)).summary()
            raise ValueError(
                f"{source} has {len(bad)} bad entries ({named}); "
                'mend them, or leave them out with on_bad="skip" (--on-bad skip)'
            )
