"""Anything at all at the doors of searching: the right answer, a ValueError or a TypeError, and nothing else.

Good arguments must be answered, so no check refuses too much. RSHASH_FUZZ sets the examples of each test, 400 unless
told; a long run is ``RSHASH_FUZZ=100000 python -m pytest tests/test_fuzz.py``.
"""

import os

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import naive
import rshash
from rshash.index.multi_index import MultiIndex

fuzz = settings(
    max_examples=int(os.environ.get("RSHASH_FUZZ", "400")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

DTYPES = ["u1", "i1", "?", "<i8", ">u2", "f4", "f8", "c8", "O", "S3", "U2", "V2", "M8[s]", "u1,f4"]
LAYOUTS = {
    "dense": lambda a: a,
    "every other row": lambda a: np.repeat(a, 2, axis=0)[::2],
    "backwards": lambda a: a[::-1].copy()[::-1],
    "bytes backwards": lambda a: a[..., ::-1].copy()[..., ::-1],
    "column-major": np.asfortranarray,
    "padded rows": lambda a: np.concatenate([a, a], axis=-1)[..., : a.shape[-1]],
    "unaligned": lambda a: np.frombuffer(b"-" + a.tobytes(), a.dtype, offset=1).reshape(a.shape),
}
JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-3, 3),
    st.floats(),
    st.text(max_size=3),
    st.binary(max_size=3),
    st.lists(st.integers(-1, 300), max_size=3),
    st.sampled_from([np.uint8(3), np.int64(-2), np.float32(1), 2**31, 2**63, 2**64, -(2**63), object(), {}, np.uint8]),
)


@st.composite
def junk_arrays(draw):
    """An array of any dtype, any small shape, any layout."""
    shape = draw(st.lists(st.one_of(st.integers(0, 9), st.sampled_from([64, 512, 513])), max_size=3))
    if np.prod(shape) > 10_000:
        shape = shape[:1]
    array = np.zeros(shape, draw(st.sampled_from(DTYPES)))
    if array.ndim:
        layout = draw(st.sampled_from(sorted(LAYOUTS)))
        array = array if array.dtype.hasobject or not array.size else LAYOUTS[layout](array)
    array = np.broadcast_to(array, (draw(st.integers(0, 4)), *array.shape)) if draw(st.booleans()) else array
    return array.T if draw(st.booleans()) else array


ANYTHING = st.one_of(JUNK, junk_arrays())


@st.composite
def codes_of(draw, n_rows, n_bytes):
    """Good codes with many ties, in any layout."""
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    codes = rng.integers(0, draw(st.sampled_from([2, 256])), (n_rows, n_bytes), dtype=np.uint8)
    codes = codes[rng.integers(0, n_rows, n_rows)] if n_rows else codes
    return LAYOUTS[draw(st.sampled_from(sorted(LAYOUTS)))](codes)


@st.composite
def calls(draw):
    """Good arguments of a search, and the same with some of them replaced by anything."""
    n_rows = draw(st.one_of(st.integers(1, 20), st.integers(1, 700)))
    n_bytes = draw(st.one_of(st.integers(1, 20), st.sampled_from([32, 33, 64, 65, 512])))
    n_queries = draw(st.one_of(st.integers(0, 3), st.integers(8, 20)))
    good = {
        "codes": draw(codes_of(n_rows, n_bytes)),
        "query": draw(codes_of(n_queries, n_bytes)),
        "n_threads": draw(st.sampled_from([None, 1, 3])),
    }
    if draw(st.booleans()):
        good["k"] = draw(st.one_of(st.integers(1, n_rows + 3), st.sampled_from([2**40, np.int16(3)])))
    else:
        good["radius"] = draw(st.one_of(st.integers(0, 8), st.integers(0, 8 * n_bytes)))
    if draw(st.booleans()):
        admitted = np.random.default_rng(n_rows).random(n_rows) < draw(st.sampled_from([0, 0.05, 0.5, 1]))
        good["filter"] = np.packbits(admitted, bitorder="little") if draw(st.booleans()) else admitted
    if draw(st.booleans()):
        good["exclude"] = np.random.default_rng(n_queries).integers(-1, n_rows, n_queries)
    good["plan"] = draw(st.sampled_from([None, *rshash.kernels.backend().PLANS]))
    replaced = draw(st.one_of(st.just(set()), st.sets(st.sampled_from([*good, "k", "radius"]), min_size=1, max_size=2)))
    return good | {name: draw(ANYTHING) for name in sorted(replaced)}, not replaced


def expected_hits(codes, query, k=None, radius=None, filter=None, exclude=None, **_):
    """(distance, row) of each query's hits by the naive reference, for arguments that were accepted."""
    queries = np.atleast_2d(query)
    admitted = np.ones(len(codes), bool) if filter is None else np.asarray(filter)
    if admitted.dtype == np.uint8:
        admitted = np.unpackbits(admitted, bitorder="little")[: len(codes)]
    excluded = np.full(len(queries), -1) if exclude is None else np.asarray(exclude)
    # An excluded row leaves one hit less to be had, for every query alike (see rshash.search).
    most = min(10 if k is None else int(k), int(np.count_nonzero(admitted)) - (exclude is not None))
    for distances, own in zip(naive.all_distances(codes, queries), excluded, strict=True):
        ranked = [(d, row) for d, row in naive.rank(distances) if admitted[row] and row != own]
        yield ranked[: max(0, most)] if radius is None else [hit for hit in ranked if hit[0] <= radius]


def assert_right(hits, arguments):
    expected = list(expected_hits(**arguments))
    assert hits.n_queries == len(expected)
    for i, wanted in enumerate(expected):
        distances, ids = hits.of(i)
        assert list(zip(distances.tolist(), ids.tolist(), strict=True)) == wanted


def assert_clear(error):
    """The message is ours, not one that Python, numpy or pybind11 raise where a check is missing."""
    words = ("truth value", "incompatible function", "not supported", "has no", "interpreted", "operand", "unhashable")
    assert not any(word in str(error) for word in words), error


@given(calls())
@fuzz
def test_search_answers_or_refuses(call):
    arguments, is_good = call
    try:
        hits = rshash.search(**arguments)
    except (TypeError, ValueError) as error:
        assert not is_good
        assert_clear(error)
        return
    assert_right(hits, arguments)


@given(
    calls(), st.one_of(st.none(), st.integers(1, 4), ANYTHING), st.one_of(st.none(), st.integers(0, 10**5), ANYTHING)
)
@fuzz
def test_a_multi_index_answers_or_refuses(call, n_substrings, most_cost):
    arguments, _ = call
    arguments = {name: value for name, value in arguments.items() if name not in ("filter", "exclude", "plan")}
    try:
        index = MultiIndex(arguments["codes"], n_substrings)
        hits = index.search(**{n: v for n, v in arguments.items() if n != "codes"}, most_cost=most_cost)
    except (TypeError, ValueError) as error:
        assert_clear(error)
        return
    assert_right(hits, arguments)


@given(calls(), st.one_of(st.sampled_from(["portable", "avx2", "neon"]), JUNK))
@fuzz
def test_the_native_binding_answers_or_refuses(call, simd):
    """What the package never passes on must still not crash: the binding checks for itself."""
    native = pytest.importorskip("rshash.kernels._native")
    arguments, _ = call
    codes, queries, n_threads, plan, filter = (
        arguments.get(name) for name in ("codes", "query", "n_threads", "plan", "filter")
    )
    limits = {name: arguments[name] for name in ("k", "radius") if name in arguments}
    for name, limit in limits.items():
        search = native.top_k if name == "k" else native.within_radius
        try:
            found = search(codes, queries, limit, n_threads or 1, simd, plan or "sliced", filter)
        except (TypeError, ValueError):
            continue
        expected = list(expected_hits(codes, queries, filter=filter, **{name: limit}))
        flat = [hit for hits in expected for hit in hits]
        distances, rows = found[-2:]
        assert list(zip(distances.ravel().tolist(), rows.ravel().tolist(), strict=True)) == flat


@given(calls(), ANYTHING, ANYTHING, ANYTHING, st.integers(0, 5))
@fuzz
def test_the_native_binding_refuses_tables_of_other_shapes(call, codes, rows, offsets, place):
    native = pytest.importorskip("rshash.kernels._native")
    arguments, is_good = call
    if not is_good:
        return
    index = MultiIndex(arguments["codes"])
    good = [*index._arrays()[1:], arguments["query"], 1, 100, 1, "portable"]
    good[place] = [codes, rows, offsets, codes, rows, offsets][place]
    for search in (native.multi_index_top_k, native.multi_index_within_radius):
        try:
            answer = search(*good)
        except (TypeError, ValueError):
            continue
        assert len(answer[-1]) == len(arguments["query"])
