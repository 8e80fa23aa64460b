// What a translation unit of one instruction set provides: a plain function over plain memory.
//
// These units are compiled with flags the processor may lack, so they share no inline standard-library code
// and keep no object at namespace scope: the linker could pick their copy for everyone.
#pragma once

#include <cstddef>
#include <cstdint>

#include "hamming.h"

namespace rshash {

/// A row of a tile that may enter the result.
struct Candidate {
  std::uint32_t row;       ///< counted from the first row of the tile
  std::uint32_t distance;  ///< exact
};

/// Rows of a tile: dense, row i at rows + i * n_bytes.
struct Tile {
  const std::uint8_t* rows;
  std::uint32_t n_rows;
  std::uint32_t n_bytes;
};

/// Room a scan needs behind the last candidate it may write.
inline constexpr std::size_t kCandidateSlack = 8;

/// Zero bytes a query must be padded with.
inline constexpr std::size_t kQueryPadding = 64;

/// Writes the rows of the tile at distance < limit to `found`, ascending; returns how many.
/// `found` has room for n_rows + kCandidateSlack candidates.
using ScanTile = std::size_t (*)(const Tile& tile, const std::uint8_t* query, std::uint32_t limit,
                                 Candidate* found);

std::size_t scan_popcount_portable(const Tile&, const std::uint8_t*, std::uint32_t, Candidate*);
#ifdef RSHASH_X86
std::size_t scan_popcount_avx2(const Tile&, const std::uint8_t*, std::uint32_t, Candidate*);
std::size_t scan_popcount_avx512(const Tile&, const std::uint8_t*, std::uint32_t, Candidate*);
#endif

/// The kernels of one instruction set.
struct Kernels {
  ScanTile scan;
};

/// Kernels of an instruction set; it must be available (see `available_simd`).
Kernels kernels_for(Simd simd);

}  // namespace rshash
