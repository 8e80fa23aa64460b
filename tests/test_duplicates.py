import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rshash
from naive import all_distances
from rshash.archive import components
from rshash.archive.components import connect_rows
from rshash.archive.selection import codes_at, select_rows

N = 120
DELETED = (4, 50, 119)


def some_codes():
    """A few centres, few flipped bits, some rows equal."""
    rng = np.random.default_rng(3)
    centres = rng.integers(0, 256, (25, 2), dtype=np.uint8)
    codes = centres[rng.integers(25, size=N)] ^ np.packbits(rng.random((N, 16)) < 0.06, axis=1)
    codes[:, 1] &= 0b11111100
    return codes


CODES = some_codes()


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    opened = rshash.create(tmp_path_factory.mktemp("duplicates") / "a.rshash", n_bits=14)
    for start, stop in ((0, 50), (50, 51), (51, N)):
        items = [{"id": f"{row}.tif", "cloud": row % 7, "datetime": f"2024-0{1 + row % 3}-01"} for row in range(N)]
        opened.append(CODES[start:stop], items[start:stop])
    opened.delete([f"{row}.tif" for row in DELETED])
    return opened


def expected(radius, keeps=lambda row: True):
    """Grow every group from its first row, one neighbour at a time."""
    distances = all_distances(CODES, CODES)
    left = [row for row in range(N) if row not in DELETED and keeps(row)]
    groups = []
    while left:
        group, frontier = [], [left.pop(0)]
        while frontier:
            here = frontier.pop()
            group.append(here)
            near = [row for row in left if distances[here][row] <= radius]
            left = [row for row in left if row not in near]
            frontier += near
        if len(group) > 1:
            groups.append([f"{row}.tif" for row in sorted(group)])
    return groups


@pytest.mark.parametrize("radius", [0, 1, 2, 14])
def test_groups_are_those_grown_by_hand(archive, radius):
    found = archive.duplicates(radius)
    assert expected(radius)
    assert found.ids == list(found) == expected(radius)
    assert len(found) == len(expected(radius))
    for plan in ("scan", "multi-index"):
        assert archive.duplicates(radius, plan=plan).ids == found.ids


def test_conditions_say_among_whom_to_look(archive):
    assert archive.duplicates(1, where="cloud < 4").ids == expected(1, lambda row: row % 7 < 4)
    assert archive.duplicates(1, datetime="2024-02").ids == expected(1, lambda row: row % 3 == 1)


def test_without_the_surplus_nothing_is_near(tmp_path):
    opened = rshash.create(tmp_path / "a.rshash", n_bits=16, id_type="integer")
    opened.append(CODES, {"id": np.arange(N) * 10})
    found = opened.duplicates(1)
    assert len(found.surplus) == len(found.rows) - len(found)
    assert {group[0] for group in found}.isdisjoint(found.surplus)
    opened.delete(found.surplus)
    assert len(opened.duplicates(1)) == 0
    assert len(opened) == N - len(found.surplus)


def test_an_archive_without_duplicates_says_so(tmp_path):
    opened = rshash.create(tmp_path / "a.rshash", n_bits=16)
    assert opened.duplicates(3, bbox=(0, 0, 1, 1), datetime="2024", where="id = 'a'").ids == []
    with pytest.raises(ValueError, match="1 of 1 ids are not in"):
        opened.duplicates(3, ids=["a"])
    opened.append(CODES[:1], [{"id": "a"}])
    assert opened.duplicates(16).ids == []


def test_groups_of_an_older_commit_are_not_named_wrongly(archive, tmp_path):
    opened = rshash.create(tmp_path / "a.rshash", n_bits=16)
    opened.append(np.zeros((4, 2), np.uint8), {"id": list("dcba")})
    found = opened.duplicates(0)
    opened.delete(["c"])
    with pytest.raises(ValueError, match="has changed since"):
        found.ids  # noqa: B018
    with pytest.raises(ValueError, match="radius must be between 0 and 14, got 15"):
        archive.duplicates(15)


def test_selected_rows_live_and_their_codes_follow(archive):
    living = [row for row in range(60) if row not in DELETED]
    rows = select_rows(archive, where="cloud = 3", ids=[f"{row}.tif" for row in living])
    wanted = [row for row in living if row % 7 == 3]
    assert [item["id"] for item in archive.items_at(rows)] == [f"{row}.tif" for row in wanted]
    assert np.array_equal(codes_at(archive, rows), CODES[wanted])
    assert len(select_rows(archive)) == N - len(DELETED)


edges = st.lists(st.tuples(st.integers(0, 29), st.integers(0, 29)), max_size=60)


@given(st.lists(edges, max_size=4))
@settings(max_examples=100, deadline=None)
def test_components_are_scipys(parts):
    graphs = pytest.importorskip("scipy.sparse")
    arrays = [np.array(part, np.int64).reshape(-1, 2).T for part in parts]
    together = np.concatenate([np.empty((2, 0), np.int64), *arrays], axis=1)
    matrix = graphs.coo_matrix((np.ones(together.shape[1]), tuple(together)), shape=(30, 30))
    _, labels = graphs.csgraph.connected_components(matrix, directed=False)
    first = [int(np.flatnonzero(labels == label)[0]) for label in labels]
    for at_once in (1, 1 << 20):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(components, "EDGES_AT_ONCE", at_once)
            assert connect_rows(np.arange(30), [tuple(part) for part in arrays]).tolist() == first


def test_long_chains_are_one_group():
    rows = np.random.default_rng(0).permutation(5000)
    assert not connect_rows(np.arange(5000), [(rows[:-1], rows[1:])]).any()
