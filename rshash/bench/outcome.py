"""How much is measured, and what came of it for one contender."""

from dataclasses import dataclass, field
from statistics import median
from typing import Literal

Clock = Literal["wall", "cpu"]


@dataclass(frozen=True)
class Rules:
    """How much is measured.

    Attributes:
        repeats: least number of timed runs of each contender in a case; the median counts.
        seconds: a contender's share of a case; fewer queries are asked of one that needs longer.
        build_seconds: contenders whose build would take longer are left out.
        seed: of the codes and queries.
    """

    repeats: int = 5
    seconds: float = 1.0
    build_seconds: float = 10.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse rules that measure nothing.

        Raises:
            ValueError: if a number is out of range.
        """
        if self.repeats < 1:
            raise ValueError(f"repeats must be at least 1, got {self.repeats}")
        if self.seconds <= 0 or self.build_seconds < 0:
            raise ValueError(f"seconds must be positive, got {self.seconds} and {self.build_seconds} for a build")


@dataclass
class Outcome:
    """What one contender did in one case.

    Attributes:
        contender: its name.
        exact: whether it had to find exactly the truth.
        ours: whether it is rshash.
        variant: its fastest setting.
        plan: how it went about it, where it says.
        build_seconds: what it took to take the database.
        n_queries: queries of one run; fewer than the case has when the budget, or memory, allowed no more.
        wall, cpu: seconds of each run, by the clock and of this process on all cores.
        recall: part of the answer as near as the truth; 1.0 for an exact contender.
        reason: why it was not measured.
        wrong: what the referee found.
    """

    contender: str
    exact: bool
    ours: bool = False
    variant: str = ""
    plan: str = ""
    build_seconds: float | None = None
    n_queries: int = 0
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    recall: float | None = None
    reason: str | None = None
    wrong: str | None = None

    @property
    def measured(self) -> bool:
        """Whether there are times, and of right answers."""
        return bool(self.wall) and self.wrong is None

    def seconds(self, clock: Clock = "wall") -> float:
        """Return the median of the runs."""
        return median(self.wall if clock == "wall" else self.cpu)

    def pairs_a_second(self, n_rows: int, clock: Clock = "wall") -> float:
        """Return pairs of code and query a second, of a database of ``n_rows``.

        >>> Outcome("a", True, n_queries=4, wall=[2.0, 1.0, 9.0]).pairs_a_second(1000)
        2000.0
        """
        return n_rows * self.n_queries / self.seconds(clock)

    def spread(self, clock: Clock = "wall") -> float:
        """Return the slowest run less the fastest, as a part of the median."""
        times = self.wall if clock == "wall" else self.cpu
        return (max(times) - min(times)) / median(times)
