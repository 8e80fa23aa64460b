// The scan: every row of a slab against every query; rows below a query's limit join its candidates.
//
// A block holds a few queries in shared memory, a thread a few rows in registers: a word of a row, once
// loaded, meets all queries of the block, and a loaded word of a query all rows of the thread. Blocks of one
// share of the rows are neighbours in the grid: they read it at about the same time, so that caches can help.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <type_traits>

#include "bits.cuh"
#include "words.cuh"

namespace rshash::cuda {

/// Sort key of a candidate: distance << row_bits | row, so ascending keys are in the order of hits. Rows have
/// at most 48 bits and distances 13.
using Key = unsigned long long;

/// Rows first, first + step, ... of the database; row i of the slab lies at data + i * step * n_bytes.
struct Slab {
  const std::uint8_t* data;
  std::int64_t first, n_rows, step;
  int n_bytes;
};

/// Candidates of a batch of queries; everything lies in device memory.
struct Candidates {
  const std::uint32_t* queries;  ///< (n_queries, words of a code), padded with zero bits
  int n_queries;
  int row_bits;      ///< of a key
  int* limits;       ///< of each query: only rows at a smaller distance join
  const Key* first;  ///< query i has room for first[i + 1] - first[i] keys at keys + first[i]
  Key* n_found;      ///< of each query, counted on when there is no room any more
  Key* keys;
};

/// Whether a row may be a hit; a null bitmap admits all.
inline __device__ bool admits(const std::uint8_t* admitted, std::int64_t row) {
  return admitted == nullptr || (admitted[row / 8] >> (row % 8) & 1) != 0;
}

/// Gives a candidate the next place of its query. Places are in no order: select and sort go by key alone.
inline __device__ void append(const Candidates& candidates, int query, int distance, std::int64_t row) {
  const Key first = candidates.first[query], room = candidates.first[query + 1] - first;
  const Key place = atomicAdd(candidates.n_found + query, Key{1});
  if (place < room)
    candidates.keys[first + place] =
        static_cast<Key>(distance) << candidates.row_bits | static_cast<Key>(row);
}

/// Grid: (ceil(n_queries / kQueries), any number of shares of the rows).
template <int kQueries, int kRows, class Load>
__global__ void scan(Slab slab, const std::uint8_t* admitted, Candidates candidates) {
  __shared__ Words<Load::kWords> queries[kQueries][kMaxWords / Load::kWords];
  __shared__ int limits[kQueries];
  const int n_words = (slab.n_bytes + 3) / 4;
  const int first_query = static_cast<int>(blockIdx.x) * kQueries;
  const int n_queries = min(kQueries, candidates.n_queries - first_query);
  for (int i = threadIdx.x; i < kQueries * n_words; i += blockDim.x) {
    const int query = i / n_words, word = i % n_words;
    queries[query][word / Load::kWords].word[word % Load::kWords] =
        query < n_queries ? candidates.queries[std::int64_t{first_query + query} * n_words + word] : 0;
  }
  for (int query = threadIdx.x; query < kQueries; query += blockDim.x)
    limits[query] = query < n_queries ? candidates.limits[first_query + query] : 0;  // nothing is below zero
  __syncthreads();

  const std::int64_t n_threads = std::int64_t{gridDim.y} * blockDim.x;
  std::int64_t next = std::int64_t{blockIdx.y} * blockDim.x + threadIdx.x;
  for (; next < slab.n_rows; next += kRows * n_threads) {
    bool wanted[kRows];
    int distances[kRows][kQueries] = {};
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      const std::int64_t row = next + r * n_threads;
      wanted[r] = row < slab.n_rows && admits(admitted, slab.first + row * slab.step);
    }
    // Words go in steps of as many as one load brings, or of two loads while that lets adders do more.
    const auto compare = [&](int word, auto n_loads) {
      constexpr int kLoads = decltype(n_loads)::value;
      Words<Load::kWords> codes[kRows][kLoads] = {};
#pragma unroll
      for (int r = 0; r < kRows; ++r) {
        const std::uint8_t* row = slab.data + (next + r * n_threads) * slab.step * slab.n_bytes;
#pragma unroll
        for (int load = 0; load < kLoads; ++load) {
          if (wanted[r]) codes[r][load] = Load::load(row, word + load * Load::kWords, slab.n_bytes);
        }
      }
#pragma unroll
      for (int query = 0; query < kQueries; ++query) {
        Words<Load::kWords> asked[kLoads];
#pragma unroll
        for (int load = 0; load < kLoads; ++load) asked[load] = queries[query][word / Load::kWords + load];
#pragma unroll
        for (int r = 0; r < kRows; ++r) distances[r][query] += count_differences(codes[r], asked);
      }
    };
    int word = 0;
    if constexpr (Load::kWords == 4) {
      for (; word + 8 <= n_words; word += 8) compare(word, std::integral_constant<int, 2>());
    }
    for (; word < n_words; word += Load::kWords) compare(word, std::integral_constant<int, 1>());
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
#pragma unroll
      for (int query = 0; query < kQueries; ++query) {
        if (wanted[r] && distances[r][query] < limits[query])
          append(candidates, first_query + query, distances[r][query],
                 slab.first + (next + r * n_threads) * slab.step);
      }
    }
  }
}

}  // namespace rshash::cuda
