from importlib import import_module

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rshash
from naive import all_distances
from rshash.join import PLANS, first_equal, join, join_blocks, tables_pay

joins = import_module("rshash.join")  # rshash.join itself is the function


def near_codes(n, n_bytes, seed=0):
    """Codes of which many are equal or near: few centres, few flipped bits."""
    rng = np.random.default_rng(seed)
    centres = rng.integers(0, 256, (max(1, n // 8), n_bytes), dtype=np.uint8)
    flips = np.packbits(rng.random((n, 8 * n_bytes)) < 0.02, axis=1)
    return centres[rng.integers(len(centres), size=n)] ^ flips


def naive_pairs(a, b, radius):
    itself = b is None
    found = []
    for row_a, distances in enumerate(all_distances(a if itself else b, a)):
        near = [(d, row_b) for row_b, d in enumerate(distances) if d <= radius and not (itself and row_b <= row_a)]
        found += [(row_a, row_b, d) for d, row_b in sorted(near)]
    return found


def as_tuples(pairs):
    return list(zip(*(column.tolist() for column in pairs), strict=True))


def plans_for(radius):
    return [None, *(plan for plan in PLANS if plan != "sort" or radius == 0)]


@pytest.mark.parametrize("n_bytes", [1, 2, 3, 8, 9, 17])
@pytest.mark.parametrize("radius", [0, 1, 5])
def test_every_plan_finds_the_pairs_of_a_naive_join_in_order(n_bytes, radius):
    a, b = near_codes(70, n_bytes), near_codes(90, n_bytes, seed=1)
    a[-5:] = a[:5]
    b[::9] = a[: len(b[::9])]
    for other in (b, None):
        expected = naive_pairs(a, other, radius)
        assert expected
        for plan in plans_for(radius):
            assert as_tuples(join(a, other, radius, plan=plan)) == expected, plan


@given(st.integers(0, 40), st.integers(0, 40), st.integers(1, 3), st.integers(0, 24), st.integers(0, 99), st.booleans())
@settings(max_examples=60, deadline=None)
def test_any_join_equals_the_naive_one(n_a, n_b, n_bytes, radius, seed, itself):
    radius = min(radius, 8 * n_bytes)
    a = near_codes(n_a, n_bytes, seed)
    b = None if itself else near_codes(n_b, n_bytes, seed)
    expected = naive_pairs(a, b, radius)
    assert all(as_tuples(join(a, b, radius, plan=plan)) == expected for plan in plans_for(radius))


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("itself", [True, False])
def test_parts_are_small_and_add_up(monkeypatch, plan, itself):
    monkeypatch.setattr(joins, "PAIRS_A_BLOCK", 50)
    monkeypatch.setattr(joins, "LEAST_QUERIES", 2)
    a = np.repeat(near_codes(30, 8), 5, axis=0)
    b = None if itself else a[::2]
    radius = 0 if plan == "sort" else 2
    parts = list(join_blocks(a, b, radius, plan=plan))
    most_of_a_row = max(np.bincount(join(a, b, radius).rows_a))
    assert len(parts) > 5
    assert max(len(part.rows_a) for part in parts) <= 2 * (50 + most_of_a_row)
    assert [pair for part in parts for pair in as_tuples(part)] == naive_pairs(a, b, radius)


def test_threads_and_strides_change_nothing():
    codes = near_codes(500, 16)[::2, :8]
    expected = as_tuples(join(np.ascontiguousarray(codes), None, 3, n_threads=1))
    assert as_tuples(rshash.join(codes, None, 3, n_threads=2)) == expected


def test_types_are_those_promised():
    for other in (near_codes(9, 8), None):
        for radius in (0, 2):
            pairs = join(near_codes(9, 8), other, radius)
            assert [column.dtype for column in pairs] == [np.int64, np.int64, np.int32]


def test_tables_are_taken_where_there_is_much_to_join_nearby():
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 256, (200_000, 8), dtype=np.uint8)
    if hasattr(joins.backend(), "multi_index_top_k"):
        assert tables_pay(codes, None, 2)
    assert not tables_pay(codes, None, 20)
    assert not tables_pay(codes[:1000], None, 2)
    assert not tables_pay(np.zeros_like(codes), None, 2)


def test_what_tables_look_at_is_counted():
    a, b = near_codes(60, 3), near_codes(50, 3, seed=1)
    for table, n_bits in ((0, 16), (1, 8)):
        for n_flips in (0, 1, 2):
            substrings = [codes[:, 2 * table : 2 * table + 2] for codes in (a, b)]
            expected = sum(row.count(n_flips) for row in all_distances(*substrings))
            assert joins._rows_looked_at(b, a, table, n_bits, n_flips) == expected


@pytest.mark.parametrize("n_bytes", [1, 8, 11])
def test_equal_codes_are_known_by_their_first(n_bytes):
    codes = near_codes(200, n_bytes)
    seen = {}
    assert first_equal(codes).tolist() == [seen.setdefault(bytes(code), row) for row, code in enumerate(codes)]
    assert first_equal(codes[:0]).tolist() == []


def test_what_cannot_be_joined_is_named():
    codes = near_codes(5, 8)
    with pytest.raises(ValueError, match="codes_a have 8 bytes, codes_b 4"):
        join(codes, codes[:, :4], 1)
    with pytest.raises(ValueError, match="radius must be between 0 and 64, got 65"):
        join(codes, None, 65)
    with pytest.raises(TypeError, match="radius must be an integer"):
        join(codes, None, 1.0)
    with pytest.raises(TypeError, match="codes_b must be packed codes of dtype uint8"):
        join(codes, codes.astype(float), 1)
    with pytest.raises(ValueError, match="plan"):
        join(codes, None, 1, plan="hash")
    with pytest.raises(ValueError, match='plan "sort" finds equal codes only, the radius is 1'):
        join(codes, None, 1, plan="sort")
