// Bit-sliced kernel for any little-endian processor: 128 rows in a group, the vector type of the compiler
// (SSE2 on x86, NEON on ARM).
#include "sliced.h"

namespace rshash {
namespace {

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "rows are read as little-endian words");

typedef std::uint64_t Vector __attribute__((vector_size(16)));

/// Swaps the bits of `high` under the mask with those of `low` that lie `shift` bits further left.
inline void swap_bits(std::uint64_t& low, std::uint64_t& high, int shift, std::uint64_t mask) {
  const std::uint64_t differing = ((low >> shift) ^ high) & mask;
  high ^= differing;
  low ^= differing << shift;
}

/// Transposes the 8 x 8 bits of a word (Warren, Hacker's Delight, 7-3).
inline std::uint64_t transpose_bits(std::uint64_t x) {
  std::uint64_t differing = (x ^ (x >> 7)) & 0x00aa00aa00aa00aa;
  x ^= differing ^ (differing << 7);
  differing = (x ^ (x >> 14)) & 0x0000cccc0000cccc;
  x ^= differing ^ (differing << 14);
  differing = (x ^ (x >> 28)) & 0x00000000f0f0f0f0;
  return x ^ differing ^ (differing << 28);
}

struct Plane {
  static constexpr std::uint32_t kRows = 128;

  static constexpr bool kStrided = false;  // rows of `slice` are dense

  Vector bits;

  static RSHASH_INLINE Plane zeros() { return {Vector{0, 0}}; }
  static RSHASH_INLINE Plane load(const std::uint8_t* from) {
    Plane plane;
    std::memcpy(&plane.bits, from, sizeof plane.bits);
    return plane;
  }
  static RSHASH_INLINE Plane fill(std::uint32_t bits) {
    const std::uint64_t both = std::uint64_t{bits} << 32 | bits;
    return {Vector{both, both}};
  }
  RSHASH_INLINE void store(std::uint64_t* to) const { std::memcpy(to, &bits, sizeof bits); }
  RSHASH_INLINE bool all_ones() const { return (bits[0] & bits[1]) == ~std::uint64_t{0}; }
  RSHASH_INLINE bool all_zeros() const { return (bits[0] | bits[1]) == 0; }
  RSHASH_INLINE Plane and_not(Plane other) const { return {bits & ~other.bits}; }

  /// planes[8 * j + i] = bit i of byte j of 128 rows of eight bytes, row r in bit r.
  static void slice(const std::uint8_t* rows, std::size_t, Plane* planes) {
    for (std::uint32_t block = 0; block < kRows / 8; ++block, rows += 64) {
      std::uint64_t words[8];
      std::memcpy(words, rows, 64);
      for (int i = 0; i < 4; ++i) swap_bits(words[i], words[i + 4], 32, 0x00000000ffffffff);
      for (const int i : {0, 1, 4, 5}) swap_bits(words[i], words[i + 2], 16, 0x0000ffff0000ffff);
      for (const int i : {0, 2, 4, 6}) swap_bits(words[i], words[i + 1], 8, 0x00ff00ff00ff00ff);
      for (int byte = 0; byte < 8; ++byte) {  // words[byte]: byte `byte` of the eight rows
        const std::uint64_t transposed = transpose_bits(words[byte]);
        for (int bit = 0; bit < 8; ++bit) {
          reinterpret_cast<std::uint8_t*>(planes + 8 * byte + bit)[block] =
              static_cast<std::uint8_t>(transposed >> (8 * bit));
        }
      }
    }
  }
};

RSHASH_INLINE Plane operator~(Plane a) { return {~a.bits}; }
RSHASH_INLINE Plane operator^(Plane a, Plane b) { return {a.bits ^ b.bits}; }
RSHASH_INLINE Plane operator&(Plane a, Plane b) { return {a.bits & b.bits}; }
RSHASH_INLINE Plane operator|(Plane a, Plane b) { return {a.bits | b.bits}; }

}  // namespace

SlicedKernel sliced_kernel_portable() { return sliced_kernel<Plane>(); }

}  // namespace rshash
