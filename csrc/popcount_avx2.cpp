// Popcount kernel for x86 processors of the AVX2 generation, which count a word in one instruction.
#include "popcount_words.h"

namespace rshash {

std::size_t scan_popcount_avx2(const Tile& tile, const std::uint8_t* query, std::uint32_t limit,
                               Candidate* found) {
  return scan_words(tile, query, limit, found);
}

void measure_avx2(const Tile& group, const std::uint8_t* queries, std::size_t query_stride,
                  const Survivor* survivors, std::size_t n_survivors, std::uint32_t* distances) {
  measure_words(group, queries, query_stride, survivors, n_survivors, distances);
}

}  // namespace rshash
