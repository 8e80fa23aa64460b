// The CUDA runtime behind owners and exceptions: what every host file here stands on.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <utility>

namespace rshash::cuda {

/// Throws `DeviceError` unless the call went well.
void check(cudaError_t status, const char* action);

/// Throws `OutOfMemory` with the sizes if there was too little memory, `DeviceError` if anything else failed.
void check_memory(cudaError_t status, std::size_t n_bytes, const char* memory);

/// Makes a device current for this thread while it lives. Throws `DeviceError` if there is no such device or
/// this build holds no code for it.
class CurrentDevice {
 public:
  explicit CurrentDevice(int device);
  ~CurrentDevice() { cudaSetDevice(previous_); }
  CurrentDevice(const CurrentDevice&) = delete;
  CurrentDevice& operator=(const CurrentDevice&) = delete;

  int n_multiprocessors() const { return n_multiprocessors_; }

 private:
  int previous_ = 0;
  int n_multiprocessors_ = 0;
};

/// A stream of its own: searches of several threads do not wait for each other.
class Stream {
 public:
  Stream() { check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "make a stream"); }
  ~Stream() {
    cudaStreamSynchronize(stream_);  // what it works on is about to be freed
    cudaStreamDestroy(stream_);
  }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  cudaStream_t get() const { return stream_; }
  void wait() const { check(cudaStreamSynchronize(stream_), "search"); }

 private:
  cudaStream_t stream_ = nullptr;
};

/// A point in a stream that others wait for.
class Event {
 public:
  Event() { check(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming), "make an event"); }
  ~Event() { cudaEventDestroy(event_); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  void record(const Stream& stream) { check(cudaEventRecord(event_, stream.get()), "record an event"); }
  void hold_up(const Stream& stream) const {
    check(cudaStreamWaitEvent(stream.get(), event_, 0), "wait for an event");
  }
  /// Blocks the host; an event that was never recorded has passed.
  void wait() const { check(cudaEventSynchronize(event_), "wait for an event"); }

 private:
  cudaEvent_t event_ = nullptr;
};

/// Uninitialized device memory for n values, padded to whole 16 bytes; used and freed in the order of a
/// stream, which outlives it.
template <class T>
class DeviceArray {
 public:
  DeviceArray(std::size_t n, cudaStream_t stream) : n_bytes_((n * sizeof(T) / 16 + 1) * 16), stream_(stream) {
    void* memory = nullptr;
    check_memory(cudaMallocAsync(&memory, n_bytes_, stream), n_bytes_, "device");
    data_ = static_cast<T*>(memory);
  }
  ~DeviceArray() { cudaFreeAsync(data_, stream_); }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;

  T* get() const { return data_; }

  /// Copies n values from the host; they may go away once this returns only if the stream was waited for.
  void upload(const T* values, std::size_t n) {
    check(cudaMemcpyAsync(data_, values, n * sizeof(T), cudaMemcpyHostToDevice, stream_),
          "copy to the device");
  }
  void download(T* values, std::size_t first, std::size_t n) const {
    check(cudaMemcpyAsync(values, data_ + first, n * sizeof(T), cudaMemcpyDeviceToHost, stream_),
          "copy from the device");
  }
  /// Sets every byte to zero.
  void clear() { check(cudaMemsetAsync(data_, 0, n_bytes_, stream_), "clear memory"); }

 private:
  std::size_t n_bytes_;
  cudaStream_t stream_;
  T* data_ = nullptr;
};

/// Page-locked host memory: the device copies from it while the host goes on.
class PinnedBytes {
 public:
  explicit PinnedBytes(std::size_t n_bytes) {
    void* memory = nullptr;
    check_memory(cudaMallocHost(&memory, n_bytes), n_bytes, "page-locked host");
    data_ = static_cast<std::uint8_t*>(memory);
  }
  ~PinnedBytes() { cudaFreeHost(data_); }
  PinnedBytes(const PinnedBytes&) = delete;
  PinnedBytes& operator=(const PinnedBytes&) = delete;

  std::uint8_t* get() const { return data_; }

 private:
  std::uint8_t* data_ = nullptr;
};

/// Starts a kernel on a grid of blocks.
template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), dim3 grid, int threads, cudaStream_t stream,
            Arguments&&... arguments) {
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = dim3(static_cast<unsigned>(threads));
  config.stream = stream;
  check(cudaLaunchKernelEx(&config, kernel, std::forward<Arguments>(arguments)...), "start a kernel");
}

}  // namespace rshash::cuda
