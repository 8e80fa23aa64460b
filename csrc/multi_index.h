// Exact search without a full scan: multi-index hashing (Norouzi, Punjani, Fleet: Fast Exact Search in
// Hamming Space with Multi-Index Hashing, 2014) over tables that hold the codes themselves.
#pragma once

#include <cstdint>
#include <vector>

#include "hamming.h"

namespace rshash {

/// Values of one substring, and so buckets of a table.
inline constexpr std::int64_t kBuckets = std::int64_t{1} << 16;

/// One table for each of the first `n_tables` pairs of bytes of a code (a last odd byte stands alone). A
/// table holds all rows sorted by its substring, low byte first, equal ones by row; bucket v of table t is
/// offsets[t * (kBuckets + 1) + v] .. the next. Rows are < 2^32.
struct MultiIndexView {
  const std::uint8_t* codes;    // (n_tables, n_rows, n_bytes)
  const std::uint32_t* rows;    // (n_tables, n_rows): the row of each code
  const std::int64_t* offsets;  // (n_tables, kBuckets + 1)
  std::int64_t n_tables, n_rows, n_bytes;
};

/// The k nearest rows of each query whose answer lies near enough: `answered[i]` is 0 where it would cost
/// more than looking at `most_cost` rows, and then the (k,) outputs of query i are not written.
void multi_index_top_k(const MultiIndexView& index, const CodesView& queries, std::int64_t k,
                       std::int64_t most_cost, const RunOptions& options, std::int32_t* distances,
                       std::int64_t* rows, std::uint8_t* answered);

/// Every row within the radius, likewise; a query that was not answered has no hits.
RadiusHits multi_index_within_radius(const MultiIndexView& index, const CodesView& queries,
                                     std::int32_t radius, std::int64_t most_cost, const RunOptions& options,
                                     std::uint8_t* answered);

}  // namespace rshash
