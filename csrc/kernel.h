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
  /// Bytes to fetch ahead of what is read, 0 where the tile is in the cache already; a kernel may ignore it.
  std::uint32_t ahead = 0;
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
#ifdef RSHASH_NEON
std::size_t scan_popcount_neon(const Tile&, const std::uint8_t*, std::uint32_t, Candidate*);
#endif
#ifdef RSHASH_X86
std::size_t scan_popcount_avx2(const Tile&, const std::uint8_t*, std::uint32_t, Candidate*);
std::size_t scan_popcount_avx512(const Tile&, const std::uint8_t*, std::uint32_t, Candidate*);
#endif

/// Which rows of a group may be hits of which query: mark i says it of query queries[i] by `group_rows` bits
/// at rows + i * group_rows / 64. Both hold a mark more than there are queries; rows are aligned to 64 bytes.
struct Marks {
  std::uint16_t* queries;
  std::uint64_t* rows;
};

/// A marked row with its exact distance.
struct MarkedRow {
  std::uint16_t query;
  std::uint16_t row;
  std::uint32_t distance;
};

/// Writes the rows of marks first .. last - 1 of a group, mark by mark and ascending, and returns how many;
/// query i lies at queries + i * query_stride.
using MeasureMarks = std::size_t (*)(const Tile& group, const std::uint8_t* queries, std::size_t query_stride,
                                     const Marks& marks, std::size_t first, std::size_t last,
                                     std::uint32_t group_rows, MarkedRow* found);

/// A group of rows in the form the bit-sliced kernel scans.
struct SlicedGroup {
  const std::uint8_t* tables;     ///< made by `prepare`
  const std::uint64_t* admitted;  ///< group_rows bits, aligned to 64 bytes: the rows that may be hits
  std::uint32_t n_bytes;          ///< of a code
  const std::uint8_t* ahead;      ///< memory that will be read next, to be fetched meanwhile
  std::size_t ahead_bytes;
};

/// The bit-sliced kernel of one instruction set; how it works is told in sliced.h.
///
/// Limits are 0 .. 8 * n_bytes; limit 0 may mark a row at distance 0. There is at least one query.
struct SlicedKernel {
  std::uint32_t group_rows;
  std::size_t table_bytes;  ///< of one 64-bit word of a group; tables are aligned to 64 bytes
  /// 64-bit words that hold one query and its limit.
  std::size_t (*query_words)(std::uint32_t n_bytes);
  void (*encode_query)(const std::uint8_t* query, std::uint32_t n_bytes, std::uint64_t* encoded);
  void (*encode_limit)(std::uint32_t limit, std::uint32_t n_bytes, std::uint64_t* encoded);
  /// Makes the tables of `group_rows` dense rows.
  void (*prepare)(const Tile& group, std::uint8_t* tables);
  /// Writes the bit planes of `group_rows` dense rows, each 64 bytes behind the last (see `slice_codes`).
  void (*slice)(const Tile& group, std::uint8_t* planes);
  /// Makes the tables of a group from such planes.
  void (*prepare_sliced)(const std::uint8_t* planes, std::uint32_t n_bytes, std::uint8_t* tables);
  /// Marks the rows nearer than the limit of each encoded query, queries ascending; returns how many marks.
  std::size_t (*scan)(const SlicedGroup& group, const std::uint64_t* encoded, std::uint32_t n_queries,
                      const Marks& marks);
};

SlicedKernel sliced_kernel_portable();
std::size_t measure_portable(const Tile&, const std::uint8_t*, std::size_t, const Marks&, std::size_t,
                             std::size_t, std::uint32_t, MarkedRow*);
#ifdef RSHASH_NEON
SlicedKernel sliced_kernel_neon();
#endif
#ifdef RSHASH_X86
SlicedKernel sliced_kernel_avx2();
std::size_t measure_avx2(const Tile&, const std::uint8_t*, std::size_t, const Marks&, std::size_t,
                         std::size_t, std::uint32_t, MarkedRow*);
SlicedKernel sliced_kernel_avx512();
#endif

/// The kernels of one instruction set.
struct Kernels {
  ScanTile scan;
  MeasureMarks measure;
  SlicedKernel sliced;
};

/// Kernels of an instruction set; it must be available (see `available_simd`).
Kernels kernels_for(Simd simd);

}  // namespace rshash
