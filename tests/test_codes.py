import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rshash.codes import MAX_BITS, check_codes, code_bytes, dither, expand, pack_codes, unpack_codes

WIDTHS = [1, 7, 8, 9, 15, 16, 63, 64, 65, 127, 128, 129, 1000, 4096]


@pytest.mark.parametrize("n_bits", WIDTHS)
def test_bits_follow_the_sign_rule_and_the_stated_order(n_bits):
    relaxed = np.random.default_rng(n_bits).standard_normal((5, n_bits))
    relaxed[0, 0] = 0.0
    codes = pack_codes(relaxed)
    assert codes.shape == (5, code_bytes(n_bits))
    assert codes.dtype == np.uint8
    for row in range(5):
        for bit in range(8 * codes.shape[1]):
            expected = bit < n_bits and relaxed[row, bit] >= 0
            assert codes[row, bit // 8] >> (7 - bit % 8) & 1 == expected


@given(st.integers(1, 200), st.integers(0, 20), st.integers(0, 2**32 - 1))
def test_unpacking_is_the_inverse_of_packing(n_bits, n, seed):
    signs = np.random.default_rng(seed).choice(np.array([-1, 1], np.int8), (n, n_bits))
    assert np.array_equal(unpack_codes(pack_codes(signs), n_bits), signs)
    assert unpack_codes(pack_codes(signs), n_bits).dtype == np.int8


def test_a_zero_and_a_negative_zero_are_ones():
    assert pack_codes(np.array([[0.0, -0.0, -1e-30, 1e-30, -np.inf, np.inf, -1.0, -1.0]])).tolist() == [[0b11010100]]


def test_torch_tensors_are_packed_and_viewed_without_a_copy():
    torch = pytest.importorskip("torch")
    relaxed = torch.tensor([[0.5, -0.5], [-0.5, 0.5]], requires_grad=True)
    assert pack_codes(relaxed).tolist() == [[128], [64]]
    codes = torch.zeros((4, 8), dtype=torch.uint8)
    assert check_codes(codes).ctypes.data == codes.data_ptr()


def test_checking_views_the_same_memory(tmp_path):
    mapped = np.lib.format.open_memmap(tmp_path / "codes.npy", "w+", np.uint8, (10, 8))
    assert np.shares_memory(check_codes(mapped), mapped)
    strided = np.zeros((20, 16), np.uint8)[::-2, ::2]
    assert np.shares_memory(check_codes(strided), strided)


@pytest.mark.parametrize(
    ("relaxed", "error", "message"),
    [
        (np.zeros(8), ValueError, "must have shape (N, n_bits), got (8,)"),
        (np.zeros((2, 3, 4)), ValueError, "got (2, 3, 4)"),
        (np.zeros((2, 0)), ValueError, "n_bits must be between 1 and 4096, got 0"),
        (np.zeros((1, MAX_BITS + 1), np.float16), ValueError, "got 4097"),
        (np.array([[1.0, 0.0], [np.nan, 1.0]]), ValueError, "hold NaN (first in row 1)"),
        (np.zeros((1, 8), np.uint8), TypeError, "got dtype uint8"),
        (np.array([[0, 1], [1, 1]]), ValueError, "0/1 bits must become -1/+1 first (2 * bits - 1)"),
        (np.zeros((1, 8), bool), TypeError, "0/1 bits must become -1/+1 first"),
        (np.zeros((1, 8), complex), TypeError, "got dtype complex128"),
        (np.array([["a"]]), TypeError, "got dtype <U1"),
        ("text", TypeError, "must be an array, got str"),
        ([[1.0], [1.0, 2.0]], ValueError, "rectangular"),
    ],
)
def test_packing_refuses_what_has_no_sign(relaxed, error, message):
    with pytest.raises(error, match=re.escape(message)):
        pack_codes(relaxed)


@pytest.mark.parametrize("n_bits", [0, -1, 4097])
def test_widths_outside_the_range_are_refused(n_bits):
    with pytest.raises(ValueError, match="n_bits must be between 1 and 4096"):
        code_bytes(n_bits)


@pytest.mark.parametrize("n_bits", [8.0, "8", True, None])
def test_widths_that_are_no_integers_are_refused(n_bits):
    with pytest.raises(TypeError, match="n_bits must be an integer"):
        code_bytes(n_bits)


def test_unpacking_refuses_pad_bits_that_are_set():
    with pytest.raises(ValueError, match="bits set in the 4 pad bits behind bit 11"):
        unpack_codes(np.array([[0, 1]], np.uint8), n_bits=12)


@pytest.mark.parametrize(
    ("codes", "n_bits", "error", "message"),
    [
        (np.zeros((2, 8), np.int8), None, TypeError, "must be packed codes of dtype uint8, got int8"),
        (np.zeros((2, 8)), None, TypeError, "pack relaxed codes with rshash.pack_codes first"),
        (np.zeros(8, np.uint8), None, ValueError, "must have shape (N, n_bytes), got (8,)"),
        (np.zeros((2, 0), np.uint8), None, ValueError, "1 to 512 bytes per code, got 0"),
        (np.zeros((2, 513), np.uint8), None, ValueError, "1 to 512 bytes per code, got 513"),
        (np.zeros((2, 8), np.uint8), 128, ValueError, "have 8 bytes per code, expected 16 (n_bits=128)"),
    ],
)
def test_checking_says_what_is_wrong(codes, n_bits, error, message):
    with pytest.raises(error, match=re.escape(message)):
        check_codes(codes, n_bits=n_bits)


@pytest.mark.parametrize("n_bits", WIDTHS)
@pytest.mark.parametrize("share", [0, 0.3, 0.9])
def test_dithered_codes_move_by_at_most_their_share_and_equal_rows_alike(n_bits, share):
    relaxed = np.random.default_rng(0).uniform(-1, 1, (40, n_bits))
    moved = dither(np.concatenate([relaxed, relaxed]), share)
    assert moved.dtype == np.float32
    assert np.abs(moved[:40] - relaxed).max() <= share + 1e-6
    np.testing.assert_allclose(moved[:40], moved[40:], atol=1e-3)  # sums of another order
    sure = np.abs(relaxed) > share + 1e-3
    assert np.array_equal((moved[:40] >= 0)[sure], (relaxed >= 0)[sure])


@pytest.mark.parametrize("value", [-0.4, -0.1, 0.0, 0.25])
def test_a_dithered_bit_is_as_often_1_as_its_value_is_high(value):
    relaxed = np.random.default_rng(0).uniform(-1, 1, (20_000, 16))
    relaxed[:, 5] = value
    assert (dither(relaxed, 0.5)[:, 5] >= 0).mean() == pytest.approx((value / 0.5 + 1) / 2, abs=0.03)


def test_near_duplicates_stay_near_when_dithered():
    rng = np.random.default_rng(0)
    relaxed = np.tanh(rng.normal(scale=2, size=(500, 16)))
    near = relaxed + rng.normal(scale=0.001, size=relaxed.shape)
    assert ((dither(relaxed, 0.5) >= 0) != (dither(near, 0.5) >= 0)).mean() < 0.01
    assert ((dither(relaxed, 0.5) >= 0) != (relaxed >= 0)).mean() > 0.03


def naive_expand(relaxed, anchors, share):
    rows = []
    for row in relaxed.astype(float):
        length = np.sqrt((row * row).sum()) or 1
        cosines = [(row * a).sum() / length / np.sqrt((a * a).sum()) for a in anchors.astype(float)]
        weights = np.exp(np.array(cosines) / 0.05)
        rows.append(
            (1 - share) * row + share * sum(w * a for w, a in zip(weights / weights.sum(), anchors, strict=True))
        )
    return np.array(rows)


@pytest.mark.parametrize("n_bits", [1, 16, 65])
@pytest.mark.parametrize(("n", "n_anchors"), [(0, 1), (1, 1), (7, 30), (1025, 3)])
def test_expansion_is_the_weighted_mean_that_it_claims(n_bits, n, n_anchors):
    rng = np.random.default_rng(n)
    relaxed, anchors = (rng.uniform(-1, 1, (rows, n_bits)).astype(np.float32) for rows in (n, n_anchors))
    relaxed[: n // 7] = 0
    expanded = expand(relaxed, anchors, 0.7)
    assert expanded.dtype == np.float32
    np.testing.assert_allclose(expanded, naive_expand(relaxed, anchors, 0.7).reshape(relaxed.shape), atol=1e-4)
    assert np.array_equal(expand(relaxed, anchors, 0), relaxed)
    assert np.array_equal(expand(relaxed, anchors[:0], 0.7), relaxed)


def test_expansion_decides_what_a_code_is_unsure_of_and_no_more():
    anchors = np.array([[0.9, 0.9, -0.9, 0.9], [-0.9, 0.9, -0.9, -0.9]], np.float32)
    asking = np.array([[0.9, -0.05, -0.8, 0.9]])
    assert (expand(asking, anchors, 0.5) >= 0).tolist() == [[True, True, False, True]]


@pytest.mark.parametrize(("shape", "share", "message"), [
    ((16,), 0.5, r"shapes \(N, n_bits\) and \(A, n_bits\), got \(16,\) and \(3, 16\)"),
    ((2, 15), 0.5, r"got \(2, 15\) and \(3, 16\)"),
    ((2, 16), 1.5, "share is 1.5; expected a share, 0 to 1"),
    ((2, 16), float("nan"), "share is nan"),
])  # fmt: skip
def test_what_cannot_be_expanded_is_refused(shape, share, message):
    with pytest.raises(ValueError, match=message):
        expand(np.zeros(shape), np.ones((3, 16), np.float32), share)


def test_no_relaxed_codes_are_dithered_to_none():
    assert dither(np.zeros((0, 16)), 0.5).shape == (0, 16)


@pytest.mark.parametrize(("shape", "share", "message"), [
    ((16,), 0.5, r"shape \(N, n_bits\), got \(16,\)"),
    ((2, 16), 1.5, "share is 1.5; expected a share, 0 to 1"),
    ((2, 16), float("nan"), "share is nan"),
])  # fmt: skip
def test_what_cannot_be_dithered_is_refused(shape, share, message):
    with pytest.raises(ValueError, match=message):
        dither(np.zeros(shape), share)
