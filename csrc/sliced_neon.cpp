// Bit-sliced kernel for NEON: 128 rows in a group.
#include <arm_neon.h>

#include "sliced.h"

namespace rshash {
namespace {

using Vector = uint8x16_t;

/// Transposes 16 x 16 bytes: every round takes the highest bit of the vector's number into the byte's number.
RSHASH_INLINE void transpose_bytes(Vector* m) {
#pragma GCC unroll 4
  for (int round = 0; round < 4; ++round) {
    Vector next[16];
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) {
      next[2 * i] = vzip1q_u8(m[i], m[i + 8]);
      next[2 * i + 1] = vzip2q_u8(m[i], m[i + 8]);
    }
#pragma GCC unroll 16
    for (int i = 0; i < 16; ++i) m[i] = next[i];
  }
}

/// Swaps the bits of `low` outside the mask with those of `high` under it, `kShift` further right.
template <int kShift>
RSHASH_INLINE void swap_bits(Vector& low, Vector& high, std::uint8_t mask) {
  const Vector kept = vdupq_n_u8(mask), old = low;
  low = vbslq_u8(kept, low, vshlq_n_u8(high, kShift));
  high = vbslq_u8(kept, vshrq_n_u8(old, kShift), high);
}

/// Transposes the 8 x 8 bits that each byte of eight vectors makes.
RSHASH_INLINE void transpose_bits(Vector* m) {
  for (int i = 0; i < 4; ++i) swap_bits<4>(m[i], m[i + 4], 0x0f);
  for (const int i : {0, 1, 4, 5}) swap_bits<2>(m[i], m[i + 2], 0x33);
  for (const int i : {0, 2, 4, 6}) swap_bits<1>(m[i], m[i + 1], 0x55);
}

struct Plane {
  static constexpr std::uint32_t kRows = 128;

  static constexpr bool kStrided = false;  // rows of `slice` are dense

  Vector bits;

  static RSHASH_INLINE Plane zeros() { return {vdupq_n_u8(0)}; }
  static RSHASH_INLINE Plane load(const std::uint8_t* from) { return {vld1q_u8(from)}; }
  static RSHASH_INLINE Plane fill(std::uint32_t bits) { return {vreinterpretq_u8_u32(vdupq_n_u32(bits))}; }
  RSHASH_INLINE void store(std::uint64_t* to) const { vst1q_u64(to, vreinterpretq_u64_u8(bits)); }
  RSHASH_INLINE bool all_ones() const { return vminvq_u32(vreinterpretq_u32_u8(bits)) == ~std::uint32_t{0}; }
  RSHASH_INLINE bool all_zeros() const { return vmaxvq_u32(vreinterpretq_u32_u8(bits)) == 0; }
  RSHASH_INLINE Plane and_not(Plane other) const { return {vbicq_u8(bits, other.bits)}; }

  /// planes[8 * j + i] = bit i of byte j of 128 rows of eight bytes, row r in bit r.
  static void slice(const std::uint8_t* rows, std::size_t, Plane* planes) {
    Vector columns[8][8];  // [j][i]: byte j of the rows 8 * lane + i
    for (int pair = 0; pair < 4; ++pair) {
      Vector m[16];
#pragma GCC unroll 16
      for (int i = 0; i < 16; ++i) m[i] = vld1q_u8(rows + 64 * i + 16 * pair);
      transpose_bytes(m);
      for (int byte = 0; byte < 8; ++byte) {
        columns[byte][2 * pair] = m[byte];
        columns[byte][2 * pair + 1] = m[byte + 8];
      }
    }
    for (int byte = 0; byte < 8; ++byte) {
      transpose_bits(columns[byte]);
      for (int bit = 0; bit < 8; ++bit) planes[8 * byte + bit].bits = columns[byte][bit];
    }
  }
};

RSHASH_INLINE Plane operator~(Plane a) { return {vmvnq_u8(a.bits)}; }
RSHASH_INLINE Plane operator^(Plane a, Plane b) { return {veorq_u8(a.bits, b.bits)}; }
RSHASH_INLINE Plane operator&(Plane a, Plane b) { return {vandq_u8(a.bits, b.bits)}; }
RSHASH_INLINE Plane operator|(Plane a, Plane b) { return {vorrq_u8(a.bits, b.bits)}; }

/// `yes` where a bit of the mask is set, else `no`.
RSHASH_INLINE Plane choose(Plane mask, Plane yes, Plane no) {
  return {vbslq_u8(mask.bits, yes.bits, no.bits)};
}

// A majority is the third plane where the first two differ, else either of them.

RSHASH_INLINE void full_add(Plane a, Plane b, Plane c, Plane& sum, Plane& carry) {
  const Plane differ = a ^ b;
  sum = differ ^ c;
  carry = choose(differ, c, b);
}

RSHASH_INLINE void carry_variants(Plane a, Plane b, Plane c, Plane* variants) {
  const Plane differ = a ^ b;
  variants[0] = choose(differ, c, a);
  variants[1] = choose(differ, b, c);
  variants[2] = choose(differ, a, c);
  variants[3] = choose(differ, c, ~a);
#pragma GCC unroll 4
  for (int inverted = 0; inverted < 4; ++inverted) variants[7 - inverted] = ~variants[inverted];
}

}  // namespace

SlicedKernel sliced_kernel_neon() { return sliced_kernel<Plane>(); }

}  // namespace rshash
