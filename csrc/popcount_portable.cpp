// Popcount kernel for any processor.
#include "popcount_words.h"

namespace rshash {

std::size_t scan_popcount_portable(const Tile& tile, const std::uint8_t* query, std::uint32_t limit,
                                   Candidate* found) {
  return scan_words(tile, query, limit, found);
}

void measure_portable(const Tile& group, const std::uint8_t* queries, std::size_t query_stride,
                      const Survivor* survivors, std::size_t n_survivors, std::uint32_t* distances) {
  measure_words(group, queries, query_stride, survivors, n_survivors, distances);
}

}  // namespace rshash
