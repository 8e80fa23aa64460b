// Looks into the buckets whose substring differs from the query's in 0, 1, 2, … bits, table after table.
//
// With m tables, rows not yet seen after tables 0 .. t with s differing bits are at distance > m * s + t: in
// each of those tables they differ in more than s bits, in each later one in at least s (the pigeonhole
// principle). So the search ends, complete, once m * s + t reaches the radius or the k-th distance.
#include "multi_index.h"

#include <algorithm>
#include <cstring>

#include "parallel.h"
#include "scan.h"

namespace rshash {
namespace {

/// What opening a bucket costs, in rows looked at.
constexpr std::int64_t kBucketCost = 16;

/// Buckets whose codes are fetched ahead.
constexpr std::size_t kBucketsAhead = 6;

/// Once a thread has asked so many queries and given up most of them, it leaves the others to the scan
/// untried, but for one in so many; when that is answered, it begins anew.
constexpr std::int64_t kTrialQueries = 8;
constexpr std::int64_t kTriedAgain = 16;

/// Values of `n_bits` bits with exactly `n_ones` ones, ascending.
std::vector<std::uint16_t> masks_with(int n_bits, int n_ones) {
  if (n_ones == 0) return {0};
  std::vector<std::uint16_t> masks;
  for (std::uint32_t mask = (1u << n_ones) - 1; mask < (1u << n_bits);) {
    masks.push_back(static_cast<std::uint16_t>(mask));
    const std::uint32_t lowest = mask & -mask, ripple = mask + lowest;  // the next value with as many ones
    mask = ((ripple ^ mask) >> 2) / lowest | ripple;
  }
  return masks;
}

/// Hits of one query, offered in any order: all at distance <= `most`, which sinks to the k-th distance.
class NearRows {
 public:
  NearRows(std::int64_t k, std::int32_t most) : k_(k), most_(most), counts_(most + 1) {}

  std::int32_t most() const { return most_; }

  void offer(std::uint32_t distance, std::int64_t row) {
    keys_.push_back(rank_key(distance, row));
    ++counts_[distance];
    ++n_inside_;
    while (n_inside_ - counts_[most_] >= k_) n_inside_ -= counts_[most_--];
  }

  bool full() const { return n_inside_ >= k_; }

  /// The hits in order, at most k.
  const std::vector<std::uint64_t>& finish() {
    const auto n_hits = static_cast<std::size_t>(std::min(k_, n_inside_));
    keys_.erase(std::remove_if(
                    keys_.begin(), keys_.end(),
                    [&](std::uint64_t key) { return static_cast<std::int32_t>(key_distance(key)) > most_; }),
                keys_.end());
    std::sort(keys_.begin(), keys_.end());
    keys_.resize(n_hits);
    return keys_;
  }

 private:
  std::int64_t k_;
  std::int32_t most_;
  std::int64_t n_inside_ = 0;         // hits at distance <= most_
  std::vector<std::int64_t> counts_;  // of each distance <= most_
  std::vector<std::uint64_t> keys_;
};

/// The search of one thread.
class TableSearch {
 public:
  TableSearch(const MultiIndexView& index, const Kernels& kernels)
      : index_(index), kernels_(kernels), masks_(17), short_masks_(9) {}

  /// Finds every row that can be among the hits; false once it would cost more than `most_cost`.
  bool find(const std::uint8_t* query, bool by_radius, std::int64_t most_cost, NearRows& hits) {
    const auto n_tables = static_cast<std::int32_t>(index_.n_tables);
    std::int64_t cost = 0;
    for (int n_flips = 0; n_flips <= 16; ++n_flips) {
      for (std::int32_t table = 0; table < n_tables; ++table) {
        if (n_flips <= bits_of(table)) {
          // Given up before as well as after: buckets of even size tell what the next look should cost.
          const auto n_buckets = static_cast<std::int64_t>(masks(bits_of(table), n_flips).size());
          if (cost + n_buckets * (kBucketCost + index_.n_rows / kBuckets) > most_cost) return false;
          cost += look_into(query, table, n_flips, hits);
          if (cost > most_cost) return false;
        }
        if ((by_radius || hits.full()) && n_tables * n_flips + table >= hits.most()) return true;
      }
    }
    return true;  // all flips of the first table: every row was seen
  }

 private:
  int bits_of(std::int32_t table) const { return 2 * table + 1 < index_.n_bytes ? 16 : 8; }

  std::uint32_t substring(const std::uint8_t* code, std::int32_t table) const {
    const std::uint8_t* bytes = code + 2 * table;
    return bits_of(table) == 16 ? static_cast<std::uint32_t>(bytes[0] | bytes[1] << 8) : bytes[0];
  }

  const std::vector<std::uint16_t>& masks(int n_bits, int n_ones) {
    auto& masks = n_bits == 16 ? masks_[n_ones] : short_masks_[n_ones];
    if (masks.empty()) masks = masks_with(n_bits, n_ones);
    return masks;
  }

  /// Offers the new rows of the buckets `n_flips` away from the query in one table; returns what that cost.
  std::int64_t look_into(const std::uint8_t* query, std::int32_t table, int n_flips, NearRows& hits) {
    const std::uint32_t centre = substring(query, table);
    const std::int64_t* offsets = index_.offsets + table * (kBuckets + 1);
    const std::uint8_t* codes = index_.codes + table * index_.n_rows * index_.n_bytes;
    const std::uint32_t* rows = index_.rows + table * index_.n_rows;
    const std::vector<std::uint16_t>& flips = masks(bits_of(table), n_flips);
    std::int64_t cost = 0;
    for (std::size_t i = 0; i < flips.size(); ++i) {
      if (i + kBucketsAhead < flips.size()) {
        const std::uint8_t* next = codes + offsets[centre ^ flips[i + kBucketsAhead]] * index_.n_bytes;
        __builtin_prefetch(next);
        __builtin_prefetch(next + 64);
      }
      const std::int64_t first = offsets[centre ^ flips[i]], last = offsets[(centre ^ flips[i]) + 1];
      cost += kBucketCost + last - first;
      for (std::int64_t row = first; row < last; row += kTileRows) {
        const std::uint8_t* here = codes + row * index_.n_bytes;
        const Tile tile{here, static_cast<std::uint32_t>(std::min(kTileRows, last - row)),
                        static_cast<std::uint32_t>(index_.n_bytes)};
        const std::size_t n_found =
            kernels_.scan(tile, query, static_cast<std::uint32_t>(hits.most() + 1), found_.data());
        for (std::size_t j = 0; j < n_found; ++j) {
          const std::uint8_t* code = here + found_[j].row * index_.n_bytes;
          if (static_cast<std::int32_t>(found_[j].distance) <= hits.most() &&
              is_new(query, code, table, n_flips)) {
            hits.offer(found_[j].distance, rows[row + found_[j].row]);
          }
        }
      }
    }
    return cost;
  }

  /// False where an earlier look already met this code: by an earlier table, or with fewer flips by a later
  /// one.
  bool is_new(const std::uint8_t* query, const std::uint8_t* code, std::int32_t table, int n_flips) const {
    for (std::int32_t other = 0; other < index_.n_tables; ++other) {
      const int differing = __builtin_popcount(substring(query, other) ^ substring(code, other));
      if (other < table ? differing <= n_flips : (other > table && differing < n_flips)) return false;
    }
    return true;
  }

  static constexpr std::int64_t kTileRows = 1024;

  const MultiIndexView& index_;
  const Kernels& kernels_;
  std::vector<std::vector<std::uint16_t>> masks_, short_masks_;
  std::vector<Candidate> found_ = std::vector<Candidate>(kTileRows + kCandidateSlack);
};

/// Searches all queries, split over threads; keeps the hits of those it could answer.
std::vector<std::vector<std::uint64_t>> search(const MultiIndexView& index, const CodesView& queries,
                                               std::int64_t k, std::int32_t most, bool by_radius,
                                               std::int64_t most_cost, const RunOptions& options,
                                               std::uint8_t* answered) {
  const Kernels kernels = kernels_for(options.simd);
  const QueryBlock block(queries, 0, queries.n_rows);
  std::vector<std::vector<std::uint64_t>> keys(queries.n_rows);
  StopSign stop(options.interrupted);
  const auto n_parts = static_cast<int>(
      std::clamp<std::int64_t>(queries.n_rows, 1, static_cast<std::int64_t>(options.n_threads)));
  run_parts(n_parts, stop, [&](int part) {
    TableSearch tables(index, kernels);
    std::int64_t n_asked = 0, n_given_up = 0, n_left = 0;
    for (std::int64_t query = part; query < queries.n_rows && !stop.raised(part == 0); query += n_parts) {
      answered[query] = 0;
      const bool hopeless = n_asked >= kTrialQueries && 2 * n_given_up > n_asked;
      if (hopeless && ++n_left % kTriedAgain != 0) continue;
      NearRows hits(k, most);
      answered[query] = tables.find(block[query], by_radius, most_cost, hits);
      if (answered[query]) keys[query] = hits.finish();
      n_given_up += answered[query] == 0;
      ++n_asked;
      if (hopeless && answered[query] != 0) n_asked = n_given_up = 0;
    }
  });
  return keys;
}

}  // namespace

void multi_index_top_k(const MultiIndexView& index, const CodesView& queries, std::int64_t k,
                       std::int64_t most_cost, const RunOptions& options, std::int32_t* distances,
                       std::int64_t* rows, std::uint8_t* answered) {
  const auto most = static_cast<std::int32_t>(8 * index.n_bytes);
  const auto keys = search(index, queries, k, most, false, most_cost, options, answered);
  for (std::int64_t query = 0; query < queries.n_rows; ++query) {
    for (std::size_t i = 0; i < keys[query].size(); ++i) {
      distances[query * k + i] = static_cast<std::int32_t>(key_distance(keys[query][i]));
      rows[query * k + i] = key_row(keys[query][i]);
    }
  }
}

RadiusHits multi_index_within_radius(const MultiIndexView& index, const CodesView& queries,
                                     std::int32_t radius, std::int64_t most_cost, const RunOptions& options,
                                     std::uint8_t* answered) {
  const auto keys = search(index, queries, index.n_rows + 1, radius, true, most_cost, options, answered);
  RadiusHits hits;
  hits.offsets.push_back(0);
  for (const auto& mine : keys) {
    for (const std::uint64_t key : mine) {
      hits.distances.push_back(static_cast<std::int32_t>(key_distance(key)));
      hits.rows.push_back(key_row(key));
    }
    hits.offsets.push_back(static_cast<std::int64_t>(hits.rows.size()));
  }
  return hits;
}

}  // namespace rshash
