// Devices, and what the runtime says of them in words.
#include <cstdio>
#include <stdexcept>
#include <string>

#include "runtime.h"
#include "search.h"

namespace rshash::cuda {

namespace {

std::string to_gib(std::size_t n_bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3f GiB", static_cast<double>(n_bytes) / (1 << 30));
  return text;
}

Device describe(int number) {
  cudaDeviceProp facts;
  check(cudaGetDeviceProperties(&facts, number), "ask a device what it is");
  return {facts.name,           facts.major,
          facts.minor,          facts.multiProcessorCount,
          facts.totalGlobalMem, static_cast<std::size_t>(facts.l2CacheSize)};
}

int count_devices() {
  int n_devices = 0;
  const cudaError_t status = cudaGetDeviceCount(&n_devices);
  if (status == cudaErrorNoDevice || (status == cudaSuccess && n_devices == 0))
    throw DeviceError(
        "there is no CUDA device here (nvidia-smi lists none, or CUDA_VISIBLE_DEVICES hides them)");
  if (status == cudaErrorInsufficientDriver) {
    int runtime = 0;
    cudaRuntimeGetVersion(&runtime);
    throw DeviceError("there is no NVIDIA driver here, or one older than CUDA " +
                      std::to_string(runtime / 1000) + "." + std::to_string(runtime % 1000 / 10) +
                      ", which this build needs: install a newer driver");
  }
  check(status, "count the devices");
  return n_devices;
}

}  // namespace

void check(cudaError_t status, const char* action) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // forget it: the next call shall not report it again
  throw DeviceError(std::string("the CUDA device could not ") + action + ": " + cudaGetErrorString(status) +
                    " (" + cudaGetErrorName(status) + ")");
}

void check_memory(cudaError_t status, std::size_t n_bytes, const char* memory) {
  if (status != cudaErrorMemoryAllocation) return check(status, "allocate memory");
  cudaGetLastError();
  std::size_t n_free = 0, n_total = 0;
  cudaMemGetInfo(&n_free, &n_total);
  throw OutOfMemory(
      "out of " + std::string(memory) + " memory: " + to_gib(n_bytes) + " more are needed, and " +
      to_gib(n_free) + " of the device's " + to_gib(n_total) +
      " are free; ask for fewer queries, a smaller k or a smaller radius at a time, or leave the "
      "codes on the host");
}

CurrentDevice::CurrentDevice(int device) {
  const int n_devices = count_devices();
  if (device < 0 || device >= n_devices) {
    throw DeviceError("there is no CUDA device " + std::to_string(device) + ": there are " +
                      std::to_string(n_devices) + ", counted from 0");
  }
  int major = 0;
  check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device), "say its architecture");
  check(cudaDeviceGetAttribute(&n_multiprocessors_, cudaDevAttrMultiProcessorCount, device), "say its size");
  if (major < kOldestMajor) {
    const Device facts = describe(device);
    throw DeviceError("CUDA device " + std::to_string(device) + " (" + facts.name +
                      ") has compute capability " + std::to_string(facts.major) + "." +
                      std::to_string(facts.minor) + "; this build needs " + std::to_string(kOldestMajor) +
                      ".0 or newer");
  }
  check(cudaGetDevice(&previous_), "say which device is current");
  check(cudaSetDevice(device), "become the current one");
}

std::vector<Device> devices() {
  std::vector<Device> found;
  const int n_devices = count_devices();
  for (int number = 0; number < n_devices; ++number) found.push_back(describe(number));
  return found;
}

int device_of(const void* address) {
  count_devices();
  cudaPointerAttributes facts;
  check(cudaPointerGetAttributes(&facts, address), "find out where codes lie");
  if (facts.type != cudaMemoryTypeDevice && facts.type != cudaMemoryTypeManaged)
    throw std::invalid_argument("codes do not lie in the memory of a CUDA device");
  return facts.device;
}

void synchronize(int device) {
  const CurrentDevice current(device);
  check(cudaDeviceSynchronize(), "finish earlier work");
}

}  // namespace rshash::cuda
