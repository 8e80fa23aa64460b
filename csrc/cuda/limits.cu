// Samples of the device's limits; see limits.h.
#include <chrono>
#include <cstdint>
#include <stdexcept>

#include "limits.h"
#include "rates.cuh"
#include "runtime.h"

namespace rshash::cuda {

namespace {

constexpr double kLeastSeconds = 0.005;  // long beside the few microseconds that a launch and a wait take
constexpr int kMostRounds = 1 << 24;
constexpr int kThreads = 256;
constexpr int kBlocksOfMultiprocessor = 8;  // fill it: 2048 threads

/// Calls run(n_rounds), which asks the stream for work, with ever more rounds until they take long enough.
template <class Run>
Rate sample(const Stream& stream, std::int64_t amount_a_round, const Run& run) {
  using Clock = std::chrono::steady_clock;
  for (int n_rounds = 1;; n_rounds *= 4) {
    stream.wait();
    const auto start = Clock::now();
    run(n_rounds);
    stream.wait();
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    if (seconds >= kLeastSeconds || n_rounds >= kMostRounds) return {seconds, n_rounds * amount_a_round};
  }
}

}  // namespace

Rate measure_copies(int device, std::size_t n_bytes) {
  const CurrentDevice current(device);
  const Stream stream;
  DeviceArray<std::uint8_t> source(n_bytes, stream.get()), target(n_bytes, stream.get());
  source.clear();
  return sample(stream, 2 * static_cast<std::int64_t>(n_bytes), [&](int n_rounds) {
    for (int round = 0; round < n_rounds; ++round) {
      check(cudaMemcpyAsync(target.get(), source.get(), n_bytes, cudaMemcpyDeviceToDevice, stream.get()),
            "copy its own memory");
    }
  });
}

Rate measure_popcounts(int device, int n_bytes) {
  if (n_bytes != 8 && n_bytes != 16 && n_bytes != 32)
    throw std::invalid_argument("n_bytes must be 8, 16 or 32");
  const CurrentDevice current(device);
  const Stream stream;
  const int n_blocks = current.n_multiprocessors() * kBlocksOfMultiprocessor;
  const std::int64_t n_threads = std::int64_t{n_blocks} * kThreads;
  DeviceArray<std::uint32_t> sums(static_cast<std::size_t>(n_threads), stream.get());
  const auto kernel = n_bytes == 8    ? count_bits_of_pairs<2, 1>
                      : n_bytes == 16 ? count_bits_of_pairs<4, 1>
                                      : count_bits_of_pairs<4, 2>;
  return sample(stream, n_threads * (kBytesOfThread / n_bytes), [&](int n_rounds) {
    launch(kernel, dim3(static_cast<unsigned>(n_blocks)), kThreads, stream.get(), std::uint32_t{0x2545f491},
           n_rounds, sums.get());
  });
}

}  // namespace rshash::cuda
