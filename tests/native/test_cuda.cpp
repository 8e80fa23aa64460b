// Tests of csrc/cuda/ on the emulated device of emulated/, against the naive reference, byte for byte. The
// sizes are small, so that few rows already make several slabs, blocks, batches and chunks.
#include <cstdio>
#include <functional>
#include <optional>
#include <string>
#include <thread>

#include "../../csrc/cuda/limits.h"
#include "../../csrc/cuda/search.h"
#include "codes.h"
#include "emulated/cuda_runtime.h"

namespace {

namespace cuda = rshash::cuda;

std::int64_t n_passed = 0, n_failed = 0;

void check(bool holds, const std::string& what) {
  ++(holds ? n_passed : n_failed);
  if (!holds) std::fprintf(stderr, "FAILED: %s\n", what.c_str());
}

/// Whether an action throws an error whose message holds some words.
template <class Error>
bool throws(const std::function<void()>& action, const std::string& words) {
  try {
    action();
  } catch (const Error& error) {
    return std::string(error.what()).find(words) != std::string::npos;
  }
  return false;
}

/// A bitmap that admits a row in `one_in` and always one, with set bits behind the last row; empty for 0.
std::vector<std::uint8_t> make_bitmap(std::int64_t n_rows, unsigned one_in, std::mt19937& random) {
  std::vector<std::uint8_t> bitmap(one_in == 0 ? 0 : (n_rows + 7) / 8);
  const std::int64_t always = random() % n_rows;
  for (std::int64_t row = 0; row < static_cast<std::int64_t>(8 * bitmap.size()); ++row) {
    if (row >= n_rows || row == always || random() % one_in == 0)
      bitmap[row / 8] |= static_cast<std::uint8_t>(1 << row % 8);
  }
  return bitmap;
}

/// Codes in the memory of the emulated device, from any address on, with no whole word to spare.
class OnDevice {
 public:
  OnDevice(const Codes& codes, std::size_t offset) {
    const std::size_t n_bytes = (offset + codes.bytes.size() + 3) / 4 * 4;
    if (cudaMalloc(&memory_, n_bytes) != cudaSuccess) std::abort();
    auto* bytes = static_cast<std::uint8_t*>(memory_) + offset;
    std::copy(codes.bytes.begin(), codes.bytes.end(), bytes);
    codes_ = {{bytes, codes.n_rows, codes.n_bytes, codes.n_bytes, 1}, true};
  }
  ~OnDevice() { cudaFree(memory_); }
  const cuda::Codes& get() const { return codes_; }

 private:
  void* memory_ = nullptr;
  cuda::Codes codes_;
};

/// A search whose answer is known.
struct Trial {
  const Codes& codes;
  const Codes& queries;
  cuda::Codes database, asked;
  const std::vector<std::uint8_t>& bitmap;
  cuda::Options options;

  std::vector<Hit> expected(std::int64_t query) const {
    std::vector<Hit> hits;
    for (const Hit& hit : rank_naively(codes, queries.row(query))) {
      if (bitmap.empty() || bitmap[hit.second / 8] >> hit.second % 8 & 1) hits.push_back(hit);
    }
    return hits;
  }

  std::string describe(const char* what, std::int64_t limit) const {
    return std::string(what) + " " + std::to_string(limit) + ", " + std::to_string(codes.n_bytes) +
           " bytes, " + std::to_string(codes.n_rows) + " rows, " + std::to_string(queries.n_rows) +
           " queries" + (database.on_device ? ", on the device" : "") + (bitmap.empty() ? "" : ", filter") +
           ", " + std::to_string(options.sizes.threads) + " threads";
  }

  void check_top(std::int64_t wanted) const {
    std::vector<std::vector<Hit>> hits;
    for (std::int64_t query = 0; query < queries.n_rows; ++query) hits.push_back(expected(query));
    const auto k = std::min(wanted, static_cast<std::int64_t>(hits[0].size()));
    std::vector<std::int32_t> distances(queries.n_rows * k);
    std::vector<std::int64_t> rows(queries.n_rows * k);
    cuda::top_k(database, asked, k, options, distances.data(), rows.data());
    bool equal = true;
    for (std::int64_t i = 0; i < queries.n_rows * k; ++i)
      equal = equal && hits[i / k][i % k] == Hit(distances[i], rows[i]);
    check(equal, describe("top", k));
  }

  void check_radius(std::int32_t radius) const {
    const rshash::RadiusHits found = cuda::within_radius(database, asked, radius, options);
    std::vector<std::int64_t> offsets{0};
    std::vector<Hit> hits, all;
    for (std::int64_t query = 0; query < queries.n_rows; ++query) {
      for (const Hit& hit : expected(query)) {
        if (hit.first <= radius) all.push_back(hit);
      }
      offsets.push_back(static_cast<std::int64_t>(all.size()));
    }
    for (std::size_t i = 0; i < found.rows.size(); ++i) hits.emplace_back(found.distances[i], found.rows[i]);
    check(found.offsets == offsets && hits == all, describe("radius", radius));
  }
};

/// A database and queries of one shape, each on the device and on the host, lying there in some way.
void test_shape(std::int64_t n_rows, std::int64_t n_bytes, std::int64_t n_queries, std::mt19937& random) {
  const Codes codes = make_codes(n_rows, n_bytes, random), queries = make_queries(codes, n_queries, random);
  const auto bitmap = make_bitmap(n_rows, std::vector<unsigned>{0, 2, 20}[random() % 3], random);
  const std::size_t offsets[] = {0, 4, 8, 1, 2, 3};
  const OnDevice database(codes, offsets[random() % 6]), asked(queries, offsets[random() % 6]);
  const Layout host(codes, static_cast<Layout::Kind>(random() % Layout::n_kinds));
  const Layout asked_host(queries, static_cast<Layout::Kind>(random() % Layout::n_kinds));
  cuda::Options options;
  options.admitted = bitmap.empty() ? nullptr : bitmap.data();
  options.sizes.threads = random() % 4 == 0 ? 48 : 16;
  options.sizes.room = 1 + random() % 200;
  options.sizes.block_bytes = 1 + n_rows * n_bytes / (1 + random() % 12);
  options.sizes.most_queries = 1 + random() % 40;
  options.sizes.memory_bytes = random() % 20000;
  const Trial trials[] = {{codes, queries, database.get(), {asked_host.view(), false}, bitmap, options},
                          {codes, queries, {host.view(), false}, asked.get(), bitmap, options}};
  for (const Trial& trial : trials) {
    trial.check_top(std::vector<std::int64_t>{1, 10, n_rows}[random() % 3]);
    trial.check_radius(static_cast<std::int32_t>(8 * n_bytes * (random() % 5) / 4));
  }
}

/// More hits than a block sorts at once, in numbers around its chunks.
void test_many_hits(std::mt19937& random) {
  for (const std::int64_t n_rows : {2047, 2049, 4097, 9000}) {
    const Codes codes = make_codes(n_rows, 1, random), queries = make_queries(codes, 2, random);
    const std::vector<std::uint8_t> all;
    const OnDevice database(codes, 0), asked(queries, 0);
    cuda::Options options;
    options.sizes.threads = 16;
    const Trial trial{codes, queries, database.get(), asked.get(), all, options};
    trial.check_top(n_rows);
    trial.check_radius(3);
  }
}

/// Codes from the farthest to the nearest: every row enters, and slabs that grow run out of room.
void test_descending(std::mt19937& random) {
  Codes codes{3000, 8, std::vector<std::uint8_t>(3000 * 8)};
  for (std::int64_t row = 0; row < codes.n_rows; ++row) {
    for (std::int64_t bit = 0; bit < 64 - row * 64 / codes.n_rows; ++bit)
      codes.bytes[row * 8 + bit / 8] |= static_cast<std::uint8_t>(1 << bit % 8);
  }
  const Codes queries{1, 8, std::vector<std::uint8_t>(8)};
  const std::vector<std::uint8_t> all;
  cuda::Options options;
  options.sizes = {16, 64, 4000, 4, 1 << 20};
  const OnDevice database(codes, 0);
  const Layout host(codes, Layout::dense), asked(queries, Layout::dense);
  const Trial trial{codes, queries, {host.view(), false}, {asked.view(), false}, all, options};
  const long n_before = emulated_machine.n_launches;
  trial.check_top(3);
  check(emulated_machine.n_launches - n_before > 90, "steady slabs follow slabs without room");
  Trial{codes, queries, database.get(), {asked.view(), false}, all, options}.check_top(3);
  const Codes same{3000, 8, std::vector<std::uint8_t>(3000 * 8, static_cast<std::uint8_t>(random()))};
  const OnDevice same_database(same, 0);
  Trial{same, queries, same_database.get(), {asked.view(), false}, all, options}.check_top(10);
}

void test_upload(std::mt19937& random) {
  const Codes codes = make_codes(500, 9, random), queries = make_queries(codes, 3, random);
  const std::vector<std::uint8_t> all;
  for (int kind = 0; kind < Layout::n_kinds; ++kind) {
    const cuda::Upload upload(Layout(codes, static_cast<Layout::Kind>(kind)).view(), 0);
    const Layout asked(queries, Layout::dense);
    Trial{codes, queries, {upload.view(), true}, {asked.view(), false}, all, {}}.check_top(7);
    check(cuda::device_of(upload.view().data) == 0, "the device of an upload");
    check(throws<std::invalid_argument>([&] { cuda::device_of(asked.view().data); },
                                        "do not lie in the memory"),
          "the device of host memory");
  }
}

void test_threads(std::mt19937& random) {
  const Codes codes = make_codes(900, 16, random), queries = make_queries(codes, 9, random);
  const OnDevice database(codes, 0), asked(queries, 0);
  std::vector<std::thread> threads;
  std::vector<std::vector<std::int64_t>> rows(4, std::vector<std::int64_t>(9 * 5));
  for (auto& found : rows) {
    threads.emplace_back([&] {
      std::vector<std::int32_t> distances(found.size());
      cuda::Options options;
      options.sizes = {16, 64, 4000, 4, 1 << 20};
      cuda::top_k(database.get(), asked.get(), 5, options, distances.data(), found.data());
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const auto& found : rows) check(found == rows[0], "threads find the same");
}

void test_limits() {
  const cuda::Rate copies = cuda::measure_copies(0, 1000);
  check(copies.seconds > 0 && copies.amount > 0 && copies.amount % 2000 == 0, "copies are whole");
  for (const int n_bytes : {8, 16, 32}) {
    const cuda::Rate counts = cuda::measure_popcounts(0, n_bytes);
    // two multiprocessors of 8 blocks of 256 threads of 64 bytes
    check(counts.seconds > 0 && counts.amount > 0 && counts.amount % (2 * 8 * 256 * 64 / n_bytes) == 0,
          "counts are whole");
  }
  check(throws<std::invalid_argument>([] { cuda::measure_popcounts(0, 24); }, "8, 16 or 32"), "counts of 24");
  const std::size_t too_many = emulated_machine.memory_bytes;
  check(throws<cuda::OutOfMemory>([&] { cuda::measure_copies(0, too_many); }, "GiB more are needed"),
        "copies that do not fit");
  check(throws<cuda::DeviceError>([] { cuda::measure_popcounts(3, 8); }, "there is no CUDA device 3"),
        "counts of device 3");
  cuda::synchronize(0);
  check(cuda::devices().at(0).cache_bytes == 1 << 20, "the last cache");
}

void test_refusals(std::mt19937& random) {
  const Codes codes = make_codes(2000, 8, random);
  const Layout layout(codes, Layout::dense);
  const cuda::Codes host{layout.view(), false};
  const auto bitmap = make_bitmap(2000, 20, random);
  std::vector<std::int32_t> distances(2000 * 2000);
  std::vector<std::int64_t> rows(2000 * 2000);
  cuda::Options options;
  options.sizes.threads = 16;
  const auto search = [&](std::int64_t k) {
    cuda::top_k(host, host, k, options, distances.data(), rows.data());
  };

  const EmulatedMachine whole = emulated_machine;
  emulated_machine.status = cudaErrorNoDevice;
  check(throws<cuda::DeviceError>([&] { cuda::devices(); }, "there is no CUDA device here"), "no device");
  emulated_machine.status = cudaErrorInsufficientDriver;
  check(throws<cuda::DeviceError>([&] { search(1); }, "no NVIDIA driver here, or one older than CUDA 13.0"),
        "driver");
  emulated_machine.status = cudaSuccess;
  emulated_machine.major = 7;
  check(throws<cuda::DeviceError>([&] { search(1); }, "has compute capability 7.0; this build needs 8.0"),
        "old");
  emulated_machine.major = 9;
  emulated_machine.memory_bytes = emulated_machine.used_bytes + (1 << 20);
  check(throws<cuda::OutOfMemory>([&] { search(1); }, "of the device's 0.001 GiB are free"), "out of memory");
  emulated_machine.memory_bytes = whole.memory_bytes;
  options.device = 1;
  check(throws<cuda::DeviceError>([&] { search(1); }, "there is no CUDA device 1: there are 1"), "device 1");
  options.device = 0;
  options.admitted = bitmap.data();
  options.sizes.most_queries = 1;
  check(throws<std::invalid_argument>([&] { search(2000); }, "number of admitted rows"), "k");
  options.interrupted = [] { return true; };
  check(throws<rshash::Interrupted>([&] { search(1); }, "interrupted"), "interrupt");
}

}  // namespace

int main() {
  std::mt19937 random(7);
  for (const std::int64_t n_bytes : {1, 2, 3, 8, 9, 16, 25, 32, 48, 64, 112, 512}) {
    for (const std::int64_t n_queries : {1, 3, 5, 17}) {
      for (const std::int64_t n_rows : {1, 33, 130, 700}) test_shape(n_rows, n_bytes, n_queries, random);
    }
  }
  test_many_hits(random);
  test_descending(random);
  test_upload(random);
  test_threads(random);
  test_limits();
  test_refusals(random);
  check(emulated_machine.used_bytes == 0, "all device memory was given back");
  std::printf("emulated CUDA: %lld checks passed, %lld failed, %ld launches\n",
              static_cast<long long>(n_passed), static_cast<long long>(n_failed),
              emulated_machine.n_launches);
  return n_failed == 0 ? 0 : 1;
}
