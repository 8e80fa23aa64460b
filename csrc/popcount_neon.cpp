// Popcount kernel for NEON: eight rows at a time, read in place. Codes narrower than a vector are counted
// word by word, but those of eight bytes, of which a vector holds two.
#include <arm_neon.h>

#include "popcount_words.h"

namespace rshash {
namespace {

constexpr std::uint32_t kRowsAtOnce = 8;

/// Number of differing bits in each of 16 bytes.
inline uint8x16_t count_bytes(const std::uint8_t* row, uint8x16_t query) {
  return vcntq_u8(veorq_u8(vld1q_u8(row), query));
}

/// Distances of rows of eight bytes; `query` holds the code twice.
inline uint16x8_t distances_of_words(const std::uint8_t* rows, uint8x16_t query) {
  const uint8x16_t quarters_low = vpaddq_u8(count_bytes(rows, query), count_bytes(rows + 16, query));
  const uint8x16_t quarters_high = vpaddq_u8(count_bytes(rows + 32, query), count_bytes(rows + 48, query));
  return vpaddlq_u8(vpaddq_u8(quarters_low, quarters_high));
}

/// Distances of rows of 16 bytes or more. The last vector of a row ends with the row, and `fresh` blanks what
/// the one before it has counted. A lane sums at most 512 bits of a row, a row 4096.
inline uint16x8_t distances_of_vectors(const std::uint8_t* rows, const std::uint8_t* query,
                                       std::uint32_t n_bytes, uint8x16_t fresh) {
  uint16x8_t counts[kRowsAtOnce];
#pragma GCC unroll 8
  for (std::uint32_t row = 0; row < kRowsAtOnce; ++row) counts[row] = vdupq_n_u16(0);
  std::uint32_t byte = 0;
  for (; byte + 16 <= n_bytes; byte += 16) {
    const uint8x16_t wanted = vld1q_u8(query + byte);
#pragma GCC unroll 8
    for (std::uint32_t row = 0; row < kRowsAtOnce; ++row)
      counts[row] = vpadalq_u8(counts[row], count_bytes(rows + row * n_bytes + byte, wanted));
  }
  if (byte < n_bytes) {
    const uint8x16_t wanted = vld1q_u8(query + n_bytes - 16);
#pragma GCC unroll 8
    for (std::uint32_t row = 0; row < kRowsAtOnce; ++row) {
      const uint8x16_t last = count_bytes(rows + (row + 1) * n_bytes - 16, wanted);
      counts[row] = vpadalq_u8(counts[row], vandq_u8(last, fresh));
    }
  }
  for (std::uint32_t n_left = kRowsAtOnce; n_left > 1; n_left /= 2) {
    for (std::uint32_t i = 0; i < n_left / 2; ++i) counts[i] = vpaddq_u16(counts[2 * i], counts[2 * i + 1]);
  }
  return counts[0];
}

/// Scans eight rows at a time by distances(first of them), what is left one by one.
template <class Distances>
std::size_t scan_eights(const Tile& tile, const std::uint8_t* query, std::uint32_t limit, Candidate* found,
                        Distances distances) {
  const uint16x8_t limits = vdupq_n_u16(static_cast<std::uint16_t>(limit));
  std::size_t n_found = 0;
  std::uint32_t row = 0;
  for (; row + kRowsAtOnce <= tile.n_rows; row += kRowsAtOnce) {
    const uint16x8_t here = distances(tile.rows + std::size_t{row} * tile.n_bytes);
    if (vmaxvq_u16(vcltq_u16(here, limits)) == 0) continue;
    std::uint16_t lanes[kRowsAtOnce];
    vst1q_u16(lanes, here);
    for (std::uint32_t i = 0; i < kRowsAtOnce; ++i) {
      found[n_found] = {row + i, lanes[i]};
      n_found += lanes[i] < limit;
    }
  }
  for (; row < tile.n_rows; ++row) {
    const std::uint8_t* code = tile.rows + std::size_t{row} * tile.n_bytes;
    const std::uint32_t distance = word_distance(code, query, tile.n_bytes);
    found[n_found] = {row, distance};
    n_found += distance < limit;
  }
  return n_found;
}

/// All ones in the last n_bytes % 16 bytes.
inline uint8x16_t last_bytes(std::uint32_t n_bytes) {
  std::uint8_t lanes[16];
  for (std::uint32_t i = 0; i < 16; ++i) lanes[i] = i + n_bytes % 16 < 16 ? 0 : 0xff;
  return vld1q_u8(lanes);
}

}  // namespace

std::size_t scan_popcount_neon(const Tile& tile, const std::uint8_t* query, std::uint32_t limit,
                               Candidate* found) {
  if (tile.n_bytes == 8) {
    const uint8x16_t twice = vcombine_u8(vld1_u8(query), vld1_u8(query));
    return scan_eights(tile, query, limit, found,
                       [&](const std::uint8_t* rows) { return distances_of_words(rows, twice); });
  }
  if (tile.n_bytes < 16) return scan_words(tile, query, limit, found);
  const uint8x16_t fresh = last_bytes(tile.n_bytes);
  return scan_eights(tile, query, limit, found, [&](const std::uint8_t* rows) {
    return distances_of_vectors(rows, query, tile.n_bytes, fresh);
  });
}

}  // namespace rshash
