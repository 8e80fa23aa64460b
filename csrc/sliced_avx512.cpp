// Bit-sliced kernel for AVX-512: 512 rows in a group, any function of three planes in one instruction.
#include <immintrin.h>

#include "sliced.h"

namespace rshash {
namespace {

using Vector = __m512i;

/// Truth table (for vpternlog) of the majority of a, b, c, each inverted where the variant has its bit set.
constexpr int majority_table(int variant) {
  int table = 0;
  for (int abc = 0; abc < 8; ++abc) {
    const int a = (abc >> 2 & 1) ^ (variant & 1);
    const int b = (abc >> 1 & 1) ^ (variant >> 1 & 1);
    const int c = (abc & 1) ^ (variant >> 2 & 1);
    table |= (a + b + c >= 2 ? 1 : 0) << abc;
  }
  return table;
}

constexpr int kParity = 0x96;
constexpr int kCarryFromSum = 0xd4;  // majority of a, b and a ^ b ^ sum

/// Transposes an 8 x 8 matrix of 64-bit lanes, a vector a row.
inline void transpose_lanes(Vector* rows) {
  Vector pairs[8], quads[8];
#pragma GCC unroll 4
  for (int i = 0; i < 8; i += 2) {
    pairs[i] = _mm512_unpacklo_epi64(rows[i], rows[i + 1]);
    pairs[i + 1] = _mm512_unpackhi_epi64(rows[i], rows[i + 1]);
  }
#pragma GCC unroll 2
  for (int i = 0; i < 8; i += 4) {
#pragma GCC unroll 2
    for (int j = i; j < i + 2; ++j) {
      quads[j] = _mm512_shuffle_i64x2(pairs[j], pairs[j + 2], 0x88);      // columns j and j + 4
      quads[j + 2] = _mm512_shuffle_i64x2(pairs[j], pairs[j + 2], 0xdd);  // columns j + 2 and j + 6
    }
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    rows[i] = _mm512_shuffle_i64x2(quads[i], quads[i + 4], 0x88);
    rows[i + 4] = _mm512_shuffle_i64x2(quads[i], quads[i + 4], 0xdd);
  }
}

/// Where each byte of a vector comes from (for vpermb).
struct ByteOrder {
  alignas(64) std::uint8_t sources[64];
};

/// Byte i of lane j from byte j of lane i; `reversed`, of lane 7 - i.
constexpr ByteOrder transposed_bytes(bool reversed) {
  ByteOrder order{};
  for (int lane = 0; lane < 8; ++lane) {
    for (int byte = 0; byte < 8; ++byte) {
      order.sources[8 * lane + byte] = static_cast<std::uint8_t>(8 * (reversed ? 7 - byte : byte) + lane);
    }
  }
  return order;
}

/// Eight bytes of each of eight rows.
RSHASH_INLINE Vector load_rows(const std::uint8_t* rows, std::size_t stride) {
  if (stride == 8) return _mm512_loadu_si512(rows);
  Vector lanes = _mm512_setzero_si512();
#pragma GCC unroll 8
  for (int row = 0; row < 8; ++row, rows += stride) {
    const __m128i lane = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(rows));
    lanes = _mm512_mask_broadcastq_epi64(lanes, static_cast<__mmask8>(1 << row), lane);
  }
  return lanes;
}

struct Plane {
  static constexpr std::uint32_t kRows = 512;

  static constexpr bool kStrided = true;  // rows of `slice` may lie any distance apart

  Vector bits;

  static RSHASH_INLINE Plane zeros() { return {_mm512_setzero_si512()}; }
  static RSHASH_INLINE Plane load(const std::uint8_t* from) { return {_mm512_load_si512(from)}; }
  static RSHASH_INLINE Plane fill(std::uint32_t bits) {
    return {_mm512_set1_epi32(static_cast<std::int32_t>(bits))};
  }
  RSHASH_INLINE void store(std::uint64_t* to) const { _mm512_store_si512(to, bits); }
  RSHASH_INLINE bool all_ones() const { return _mm512_cmpneq_epi64_mask(bits, _mm512_set1_epi64(-1)) == 0; }
  RSHASH_INLINE bool all_zeros() const { return _mm512_test_epi64_mask(bits, bits) == 0; }
  RSHASH_INLINE Plane and_not(Plane other) const { return {_mm512_andnot_si512(other.bits, bits)}; }

  /// planes[8 * j + i] = bit i of byte j of 512 rows, row r in bit r; eight bytes of a row are read, each
  /// `stride` bytes behind those of the last.
  static void slice(const std::uint8_t* rows, std::size_t stride, Plane* planes) {
    // Byte j of rows 7 .. 0 in lane j: the bit-matrix product below turns the order round.
    constexpr ByteOrder kBytesOfRows = transposed_bytes(true), kTransposed = transposed_bytes(false);
    const Vector bytes_of_rows = _mm512_load_si512(kBytesOfRows.sources);
    const Vector transposed = _mm512_load_si512(kTransposed.sources);
    const Vector single_bits = _mm512_set1_epi64(static_cast<long long>(0x8040201008040201));
    Vector blocks[8][8];  // blocks[v][j]: lane w is byte j of rows 64 v + 8 w .. + 7, its byte i their bits i
    for (int v = 0; v < 8; ++v) {
      for (int w = 0; w < 8; ++w, rows += 8 * stride) {
        const Vector bytes = _mm512_permutexvar_epi8(bytes_of_rows, load_rows(rows, stride));
        blocks[v][w] = _mm512_gf2p8affine_epi64_epi8(single_bits, bytes, 0);
      }
      transpose_lanes(blocks[v]);
    }
    for (int j = 0; j < 8; ++j) {
      Vector lanes[8];
      for (int v = 0; v < 8; ++v) lanes[v] = _mm512_permutexvar_epi8(transposed, blocks[v][j]);
      transpose_lanes(lanes);
      for (int i = 0; i < 8; ++i) planes[8 * j + i].bits = lanes[i];
    }
  }
};

RSHASH_INLINE Plane operator~(Plane a) { return {_mm512_ternarylogic_epi64(a.bits, a.bits, a.bits, 0x55)}; }
RSHASH_INLINE Plane operator^(Plane a, Plane b) { return {_mm512_xor_si512(a.bits, b.bits)}; }
RSHASH_INLINE Plane operator&(Plane a, Plane b) { return {_mm512_and_si512(a.bits, b.bits)}; }
RSHASH_INLINE Plane operator|(Plane a, Plane b) { return {_mm512_or_si512(a.bits, b.bits)}; }
RSHASH_INLINE Plane parity(Plane a, Plane b, Plane c) {
  return {_mm512_ternarylogic_epi64(a.bits, b.bits, c.bits, kParity)};
}

/// The sum takes the place of c, the carry that of a: an instruction overwrites its first operand.
RSHASH_INLINE void full_add(Plane a, Plane b, Plane c, Plane& sum, Plane& carry) {
  sum = {_mm512_ternarylogic_epi64(c.bits, a.bits, b.bits, kParity)};
  carry = {_mm512_ternarylogic_epi64(a.bits, b.bits, sum.bits, kCarryFromSum)};
}

template <int kVariant>
RSHASH_INLINE void carry_variants_from(Plane a, Plane b, Plane c, Plane* variants) {
  variants[kVariant].bits = _mm512_ternarylogic_epi64(a.bits, b.bits, c.bits, majority_table(kVariant));
  if constexpr (kVariant < 7) carry_variants_from<kVariant + 1>(a, b, c, variants);
}

RSHASH_INLINE void carry_variants(Plane a, Plane b, Plane c, Plane* variants) {
  carry_variants_from<0>(a, b, c, variants);
}

}  // namespace

SlicedKernel sliced_kernel_avx512() { return sliced_kernel<Plane>(); }

}  // namespace rshash
