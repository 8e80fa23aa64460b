// Selection by counting: of the candidates of a query, which lie in no order, the k with the smallest keys.
//
// Keys are distinct, so the k-th smallest parts the k nearest from the rest, ties by row included. It is
// found digit by digit from the top: count how often each value of the digit occurs among the keys that agree
// with it so far, and walk up the counts to the value that holds rank k.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "scan.cuh"

namespace rshash::cuda {

inline constexpr int kDigitBits = 8;
inline constexpr int kDigits = 1 << kDigitBits;
inline constexpr int kGroup = 16;  // values of a digit whose counts are also summed

/// The k-th smallest of n >= k >= 1 keys; the answer of every thread of the block.
inline __device__ Key find_kth(const Key* keys, Key n, Key k, int key_bits) {
  __shared__ Key counts[kDigits], sums[kDigits / kGroup];
  __shared__ Key prefix, rank;  // digits found so far; rank of the wanted key among those that share them
  if (threadIdx.x == 0) {
    prefix = 0;
    rank = k;
  }
  for (int shift = (key_bits - 1) / kDigitBits * kDigitBits; shift >= 0; shift -= kDigitBits) {
    for (int digit = threadIdx.x; digit < kDigits; digit += blockDim.x) counts[digit] = 0;
    __syncthreads();
    for (Key i = threadIdx.x; i < n; i += blockDim.x) {
      if (keys[i] >> shift >> kDigitBits == prefix)
        atomicAdd(&counts[keys[i] >> shift & (kDigits - 1)], Key{1});
    }
    __syncthreads();
    for (int group = threadIdx.x; group < kDigits / kGroup; group += blockDim.x) {
      sums[group] = 0;
      for (int digit = kGroup * group; digit < kGroup * (group + 1); ++digit) sums[group] += counts[digit];
    }
    __syncthreads();
    if (threadIdx.x == 0) {
      int group = 0;
      while (sums[group] < rank) rank -= sums[group++];
      int digit = kGroup * group;
      while (counts[digit] < rank) rank -= counts[digit++];
      prefix = prefix << kDigitBits | static_cast<Key>(digit);
    }
    __syncthreads();
  }
  return prefix;
}

/// Lets each query that has k candidates keep the nearest k and lowers its limit. Rows that come later must
/// beat the k-th distance: at the same distance the earlier row wins. A sample of the rows keeps no
/// candidates and lowers the limit to what the k-th distance cannot exceed. Sets *overflowed where a query
/// had too little room.
///
/// Grid: (n_queries).
static __global__ void select(Candidates candidates, Key k, int key_bits, bool is_sample, int* overflowed) {
  __shared__ Key n_kept;
  const int query = blockIdx.x;
  const Key first = candidates.first[query], n = candidates.n_found[query];
  if (n > candidates.first[query + 1] - first) {
    if (threadIdx.x == 0) *overflowed = 1;
    return;
  }
  Key* keys = candidates.keys + first;
  const Key kth = n < k ? 0 : find_kth(keys, n, k, key_bits);
  if (threadIdx.x == 0) n_kept = 0;
  __syncthreads();
  if (n >= k && !is_sample) {
    for (Key chunk = 0; chunk < n; chunk += blockDim.x) {
      const Key i = chunk + threadIdx.x;
      const Key key = i < n ? keys[i] : ~Key{0};
      __syncthreads();  // the kept keys move to the front, over none that is still to be read
      if (key <= kth) keys[atomicAdd(&n_kept, Key{1})] = key;
    }
  }
  if (threadIdx.x == 0) {
    if (n >= k) candidates.limits[query] = static_cast<int>(kth >> candidates.row_bits) + is_sample;
    if (is_sample) candidates.n_found[query] = 0;
    if (n > k && !is_sample) candidates.n_found[query] = k;
  }
}

}  // namespace rshash::cuda
