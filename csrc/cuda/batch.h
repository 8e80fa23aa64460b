// A batch of queries on the device with their limits and candidates, and the launches that work on them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "feed.h"
#include "runtime.h"
#include "scan.cuh"
#include "search.h"
#include "select.cuh"
#include "sort.cuh"

namespace rshash::cuda {

/// Bits that hold every number below n >= 1.
inline int count_bits(std::int64_t n) {
  int n_bits = 0;
  while (n > std::int64_t{1} << n_bits) ++n_bits;
  return n_bits;
}

/// What a batch needs to know of the search it is part of.
struct Terms {
  std::int64_t n_rows, n_bytes;  ///< of the database
  int n_multiprocessors;
  int threads;                   ///< of a block
  const std::uint8_t* admitted;  ///< in device memory, or null
};

class Batch {
 public:
  /// The n queries from `first` on; query i has room for first_keys[i + 1] - first_keys[i] candidates, and
  /// only rows at distance < limit become some.
  Batch(const Codes& queries, std::int64_t first, const std::vector<Key>& first_keys, int limit,
        const Terms& terms, const Stream& stream)
      : terms_(terms),
        stream_(stream),
        n_queries_(static_cast<int>(first_keys.size()) - 1),
        row_bits_(count_bits(terms.n_rows)),
        first_limits_(size(n_queries_), limit),
        words_(size(n_queries_) * size((terms.n_bytes + 3) / 4), stream.get()),
        limits_(size(n_queries_), stream.get()),
        first_keys_(first_keys.size(), stream.get()),
        n_found_(size(n_queries_), stream.get()),
        keys_(first_keys.back(), stream.get()),
        overflowed_(1, stream.get()) {
    upload_queries(queries, first);
    first_keys_.upload(first_keys.data(), first_keys.size());
    start();
  }

  /// Forgets all candidates.
  void start() {
    limits_.upload(first_limits_.data(), first_limits_.size());
    n_found_.clear();
    overflowed_.clear();
  }

  /// Lets the rows of a slab join.
  void scan(const Slab& slab) {
    if (n_queries_ == 1) return scan_by<1, 4>(slab);
    if (n_queries_ <= 4) return scan_by<4, 4>(slab);
    if (n_queries_ <= 8) return scan_by<8, 2>(slab);
    scan_by<16, 2>(slab);
  }

  /// See rshash::cuda::select. A query has one block only, so that takes the most threads.
  void select(std::int64_t k, bool is_sample) {
    const int key_bits = row_bits_ + count_bits(8 * terms_.n_bytes + 1);
    launch(cuda::select, dim3(size_of_grid(n_queries_)), std::min(4 * terms_.threads, 1024), stream_.get(),
           candidates(), static_cast<Key>(k), key_bits, is_sample, overflowed_.get());
  }

  /// Sorts the candidates of every query; none has more than `longest`.
  void sort(Key longest) {
    const dim3 grid(
        size_of_grid(std::clamp<std::int64_t>(static_cast<std::int64_t>(longest / kChunk), 1, 1024)),
        size_of_grid(n_queries_));
    launch(sort_chunks, grid, terms_.threads, stream_.get(), candidates(), false);
    for (Key run = kChunk; run < longest; run *= 2) {
      for (Key reach = run; reach >= kChunk; reach /= 2)
        launch(compare, grid, terms_.threads, stream_.get(), candidates(), reach, reach == run);
      launch(sort_chunks, grid, terms_.threads, stream_.get(), candidates(), true);
    }
  }

  /// Whether a query had more candidates than room. Waits for the device, as do those below.
  bool overflowed() const {
    int value = 0;
    overflowed_.download(&value, 0, 1);
    stream_.wait();
    return value != 0;
  }

  /// Candidates of each query.
  std::vector<Key> counts() const {
    std::vector<Key> counts(size(n_queries_));
    n_found_.download(counts.data(), 0, counts.size());
    stream_.wait();
    return counts;
  }

  /// The first n keys of each query, one query after the other; `room` is that of every query.
  std::vector<Key> keys(std::size_t n, std::size_t room) const {
    std::vector<Key> keys(size(n_queries_) * n);
    check(cudaMemcpy2DAsync(keys.data(), n * sizeof(Key), keys_.get(), room * sizeof(Key), n * sizeof(Key),
                            size(n_queries_), cudaMemcpyDeviceToHost, stream_.get()),
          "copy hits from the device");
    stream_.wait();
    return keys;
  }

  /// The first n keys of all.
  std::vector<Key> all_keys(std::size_t n) const {
    std::vector<Key> keys(n);
    keys_.download(keys.data(), 0, n);
    stream_.wait();
    return keys;
  }

  void unpack(Key key, std::int32_t& distance, std::int64_t& row) const {
    distance = static_cast<std::int32_t>(key >> row_bits_);
    row = static_cast<std::int64_t>(key & ((Key{1} << row_bits_) - 1));
  }

 private:
  template <class Integer>
  static std::size_t size(Integer n) {
    return static_cast<std::size_t>(n);
  }
  template <class Integer>
  static unsigned size_of_grid(Integer n) {
    return static_cast<unsigned>(n);
  }

  Candidates candidates() const {
    return {words_.get(),      n_queries_,     row_bits_,  limits_.get(),
            first_keys_.get(), n_found_.get(), keys_.get()};
  }

  /// Pads the queries with zero bits to whole words.
  void upload_queries(const Codes& queries, std::int64_t first) {
    const std::size_t n_bytes = size(terms_.n_bytes), pitch = (n_bytes + 3) / 4 * 4;
    const std::uint8_t* source = queries.view.data + first * queries.view.n_bytes;
    if (!queries.on_device) {
      dense_queries_.resize(size(n_queries_) * n_bytes);
      copy_rows(queries.view, first, n_queries_, dense_queries_.data());
      source = dense_queries_.data();
    }
    words_.clear();
    check(cudaMemcpy2DAsync(words_.get(), pitch, source, n_bytes, n_bytes, size(n_queries_),
                            queries.on_device ? cudaMemcpyDeviceToDevice : cudaMemcpyHostToDevice,
                            stream_.get()),
          "copy queries to the device");
  }

  template <int kQueries, int kRows>
  void scan_by(const Slab& slab) {
    const auto alignment = reinterpret_cast<std::uintptr_t>(slab.data) | static_cast<unsigned>(slab.n_bytes);
    if (alignment % 16 == 0)
      return start_scan<kQueries, kRows>(cuda::scan<kQueries, kRows, AlignedLoad<4>>, slab);
    if (alignment % 8 == 0)
      return start_scan<kQueries, kRows>(cuda::scan<kQueries, kRows, AlignedLoad<2>>, slab);
    if (alignment % 4 == 0)
      return start_scan<kQueries, kRows>(cuda::scan<kQueries, kRows, AlignedLoad<1>>, slab);
    start_scan<kQueries, kRows>(cuda::scan<kQueries, kRows, UnalignedLoad>, slab);
  }

  /// Enough blocks to fill every multiprocessor twice, unless the slab has fewer rows.
  template <int kQueries, int kRows, class Kernel>
  void start_scan(Kernel kernel, const Slab& slab) {
    const std::int64_t n_groups = (n_queries_ + kQueries - 1) / kQueries;
    const std::int64_t wanted =
        (std::int64_t{terms_.n_multiprocessors} * kBlocksPerMultiprocessor - 1) / n_groups + 1;
    const std::int64_t rows_of_block = std::int64_t{terms_.threads} * kRows;
    const std::int64_t shares = std::min(wanted, (slab.n_rows + rows_of_block - 1) / rows_of_block);
    launch(kernel, dim3(size_of_grid(n_groups), size_of_grid(shares)), terms_.threads, stream_.get(), slab,
           terms_.admitted, candidates());
  }

  static constexpr std::int64_t kBlocksPerMultiprocessor = 16;

  const Terms terms_;
  const Stream& stream_;
  const int n_queries_, row_bits_;
  const std::vector<int> first_limits_;  // kept: the device may read them late
  std::vector<std::uint8_t> dense_queries_;
  DeviceArray<std::uint32_t> words_;
  DeviceArray<int> limits_;
  DeviceArray<Key> first_keys_, n_found_, keys_;
  DeviceArray<int> overflowed_;
};

}  // namespace rshash::cuda
