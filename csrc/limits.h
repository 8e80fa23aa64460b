// What this machine could do at best: short loops that only read, only count, or only add.
//
// A search cannot beat them: from memory it needs every code once (`measure_reads`), a popcount kernel needs
// an xor, a count and a minimum for every word (`measure_popcounts`), a bit-sliced one a load and a full
// adder for every second plane (`measure_planes`; see sliced.h).
#pragma once

#include <cstddef>
#include <cstdint>

#include "hamming.h"

namespace rshash {

/// How much was done in how long, by all threads together.
struct Rate {
  double seconds;
  std::int64_t amount;
};

/// Bytes read front to back, each thread its own part; data should be far larger than the last cache.
Rate measure_reads(const std::uint8_t* data, std::size_t n_bytes, int n_threads);

/// 64-bit codes compared with a query by xor, popcount and minimum, all from the first cache.
Rate measure_popcounts(Simd simd, int n_threads);

/// 64-bit codes compared with a query by 33 loads of a plane and 31 full adders, all from the first cache.
Rate measure_planes(Simd simd, int n_threads);

}  // namespace rshash
