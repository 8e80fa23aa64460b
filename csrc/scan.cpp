// Walks over the database tile by tile, with the kernel that suits the number of queries.
#include "scan.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <new>

namespace rshash {
namespace {

/// Bytes of codes in a tile of the popcount kernel.
constexpr std::int64_t kTileBytes = 16 << 10;

/// Fewer queries than this gain nothing from the level-1 cache, so their tiles are longer by a factor.
constexpr std::int64_t kFewQueries = 3;
constexpr std::int64_t kLongTile = 8;

/// From this many queries on the tables of the bit-sliced kernel pay for themselves (measured on Zen 5, 64
/// bits).
constexpr std::int64_t kSlicedQueries = 12;

/// The same for codes of at most so many bytes that were sliced beforehand; wider ones gain too little.
constexpr std::int64_t kPlaneQueries = 4;
constexpr std::int64_t kPlaneBytes = 16;

/// A filter that admits less than one row in so many is sparse.
constexpr std::int64_t kSparse = 8;

/// Picked rows lie far apart; so many are fetched ahead.
constexpr std::int64_t kRowsAhead = 16;

/// Bytes that the first query on a tile fetches ahead. The kernel reads eight rows at once, more streams than
/// the processor follows by itself: this makes a single query 1.1 times as fast at 64 bits, 3 times at 1024
/// (Zen 5).
constexpr std::uint32_t kFetchAhead = 4096;

/// Rows scanned first, then twice as many, until every query has a limit that not all rows pass.
constexpr std::int64_t kFirstRows = 256;

/// Rows of the sample that limits start from: so many times k, but at most a share of the database, and no
/// more than what makes so many of the k nearest expected in it. A sample of fewer rows is not worth its
/// time.
constexpr std::int64_t kSampledPerHit = 16;
constexpr std::int64_t kSampleShare = 16;
constexpr std::int64_t kMostExpected = 64;
constexpr std::int64_t kFewestSampled = 256;

/// Groups between two looks at the stop sign, which asks the clock.
constexpr std::int64_t kGroupsBetweenLooks = 16;

/// Marks settled together: at most 512 rows each.
constexpr std::size_t kMarksAtOnce = 16;

/// Rows that lie dense in memory, and where they come from.
struct RowTile {
  Tile tile;
  std::int64_t first_row;
  const std::int64_t* picked;  // the row of each, or null: they follow first_row

  std::int64_t row(std::uint32_t i) const { return picked == nullptr ? first_row + i : picked[i]; }
};

/// A range of the database as tiles of dense rows. Where rows are dense already a tile lies in place; else it
/// is copied, as are the rows that a sparse filter admits. At most one tile is ever copied.
class TileReader {
 public:
  TileReader(const CodesView& codes, const RowFilter& filter, Range rows, std::int64_t most_rows)
      : codes_(codes), filter_(filter), rows_(rows), most_rows_(most_rows) {
    if (!in_place()) copy_.resize(most_rows * codes.n_bytes);
    if (filter.sparse) picked_.resize(most_rows);
  }

  /// Reads the next tile; false at the end.
  bool next(RowTile& out) {
    if (rows_.first >= rows_.last) return false;
    const std::int64_t first = rows_.first;
    std::int64_t n_rows;
    if (filter_.sparse) {
      n_rows = pick_rows();
      for (std::int64_t i = 0; i < n_rows; ++i) {
        if (i + kRowsAhead < n_rows) __builtin_prefetch(row_address(picked_[i + kRowsAhead]));
        copy_row(picked_[i], i);
      }
    } else {
      n_rows = std::min(most_rows_, rows_.last - first);
      for (std::int64_t i = 0; !in_place() && i < n_rows; ++i) copy_row(first + i, i);
      rows_.first += n_rows;
    }
    const std::uint8_t* rows = in_place() ? row_address(first) : copy_.data();
    out = {{rows, static_cast<std::uint32_t>(n_rows), static_cast<std::uint32_t>(codes_.n_bytes)},
           first,
           filter_.sparse ? picked_.data() : nullptr};
    return true;
  }

  /// Memory the next tile will be read from, as far as it is known.
  const std::uint8_t* ahead() const { return in_place() ? row_address(rows_.first) : nullptr; }
  std::size_t ahead_bytes() const {
    return in_place()
               ? static_cast<std::size_t>(std::min(most_rows_, rows_.last - rows_.first) * codes_.n_bytes)
               : 0;
  }

 private:
  bool in_place() const {
    return codes_.row_stride == codes_.n_bytes && codes_.column_stride == 1 && !filter_.sparse;
  }
  const std::uint8_t* row_address(std::int64_t row) const { return codes_.data + row * codes_.row_stride; }

  void copy_row(std::int64_t row, std::int64_t place) {
    const std::uint8_t* from = row_address(row);
    std::uint8_t* to = copy_.data() + place * codes_.n_bytes;
    if (codes_.column_stride == 1) {
      std::memcpy(to, from, codes_.n_bytes);
    } else {
      for (std::int64_t byte = 0; byte < codes_.n_bytes; ++byte) to[byte] = from[byte * codes_.column_stride];
    }
  }

  /// Notes the next admitted rows, as many as a tile holds; returns how many.
  std::int64_t pick_rows() {
    std::int64_t n_picked = 0;
    while (rows_.first < rows_.last) {
      const std::int64_t first = rows_.first / 64 * 64;
      std::uint64_t bits = 0;
      std::memcpy(&bits, filter_.admitted + first / 8,
                  (std::min<std::int64_t>(rows_.last - first, 64) + 7) / 8);
      bits &= ~std::uint64_t{0} << (rows_.first - first);
      if (rows_.last - first < 64) bits &= (std::uint64_t{1} << (rows_.last - first)) - 1;
      for (; bits != 0; bits &= bits - 1) {
        const std::int64_t row = first + __builtin_ctzll(bits);
        if (n_picked == most_rows_) {
          rows_.first = row;
          return n_picked;
        }
        picked_[n_picked++] = row;
      }
      rows_.first = std::min(rows_.last, first + 64);
    }
    return n_picked;
  }

  const CodesView& codes_;
  const RowFilter& filter_;
  Range rows_;  // those left
  std::int64_t most_rows_;
  std::vector<std::uint8_t> copy_;
  std::vector<std::int64_t> picked_;
};

/// Popcount kernel: each query looks at a tile while it is in the cache.
void scan_popcount(const ScanJob& job, Range rows, StopSign& stop, bool is_calling_thread) {
  const std::int64_t n_queries = job.queries.last - job.queries.first;
  const std::int64_t step = tile_rows(job.codes.n_bytes) * (n_queries < kFewQueries ? kLongTile : 1);
  TileReader tiles(job.codes, job.filter, rows, step);
  std::vector<Candidate> found(step + kCandidateSlack);
  for (RowTile rows_here; !stop.raised(is_calling_thread) && tiles.next(rows_here);) {
    for (std::int64_t query = job.queries.first; query < job.queries.last; ++query) {
      Selector& selector = job.selectors[query - job.queries.first];
      rows_here.tile.ahead = query == job.queries.first && tiles.ahead() != nullptr ? kFetchAhead : 0;
      const std::size_t n_found =
          job.kernels.scan(rows_here.tile, job.block[query], selector.limit(), found.data());
      for (std::size_t i = 0; i < n_found; ++i) {
        const std::int64_t row = rows_here.row(found[i].row);
        if (rows_here.picked != nullptr || job.filter.admits(row)) selector.offer(row, found[i].distance);
      }
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
        query_size_(kernel_.query_words(n_bytes_)),
        encoded_(query_size_ * n_queries_),
        limits_(n_queries_),
        tables_(aligned_bytes(kernel_.table_bytes * ((n_bytes_ + 7) / 8))),
        mark_queries_(n_queries_ + 1),
        mark_rows_(aligned_bytes((n_queries_ + 1) * kernel_.group_rows / 8)),
        found_(kMarksAtOnce * kernel_.group_rows) {
    for (std::uint32_t query = 0; query < n_queries_; ++query) {
      kernel_.encode_query(query_code(query), n_bytes_, encoded_.data() + query * query_size_);
      update_limit(query);
    }
  }

  void scan(Range rows, StopSign& stop, bool is_calling_thread) {
    TileReader tiles(job_.codes, job_.filter, rows, kernel_.group_rows);
    const Marks marks{mark_queries_.data(), reinterpret_cast<std::uint64_t*>(mark_rows_.get())};
    RowTile here;
    for (std::int64_t n_groups = 0; tiles.next(here); ++n_groups) {
      if (n_groups % kGroupsBetweenLooks == 0 && stop.raised(is_calling_thread)) return;
      if (!admit(here)) continue;
      const bool whole = here.tile.n_rows == kernel_.group_rows;
      SlicedGroup group{tables_.get(), admitted_, n_bytes_, tiles.ahead(), tiles.ahead_bytes()};
      if (job_.planes != nullptr && here.picked == nullptr) {
        kernel_.prepare_sliced(planes_of(here.first_row), n_bytes_, tables_.get());
        group.ahead = planes_of(here.first_row + kernel_.group_rows);
        group.ahead_bytes = group.ahead_bytes == 0 ? 0 : kBlockRows * n_bytes_;
      } else {
        kernel_.prepare(whole ? here.tile : pad(here.tile), tables_.get());
      }
      settle(here, marks, kernel_.scan(group, encoded_.data(), n_queries_, marks));
    }
  }

 private:
  const std::uint8_t* query_code(std::uint32_t query) const { return job_.block[job_.queries.first + query]; }

  void update_limit(std::uint32_t query) {
    limits_[query] = job_.selectors[query].limit();
    kernel_.encode_limit(std::min(limits_[query], 8 * n_bytes_), n_bytes_,
                         encoded_.data() + query * query_size_);
  }

  /// Planes of the group that begins at a row, a multiple of `group_rows`.
  const std::uint8_t* planes_of(std::int64_t row) const {
    return job_.planes + row / kBlockRows * kBlockRows * n_bytes_ + row % kBlockRows / 8;
  }

  /// Notes which rows of a group exist and are admitted; false when none.
  bool admit(const RowTile& here) {
    std::uint64_t any = 0;
    for (std::int64_t word = 0; word < kernel_.group_rows / 64; ++word) {
      const std::int64_t left = std::clamp<std::int64_t>(here.tile.n_rows - 64 * word, 0, 64);
      std::uint64_t bits = left == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << left) - 1;
      if (job_.filter.admitted != nullptr && here.picked == nullptr) {
        std::uint64_t admitted = 0;
        std::memcpy(&admitted, job_.filter.admitted + here.first_row / 8 + 8 * word, (left + 7) / 8);
        bits &= admitted;
      }
      admitted_[word] = bits;
      any |= bits;
    }
    return any != 0;
  }

  /// The last rows, followed by zeros up to a whole group.
  Tile pad(const Tile& tile) {
    padded_.assign(std::size_t{kernel_.group_rows} * n_bytes_, 0);
    std::memcpy(padded_.data(), tile.rows, std::size_t{tile.n_rows} * n_bytes_);
    return {padded_.data(), kernel_.group_rows, n_bytes_};
  }

  /// Offers the marked rows to their selectors.
  void settle(const RowTile& here, const Marks& marks, std::size_t n_marks) {
    for (std::size_t first = 0; first < n_marks; first += kMarksAtOnce) {
      const std::size_t last = std::min(n_marks, first + kMarksAtOnce);
      const std::size_t n_found = job_.kernels.measure(here.tile, query_code(0), job_.block.stride(), marks,
                                                       first, last, kernel_.group_rows, found_.data());
      for (std::size_t i = 0; i < n_found; ++i) {
        const MarkedRow& found = found_[i];
        job_.selectors[found.query].offer(here.row(found.row), found.distance);
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
  std::size_t query_size_;
  std::vector<std::uint64_t> encoded_;
  std::vector<std::uint32_t> limits_;
  AlignedBytes tables_;
  std::vector<std::uint16_t> mark_queries_;
  AlignedBytes mark_rows_;
  std::vector<MarkedRow> found_;
  std::vector<std::uint8_t> padded_;
  alignas(64) std::uint64_t admitted_[8] = {};
};

/// Lowers the limits to what every step-th row of the whole database suggests. Of the k nearest rows the
/// sample is expected to hold k / step, and hardly ever as many as `rank`: so the distance of its
/// rank-th row is beyond the k-th of all, but not by much.
void sample_limits(const ScanJob& job, StopSign& stop, bool is_calling_thread) {
  const std::int64_t n_rows = job.codes.n_rows, k = job.selectors[0].k();
  if (k >= n_rows || job.filter.sparse) return;
  const std::int64_t n_sampled =
      std::min({kSampledPerHit * k, n_rows / kSampleShare, kMostExpected * n_rows / k});
  if (n_sampled < kFewestSampled) return;
  std::int64_t step = n_rows / n_sampled;
  // Data and filters repeat every 2, 5 or 10 rows; a step that shares a factor would sample one kind only.
  while (step % 2 == 0 || step % 3 == 0 || step % 5 == 0 || step % 7 == 0) ++step;
  const double expected = static_cast<double>(k) / static_cast<double>(step);
  const auto rank = static_cast<std::int64_t>(std::ceil(expected + 4 * std::sqrt(expected) + 3));
  const CodesView sample{job.codes.data, n_rows / step, job.codes.n_bytes, job.codes.row_stride * step,
                         job.codes.column_stride};
  RowFilter filter = job.filter;
  filter.sparse = false;
  filter.step = step;
  const std::int64_t n_queries = job.queries.last - job.queries.first;
  std::vector<Selector> selectors(n_queries, Selector(rank, job.selectors[0].limit()));
  scan_popcount({sample,
                 {0, sample.n_rows},
                 job.block,
                 job.queries,
                 job.kernels,
                 Plan::popcount,
                 filter,
                 nullptr,
                 selectors.data(),
                 false},
                {0, sample.n_rows}, stop, is_calling_thread);
  for (std::int64_t query = 0; query < n_queries; ++query) {
    if (selectors[query].full()) job.selectors[query].start_below(selectors[query].limit() + 1);
  }
}

/// True where every limit is one that the bit-sliced kernel can hold: it has no mask of no rows.
bool limits_fit(const ScanJob& job) {
  const auto most = static_cast<std::uint32_t>(8 * job.codes.n_bytes);
  const std::int64_t n_queries = job.queries.last - job.queries.first;
  return std::all_of(job.selectors, job.selectors + n_queries,
                     [&](const Selector& s) { return s.limit() <= most; });
}

}  // namespace

std::int64_t tile_rows(std::int64_t n_bytes) {
  return std::max<std::int64_t>(kTileBytes / n_bytes / 64, 1) * 64;
}

Plan choose_plan(std::int64_t n_queries) {
  return n_queries < kSlicedQueries ? Plan::popcount : Plan::sliced;
}

Plan choose_plan_with_planes(std::int64_t n_queries, std::int64_t n_bytes) {
  return n_bytes <= kPlaneBytes && n_queries >= kPlaneQueries ? Plan::sliced : choose_plan(n_queries);
}

void slice_codes(const CodesView& codes, Simd simd, std::uint8_t* planes) {
  const SlicedKernel kernel = kernels_for(simd).sliced;
  const RowFilter all(nullptr, codes.n_rows);
  TileReader tiles(codes, all, {0, codes.n_rows}, kernel.group_rows);
  std::vector<std::uint8_t> padded(kernel.group_rows * codes.n_bytes);
  const std::int64_t n_padded = (codes.n_rows + kBlockRows - 1) / kBlockRows * kBlockRows;
  RowTile here;
  for (std::int64_t row = 0; row < n_padded; row += kernel.group_rows) {
    Tile group{padded.data(), kernel.group_rows, static_cast<std::uint32_t>(codes.n_bytes)};
    if (tiles.next(here) && here.tile.n_rows == kernel.group_rows) {
      group = here.tile;
    } else {  // the last rows and what the block lacks
      std::fill(padded.begin(), padded.end(), std::uint8_t{0});
      if (row < codes.n_rows)
        std::memcpy(padded.data(), here.tile.rows, std::size_t{here.tile.n_rows} * codes.n_bytes);
    }
    kernel.slice(group, planes + row / kBlockRows * kBlockRows * codes.n_bytes + row % kBlockRows / 8);
  }
}

RowFilter::RowFilter(const std::uint8_t* admitted, std::int64_t n_rows) : admitted(admitted), sparse(false) {
  if (admitted == nullptr) return;
  std::int64_t n_admitted = 0;
  for (std::int64_t byte = 0; byte < (n_rows + 7) / 8; ++byte)
    n_admitted += __builtin_popcount(admitted[byte]);
  sparse = n_admitted < n_rows / kSparse;
}

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
  if (job.plan == Plan::sliced && job.from_sample) sample_limits(job, stop, is_calling_thread);
  std::int64_t row = job.rows.first;
  for (std::int64_t step = kFirstRows; row < job.rows.last && (row == job.rows.first || !limits_fit(job));
       step *= 2) {
    std::int64_t next = row + step;
    if (job.planes != nullptr) next = (next + kBlockRows - 1) / kBlockRows * kBlockRows;
    next = std::min(job.rows.last, next);
    scan_popcount(job, {row, next}, stop, is_calling_thread);
    row = next;
  }
  if (row == job.rows.last) return;
  if (job.plan == Plan::popcount) {
    scan_popcount(job, {row, job.rows.last}, stop, is_calling_thread);
  } else {
    SlicedScan(job).scan({row, job.rows.last}, stop, is_calling_thread);
  }
}

}  // namespace rshash
