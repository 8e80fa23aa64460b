// Bit-sliced kernel for AVX2: 256 rows in a group.
#include <immintrin.h>

#include "sliced.h"

namespace rshash {
namespace {

using Vector = __m256i;

struct Plane {
  static constexpr std::uint32_t kRows = 256;

  static constexpr bool kStrided = false;  // rows of `slice` are dense

  Vector bits;

  static RSHASH_INLINE Plane zeros() { return {_mm256_setzero_si256()}; }
  static RSHASH_INLINE Plane load(const std::uint8_t* from) {
    return {_mm256_load_si256(reinterpret_cast<const Vector*>(from))};
  }
  static RSHASH_INLINE Plane fill(std::uint32_t bits) {
    return {_mm256_set1_epi32(static_cast<std::int32_t>(bits))};
  }
  RSHASH_INLINE void store(std::uint64_t* to) const {
    _mm256_store_si256(reinterpret_cast<Vector*>(to), bits);
  }
  RSHASH_INLINE bool all_ones() const { return _mm256_testc_si256(bits, _mm256_set1_epi64x(-1)); }
  RSHASH_INLINE bool all_zeros() const { return _mm256_testz_si256(bits, bits); }
  RSHASH_INLINE Plane and_not(Plane other) const { return {_mm256_andnot_si256(other.bits, bits)}; }

  /// planes[8 * j + i] = bit i of byte j of 256 rows of eight bytes, row r in bit r.
  static void slice(const std::uint8_t* rows, std::size_t, Plane* planes) {
    // Sixteen bytes, two rows: their bytes 0, their bytes 1, …
    const Vector pair_bytes = _mm256_setr_epi8(0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15,  //
                                               0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15);
    for (std::uint32_t block = 0; block < kRows / 32; ++block, rows += 256) {
      Vector a[8], b[8];  // 32 rows; the lower half of a vector holds rows 0 .. 15, the upper rows 16 .. 31
      for (int i = 0; i < 8; ++i) {
        const Vector low =
            _mm256_castsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(rows + 16 * i)));
        const __m128i high = _mm_loadu_si128(reinterpret_cast<const __m128i*>(rows + 128 + 16 * i));
        a[i] = _mm256_shuffle_epi8(_mm256_inserti128_si256(low, high, 1), pair_bytes);
      }
      for (int i = 0; i < 4; ++i) {  // then of four rows
        b[i] = _mm256_unpacklo_epi16(a[2 * i], a[2 * i + 1]);
        b[i + 4] = _mm256_unpackhi_epi16(a[2 * i], a[2 * i + 1]);
      }
      for (int i = 0; i < 8; i += 2) {  // of eight
        a[i / 2 + i / 4 * 2] = _mm256_unpacklo_epi32(b[i], b[i + 1]);
        a[i / 2 + i / 4 * 2 + 2] = _mm256_unpackhi_epi32(b[i], b[i + 1]);
      }
      for (int i = 0; i < 8; i += 2) {  // of sixteen: byte i of every row
        b[i] = _mm256_unpacklo_epi64(a[i], a[i + 1]);
        b[i + 1] = _mm256_unpackhi_epi64(a[i], a[i + 1]);
      }
      for (int byte = 0; byte < 8; ++byte) {
        Vector bits_left = b[byte];
        for (int bit = 7; bit >= 0; --bit) {
          const std::int32_t mask = _mm256_movemask_epi8(bits_left);
          std::memcpy(reinterpret_cast<std::uint8_t*>(planes + 8 * byte + bit) + 4 * block, &mask, 4);
          bits_left = _mm256_add_epi8(bits_left, bits_left);
        }
      }
    }
  }
};

RSHASH_INLINE Plane operator~(Plane a) { return {_mm256_xor_si256(a.bits, _mm256_set1_epi64x(-1))}; }
RSHASH_INLINE Plane operator^(Plane a, Plane b) { return {_mm256_xor_si256(a.bits, b.bits)}; }
RSHASH_INLINE Plane operator&(Plane a, Plane b) { return {_mm256_and_si256(a.bits, b.bits)}; }
RSHASH_INLINE Plane operator|(Plane a, Plane b) { return {_mm256_or_si256(a.bits, b.bits)}; }

}  // namespace

SlicedKernel sliced_kernel_avx2() { return sliced_kernel<Plane>(); }

}  // namespace rshash
