// The loop that counts bits as the scan does, and does nothing else, for csrc/cuda/limits.cu.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "bits.cuh"
#include "words.cuh"

namespace rshash::cuda {

/// Of the codes that a thread holds in registers.
inline constexpr int kBytesOfThread = 64;

/// Compares the codes of every thread, each kLoads times kWords words, with n_rounds queries. A query depends
/// on the distances before it, so that none can be left out; the sums keep all of them alive.
///
/// Grid: (any number of blocks); sums: one for each thread of the grid.
template <int kWords, int kLoads>
static __global__ void count_bits_of_pairs(std::uint32_t seed, int n_rounds, std::uint32_t* sums) {
  constexpr int kCount = kWords * kLoads, kCodes = kBytesOfThread / 4 / kCount;
  const std::uint32_t thread = blockIdx.x * blockDim.x + threadIdx.x;
  Words<kWords> codes[kCodes][kLoads], query[kLoads];
  std::uint32_t state = seed * (2 * thread + 1);
#pragma unroll
  for (int i = 0; i < kCount * kCodes; ++i) {
    state = state * 0x9e3779b9u + seed;
    codes[i / kCount][i % kCount / kWords].word[i % kWords] = state;
  }
#pragma unroll
  for (int i = 0; i < kCount; ++i) query[i / kWords].word[i % kWords] = seed + static_cast<std::uint32_t>(i);
  std::uint32_t sum = 0;
  for (int round = 0; round < n_rounds; ++round) {
#pragma unroll
    for (int code = 0; code < kCodes; ++code)
      sum += static_cast<std::uint32_t>(count_differences(codes[code], query));
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      std::uint32_t& word = query[i / kWords].word[i % kWords];
      word = word * (2 * static_cast<std::uint32_t>(i) + 3) + sum;
    }
  }
  sums[thread] = sum;
}

}  // namespace rshash::cuda
