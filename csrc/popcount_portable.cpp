// Popcount kernel for any processor.
#include "popcount_words.h"

namespace rshash {

std::size_t scan_popcount_portable(const Tile& tile, const std::uint8_t* query, std::uint32_t limit,
                                   Candidate* found) {
  return scan_words(tile, query, limit, found);
}

}  // namespace rshash
