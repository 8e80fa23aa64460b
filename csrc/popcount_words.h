// The popcount kernel in plain C++, one 64-bit word at a time; included by the portable and the AVX2 unit,
// which differ in what `__builtin_popcountll` becomes. Everything here has internal linkage (see kernel.h).
#pragma once

#include <cstring>

#include "kernel.h"

namespace rshash {
namespace {

/// Distance of two codes; the last n_bytes % 8 bytes are compared as a word of their own.
inline std::uint32_t word_distance(const std::uint8_t* row, const std::uint8_t* query,
                                   std::uint32_t n_bytes) {
  std::uint32_t distance = 0;
  std::uint32_t byte = 0;
  for (; byte + 8 <= n_bytes; byte += 8) {
    std::uint64_t a, b;
    std::memcpy(&a, row + byte, 8);
    std::memcpy(&b, query + byte, 8);
    distance += static_cast<std::uint32_t>(__builtin_popcountll(a ^ b));
  }
  if (byte < n_bytes) {
    std::uint64_t a = 0, b = 0;
    std::memcpy(&a, row + byte, n_bytes - byte);
    std::memcpy(&b, query + byte, n_bytes - byte);
    distance += static_cast<std::uint32_t>(__builtin_popcountll(a ^ b));
  }
  return distance;
}

/// Scan with a width known to the compiler; 0 takes the tile's.
template <std::uint32_t kBytes>
std::size_t scan_width(const Tile& tile, const std::uint8_t* query, std::uint32_t limit, Candidate* found) {
  const std::uint32_t n_bytes = kBytes ? kBytes : tile.n_bytes;
  std::size_t n_found = 0;
  for (std::uint32_t row = 0; row < tile.n_rows; ++row) {
    const std::uint32_t distance = word_distance(tile.rows + std::size_t{row} * n_bytes, query, n_bytes);
    found[n_found] = {row, distance};  // always written, kept or overwritten: no branch to mispredict
    n_found += distance < limit;
  }
  return n_found;
}

inline std::size_t measure_words(const Tile& group, const std::uint8_t* queries, std::size_t query_stride,
                                 const Marks& marks, std::size_t first, std::size_t last,
                                 std::uint32_t group_rows, MarkedRow* found) {
  std::size_t n_found = 0;
  for (std::size_t mark = first; mark < last; ++mark) {
    const std::uint16_t query = marks.queries[mark];
    const std::uint8_t* code = queries + query * query_stride;
    for (std::uint32_t word = 0; word < group_rows / 64; ++word) {
      for (std::uint64_t bits = marks.rows[mark * (group_rows / 64) + word]; bits != 0; bits &= bits - 1) {
        const std::uint32_t row = 64 * word + static_cast<std::uint32_t>(__builtin_ctzll(bits));
        const std::uint8_t* candidate = group.rows + std::size_t{row} * group.n_bytes;
        found[n_found++] = {query, static_cast<std::uint16_t>(row),
                            word_distance(candidate, code, group.n_bytes)};
      }
    }
  }
  return n_found;
}

inline std::size_t scan_words(const Tile& tile, const std::uint8_t* query, std::uint32_t limit,
                              Candidate* found) {
  switch (tile.n_bytes) {
    case 8:
      return scan_width<8>(tile, query, limit, found);
    case 16:
      return scan_width<16>(tile, query, limit, found);
    case 32:
      return scan_width<32>(tile, query, limit, found);
    default:
      return scan_width<0>(tile, query, limit, found);
  }
}

}  // namespace
}  // namespace rshash
