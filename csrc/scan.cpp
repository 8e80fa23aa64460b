// Walks over the database tile by tile, with the kernel that suits the number of queries.
#include "scan.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <new>

namespace rshash {
namespace {

/// Bytes of codes in a tile of the popcount kernel.
constexpr std::int64_t kTileBytes = 16 << 10;

/// From this many queries on the tables of the bit-sliced kernel pay for themselves.
constexpr std::int64_t kSlicedQueries = 12;

/// Rows the popcount kernel scans at a time until every query has a limit that not all rows pass.
constexpr std::int64_t kFirstRows = 256;

/// Groups between two looks at the stop sign, which asks the clock.
constexpr std::int64_t kGroupsBetweenLooks = 16;

/// Marks settled together: at most 512 rows each.
constexpr std::size_t kMarksAtOnce = 16;

/// The database as tiles of dense rows: where rows are dense already the tile lies in place, else it is
/// copied.
class TileReader {
 public:
  TileReader(const CodesView& codes, std::int64_t most_rows) : codes_(codes) {
    if (!dense()) copy_.resize(most_rows * codes.n_bytes);
  }

  Tile read(std::int64_t first_row, std::int64_t n_rows) {
    const std::uint8_t* rows = row_address(first_row);
    if (!dense()) rows = gather(rows, n_rows);
    return {rows, static_cast<std::uint32_t>(n_rows), static_cast<std::uint32_t>(codes_.n_bytes)};
  }

  bool dense() const { return codes_.row_stride == codes_.n_bytes && codes_.column_stride == 1; }
  const std::uint8_t* row_address(std::int64_t row) const { return codes_.data + row * codes_.row_stride; }

 private:
  const std::uint8_t* gather(const std::uint8_t* rows, std::int64_t n_rows) {
    for (std::int64_t row = 0; row < n_rows; ++row) {
      const std::uint8_t* from = rows + row * codes_.row_stride;
      std::uint8_t* to = copy_.data() + row * codes_.n_bytes;
      if (codes_.column_stride == 1) {
        std::memcpy(to, from, codes_.n_bytes);
      } else {
        for (std::int64_t byte = 0; byte < codes_.n_bytes; ++byte)
          to[byte] = from[byte * codes_.column_stride];
      }
    }
    return copy_.data();
  }

  const CodesView& codes_;
  std::vector<std::uint8_t> copy_;
};

/// Popcount kernel: each query looks at a tile while it is in the cache.
void scan_popcount(const ScanJob& job, Range rows, StopSign& stop, bool is_calling_thread) {
  const std::int64_t step = tile_rows(job.codes.n_bytes);
  TileReader tiles(job.codes, step);
  std::vector<Candidate> found(step + kCandidateSlack);
  for (std::int64_t row = rows.first; row < rows.last; row += step) {
    if (stop.raised(is_calling_thread)) return;
    const Tile tile = tiles.read(row, std::min(step, rows.last - row));
    for (std::int64_t query = job.queries.first; query < job.queries.last; ++query) {
      Selector& selector = job.selectors[query - job.queries.first];
      const std::size_t n_found = job.kernels.scan(tile, job.block[query], selector.limit(), found.data());
      selector.take(row, found.data(), n_found);
    }
  }
}

/// Memory aligned for the tables of the bit-sliced kernel.
struct AlignedFree {
  void operator()(std::uint8_t* memory) const { ::operator delete[](memory, std::align_val_t{64}); }
};
using AlignedBytes = std::unique_ptr<std::uint8_t[], AlignedFree>;

AlignedBytes aligned_bytes(std::size_t size) {
  return AlignedBytes(static_cast<std::uint8_t*>(::operator new[](size, std::align_val_t{64})));
}

/// Bit-sliced kernel over groups of rows; what survives a group is measured and offered to the selectors at
/// once.
class SlicedScan {
 public:
  explicit SlicedScan(const ScanJob& job)
      : job_(job),
        kernel_(job.kernels.sliced),
        n_bytes_(static_cast<std::uint32_t>(job.codes.n_bytes)),
        n_queries_(static_cast<std::uint32_t>(job.queries.last - job.queries.first)),
        n_offsets_(kernel_.query_offsets(n_bytes_)),
        offsets_(n_offsets_ * n_queries_),
        limits_(n_queries_),
        tables_(aligned_bytes(kernel_.table_bytes * ((n_bytes_ + 7) / 8))),
        mark_queries_(n_queries_ + 1),
        mark_rows_(aligned_bytes((n_queries_ + 1) * kernel_.group_rows / 8)),
        found_(kMarksAtOnce * kernel_.group_rows) {
    for (std::uint32_t query = 0; query < n_queries_; ++query) {
      kernel_.encode_query(query_code(query), n_bytes_, offsets_.data() + query * n_offsets_);
      update_limit(query);
    }
  }

  void scan(Range rows, StopSign& stop, bool is_calling_thread) {
    const std::int64_t step = kernel_.group_rows;
    TileReader tiles(job_.codes, step);
    std::int64_t n_groups = 0;
    for (std::int64_t row = rows.first; row < rows.last; row += step) {
      if (n_groups++ % kGroupsBetweenLooks == 0 && stop.raised(is_calling_thread)) return;
      const std::int64_t n_rows = std::min(step, rows.last - row);
      const Tile tile = tiles.read(row, n_rows);
      const bool whole = n_rows == step;
      SlicedGroup group{tables_.get(), admit(n_rows), n_bytes_, nullptr, 0};
      if (tiles.dense() && row + step < rows.last) {
        group.ahead = tiles.row_address(row + step);
        group.ahead_bytes = static_cast<std::size_t>(std::min(step, rows.last - row - step) * n_bytes_);
      }
      kernel_.prepare(whole ? tile : pad(tile), tables_.get());
      const Marks marks{mark_queries_.data(), reinterpret_cast<std::uint64_t*>(mark_rows_.get())};
      settle(tile, row, marks, kernel_.scan(group, offsets_.data(), n_queries_, marks));
    }
  }

 private:
  const std::uint8_t* query_code(std::uint32_t query) const { return job_.block[job_.queries.first + query]; }

  void update_limit(std::uint32_t query) {
    limits_[query] = job_.selectors[query].limit();
    kernel_.encode_limit(std::min(limits_[query], 8 * n_bytes_), n_bytes_,
                         offsets_.data() + query * n_offsets_);
  }

  /// The rows of a group that exist, as bits.
  const std::uint64_t* admit(std::int64_t n_rows) {
    for (std::int64_t word = 0; word < kernel_.group_rows / 64; ++word) {
      const std::int64_t left = std::clamp<std::int64_t>(n_rows - 64 * word, 0, 64);
      admitted_[word] = left == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << left) - 1;
    }
    return admitted_;
  }

  /// The last rows, followed by zeros up to a whole group.
  Tile pad(const Tile& tile) {
    padded_.assign(std::size_t{kernel_.group_rows} * n_bytes_, 0);
    std::memcpy(padded_.data(), tile.rows, std::size_t{tile.n_rows} * n_bytes_);
    return {padded_.data(), kernel_.group_rows, n_bytes_};
  }

  /// Offers the marked rows to their selectors.
  void settle(const Tile& tile, std::int64_t first_row, const Marks& marks, std::size_t n_marks) {
    for (std::size_t first = 0; first < n_marks; first += kMarksAtOnce) {
      const std::size_t last = std::min(n_marks, first + kMarksAtOnce);
      const std::size_t n_found = job_.kernels.measure(tile, query_code(0), job_.block.stride(), marks, first,
                                                       last, kernel_.group_rows, found_.data());
      for (std::size_t i = 0; i < n_found; ++i) {
        const MarkedRow& found = found_[i];
        job_.selectors[found.query].offer(first_row + found.row, found.distance);
      }
      for (std::size_t mark = first; mark < last; ++mark) {
        const std::uint32_t query = marks.queries[mark];
        if (job_.selectors[query].limit() != limits_[query]) update_limit(query);
      }
    }
  }

  const ScanJob& job_;
  const SlicedKernel& kernel_;
  std::uint32_t n_bytes_, n_queries_;
  std::size_t n_offsets_;
  std::vector<std::uint16_t> offsets_;
  std::vector<std::uint32_t> limits_;
  AlignedBytes tables_;
  std::vector<std::uint16_t> mark_queries_;
  AlignedBytes mark_rows_;
  std::vector<MarkedRow> found_;
  std::vector<std::uint8_t> padded_;
  alignas(64) std::uint64_t admitted_[8] = {};
};

/// True where every limit is one that the bit-sliced kernel can hold: it has no mask of no rows.
bool limits_fit(const ScanJob& job) {
  const auto most = static_cast<std::uint32_t>(8 * job.codes.n_bytes);
  const std::int64_t n_queries = job.queries.last - job.queries.first;
  return std::all_of(job.selectors, job.selectors + n_queries,
                     [&](const Selector& s) { return s.limit() <= most; });
}

}  // namespace

std::int64_t tile_rows(std::int64_t n_bytes) { return std::max<std::int64_t>(kTileBytes / n_bytes, 64); }

QueryBlock::QueryBlock(const CodesView& queries, std::int64_t first, std::int64_t n_queries)
    : stride_((queries.n_bytes + kQueryPadding - 1) / kQueryPadding * kQueryPadding),
      bytes_(n_queries * stride_) {
  for (std::int64_t query = 0; query < n_queries; ++query) {
    const std::uint8_t* from = queries.data + (first + query) * queries.row_stride;
    for (std::int64_t byte = 0; byte < queries.n_bytes; ++byte) {
      bytes_[query * stride_ + byte] = from[byte * queries.column_stride];
    }
  }
}

void scan_rows(const ScanJob& job, StopSign& stop, bool is_calling_thread) {
  const std::int64_t n_queries = job.queries.last - job.queries.first;
  if (job.plan == Plan::popcount || (job.plan == Plan::automatic && n_queries < kSlicedQueries)) {
    scan_popcount(job, job.rows, stop, is_calling_thread);
    return;
  }
  std::int64_t row = job.rows.first;
  while (row < job.rows.last && (row == job.rows.first || !limits_fit(job))) {
    const std::int64_t next = std::min(job.rows.last, row + kFirstRows);
    scan_popcount(job, {row, next}, stop, is_calling_thread);
    row = next;
  }
  if (row < job.rows.last) SlicedScan(job).scan({row, job.rows.last}, stop, is_calling_thread);
}

}  // namespace rshash
