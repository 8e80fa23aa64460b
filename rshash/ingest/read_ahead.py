"""Work in, results out in the same order: done by a few threads, a bounded way ahead of whoever takes the results."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Work = TypeVar("Work")
Result = TypeVar("Result")

GROUP = 4
"""Neighbours that one thread does, so that chips of one row share what their file's decoder has at hand."""

GROUPS_AHEAD = 16
BYTES_AHEAD = 256 << 20


def read_ahead(
    work: Iterable[Work], read: Callable[[Work], Result], n_threads: int, size_of: Callable[[Result], int]
) -> Generator[Result, None, None]:
    """Yield ``read(item)`` for each item, in order.

    At most `GROUPS_AHEAD` groups wait, and fewer where results are large: about `BYTES_AHEAD`, but always one group for
    each thread.

    Args:
        work: taken from the caller's thread only.
        read: called from the threads; what it raises is raised here.
        n_threads: how many threads.
        size_of: bytes that a result holds.

    >>> list(read_ahead(range(9), lambda number: number * number, 2, size_of=lambda result: 8))
    [0, 1, 4, 9, 16, 25, 36, 49, 64]
    """
    pending: deque[Future[list[Result]]] = deque()
    most = GROUPS_AHEAD
    with ThreadPoolExecutor(n_threads, thread_name_prefix="read-ahead") as pool:
        try:
            for group in blocks(work, GROUP):
                pending.append(pool.submit(_each, read, group))
                while len(pending) > max(most, n_threads):
                    results = pending.popleft().result()
                    largest = max(map(size_of, results))
                    most = min(GROUPS_AHEAD, BYTES_AHEAD // max(GROUP * largest, 1))
                    yield from results
            while pending:
                yield from pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()


def blocks(items: Iterable[Work], size: int) -> Iterator[list[Work]]:
    """Yield consecutive lists of ``size`` items; the last may be shorter.

    >>> list(blocks("abcde", 2))
    [['a', 'b'], ['c', 'd'], ['e']]
    """
    iterator = iter(items)
    while block := list(islice(iterator, size)):
        yield block


def _each(read: Callable[[Work], Result], group: list[Work]) -> list[Result]:
    return [read(item) for item in group]
