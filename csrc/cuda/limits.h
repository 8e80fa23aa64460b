// What a device could do at best: how fast it copies its own memory, and how fast it counts bits.
//
// A search reads every code once (`measure_copies`), and the scan compares every code with every query
// (`measure_popcounts`; see bits.cuh). Knows no Python and includes nothing of CUDA.
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

/// Codes of 8, 16 or 32 bytes compared with a query as the scan does it, all in registers, for some
/// milliseconds. Throws std::invalid_argument for another width.
Rate measure_popcounts(int device, int n_bytes);

}  // namespace rshash::cuda
