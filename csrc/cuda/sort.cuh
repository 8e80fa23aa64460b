// Sorts the keys of every query, however many: Batcher's bitonic network, whose comparators do not depend on
// the data.
//
// In the form used here every comparator puts the smaller key first, so keys behind the last may be thought
// of as larger than all: their comparators do nothing and are left out. Chunks are sorted in shared memory;
// comparators that reach farther work in device memory, one launch for each reach.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "scan.cuh"

namespace rshash::cuda {

/// Keys that a block sorts in shared memory; a power of two.
inline constexpr int kChunk = 2048;

/// Positions of comparator i among those in runs of 2 * reach keys, reach a power of two: `mirrored` compares
/// a run's first key with its last, its second with its last but one; otherwise a key with the one `reach`
/// behind.
struct Comparator {
  Key low, high;

  __device__ Comparator(Key i, Key reach, bool mirrored) {
    const Key inside = i & (reach - 1), run = 2 * (i - inside);
    low = run + inside;
    high = mirrored ? run + 2 * reach - 1 - inside : low + reach;
  }
};

inline __device__ void put_in_order(Key* keys, const Comparator& at) {
  const Key low = keys[at.low], high = keys[at.high];
  if (low > high) {
    keys[at.low] = high;
    keys[at.high] = low;
  }
}

/// One launch of comparators of one reach. Grid: (any number of blocks, n_queries).
static __global__ void compare(Candidates candidates, Key reach, bool mirrored) {
  const int query = blockIdx.y;
  const Key n = candidates.n_found[query];
  Key* keys = candidates.keys + candidates.first[query];
  const Key n_comparators = (n + 2 * reach - 1) / (2 * reach) * reach;
  for (Key i = Key{blockIdx.x} * blockDim.x + threadIdx.x; i < n_comparators;
       i += Key{gridDim.x} * blockDim.x) {
    const Comparator at(i, reach, mirrored);
    if (at.high < n) put_in_order(keys, at);
  }
}

/// Sorts chunks of keys; `merges` means that only the comparators without mirror of the last, longest runs
/// are missing. Grid: (any number of blocks, n_queries).
static __global__ void sort_chunks(Candidates candidates, bool merges) {
  __shared__ Key chunk[kChunk];
  const int query = blockIdx.y;
  const Key n = candidates.n_found[query];
  for (Key first = Key{blockIdx.x} * kChunk; first < n; first += Key{gridDim.x} * kChunk) {
    Key* keys = candidates.keys + candidates.first[query] + first;
    const int n_keys = static_cast<int>(min(Key{kChunk}, n - first));
    for (int i = threadIdx.x; i < kChunk; i += blockDim.x) chunk[i] = i < n_keys ? keys[i] : ~Key{0};
    __syncthreads();
    for (int longest = merges ? kChunk / 2 : 1; longest < (merges ? kChunk : n_keys); longest *= 2) {
      for (int reach = longest; reach > 0; reach /= 2) {
        const bool mirrored = reach == longest && !merges;
        for (int i = threadIdx.x; i < kChunk / 2; i += blockDim.x)
          put_in_order(chunk, Comparator(static_cast<Key>(i), static_cast<Key>(reach), mirrored));
        __syncthreads();
      }
    }
    for (int i = threadIdx.x; i < n_keys; i += blockDim.x) keys[i] = chunk[i];
    __syncthreads();
  }
}

}  // namespace rshash::cuda
