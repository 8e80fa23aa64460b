// Python bindings: check, release the GIL, call.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "limits.h"
#include "search.h"

namespace py = pybind11;
namespace cuda = rshash::cuda;

namespace {

using Bitmap = std::optional<py::array_t<std::uint8_t, py::array::c_style>>;

void check_shape(std::int64_t n_rows, std::int64_t n_bytes) {
  if (n_bytes < 1 || n_bytes > rshash::kMaxBytes || n_rows < 0 || n_rows >= rshash::kMaxRows)
    throw py::value_error("codes must have 1 to 512 bytes each and fewer than 2^48 rows");
}

rshash::CodesView view_array(const py::array& codes) {
  if (!py::isinstance<py::array_t<std::uint8_t>>(codes)) throw py::type_error("codes must be uint8");
  if (codes.ndim() != 2) throw py::value_error("codes must have shape (N, n_bytes)");
  check_shape(codes.shape(0), codes.shape(1));
  return {static_cast<const std::uint8_t*>(codes.data()), codes.shape(0), codes.shape(1), codes.strides(0),
          codes.strides(1)};
}

/// Codes in device memory: a copy of an array, or memory of another library, whose owner is kept alive.
class DeviceCodes {
 public:
  DeviceCodes(const py::array& codes, int device) : device(device), view(view_array(codes)) {
    const py::gil_scoped_release released;
    upload_ = std::make_unique<cuda::Upload>(view, device);
    view = upload_->view();
  }
  DeviceCodes(const std::uint8_t* data, std::int64_t n_rows, std::int64_t n_bytes, py::object owner)
      : device(cuda::device_of(data)), view{data, n_rows, n_bytes, n_bytes, 1}, owner_(std::move(owner)) {}

  /// Dense codes where another library put them, once what it asked of the device before is done.
  static std::unique_ptr<DeviceCodes> borrow(std::uintptr_t data, std::int64_t n_rows, std::int64_t n_bytes,
                                             py::object owner) {
    check_shape(n_rows, n_bytes);
    auto codes = std::make_unique<DeviceCodes>(reinterpret_cast<const std::uint8_t*>(data), n_rows, n_bytes,
                                               std::move(owner));
    const py::gil_scoped_release released;
    cuda::synchronize(codes->device);
    return codes;
  }

  int device;
  rshash::CodesView view;

 private:
  std::unique_ptr<cuda::Upload> upload_;
  py::object owner_;
};

/// Codes of a search, as an array or on the device that searches.
cuda::Codes view_codes(const py::object& codes, int device) {
  if (!py::isinstance<DeviceCodes>(codes)) return {view_array(py::cast<py::array>(codes)), false};
  const auto& on_device = py::cast<const DeviceCodes&>(codes);
  if (on_device.device != device) {
    throw py::value_error("codes lie on device " + std::to_string(on_device.device) +
                          ", the search runs on device " + std::to_string(device));
  }
  return {on_device.view, true};
}

/// Runs pending Python signal handlers, so that Ctrl-C ends a long search.
bool interrupted() {
  const py::gil_scoped_acquire gil;
  return PyErr_CheckSignals() != 0;
}

/// What a search is asked, checked.
struct Question {
  Question(const py::object& database_object, const py::object& queries_object, int device,
           const Bitmap& admitted)
      : database(view_codes(database_object, device)), queries(view_codes(queries_object, device)) {
    if (database.view.n_rows < 1) throw py::value_error("codes must have at least one row");
    if (database.view.n_bytes != queries.view.n_bytes)
      throw py::value_error("queries and codes must have one width");
    if (admitted && (admitted->ndim() != 1 || admitted->shape(0) != (database.view.n_rows + 7) / 8))
      throw py::value_error("admitted must have one bit for each row");
    options.device = device;
    options.admitted = admitted ? admitted->data() : nullptr;
    options.interrupted = interrupted;
  }

  cuda::Codes database, queries;
  cuda::Options options;
};

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

template <class T>
py::array_t<T> to_array(const std::vector<T>& values) {
  return py::array_t<T>(static_cast<py::ssize_t>(values.size()), values.data());
}

py::tuple top_k(const py::object& codes, const py::object& queries, std::int64_t k, int device,
                const Bitmap& admitted) {
  const Question question(codes, queries, device, admitted);
  if (k < 1 || k > question.database.view.n_rows)
    throw py::value_error("k must be between 1 and the number of rows");
  py::array_t<std::int32_t> distances({question.queries.view.n_rows, k});
  py::array_t<std::int64_t> rows({question.queries.view.n_rows, k});
  auto* distances_data = distances.mutable_data();
  auto* rows_data = rows.mutable_data();
  run_without_gil([&] {
    cuda::top_k(question.database, question.queries, k, question.options, distances_data, rows_data);
  });
  return py::make_tuple(distances, rows);
}

py::tuple within_radius(const py::object& codes, const py::object& queries, std::int32_t radius, int device,
                        const Bitmap& admitted) {
  const Question question(codes, queries, device, admitted);
  if (radius < 0 || radius > 8 * question.database.view.n_bytes)
    throw py::value_error("radius must be between 0 and 8 * n_bytes");
  rshash::RadiusHits hits;
  run_without_gil(
      [&] { hits = cuda::within_radius(question.database, question.queries, radius, question.options); });
  return py::make_tuple(to_array(hits.offsets), to_array(hits.distances), to_array(hits.rows));
}

py::tuple measure_copies(std::size_t n_bytes, int device) {
  if (n_bytes < 1) throw py::value_error("n_bytes must be at least 1");
  cuda::Rate rate{};
  run_without_gil([&] { rate = cuda::measure_copies(device, n_bytes); });
  return py::make_tuple(rate.seconds, rate.amount);
}

py::tuple measure_popcounts(int n_bytes, int device) {
  cuda::Rate rate{};
  run_without_gil([&] { rate = cuda::measure_popcounts(device, n_bytes); });
  return py::make_tuple(rate.seconds, rate.amount);
}

py::list devices() {
  py::list found;
  for (const cuda::Device& device : cuda::devices()) {
    py::dict facts;
    facts["name"] = device.name;
    facts["capability"] = std::to_string(device.major) + "." + std::to_string(device.minor);
    facts["multiprocessors"] = device.n_multiprocessors;
    facts["memory_bytes"] = device.memory_bytes;
    facts["cache_bytes"] = device.cache_bytes;
    found.append(facts);
  }
  return found;
}

}  // namespace

PYBIND11_MODULE(_cuda, module) {
  module.doc() = "Exact Hamming search over packed codes on an NVIDIA GPU; see csrc/cuda/search.h.";
  py::register_exception_translator([](std::exception_ptr thrown) {
    try {
      if (thrown) std::rethrow_exception(thrown);
    } catch (const cuda::DeviceError& error) {
      PyErr_SetString(PyExc_OSError, error.what());
    } catch (const cuda::OutOfMemory& error) {
      PyErr_SetString(PyExc_MemoryError, error.what());
    }
  });
  py::class_<DeviceCodes>(module, "DeviceCodes", "Packed codes (N, n_bytes) in device memory.")
      .def(py::init<const py::array&, int>(), py::arg("codes"), py::arg("device"))
      .def_static("borrow", &DeviceCodes::borrow, py::arg("data"), py::arg("n_rows"), py::arg("n_bytes"),
                  py::arg("owner"))
      .def_readonly("device", &DeviceCodes::device)
      .def_property_readonly("shape", [](const DeviceCodes& codes) {
        return py::make_tuple(codes.view.n_rows, codes.view.n_bytes);
      });
  module.def("devices", &devices,
             "Name, capability, multiprocessors, memory_bytes and cache_bytes of every device.");
  module.def("synchronize", &cuda::synchronize, py::arg("device"), py::call_guard<py::gil_scoped_release>(),
             "Wait until a device has done what was asked of it before, by this library or another.");
  module.def("measure_copies", &measure_copies, py::arg("n_bytes"), py::arg("device"),
             "Copy device memory to device memory: seconds, bytes read plus bytes written.");
  module.def("measure_popcounts", &measure_popcounts, py::arg("n_bytes"), py::arg("device"),
             "Compare codes of 8, 16 or 32 bytes with a query as the scan does: seconds, codes.");
  module.def("top_k", &top_k, py::arg("codes"), py::arg("queries"), py::arg("k"), py::arg("device"),
             py::arg("admitted") = py::none(),
             "The k nearest rows of each query: distances (Q, k) int32, rows (Q, k) int64.");
  module.def("within_radius", &within_radius, py::arg("codes"), py::arg("queries"), py::arg("radius"),
             py::arg("device"), py::arg("admitted") = py::none(),
             "Rows within the radius: offsets (Q + 1,) int64, distances (H,) int32, rows (H,) int64.");
}
