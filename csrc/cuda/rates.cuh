// The loop that counts bits and does nothing else, for csrc/cuda/limits.cu.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace rshash::cuda {

/// 64-bit codes that a thread holds in registers.
inline constexpr int kCodesOfThread = 8;

/// Compares the codes of every thread with n_rounds queries. A query depends on the distances before it, so
/// that none can be left out; the sums keep all of them alive.
///
/// Grid: (any number of blocks); sums: one for each thread of the grid.
static __global__ void count_bits_of_pairs(std::uint32_t seed, int n_rounds, std::uint32_t* sums) {
  const std::uint32_t thread = blockIdx.x * blockDim.x + threadIdx.x;
  std::uint32_t codes[kCodesOfThread][2];
#pragma unroll
  for (int code = 0; code < kCodesOfThread; ++code) {
    codes[code][0] = seed * (2 * thread + 1) + static_cast<std::uint32_t>(code);
    codes[code][1] = seed ^ (codes[code][0] * 0x9e3779b9u);
  }
  std::uint32_t query[2] = {seed, ~seed}, sum = 0;
  for (int round = 0; round < n_rounds; ++round) {
#pragma unroll
    for (int code = 0; code < kCodesOfThread; ++code)
      sum +=
          static_cast<std::uint32_t>(__popc(codes[code][0] ^ query[0]) + __popc(codes[code][1] ^ query[1]));
    query[0] = query[0] * 5 + sum;
    query[1] = query[1] * 3 + sum;
  }
  sums[thread] = sum;
}

}  // namespace rshash::cuda
