// Selection by counting: the k nearest of one query among the candidates a scan finds in ascending row order.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "kernel.h"

namespace rshash {

/// Sort key of one hit: ascending distance, then ascending row. Rows are < 2^48 (kMaxRows), distances < 2^16.
inline std::uint64_t rank_key(std::uint32_t distance, std::int64_t row) {
  return std::uint64_t{distance} << 48 | static_cast<std::uint64_t>(row);
}
inline std::uint32_t key_distance(std::uint64_t key) { return static_cast<std::uint32_t>(key >> 48); }
inline std::int64_t key_row(std::uint64_t key) {
  return static_cast<std::int64_t>(key & ((std::uint64_t{1} << 48) - 1));
}

/// Keeps the k smallest (distance, row) of the candidates offered in ascending row order.
///
/// Distances are small integers, so the k-th distance so far is known from a histogram. A later row can only
/// enter below it (on a tie the earlier row wins), which makes it the limit for the scan.
class Selector {
 public:
  /// Candidates at distance >= first_limit never enter: radius + 1 for a radius search, else n_bits + 1.
  Selector(std::int64_t k, std::uint32_t first_limit)
      : k_(k), limit_(first_limit), counts_(first_limit + 1), room_(2 * static_cast<std::size_t>(k) + 256) {}

  /// Only distances below this can still enter.
  std::uint32_t limit() const { return limit_; }

  /// True once k candidates came (of a selector that did not `start_below`); the limit is then the k-th
  /// distance.
  bool full() const { return limit_ + 1 < counts_.size(); }

  std::int64_t k() const { return k_; }

  /// Lowers the limit of a selector that was offered nothing yet.
  void start_below(std::uint32_t limit) { limit_ = std::min(limit_, limit); }

  /// Offers one row.
  void offer(std::int64_t row, std::uint32_t distance) {
    if (distance >= limit_) return;
    keys_.push_back(rank_key(distance, row));
    ++counts_[distance];
    ++n_below_;
    while (n_below_ >= k_) n_below_ -= counts_[--limit_];
    if (keys_.size() > room_) drop_beaten();
  }

  /// Offers the candidates of a tile whose first row is `first_row`.
  void take(std::int64_t first_row, const Candidate* candidates, std::size_t n_candidates) {
    for (std::size_t i = 0; i < n_candidates; ++i)
      offer(first_row + candidates[i].row, candidates[i].distance);
  }

  /// The kept candidates in ascending row: at most k, all that can be among the k nearest.
  const std::vector<std::uint64_t>& finish() {
    drop_beaten();
    return keys_;
  }

 private:
  /// Drops what the limit has overtaken; of the ties at the limit itself the earliest rows stay.
  void drop_beaten() {
    std::int64_t n_ties = k_ - n_below_;
    std::size_t n_kept = 0;
    for (const std::uint64_t key : keys_) {
      const std::uint32_t distance = key_distance(key);
      const std::int64_t is_tie = distance == limit_;
      keys_[n_kept] = key;  // kept or overwritten: candidates come in no order that a branch could predict
      n_kept += static_cast<std::size_t>((distance < limit_) | (is_tie & (n_ties > 0)));
      n_ties -= is_tie;
    }
    keys_.resize(n_kept);
  }

  std::int64_t k_;
  std::int64_t n_below_ = 0;  // candidates at distance < limit_, always < k_
  std::uint32_t limit_;
  std::vector<std::int64_t> counts_;  // candidates at each distance < limit_
  std::vector<std::uint64_t> keys_;   // candidates in ascending row
  std::size_t room_;                  // keys_ longer than this are thinned out
};

}  // namespace rshash
