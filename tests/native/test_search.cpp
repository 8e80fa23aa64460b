// Tests of csrc/ without Python: every instruction set against the naive reference, byte for byte. For
// sanitizers, emulators and cross compilers; `--quick` takes fewer shapes, `--sets` only names the
// instruction sets.
#include <cstdio>
#include <cstring>
#include <string>

#include "../../csrc/multi_index.h"
#include "codes.h"

namespace {

using rshash::CodesView;
using rshash::Plan;
using rshash::RunOptions;
using rshash::Simd;

constexpr const char* kSimdNames[] = {"portable", "neon", "avx2", "avx512"};  // in the order of Simd
constexpr const char* kPlanNames[] = {"popcount", "sliced"};                  // in the order of Plan

std::int64_t n_passed = 0, n_failed = 0;

void check(bool holds, const std::string& what) {
  ++(holds ? n_passed : n_failed);
  if (!holds) std::fprintf(stderr, "FAILED: %s\n", what.c_str());
}

/// Rows that may be hits, as a bitmap whose bits behind the last row are set and mean nothing.
struct Filter {
  std::vector<std::uint8_t> bitmap;  // empty admits all
  std::int64_t n_admitted;

  Filter(std::int64_t n_rows, unsigned one_in, std::mt19937& random) : n_admitted(n_rows) {
    if (one_in == 0) return;
    bitmap.assign((n_rows + 7) / 8, 0);
    n_admitted = 0;
    const std::int64_t always = random() % n_rows;
    for (std::int64_t row = 0; row < static_cast<std::int64_t>(8 * bitmap.size()); ++row) {
      if (row < n_rows && row != always && random() % one_in != 0) continue;
      bitmap[row / 8] |= static_cast<std::uint8_t>(1 << row % 8);
      n_admitted += row < n_rows;
    }
  }

  const std::uint8_t* data() const { return bitmap.empty() ? nullptr : bitmap.data(); }
  bool admits(std::int64_t row) const { return bitmap.empty() || (bitmap[row / 8] >> row % 8 & 1); }
};

/// A database, queries, and the naive ranking of each query.
struct Case {
  Codes codes, queries;
  std::vector<std::vector<Hit>> ranked;
  std::vector<Layout> layouts, query_layouts;
  std::vector<Filter> filters;  // none, a half, few
  Planes planes;

  Case(std::int64_t n_rows, std::int64_t n_bytes, std::int64_t n_queries, std::mt19937& random)
      : codes(make_codes(n_rows, n_bytes, random)),
        queries(make_queries(codes, n_queries, random)),
        planes(slice_naively(codes)) {
    for (std::int64_t query = 0; query < n_queries; ++query)
      ranked.push_back(rank_naively(codes, queries.row(query)));
    for (int kind = 0; kind < Layout::n_kinds; ++kind) {
      layouts.emplace_back(codes, static_cast<Layout::Kind>(kind));
      query_layouts.emplace_back(queries, static_cast<Layout::Kind>(kind));
    }
    for (const unsigned one_in : {0, 2, 20}) filters.emplace_back(n_rows, one_in, random);
  }

  /// The first n_queries queries in some layout.
  CodesView first_queries(std::int64_t n_queries, std::mt19937& random) const {
    CodesView view = query_layouts[random() % Layout::n_kinds].view();
    view.n_rows = n_queries;
    return view;
  }

  /// Admitted hits of a query, at most k of them, at distance <= radius.
  std::vector<Hit> expected(std::int64_t query, const Filter& filter, std::int64_t k,
                            std::int32_t radius) const {
    std::vector<Hit> hits;
    for (const Hit& hit : ranked[query]) {
      if (static_cast<std::int64_t>(hits.size()) == k || hit.first > radius) break;
      if (filter.admits(hit.second)) hits.push_back(hit);
    }
    return hits;
  }

  std::int32_t n_bits() const { return static_cast<std::int32_t>(8 * codes.n_bytes); }
};

std::string describe(const char* what, const Case& c, std::int64_t n_queries, std::int64_t limit,
                     const RunOptions& options) {
  return std::string(what) + " " + std::to_string(limit) + ", " + std::to_string(c.codes.n_bytes) +
         " bytes, " + std::to_string(c.codes.n_rows) + " rows, " + std::to_string(n_queries) + " queries, " +
         std::to_string(options.n_threads) + " threads, " + kSimdNames[static_cast<int>(options.simd)] +
         ", " + kPlanNames[static_cast<int>(options.plan)] + (options.admitted != nullptr ? ", filter" : "") +
         (options.planes != nullptr ? ", planes" : "");
}

/// Compares compressed rows with the naive hits of the queries that were answered; the others have none.
bool equals(const rshash::RadiusHits& hits, const Case& c, std::int64_t n_queries, const Filter& filter,
            std::int32_t radius, const std::vector<std::uint8_t>& answered) {
  std::vector<std::int64_t> offsets{0};
  std::vector<Hit> expected, found;
  for (std::int64_t query = 0; query < n_queries; ++query) {
    if (answered[query]) {
      for (const Hit& hit : c.expected(query, filter, c.codes.n_rows, radius)) expected.push_back(hit);
    }
    offsets.push_back(static_cast<std::int64_t>(expected.size()));
  }
  for (std::size_t i = 0; i < hits.rows.size(); ++i) found.emplace_back(hits.distances[i], hits.rows[i]);
  return hits.offsets == offsets && found == expected;
}

/// Arrays of exactly (Q, k), and their comparison with the naive hits of the queries that were answered.
struct Ranked {
  std::int64_t k;
  std::vector<std::int32_t> distances;
  std::vector<std::int64_t> rows;

  Ranked(std::int64_t n_queries, std::int64_t k) : k(k), distances(n_queries * k), rows(n_queries * k) {}

  bool equals(const Case& c, const Filter& filter, const std::vector<std::uint8_t>& answered) const {
    for (std::size_t query = 0; query < answered.size(); ++query) {
      if (!answered[query]) continue;
      const std::vector<Hit> expected = c.expected(query, filter, k, c.n_bits());
      for (std::int64_t i = 0; i < k; ++i) {
        if (expected[i] != Hit(distances[query * k + i], rows[query * k + i])) return false;
      }
    }
    return true;
  }
};

void test_scan(const Case& c, std::int64_t n_queries, Simd simd, Plan plan, std::mt19937& random) {
  const std::vector<std::uint8_t> all(n_queries, 1);
  for (int turn = 0; turn < 4; ++turn) {
    const CodesView& codes = c.layouts[random() % Layout::n_kinds].view();
    const CodesView queries = c.first_queries(n_queries, random);
    const Filter& filter = c.filters[random() % c.filters.size()];
    RunOptions options{simd, plan, filter.data(), random() % 2 == 0 ? 1 : 3};
    if (plan == Plan::sliced && random() % 2 == 0) options.planes = c.planes.bytes.get();
    const std::int64_t k =
        std::min<std::int64_t>(filter.n_admitted, std::vector<std::int64_t>{1, 10, 300, 1 << 20}[turn]);
    const std::int32_t radius = c.n_bits() * std::vector<std::int32_t>{0, 1, 2, 4}[turn] / 4;
    Ranked ranked(n_queries, k);
    rshash::top_k(codes, queries, k, options, ranked.distances.data(), ranked.rows.data());
    check(ranked.equals(c, filter, all), describe("top", c, n_queries, k, options));
    check(equals(rshash::within_radius(codes, queries, radius, options), c, n_queries, filter, radius, all),
          describe("radius", c, n_queries, radius, options));
  }
}

void test_slice(const Case& c, Simd simd) {
  for (const Layout& layout : c.layouts) {
    const Planes planes(c.codes);
    rshash::slice_codes(layout.view(), simd, planes.bytes.get());
    check(std::equal(planes.bytes.get(), planes.bytes.get() + planes.size, c.planes.bytes.get()),
          describe("slice", c, 0, 0, {simd, Plan::sliced}));
  }
}

/// Tables of a multi-index, made by sorting.
struct Tables {
  std::vector<std::uint8_t> codes;
  std::vector<std::uint32_t> rows;
  std::vector<std::int64_t> offsets;
  rshash::MultiIndexView view;

  Tables(const Codes& from, std::int64_t n_tables) {
    for (std::int64_t table = 0; table < n_tables; ++table) {
      std::vector<std::pair<std::uint32_t, std::uint32_t>> order;  // substring, row
      std::vector<std::int64_t> counts(rshash::kBuckets + 1);
      for (std::uint32_t row = 0; row < from.n_rows; ++row) {
        const std::uint8_t* bytes = from.row(row) + 2 * table;
        order.emplace_back(bytes[0] | (2 * table + 1 < from.n_bytes ? bytes[1] << 8 : 0), row);
        ++counts[order.back().first + 1];
      }
      std::sort(order.begin(), order.end());
      for (const auto& [substring, row] : order) {
        rows.push_back(row);
        codes.insert(codes.end(), from.row(row), from.row(row) + from.n_bytes);
      }
      std::int64_t n_before = 0;
      for (const std::int64_t count : counts) offsets.push_back(n_before += count);
    }
    view = {codes.data(), rows.data(), offsets.data(), n_tables, from.n_rows, from.n_bytes};
  }
};

void test_multi_index(const Case& c, std::int64_t n_queries, Simd simd, std::mt19937& random) {
  const std::int64_t most_tables = (c.codes.n_bytes + 1) / 2;
  for (const std::int64_t n_tables : {std::int64_t{1}, std::min<std::int64_t>(most_tables, 8)}) {
    const Tables tables(c.codes, n_tables);
    for (const std::int64_t most_cost : {0, 3000, 200000}) {
      const CodesView queries = c.first_queries(n_queries, random);
      const RunOptions options{simd, Plan::popcount, nullptr, random() % 2 == 0 ? 1 : 3};
      const std::int64_t k = std::min<std::int64_t>(c.codes.n_rows, 1 + random() % 20);
      const auto radius = static_cast<std::int32_t>(random() % std::min(c.n_bits() + 1, 12));
      std::vector<std::uint8_t> answered(n_queries, 2);
      Ranked ranked(n_queries, k);
      rshash::multi_index_top_k(tables.view, queries, k, most_cost, options, ranked.distances.data(),
                                ranked.rows.data(), answered.data());
      check(ranked.equals(c, c.filters[0], answered), describe("multi-index top", c, n_queries, k, options));
      const rshash::RadiusHits hits = rshash::multi_index_within_radius(tables.view, queries, radius,
                                                                        most_cost, options, answered.data());
      check(equals(hits, c, n_queries, c.filters[0], radius, answered),
            describe("multi-index radius", c, n_queries, radius, options));
      const auto n_answered = std::count(answered.begin(), answered.end(), 1);
      check(n_answered + std::count(answered.begin(), answered.end(), 0) == n_queries &&
                (most_cost != 0 || n_answered == 0) &&
                (radius != 0 || most_cost == 0 || n_answered == n_queries),
            describe("multi-index answered", c, n_queries, most_cost, options));
    }
  }
}

void test_interrupt(const Case& c, Simd simd, Plan plan) {
  RunOptions options{simd, plan, nullptr, 3};
  options.interrupted = [] { return true; };
  const CodesView& queries = c.query_layouts[Layout::dense].view();
  bool stopped = false;
  try {
    rshash::within_radius(c.layouts[Layout::dense].view(), queries, 0, options);
  } catch (const rshash::Interrupted&) {
    stopped = true;
  }
  check(stopped, describe("interrupt", c, queries.n_rows, 0, options));
}

}  // namespace

int main(int n_arguments, char** arguments) {
  const std::string wish = n_arguments > 1 ? arguments[1] : "";
  if (wish != "" && wish != "--quick" && wish != "--sets") {
    std::fprintf(stderr, "usage: %s [--quick | --sets]\n", arguments[0]);
    return 2;
  }
  const std::vector<Simd> sets = rshash::available_simd();
  std::printf("instruction sets:");
  for (const Simd simd : sets) std::printf(" %s", kSimdNames[static_cast<int>(simd)]);
  std::printf("\n");
  if (wish == "--sets") return 0;

  std::vector<std::int64_t> widths{1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 32, 33, 64, 65, 128, 512};
  std::vector<std::int64_t> sizes{1, 7, 8, 63, 511, 512, 513, 2000};
  std::vector<std::int64_t> counts{1, 2, 7, 8, 63, 64};
  if (wish == "--quick") sizes = {1, 63, 700}, counts = {1, 7, 17};
  std::mt19937 random(0);
  for (const std::int64_t n_bytes : widths) {
    for (const std::int64_t n_rows : sizes) {
      const Case c(n_rows, n_bytes, counts.back(), random);
      for (const Simd simd : sets) {
        for (const std::int64_t n_queries : counts) {
          for (const Plan plan : {Plan::popcount, Plan::sliced}) test_scan(c, n_queries, simd, plan, random);
        }
        test_slice(c, simd);
        if (n_rows == 63 || n_rows == sizes.back()) test_multi_index(c, 7, simd, random);
        for (const Plan plan : {Plan::popcount, Plan::sliced}) test_interrupt(c, simd, plan);
      }
    }
  }
  std::printf("%lld passed, %lld failed\n", static_cast<long long>(n_passed),
              static_cast<long long>(n_failed));
  return n_failed == 0 ? 0 : 1;
}
