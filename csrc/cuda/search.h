// The contract of csrc/hamming.h on an NVIDIA GPU: same hits, same order, byte for byte. Knows no Python and
// includes nothing of CUDA.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "../hamming.h"

namespace rshash::cuda {

/// No device, a driver that does not fit, a device of an older architecture, or a failure while running.
struct DeviceError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Less device or page-locked memory is free than a search needs.
struct OutOfMemory : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Oldest architecture that this build holds code for, as compute capability major.
inline constexpr int kOldestMajor = 8;

/// One device as the driver describes it.
struct Device {
  std::string name;
  int major, minor;  ///< compute capability
  int n_multiprocessors;
  std::size_t memory_bytes;
  std::size_t cache_bytes;  ///< of the last cache
};

/// The devices of this machine, device i at index i. Throws `DeviceError` where there is none.
std::vector<Device> devices();

/// Packed codes in the memory of the host or of the device that searches. On the device they are dense, and
/// whole aligned 4-byte words are read wherever one of their bytes is a byte of the codes.
struct Codes {
  CodesView view;
  bool on_device;
};

/// Packed codes copied into device memory.
class Upload {
 public:
  Upload(const CodesView& codes, int device);
  ~Upload();
  Upload(const Upload&) = delete;
  Upload& operator=(const Upload&) = delete;

  const CodesView& view() const { return view_; }

 private:
  struct Memory;
  std::unique_ptr<Memory> memory_;
  CodesView view_;
};

/// Sizes that change how fast a search is, never what it finds.
struct Sizes {
  int threads = 256;                      ///< of a block
  std::int64_t room = 1 << 16;            ///< least number of candidates that a query has room for
  std::int64_t block_bytes = 64ll << 20;  ///< of the database, copied to the device at a time
  std::int64_t most_queries = 4096;       ///< of a batch; below 65,536
  std::int64_t memory_bytes = 1ll << 30;  ///< for the candidates of a batch, unless one query needs more
};

/// How a search runs.
struct Options {
  int device = 0;
  /// Rows that may be hits, in host memory, as in `RunOptions`; null admits all.
  const std::uint8_t* admitted = nullptr;
  /// Called by the calling thread between slabs of the database; true stops with `Interrupted`.
  bool (*interrupted)() = nullptr;
  Sizes sizes = {};
};

/// As rshash::top_k; throws std::invalid_argument where fewer than k rows are admitted. Results lie in host
/// memory.
void top_k(const Codes& database, const Codes& queries, std::int64_t k, const Options& options,
           std::int32_t* distances, std::int64_t* rows);

/// As rshash::within_radius.
RadiusHits within_radius(const Codes& database, const Codes& queries, std::int32_t radius,
                         const Options& options);

/// The device whose memory an address lies in. Throws std::invalid_argument if it lies in none.
int device_of(const void* address);

/// Waits until the device has done what was asked of it before, by this library or another.
void synchronize(int device);

}  // namespace rshash::cuda
