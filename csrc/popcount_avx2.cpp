// Popcount kernel for x86 processors of the AVX2 generation, which count a word in one instruction.
#include "popcount_words.h"

namespace rshash {

std::size_t scan_popcount_avx2(const Tile& tile, const std::uint8_t* query, std::uint32_t limit,
                               Candidate* found) {
  return scan_words(tile, query, limit, found);
}

std::size_t measure_avx2(const Tile& group, const std::uint8_t* queries, std::size_t query_stride,
                         const Marks& marks, std::size_t first, std::size_t last, std::uint32_t group_rows,
                         MarkedRow* found) {
  return measure_words(group, queries, query_stride, marks, first, last, group_rows, found);
}

}  // namespace rshash
