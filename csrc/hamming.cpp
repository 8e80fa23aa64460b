// Exact search: cuts the work into parts, scans tiles of rows in place, merges what the parts selected.
#include "hamming.h"

#include <algorithm>
#include <limits>

#include "parallel.h"
#include "scan.h"

namespace rshash {
namespace {

/// Memory the candidates of a top-k search may take at once; more queries are searched in blocks.
/// A radius search takes what its hits need.
constexpr std::int64_t kCandidateBytes = std::int64_t{256} << 20;

/// Most queries in a block: their codes and limits stay in the level-2 cache.
constexpr std::int64_t kMostQueries = 4096;

/// Fewest queries worth a thread of their own when the rows could be split instead.
constexpr std::int64_t kQueriesPerPart = 256;

/// What is searched for: at most k rows, all at distance < first_limit.
struct Wanted {
  std::int64_t k;
  std::uint32_t first_limit;
  bool from_sample = false;  // whether limits may start from a sample
};

/// The k of a radius search: no row is beaten by others.
constexpr std::int64_t kAllRows = std::numeric_limits<std::int64_t>::max() / 4;

/// Part `part` of `n_parts` of 0 .. n, cut at multiples of `grain`.
Range cut(std::int64_t n, std::int64_t part, std::int64_t n_parts, std::int64_t grain) {
  const std::int64_t n_grains = (n + grain - 1) / grain;
  const auto border = [&](std::int64_t i) { return std::min(n, n_grains * i / n_parts * grain); };
  return {border(part), border(part + 1)};
}

/// A grid of parts, one thread each: rows are split first (each thread then reads its own share of the
/// database), queries only where every part still gets a good number of them or the rows are too few.
struct Grid {
  std::int64_t n_row_parts, n_query_parts;

  Grid(std::int64_t n_rows, std::int64_t n_queries, std::int64_t rows_in_tile, int n_threads) {
    n_query_parts = std::clamp<std::int64_t>(n_queries / kQueriesPerPart, 1, n_threads);
    while (n_threads % n_query_parts != 0) --n_query_parts;
    n_row_parts =
        std::min<std::int64_t>(n_threads / n_query_parts, (n_rows + rows_in_tile - 1) / rows_in_tile);
  }

  int n_parts() const { return static_cast<int>(n_row_parts * n_query_parts); }
};

/// Ranks what the parts of one query kept, their rows ascending from part to part: a counting sort by
/// distance. Calls emit(rank, distance, row) for at most k hits, not in order of rank; returns how many.
template <class Emit>
std::int64_t rank(const std::vector<const std::vector<std::uint64_t>*>& parts, const Wanted& wanted,
                  Emit emit) {
  std::vector<std::int64_t> ranks(wanted.first_limit + 1, 0);  // of the next hit at each distance
  for (const auto* keys : parts) {
    for (const std::uint64_t key : *keys) ++ranks[key_distance(key) + 1];
  }
  for (std::size_t distance = 1; distance < ranks.size(); ++distance) ranks[distance] += ranks[distance - 1];
  const std::int64_t n_hits = std::min(wanted.k, ranks.back());
  for (const auto* keys : parts) {
    for (const std::uint64_t key : *keys) {
      const std::int64_t here = ranks[key_distance(key)]++;
      if (here < n_hits) emit(here, static_cast<std::int32_t>(key_distance(key)), key_row(key));
    }
  }
  return n_hits;
}

/// Searches all queries and calls write(query, kept candidates of each part) for one after the other.
template <class Write>
void search(const CodesView& codes, const CodesView& queries, const Wanted& wanted, const RunOptions& options,
            Write write) {
  const Kernels kernels = kernels_for(options.simd);
  const std::int64_t rows_in_tile = tile_rows(codes.n_bytes);
  const std::int64_t n_kept = wanted.k == kAllRows ? rows_in_tile : 2 * wanted.k + rows_in_tile;
  const std::int64_t query_bytes = 8 * (n_kept + wanted.first_limit) * options.n_threads;
  const std::int64_t in_memory = kCandidateBytes / query_bytes;
  const std::int64_t block_size = std::clamp<std::int64_t>(in_memory, 1, kMostQueries);
  const RowFilter filter(options.admitted, codes.n_rows);
  StopSign stop(options.interrupted);
  for (std::int64_t first = 0; first < queries.n_rows; first += block_size) {
    const std::int64_t n_queries = std::min(block_size, queries.n_rows - first);
    const QueryBlock block(queries, first, n_queries);
    const Grid grid(codes.n_rows, n_queries, rows_in_tile, options.n_threads);
    std::vector<std::vector<Selector>> selectors(grid.n_parts());
    run_parts(grid.n_parts(), stop, [&](int part) {
      const Range rows = cut(codes.n_rows, part % grid.n_row_parts, grid.n_row_parts, rows_in_tile);
      const Range mine = cut(n_queries, part / grid.n_row_parts, grid.n_query_parts, 1);
      selectors[part].assign(mine.last - mine.first, Selector(wanted.k, wanted.first_limit));
      scan_rows({codes, rows, block, mine, kernels, options.plan, filter, options.planes,
                 selectors[part].data(), wanted.from_sample},
                stop, part == 0);
    });
    for (std::int64_t query_part = 0; query_part < grid.n_query_parts; ++query_part) {
      const Range mine = cut(n_queries, query_part, grid.n_query_parts, 1);
      for (std::int64_t query = mine.first; query < mine.last; ++query) {
        std::vector<const std::vector<std::uint64_t>*> parts;
        for (std::int64_t row_part = 0; row_part < grid.n_row_parts; ++row_part) {
          Selector& selector = selectors[query_part * grid.n_row_parts + row_part][query - mine.first];
          parts.push_back(&selector.finish());
        }
        write(first + query, parts);
      }
    }
  }
}

}  // namespace

void top_k(const CodesView& codes, const CodesView& queries, std::int64_t k, const RunOptions& options,
           std::int32_t* distances, std::int64_t* rows) {
  // Asks queries and returns those that were left with fewer than k hits; answer i is that of query
  // places[i].
  const auto ask = [&](const CodesView& asked, bool from_sample, const std::int64_t* places) {
    const Wanted wanted{k, static_cast<std::uint32_t>(8 * codes.n_bytes + 1), from_sample};
    std::vector<std::int64_t> unanswered;
    search(codes, asked, wanted, options, [&](std::int64_t i, const auto& parts) {
      const std::int64_t query = places == nullptr ? i : places[i];
      const std::int64_t n_hits =
          rank(parts, wanted, [&](std::int64_t here, std::int32_t distance, std::int64_t row) {
            distances[query * k + here] = distance;
            rows[query * k + here] = row;
          });
      if (n_hits < k) unanswered.push_back(query);
    });
    return unanswered;
  };
  const std::vector<std::int64_t> unanswered = ask(queries, true, nullptr);
  if (unanswered.empty()) return;
  std::vector<std::uint8_t> again;  // their limits started too low (see scan_rows)
  for (const std::int64_t query : unanswered) {
    const std::uint8_t* from = queries.data + query * queries.row_stride;
    for (std::int64_t byte = 0; byte < queries.n_bytes; ++byte)
      again.push_back(from[byte * queries.column_stride]);
  }
  const auto n_again = static_cast<std::int64_t>(unanswered.size());
  ask({again.data(), n_again, queries.n_bytes, queries.n_bytes, 1}, false, unanswered.data());
}

RadiusHits within_radius(const CodesView& codes, const CodesView& queries, std::int32_t radius,
                         const RunOptions& options) {
  const Wanted wanted{kAllRows, static_cast<std::uint32_t>(radius + 1)};
  RadiusHits hits;
  hits.offsets.reserve(queries.n_rows + 1);
  hits.offsets.push_back(0);
  search(codes, queries, wanted, options, [&](std::int64_t, const auto& parts) {
    std::size_t n_kept = 0;
    for (const auto* keys : parts) n_kept += keys->size();
    const std::size_t begin = hits.rows.size();
    hits.distances.resize(begin + n_kept);
    hits.rows.resize(begin + n_kept);
    rank(parts, wanted, [&](std::int64_t here, std::int32_t distance, std::int64_t row) {
      hits.distances[begin + here] = distance;
      hits.rows[begin + here] = row;
    });
    hits.offsets.push_back(static_cast<std::int64_t>(hits.rows.size()));
  });
  return hits;
}

}  // namespace rshash
