// One part of a search: rows of the database offered to the selectors of some queries.
#pragma once

#include <cstdint>
#include <vector>

#include "kernel.h"
#include "parallel.h"
#include "selector.h"

namespace rshash {

/// Half-open range of rows or queries.
struct Range {
  std::int64_t first, last;
};

/// Rows in a tile, a multiple of 64: its codes stay in the level-1 cache while every query looks at them.
std::int64_t tile_rows(std::int64_t n_bytes);

/// Which rows may be hits.
struct RowFilter {
  const std::uint8_t* admitted;  // see RunOptions; null admits all
  bool sparse;                   // so few that they are worth picking out before the scan
  std::int64_t step = 1;         // row i is row step * i of the bitmap

  RowFilter(const std::uint8_t* admitted, std::int64_t n_rows);

  bool admits(std::int64_t row) const {
    return admitted == nullptr || (admitted[row * step / 8] >> (row * step % 8) & 1) != 0;
  }
};

/// Queries of one block, each padded with zero bytes for the kernels.
class QueryBlock {
 public:
  QueryBlock(const CodesView& queries, std::int64_t first, std::int64_t n_queries);

  const std::uint8_t* operator[](std::int64_t query) const { return bytes_.data() + query * stride_; }
  std::size_t stride() const { return static_cast<std::size_t>(stride_); }

 private:
  std::int64_t stride_;
  std::vector<std::uint8_t> bytes_;
};

/// The work of one thread.
struct ScanJob {
  const CodesView& codes;
  Range rows;
  const QueryBlock& block;
  Range queries;  // of the block
  const Kernels& kernels;
  Plan plan;
  const RowFilter& filter;
  const std::uint8_t* planes;  // see RunOptions
  Selector* selectors;         // one for each of `queries`
  bool from_sample;            // whether limits may start from a sample
};

/// Offers every row to every selector, unless the sign is raised before. With `from_sample` a batch of top-k
/// queries starts at limits that a sample of the rows suggests. Where the sampled rows are nearer than the
/// others, limits are too low and selectors are left with fewer than k candidates: such queries must be asked
/// again without.
void scan_rows(const ScanJob& job, StopSign& stop, bool is_calling_thread);

}  // namespace rshash
