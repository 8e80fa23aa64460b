"""Connected components of a graph that comes in parts. In: pairs of rows. Out: for each row the first of its group."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]

EDGES_AT_ONCE = 1 << 22


def connect_rows(roots: Rows, edges: Iterable[tuple[Rows, Rows]]) -> Rows:
    """Join groups of rows wherever an edge leads from one to another.

    Memory is that of the rows and of `EDGES_AT_ONCE` edges, however many come.

    Args:
        roots: (N,) int64, for each row the first row of its group before there are edges; itself if it is alone.
        edges: parts of the edges, two arrays of rows each.

    Returns:
        (N,) int64, for each row the first row of its group.

    >>> connect_rows(np.arange(5), [(np.array([3, 1]), np.array([4, 3]))]).tolist()
    [0, 1, 2, 1, 1]
    """
    roots = roots.copy()
    waiting: list[tuple[Rows, Rows]] = []
    n_waiting = 0
    for part in edges:
        waiting.append(part)
        n_waiting += len(part[0])
        if n_waiting >= EDGES_AT_ONCE:
            _unite(roots, waiting)
            waiting, n_waiting = [], 0
    if waiting:
        _unite(roots, waiting)
    return roots


def _unite(roots: Rows, edges: list[tuple[Rows, Rows]]) -> None:
    """Hang the greater root of each edge under the smaller until no edge leads to another group (in place).

    Every round joins each group that has a neighbour with a smaller root; roots only sink, so it ends.
    """
    left, right = (np.concatenate(ends) for ends in zip(*edges, strict=True))
    while len(left):
        left, right = roots[left], roots[right]
        apart = left != right
        left, right = left[apart], right[apart]
        np.minimum.at(roots, np.maximum(left, right), np.minimum(left, right))
        while not np.array_equal(above := roots[roots], roots):
            roots[:] = above
