// What a device could do at best: how fast it copies its own memory, and how fast it counts bits.
//
// A search reads every code once (`measure_copies`), and the scan needs an xor, a count and an addition for
// every word of a pair of code and query (`measure_popcounts`). Knows no Python and includes nothing of CUDA.
#pragma once

#include <cstddef>
#include <cstdint>

namespace rshash::cuda {

/// How much was done in how long.
struct Rate {
  double seconds;
  std::int64_t amount;
};

/// Bytes read plus bytes written while n_bytes of device memory are copied to other n_bytes of it, over and
/// over for some milliseconds; n_bytes should be far more than the last cache. Throws as `top_k` does.
Rate measure_copies(int device, std::size_t n_bytes);

/// 64-bit codes compared with a query by xor, count and addition, all in registers, for some milliseconds.
Rate measure_popcounts(int device);

}  // namespace rshash::cuda
