// Python binding: check, release the GIL, call. The only file here that knows Python.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "hamming.h"
#include "limits.h"
#include "multi_index.h"

namespace py = pybind11;

namespace {

using rshash::Simd;

constexpr const char* kSimdNames[] = {"portable", "neon", "avx2", "avx512"};  // in the order of Simd
constexpr const char* kPlanNames[] = {"popcount", "sliced"};                  // in the order of Plan

std::vector<std::string> simd_levels() {
  std::vector<std::string> names;
  for (const Simd simd : rshash::available_simd()) names.push_back(kSimdNames[static_cast<int>(simd)]);
  return names;
}

Simd parse_simd(const std::string& name) {
  std::string known;
  for (const Simd simd : rshash::available_simd()) {
    if (name == kSimdNames[static_cast<int>(simd)]) return simd;
    known += std::string(known.empty() ? "" : ", ") + kSimdNames[static_cast<int>(simd)];
  }
  throw py::value_error("instruction set '" + name + "' is not available here; available are " + known);
}

rshash::Plan parse_plan(const std::string& name) {
  for (int plan = 0; plan < 2; ++plan) {
    if (name == kPlanNames[plan]) return static_cast<rshash::Plan>(plan);
  }
  throw py::value_error("plan must be popcount or sliced, got '" + name + "'");
}

rshash::CodesView view_codes(const py::array& codes, const std::string& name) {
  if (!py::isinstance<py::array_t<std::uint8_t>>(codes)) throw py::type_error(name + " must be uint8");
  if (codes.ndim() != 2) throw py::value_error(name + " must have shape (N, n_bytes)");
  if (codes.shape(1) < 1 || codes.shape(1) > rshash::kMaxBytes || codes.shape(0) >= rshash::kMaxRows) {
    throw py::value_error(name + " must have 1 to 512 bytes per code and fewer than 2^48 rows");
  }
  return {static_cast<const std::uint8_t*>(codes.data()), codes.shape(0), codes.shape(1), codes.strides(0),
          codes.strides(1)};
}

/// Runs pending Python signal handlers, so that Ctrl-C ends a long search.
bool interrupted() {
  const py::gil_scoped_acquire gil;
  return PyErr_CheckSignals() != 0;
}

/// Arrays of a multi-index, dense, never converted.
template <class T>
using Tables = py::array_t<T, py::array::c_style>;

using Bitmap = std::optional<py::array_t<std::uint8_t, py::array::c_style>>;

/// Bit planes as slice_codes makes them, never converted.
using Planes = std::optional<py::array_t<std::uint8_t, py::array::c_style>>;

bool is_aligned(const std::uint8_t* planes) { return reinterpret_cast<std::uintptr_t>(planes) % 64 == 0; }

rshash::RunOptions run_options(const rshash::CodesView& codes, int n_threads, const std::string& simd,
                               const std::string& plan, const Bitmap& admitted,
                               const Planes& planes = std::nullopt) {
  if (n_threads < 1) throw py::value_error("n_threads must be at least 1");
  if (admitted && (admitted->ndim() != 1 || admitted->shape(0) != (codes.n_rows + 7) / 8)) {
    throw py::value_error("admitted must have one bit for each row");
  }
  if (planes && (planes->ndim() != 3 ||
                 planes->shape(0) != (codes.n_rows + rshash::kBlockRows - 1) / rshash::kBlockRows ||
                 planes->shape(1) != 8 * codes.n_bytes || planes->shape(2) != rshash::kBlockRows / 8 ||
                 !is_aligned(planes->data()))) {
    throw py::value_error("planes must be what slice_codes made of codes");
  }
  return {parse_simd(simd), parse_plan(plan), admitted ? admitted->data() : nullptr,
          n_threads,        interrupted,      planes ? planes->data() : nullptr};
}

/// Rows that may be hits.
std::int64_t count_admitted(const rshash::CodesView& codes, const Bitmap& admitted) {
  if (!admitted) return codes.n_rows;
  std::int64_t n_admitted = 0;
  for (std::int64_t byte = 0; byte < codes.n_rows / 8; ++byte)
    n_admitted += __builtin_popcount(admitted->data()[byte]);
  const int n_last = static_cast<int>(codes.n_rows % 8);
  if (n_last != 0) n_admitted += __builtin_popcount(admitted->data()[codes.n_rows / 8] & ((1 << n_last) - 1));
  return n_admitted;
}

std::string choose_plan(std::int64_t n_queries) {
  return kPlanNames[static_cast<int>(rshash::choose_plan(n_queries))];
}

std::string choose_plan_with_planes(std::int64_t n_queries, std::int64_t n_bytes) {
  return kPlanNames[static_cast<int>(rshash::choose_plan_with_planes(n_queries, n_bytes))];
}

py::array_t<std::uint8_t> slice_codes(const py::array& codes, const std::string& simd) {
  const auto view = view_codes(codes, "codes");
  const Simd level = parse_simd(simd);
  const std::int64_t n_blocks = (view.n_rows + rshash::kBlockRows - 1) / rshash::kBlockRows;
  const std::int64_t block_bytes = view.n_bytes * rshash::kBlockRows;
  const std::align_val_t alignment{64};
  auto* planes = static_cast<std::uint8_t*>(::operator new(n_blocks * block_bytes, alignment));
  const py::capsule owner(planes, [](void* memory) { ::operator delete(memory, std::align_val_t{64}); });
  {
    const py::gil_scoped_release released;
    rshash::slice_codes(view, level, planes);
  }
  return py::array_t<std::uint8_t>({n_blocks, 8 * view.n_bytes, rshash::kBlockRows / 8}, planes, owner);
}

/// Calls search() without the GIL; an interrupt leaves the exception that its signal handler raised.
template <class Search>
void run_without_gil(Search search) {
  try {
    const py::gil_scoped_release released;
    search();
  } catch (const rshash::Interrupted&) {
    throw py::error_already_set();
  }
}

/// A numpy array that owns the vector.
template <class T>
py::array_t<T> to_array(std::vector<T>&& values) {
  auto owned = std::make_unique<std::vector<T>>(std::move(values));
  const auto* data = owned->data();
  const auto size = static_cast<py::ssize_t>(owned->size());
  py::capsule owner(owned.get(), [](void* pointer) { delete static_cast<std::vector<T>*>(pointer); });
  owned.release();
  return py::array_t<T>(size, data, owner);
}

void check_pair(const rshash::CodesView& codes, const rshash::CodesView& queries) {
  if (codes.n_rows < 1) throw py::value_error("codes must have at least one row");
  if (codes.n_bytes != queries.n_bytes) throw py::value_error("queries and codes must have one width");
}

py::tuple top_k(const py::array& codes, const py::array& queries, std::int64_t k, int n_threads,
                const std::string& simd, const std::string& plan, const Bitmap& admitted,
                const Planes& planes) {
  const auto codes_view = view_codes(codes, "codes");
  const auto queries_view = view_codes(queries, "queries");
  check_pair(codes_view, queries_view);
  const auto options = run_options(codes_view, n_threads, simd, plan, admitted, planes);
  if (k < 1 || k > count_admitted(codes_view, admitted)) {
    throw py::value_error("k must be between 1 and the number of admitted rows");
  }
  py::array_t<std::int32_t> distances({queries_view.n_rows, k});
  py::array_t<std::int64_t> rows({queries_view.n_rows, k});
  auto* distances_data = distances.mutable_data();
  auto* rows_data = rows.mutable_data();
  run_without_gil([&] { rshash::top_k(codes_view, queries_view, k, options, distances_data, rows_data); });
  return py::make_tuple(distances, rows);
}

py::tuple within_radius(const py::array& codes, const py::array& queries, std::int32_t radius, int n_threads,
                        const std::string& simd, const std::string& plan, const Bitmap& admitted,
                        const Planes& planes) {
  const auto codes_view = view_codes(codes, "codes");
  const auto queries_view = view_codes(queries, "queries");
  check_pair(codes_view, queries_view);
  if (radius < 0 || radius > 8 * codes_view.n_bytes) {
    throw py::value_error("radius must be between 0 and 8 * n_bytes");
  }
  const auto options = run_options(codes_view, n_threads, simd, plan, admitted, planes);
  rshash::RadiusHits hits;
  run_without_gil([&] { hits = rshash::within_radius(codes_view, queries_view, radius, options); });
  return py::make_tuple(to_array(std::move(hits.offsets)), to_array(std::move(hits.distances)),
                        to_array(std::move(hits.rows)));
}

py::tuple to_tuple(const rshash::Rate& rate) { return py::make_tuple(rate.seconds, rate.amount); }

/// Runs one of the loops of limits.h without the GIL; they last milliseconds.
py::tuple measure_limit(const std::string& limit, int n_threads, const std::string& simd) {
  if (n_threads < 1) throw py::value_error("n_threads must be at least 1");
  const Simd level = parse_simd(simd);
  if (limit != "popcounts" && limit != "planes") throw py::value_error("limit must be popcounts or planes");
  rshash::Rate rate{};
  {
    const py::gil_scoped_release released;
    rate = limit == "planes" ? rshash::measure_planes(level, n_threads)
                             : rshash::measure_popcounts(level, n_threads);
  }
  return to_tuple(rate);
}

py::tuple measure_reads(const py::array_t<std::uint8_t, py::array::c_style>& buffer, int n_threads) {
  if (n_threads < 1) throw py::value_error("n_threads must be at least 1");
  if (buffer.size() < 128 * n_threads) throw py::value_error("buffer must hold 128 bytes for each thread");
  const auto* data = buffer.data();
  const auto n_bytes = static_cast<std::size_t>(buffer.size());
  rshash::Rate rate{};
  {
    const py::gil_scoped_release released;
    rate = rshash::measure_reads(data, n_bytes, n_threads);
  }
  return to_tuple(rate);
}

rshash::MultiIndexView view_index(const Tables<std::uint8_t>& codes, const Tables<std::uint32_t>& rows,
                                  const Tables<std::int64_t>& offsets, const rshash::CodesView& queries) {
  if (codes.ndim() != 3 || rows.ndim() != 2 || offsets.ndim() != 2)
    throw py::value_error("tables have wrong shapes");
  const rshash::MultiIndexView index{codes.data(),   rows.data(),    offsets.data(),
                                     codes.shape(0), codes.shape(1), codes.shape(2)};
  if (index.n_rows < 1 || index.n_tables < 1 || 2 * index.n_tables > index.n_bytes + 1 ||
      index.n_bytes != queries.n_bytes || rows.shape(0) != index.n_tables || rows.shape(1) != index.n_rows ||
      offsets.shape(0) != index.n_tables || offsets.shape(1) != rshash::kBuckets + 1) {
    throw py::value_error("tables, queries or both have wrong shapes");
  }
  return index;
}

py::tuple multi_index_top_k(const Tables<std::uint8_t>& codes, const Tables<std::uint32_t>& rows,
                            const Tables<std::int64_t>& offsets, const py::array& queries, std::int64_t k,
                            std::int64_t most_cost, int n_threads, const std::string& simd) {
  const auto queries_view = view_codes(queries, "queries");
  const auto index = view_index(codes, rows, offsets, queries_view);
  if (k < 1 || k > index.n_rows) throw py::value_error("k must be between 1 and the number of rows");
  const auto options = run_options(queries_view, n_threads, simd, kPlanNames[0], std::nullopt);
  py::array_t<std::int32_t> distances({queries_view.n_rows, k});
  py::array_t<std::int64_t> found({queries_view.n_rows, k});
  py::array_t<std::uint8_t> answered(queries_view.n_rows);
  auto* distances_data = distances.mutable_data();
  auto* found_data = found.mutable_data();
  auto* answered_data = answered.mutable_data();
  run_without_gil([&] {
    rshash::multi_index_top_k(index, queries_view, k, most_cost, options, distances_data, found_data,
                              answered_data);
  });
  return py::make_tuple(distances, found, answered);
}

py::tuple multi_index_within_radius(const Tables<std::uint8_t>& codes, const Tables<std::uint32_t>& rows,
                                    const Tables<std::int64_t>& offsets, const py::array& queries,
                                    std::int32_t radius, std::int64_t most_cost, int n_threads,
                                    const std::string& simd) {
  const auto queries_view = view_codes(queries, "queries");
  const auto index = view_index(codes, rows, offsets, queries_view);
  if (radius < 0 || radius > 8 * index.n_bytes)
    throw py::value_error("radius must be between 0 and 8 * n_bytes");
  const auto options = run_options(queries_view, n_threads, simd, kPlanNames[0], std::nullopt);
  py::array_t<std::uint8_t> answered(queries_view.n_rows);
  auto* answered_data = answered.mutable_data();
  rshash::RadiusHits hits;
  run_without_gil([&] {
    hits = rshash::multi_index_within_radius(index, queries_view, radius, most_cost, options, answered_data);
  });
  return py::make_tuple(to_array(std::move(hits.offsets)), to_array(std::move(hits.distances)),
                        to_array(std::move(hits.rows)), answered);
}

}  // namespace

PYBIND11_MODULE(_native, module) {
  module.doc() = "Exact Hamming search over packed codes, compiled; see csrc/hamming.h.";
  module.def("simd_levels", &simd_levels, "Instruction sets this processor runs, slowest first.");
  module.def("choose_plan", &choose_plan, py::arg("n_queries"), "The faster plan for a number of queries.");
  module.def("choose_plan_with_planes", &choose_plan_with_planes, py::arg("n_queries"), py::arg("n_bytes"),
             "The same for a database that was sliced beforehand.");
  module.def("slice_codes", &slice_codes, py::arg("codes"), py::arg("simd"),
             "Bit planes of codes, (ceil(N / 512), 8 * n_bytes, 64) uint8.");
  module.def("top_k", &top_k, py::arg("codes"), py::arg("queries"), py::arg("k"), py::arg("n_threads"),
             py::arg("simd"), py::arg("plan"), py::arg("admitted") = py::none(),
             py::arg("planes").noconvert() = py::none(),
             "The k nearest rows of each query: distances (Q, k) int32, rows (Q, k) int64.");
  module.def(
      "multi_index_top_k", &multi_index_top_k, py::arg("codes").noconvert(), py::arg("rows").noconvert(),
      py::arg("offsets").noconvert(), py::arg("queries"), py::arg("k"), py::arg("most_cost"),
      py::arg("n_threads"), py::arg("simd"),
      "As top_k, through tables: distances, rows and (Q,) uint8, 0 for a query that was not answered.");
  module.def("multi_index_within_radius", &multi_index_within_radius, py::arg("codes").noconvert(),
             py::arg("rows").noconvert(), py::arg("offsets").noconvert(), py::arg("queries"),
             py::arg("radius"), py::arg("most_cost"), py::arg("n_threads"), py::arg("simd"),
             "As within_radius, through tables: offsets, distances, rows and (Q,) uint8 as above.");
  module.def("within_radius", &within_radius, py::arg("codes"), py::arg("queries"), py::arg("radius"),
             py::arg("n_threads"), py::arg("simd"), py::arg("plan"), py::arg("admitted") = py::none(),
             py::arg("planes").noconvert() = py::none(),
             "Rows within the radius: offsets (Q + 1,) int64, distances (H,) int32, rows (H,) int64.");
  module.def("measure_reads", &measure_reads, py::arg("buffer"), py::arg("n_threads"),
             "Read a buffer front to back: seconds, bytes.");
  module.def("measure_limit", &measure_limit, py::arg("limit"), py::arg("n_threads"), py::arg("simd"),
             "Compare 64-bit codes with a query as fast as 'popcounts' or 'planes' allow: seconds, codes.");
}
