// Top-k and radius search: batches of queries over slabs of the database, on one device.
#include <algorithm>
#include <limits>
#include <optional>
#include <stdexcept>
#include <vector>

#include "batch.h"
#include "feed.h"
#include "runtime.h"
#include "search.h"

namespace rshash::cuda {

namespace {

/// Candidates that a query has room for, for each hit it wants.
constexpr std::int64_t kRoomPerHit = 16;

/// Most rows of a slab for each row before it.
constexpr std::int64_t kMostGrowth = 64;

/// How a top-k search cuts its database. A query has room for all rows, or for sixteen times its hits.
struct Slabs {
  std::int64_t n_rows, k, room;

  bool fits_room() const { return n_rows <= room; }

  /// Rows of the sample and of the first slab, all of which may become candidates.
  std::int64_t first_rows() const { return fits_room() ? room : std::max(k, room / kRoomPerHit); }

  /// Most rows of the slab that begins at row `first`.
  ///
  /// The k-th distance of `first` rows admits about k * n / first of the next n, more where distances tie:
  /// slabs may grow with the rows before them, so far that an eighth of the room should be filled. Steady
  /// slabs are so small that no rows at all can fill the room.
  std::int64_t slab_rows(std::int64_t first, bool is_steady) const {
    if (first == 0) return first_rows();
    return is_steady ? room - k : first * std::clamp<std::int64_t>(room / (8 * k), 2, kMostGrowth);
  }
};

/// What one search keeps on the device from its first batch to its last.
struct Search {
  Search(const Codes& database, const Codes& queries, const Options& options)
      : device(options.device), database(database), queries(queries), options(options) {
    feed.emplace(database, options, stream);
    terms = {database.view.n_rows, database.view.n_bytes, device.n_multiprocessors(), options.sizes.threads,
             nullptr};
    if (options.admitted == nullptr) return;
    const auto n_bytes = static_cast<std::size_t>((database.view.n_rows + 7) / 8);
    admitted.emplace(n_bytes, stream.get());
    admitted->upload(options.admitted, n_bytes);
    terms.admitted = admitted->get();
  }

  /// Keys that the candidates of a batch may take together.
  std::int64_t most_keys() const {
    return options.sizes.memory_bytes / static_cast<std::int64_t>(sizeof(Key));
  }

  CurrentDevice device;
  const Codes& database;
  const Codes& queries;
  const Options& options;
  Stream stream;
  std::optional<DeviceArray<std::uint8_t>> admitted;
  Terms terms{};
  std::optional<Feed> feed;
};

/// Leaves each query of the batch with its k nearest rows, in no order; false where one ran out of room.
bool find_nearest(Search& search, Batch& batch, const Slabs& slabs, bool is_steady) {
  batch.start();
  const CodesView& codes = search.database.view;
  if (search.database.on_device && !slabs.fits_room()) {
    // Rows from all over the database lower the limits, in whatever order its codes come.
    const std::int64_t n_sampled = slabs.first_rows();
    batch.scan({codes.data, 0, n_sampled, codes.n_rows / n_sampled, static_cast<int>(codes.n_bytes)});
    batch.select(slabs.k, true);
  }
  search.feed->run([&](std::int64_t first) { return slabs.slab_rows(first, is_steady); },
                   [&](const Slab& slab) {
                     batch.scan(slab);
                     batch.select(slabs.k, false);
                   });
  return !batch.overflowed();
}

}  // namespace

void top_k(const Codes& database, const Codes& queries, std::int64_t k, const Options& options,
           std::int32_t* distances, std::int64_t* rows) {
  Search search(database, queries, options);
  const std::int64_t n_rows = database.view.n_rows;
  if (k < 1 || k > n_rows) throw std::invalid_argument("k must be between 1 and the number of rows");
  const std::int64_t room = std::min(n_rows, std::max(options.sizes.room, kRoomPerHit * k));
  const Slabs slabs{n_rows, k, room};
  const std::int64_t most_queries =
      std::clamp<std::int64_t>(search.most_keys() / room, 1, options.sizes.most_queries);
  for (std::int64_t first = 0; first < queries.view.n_rows; first += most_queries) {
    std::vector<Key> first_keys(
        static_cast<std::size_t>(std::min(most_queries, queries.view.n_rows - first)) + 1);
    for (std::size_t i = 0; i < first_keys.size(); ++i) first_keys[i] = i * static_cast<Key>(room);
    Batch batch(queries, first, first_keys, static_cast<int>(8 * database.view.n_bytes) + 1, search.terms,
                search.stream);
    if (!find_nearest(search, batch, slabs, false)) find_nearest(search, batch, slabs, true);
    batch.sort(static_cast<Key>(k));
    for (const Key n_found : batch.counts()) {
      if (n_found != static_cast<Key>(k))
        throw std::invalid_argument("k must be between 1 and the number of admitted rows");
    }
    for (const Key key : batch.keys(static_cast<std::size_t>(k), static_cast<std::size_t>(room)))
      batch.unpack(key, *distances++, *rows++);
  }
}

RadiusHits within_radius(const Codes& database, const Codes& queries, std::int32_t radius,
                         const Options& options) {
  Search search(database, queries, options);
  const auto all_rows = [](std::int64_t) { return std::numeric_limits<std::int64_t>::max(); };
  const std::int64_t n_queries = queries.view.n_rows;
  RadiusHits hits;
  hits.offsets.push_back(0);
  for (std::int64_t first = 0; first < n_queries; first += options.sizes.most_queries) {
    const std::int64_t n = std::min(options.sizes.most_queries, n_queries - first);
    Batch counting(queries, first, std::vector<Key>(static_cast<std::size_t>(n) + 1), radius + 1,
                   search.terms, search.stream);
    search.feed->run(all_rows, [&](const Slab& slab) { counting.scan(slab); });
    for (const Key count : counting.counts())
      hits.offsets.push_back(hits.offsets.back() + static_cast<std::int64_t>(count));
  }
  hits.distances.resize(static_cast<std::size_t>(hits.offsets.back()));
  hits.rows.resize(static_cast<std::size_t>(hits.offsets.back()));
  for (std::int64_t first = 0, last = 0; first < n_queries; first = last) {
    std::vector<Key> first_keys{0};
    Key longest = 0;
    const auto offset = [&](std::int64_t query) { return hits.offsets[static_cast<std::size_t>(query)]; };
    while (last < n_queries && last - first < options.sizes.most_queries &&
           (last == first || offset(last + 1) - offset(first) <= search.most_keys())) {
      ++last;
      first_keys.push_back(static_cast<Key>(offset(last) - offset(first)));
      longest = std::max(longest, static_cast<Key>(offset(last) - offset(last - 1)));
    }
    if (longest == 0) continue;
    Batch batch(queries, first, first_keys, radius + 1, search.terms, search.stream);
    search.feed->run(all_rows, [&](const Slab& slab) { batch.scan(slab); });
    batch.sort(longest);
    auto hit = static_cast<std::size_t>(offset(first));
    for (const Key key : batch.all_keys(first_keys.back())) {
      batch.unpack(key, hits.distances[hit], hits.rows[hit]);
      ++hit;
    }
  }
  return hits;
}

struct Upload::Memory {
  explicit Memory(std::size_t n_bytes) { check_memory(cudaMalloc(&data, n_bytes), n_bytes, "device"); }
  ~Memory() { cudaFree(data); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  void* data = nullptr;
};

Upload::Upload(const CodesView& codes, int device) : view_(codes) {
  const CurrentDevice current(device);
  memory_ = std::make_unique<Memory>(static_cast<std::size_t>((codes.n_rows * codes.n_bytes / 4 + 1) * 4));
  auto* dense = static_cast<std::uint8_t*>(memory_->data);
  const std::int64_t block_rows = count_block_rows(codes, Sizes{}.block_bytes);
  Staging staging(codes, block_rows);
  for (std::int64_t first = 0; first < codes.n_rows; first += block_rows)
    staging.send(first, std::min(block_rows, codes.n_rows - first), dense + first * codes.n_bytes);
  staging.stream().wait();
  view_ = {dense, codes.n_rows, codes.n_bytes, codes.n_bytes, 1};
}

Upload::~Upload() = default;

}  // namespace rshash::cuda
