// As much of the CUDA runtime as csrc/cuda uses, on the host: found before the real one, it lets a C++
// compiler build the same sources, so that sanitizers and the naive reference see them where there is no GPU.
//
// Device memory is heap memory of exactly the size asked for. Streams do what they are asked late and in any
// order that events allow (streams.cpp). The threads of a block are fibers that change at barriers, in an
// order that changes too; blocks come in any order (cuda_runtime.cpp). What this cannot show are races
// between barriers, and what the hardware makes of memory order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>

#define __global__
#define __device__
#define __host__
#define __shared__ static

struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};
inline dim3 threadIdx, blockIdx, blockDim, gridDim;

enum cudaError_t {
  cudaSuccess,
  cudaErrorMemoryAllocation,
  cudaErrorInvalidValue,
  cudaErrorNoDevice,
  cudaErrorInsufficientDriver
};
enum cudaMemcpyKind { cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost, cudaMemcpyDeviceToDevice };
enum cudaDeviceAttr { cudaDevAttrComputeCapabilityMajor, cudaDevAttrMultiProcessorCount };
inline constexpr unsigned cudaStreamNonBlocking = 1, cudaEventDisableTiming = 2;

struct cudaDeviceProp {
  char name[256];
  int major, minor, multiProcessorCount;
  std::size_t totalGlobalMem;
  int l2CacheSize;
};
enum cudaMemoryType { cudaMemoryTypeUnregistered, cudaMemoryTypeDevice, cudaMemoryTypeManaged };
struct cudaPointerAttributes {
  cudaMemoryType type;
  int device;
};
struct cudaLaunchConfig_t {
  dim3 gridDim, blockDim;
  std::size_t dynamicSmemBytes;
  struct EmulatedStream* stream;
};
using cudaStream_t = EmulatedStream*;
using cudaEvent_t = struct EmulatedEvent*;

/// The emulated machine; tests set it up.
struct EmulatedMachine {
  cudaError_t status = cudaSuccess;  ///< of counting devices
  int n_devices = 1, major = 9, n_multiprocessors = 2;
  std::size_t memory_bytes = std::size_t{1} << 32, used_bytes = 0;
  long n_launches = 0;
};
inline EmulatedMachine emulated_machine;

/// Runs a grid at once.
void run_emulated_grid(dim3 grid, dim3 block, const std::function<void()>& thread);
void __syncthreads();

/// Leaves something to be done by a stream.
void ask_emulated(cudaStream_t stream, std::function<void()> action);

template <class... Parameters, class... Arguments>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*kernel)(Parameters...),
                               Arguments&&... arguments) {
  const auto is_possible = [](const dim3& size, unsigned most) {
    return size.x > 0 && size.y > 0 && size.z > 0 && size.y <= most && size.z <= most;
  };
  if (!is_possible(config->gridDim, 65535) || !is_possible(config->blockDim, 1024) ||
      config->blockDim.x > 1024)
    return cudaErrorInvalidValue;
  ask_emulated(config->stream, [grid = config->gridDim, block = config->blockDim, kernel, arguments...] {
    run_emulated_grid(grid, block, [&] { kernel(arguments...); });
  });
  return cudaSuccess;
}

template <class T>
T min(T a, T b) {
  return b < a ? b : a;
}
inline int __popc(unsigned value) { return __builtin_popcount(value); }
template <class T>
T atomicAdd(T* address, T value) {
  const T before = *address;
  *address += value;
  return before;
}

cudaError_t cudaMalloc(void** memory, std::size_t n_bytes);
cudaError_t cudaFree(void* memory);
inline cudaError_t cudaMallocAsync(void** memory, std::size_t n_bytes, cudaStream_t stream) {
  const cudaError_t status = cudaMalloc(memory, n_bytes);
  // Whoever writes to it before the stream has come here will see his bytes overwritten.
  if (status == cudaSuccess)
    ask_emulated(stream, [memory = *memory, n_bytes] { std::memset(memory, 0x5A, n_bytes); });
  return status;
}
inline cudaError_t cudaFreeAsync(void* memory, cudaStream_t stream) {
  ask_emulated(stream, [memory] { cudaFree(memory); });
  return cudaSuccess;
}
cudaError_t cudaMallocHost(void** memory, std::size_t n_bytes);
cudaError_t cudaFreeHost(void* memory);
cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* facts, const void* address);
cudaError_t cudaMemGetInfo(std::size_t* n_free, std::size_t* n_total);
inline cudaError_t cudaMemsetAsync(void* memory, int value, std::size_t n_bytes, cudaStream_t stream) {
  ask_emulated(stream, [=] { std::memset(memory, value, n_bytes); });
  return cudaSuccess;
}
cudaError_t cudaMemcpy2DAsync(void* target, std::size_t target_pitch, const void* source,
                              std::size_t source_pitch, std::size_t n_bytes, std::size_t n_rows,
                              cudaMemcpyKind kind, cudaStream_t stream);
inline cudaError_t cudaMemcpyAsync(void* target, const void* source, std::size_t n_bytes, cudaMemcpyKind kind,
                                   cudaStream_t stream) {
  return cudaMemcpy2DAsync(target, n_bytes, source, n_bytes, n_bytes, 1, kind, stream);
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags);
cudaError_t cudaStreamDestroy(cudaStream_t stream);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags);
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags);
cudaError_t cudaEventDestroy(cudaEvent_t event);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream);
cudaError_t cudaEventSynchronize(cudaEvent_t event);

cudaError_t cudaDeviceSynchronize();
inline cudaError_t cudaGetDevice(int* device) { return *device = 0, cudaSuccess; }
inline cudaError_t cudaSetDevice(int) { return cudaSuccess; }
inline cudaError_t cudaGetDeviceCount(int* n_devices) {
  return *n_devices = emulated_machine.n_devices, emulated_machine.status;
}
inline cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
  *value = attribute == cudaDevAttrMultiProcessorCount ? emulated_machine.n_multiprocessors
                                                       : emulated_machine.major;
  return cudaSuccess;
}
inline cudaError_t cudaGetDeviceProperties(cudaDeviceProp* facts, int) {
  *facts = {"emulated",
            emulated_machine.major,
            0,
            emulated_machine.n_multiprocessors,
            emulated_machine.memory_bytes,
            1 << 20};
  return cudaSuccess;
}
inline cudaError_t cudaRuntimeGetVersion(int* version) { return *version = 13000, cudaSuccess; }
inline cudaError_t cudaGetLastError() { return cudaSuccess; }
inline const char* cudaGetErrorName(cudaError_t) { return "emulated"; }
inline const char* cudaGetErrorString(cudaError_t status) {
  return status == cudaErrorInvalidValue ? "invalid value" : "failed";
}
