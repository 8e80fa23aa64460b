import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rshash
from rshash.archive.rerank import asymmetric_distances, cosine_distances, gather, rerank
from rshash.index.hits import Hits

N = 150


def naive_asymmetric(query, code):
    """Add what each bit weighs, bit by bit."""
    distance = 0.0
    for position, weight in enumerate(query):
        bit = code[position // 8] >> (7 - position % 8) & 1
        distance += (1 - float(weight) * (1 if bit else -1)) / 2
    return distance


def naive_cosine(query, row):
    product = sum(float(a) * float(b) for a, b in zip(query, row, strict=True))
    norms = [sum(float(a) ** 2 for a in values) ** 0.5 for values in (query, row)]
    return 1 - product / (norms[0] * norms[1]) if all(norms) else 1.0


def relaxed_codes(n, n_bits, seed):
    return np.tanh(np.random.default_rng(seed).normal(size=(n, n_bits))).astype(np.float32)


@pytest.fixture(scope="module")
def relaxed():
    rows = relaxed_codes(N, 12, seed=1)
    rows[90:100] = rows[5]  # equal rows, whose order must be that of the rows
    return rows


@pytest.fixture(scope="module")
def archive(relaxed, tmp_path_factory):
    """Two segments with relaxed codes and a deleted row."""
    opened = rshash.create(tmp_path_factory.mktemp("rerank") / "a.rshash", n_bits=12)
    items = [{"id": str(row)} for row in range(N)]
    for part in (slice(0, 70), slice(70, N)):
        opened.append(rshash.pack_codes(relaxed[part]), items[part], relaxed[part].astype(np.float16))
    opened.delete(["7"])
    return opened


@pytest.mark.parametrize("n_bits", [1, 7, 8, 9, 64, 130])
def test_asymmetric_distances_weigh_every_bit(n_bits):
    queries, rows = relaxed_codes(3, n_bits, seed=0), relaxed_codes(20, n_bits, seed=1)
    codes = rshash.pack_codes(rows)
    for query in queries:
        expected = [naive_asymmetric(query, code) for code in codes]
        np.testing.assert_allclose(asymmetric_distances(query, codes), expected, atol=1e-9)


@pytest.mark.parametrize("n_bits", [1, 8, 13, 64])
def test_a_query_that_is_sure_of_every_bit_gets_hamming_distances(n_bits):
    codes = rshash.pack_codes(relaxed_codes(30, n_bits, seed=2))
    query = np.where(relaxed_codes(1, n_bits, seed=3)[0] >= 0, 1.0, -1.0)
    hits = rshash.search(codes, rshash.pack_codes(query[None]), radius=n_bits)
    assert asymmetric_distances(query, codes)[hits.ids].tolist() == hits.distances.tolist()


@given(st.integers(0, 2**32 - 1), st.integers(1, 40))
@settings(deadline=None, max_examples=30)
def test_a_row_gets_the_same_distance_in_any_company(seed, n_bits):
    rng = np.random.default_rng(seed)
    query, rows = rng.normal(size=n_bits), rng.normal(size=(50, n_bits))
    codes = rshash.pack_codes(rows)
    chosen = rng.integers(0, 50, rng.integers(1, 60))
    assert np.array_equal(asymmetric_distances(query, codes[chosen]), asymmetric_distances(query, codes)[chosen])
    assert np.array_equal(cosine_distances(query, rows[chosen]), cosine_distances(query, rows)[chosen])


def test_cosine_distances_are_those_of_the_definition():
    query, rows = relaxed_codes(1, 24, seed=4)[0], relaxed_codes(20, 24, seed=5).astype(np.float16)
    rows[3] = 0
    np.testing.assert_allclose(cosine_distances(query, rows), [naive_cosine(query, row) for row in rows], atol=1e-6)
    assert cosine_distances(query, rows)[3] == 1
    assert cosine_distances(np.zeros(24), rows).tolist() == [1] * 20


@pytest.mark.parametrize("measure", ["asymmetric", "relaxed"])
@pytest.mark.parametrize("shortlist", [20, 40, N])
def test_a_search_ranks_its_shortlist_again(archive, relaxed, measure, shortlist):
    queries = relaxed_codes(6, 12, seed=6)
    hits = archive.search(queries, k=15, rerank=measure, shortlist=shortlist)
    codes = rshash.pack_codes(relaxed)
    for position, query in enumerate(queries):
        asked = rshash.pack_codes(query[None])[0]
        hamming = {row: int(np.bitwise_count(codes[row] ^ asked).sum()) for row in range(N) if row != 7}
        nearest = sorted(hamming, key=lambda row: (hamming[row], row))[:shortlist]
        if measure == "asymmetric":
            fine = {row: np.float32(naive_asymmetric(query, codes[row])) for row in nearest}
        else:
            fine = {row: np.float32(naive_cosine(query, relaxed[row].astype(np.float16))) for row in nearest}
        rows = hits.rows[position].tolist()
        expected = sorted(nearest, key=lambda row: (round(float(fine[row]), 5), row))[:15]
        assert [round(float(fine[row]), 5) for row in rows] == [round(float(fine[row]), 5) for row in expected]
        np.testing.assert_allclose(hits.fine_distances[position], [fine[row] for row in rows], atol=1e-5)
        assert hits.distances[position].tolist() == [hamming[row] for row in rows]
        assert hits.ids[position].tolist() == [str(row) for row in rows]
    assert hits.explanation.n_shortlist == 6 * min(shortlist, N - 1)
    assert f"rerank  {measure}" in str(hits.explanation)


def test_equal_rows_stay_in_their_order(archive, relaxed):
    for measure in ("asymmetric", "relaxed"):
        (rows,) = archive.search(relaxed[5], k=11, rerank=measure, shortlist=N).rows
        equal = [row for row in rows.tolist() if np.array_equal(relaxed[row], relaxed[5])]
        assert equal == [5, *range(90, 100)]


def test_everything_within_a_radius_is_ranked_again(archive):
    query = relaxed_codes(1, 12, seed=9)
    plain, ranked = archive.search(query, radius=4), archive.search(query, radius=4, rerank="asymmetric")
    assert sorted(plain.rows.tolist()) == sorted(ranked.rows.tolist())
    assert len(plain.rows) > 5
    assert ranked.offsets.tolist() == [0, len(plain.rows)]
    assert (np.diff(ranked.fine_distances) >= 0).all()


def test_filters_come_before_the_shortlist(archive):
    hits = archive.search(relaxed_codes(1, 12, seed=9), k=3, rerank="relaxed", ids=["3", "80", "149", "12"])
    assert hits.explanation.n_shortlist == 4
    assert set(hits.ids[0]) < {"3", "80", "149", "12"}
    nothing = archive.search(relaxed_codes(2, 12, seed=9), k=3, rerank="relaxed", ids=[])
    assert nothing.fine_distances.shape == nothing.ids.shape == (2, 0)


def test_no_query_gives_no_hits(archive):
    hits = rerank(Hits(np.empty((0, 4), np.int32), np.empty((0, 4), np.int64)), np.empty((0, 12)), archive.segments,
                  "relaxed", 4)[0]  # fmt: skip
    assert hits.ids.shape == (0, 4)


def test_rows_are_gathered_in_their_order(archive, relaxed):
    rows = np.array([149, 0, 69, 70, 69])
    assert np.array_equal(gather(archive.segments, rows, "codes"), rshash.pack_codes(relaxed)[rows])
    assert np.array_equal(gather(archive.segments, rows, "relaxed"), relaxed[rows].astype(np.float16))


BAD = [
    ({"rerank": "cosine"}, "unknown re-ranking 'cosine'"),
    ({"shortlist": 5}, "shortlist is how many of the nearest rows are ranked again: give it with rerank and k"),
    ({"rerank": "asymmetric", "shortlist": 0}, "shortlist must be at least 1, got 0"),
    ({"rerank": "asymmetric", "shortlist": 5, "radius": 3}, "give it with rerank and k"),
]


@pytest.mark.parametrize(("options", "message"), BAD)
def test_bad_options_are_explained(archive, options, message):
    with pytest.raises(ValueError, match=message):
        archive.search(relaxed_codes(1, 12, seed=0), **options)


def test_packed_codes_do_not_know_how_sure_they_are(archive):
    with pytest.raises(ValueError, match="ask with a sentence, an image or relaxed codes"):
        archive.search(np.zeros(2, np.uint8), rerank="asymmetric")


def test_relaxed_queries_of_another_width_are_refused(archive):
    with pytest.raises(ValueError, match=r"relaxed queries must have shape \(Q, 12\), got \(3,\)"):
        archive.search(np.zeros(3))


def test_relaxed_codes_that_were_not_kept_are_missed(tmp_path):
    archive = rshash.create(tmp_path / "a.rshash", n_bits=8)
    archive.append(np.zeros((1, 1), np.uint8), [{"id": "a"}])
    assert archive.search(np.ones(8), rerank="asymmetric").ids.tolist() == [["a"]]
    with pytest.raises(ValueError, match=r'append with relaxed=\.\.\. .*--relaxed\), or use rerank="asymmetric"'):
        archive.search(np.ones(8), rerank="relaxed")
