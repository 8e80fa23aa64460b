// The contract: exact Hamming search over packed codes on plain pointers. Knows no Python.
//
// Order of hits: ascending distance, then ascending row, whatever the instruction set or number of threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <vector>

// The architectures that kernels are written for; csrc/units.txt names the units of each.
#if defined(__x86_64__)
#define RSHASH_X86
#elif defined(__aarch64__)
#define RSHASH_NEON
#endif

namespace rshash {

/// Widest code in bytes; a distance is at most 4096 and fits 13 bits.
inline constexpr std::int64_t kMaxBytes = 512;

/// Most rows of a database; a row fits the 48 low bits of a sort key (see selector.h).
inline constexpr std::int64_t kMaxRows = std::int64_t{1} << 48;

/// Packed codes where they lie: byte j of row i is data[i * row_stride + j * column_stride].
/// Strides are in bytes and may be negative; nothing need be aligned. Only those bytes are ever read.
struct CodesView {
  const std::uint8_t* data;
  std::int64_t n_rows;
  std::int64_t n_bytes;
  std::ptrdiff_t row_stride;
  std::ptrdiff_t column_stride;
};

/// Instruction sets a kernel may be written for, slowest first.
enum class Simd { portable, neon, avx2, avx512 };

/// Instruction sets this build holds and this processor and operating system run, slowest first.
std::vector<Simd> available_simd();

/// How to scan: count bits row by row, or sum bit planes.
enum class Plan { popcount, sliced };

/// The faster plan for a number of queries.
Plan choose_plan(std::int64_t n_queries);

/// The same for a database that was sliced beforehand.
Plan choose_plan_with_planes(std::int64_t n_queries, std::int64_t n_bytes);

/// Rows in a block of bit planes.
inline constexpr std::int64_t kBlockRows = 512;

/// Writes the bit planes of codes, block after block: plane p of block b holds bit p % 8 of byte p / 8 of
/// rows 512 b .. 512 b + 511, row r of the block in bit r % 8 of byte r / 8, at planes + (8 * n_bytes * b +
/// p) * 64. Rows that the last block lacks are zero. `planes` is aligned to 64 bytes.
void slice_codes(const CodesView& codes, Simd simd, std::uint8_t* planes);

/// How a search runs.
struct RunOptions {
  Simd simd = Simd::portable;
  Plan plan = Plan::popcount;
  /// Rows that may be hits, row i in bit i % 8 of byte i / 8; null admits all.
  const std::uint8_t* admitted = nullptr;
  int n_threads = 1;
  /// Called by the calling thread, about twenty times a second; true stops the search with `Interrupted`.
  bool (*interrupted)() = nullptr;
  /// What `slice_codes` made of the database, for the sliced plan; null slices on the way.
  const std::uint8_t* planes = nullptr;
};

/// Thrown when `RunOptions::interrupted` asked to stop.
struct Interrupted : std::runtime_error {
  Interrupted() : std::runtime_error("the search was interrupted") {}
};

/// The k nearest admitted rows of each query, 1 <= k <= the number of admitted rows.
/// Writes (queries.n_rows, k) row-major distances and rows.
void top_k(const CodesView& codes, const CodesView& queries, std::int64_t k, const RunOptions& options,
           std::int32_t* distances, std::int64_t* rows);

/// Hits of many queries in compressed rows: query i owns offsets[i] .. offsets[i + 1].
struct RadiusHits {
  std::vector<std::int64_t> offsets;
  std::vector<std::int32_t> distances;
  std::vector<std::int64_t> rows;
};

/// Every admitted row at distance <= radius of each query, 0 <= radius <= 8 * n_bytes.
RadiusHits within_radius(const CodesView& codes, const CodesView& queries, std::int32_t radius,
                         const RunOptions& options);

}  // namespace rshash
