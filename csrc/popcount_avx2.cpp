// Popcount kernel for x86 processors of the AVX2 generation, which count a word in one instruction.
#include "popcount_words.h"

namespace rshash {

std::size_t scan_popcount_avx2(const Tile& tile, const std::uint8_t* query, std::uint32_t limit,
                               Candidate* found) {
  return scan_words(tile, query, limit, found);
}

}  // namespace rshash
