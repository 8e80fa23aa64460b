// The emulated device: its memory, and the fibers that are the threads of a block.
#include "cuda_runtime.h"

#include <ucontext.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>
#include <mutex>
#include <numeric>
#include <random>
#include <vector>

namespace {

std::mutex machine;  // one kernel at a time: its threads share what __shared__ and threadIdx stand for
std::mutex memory_table;
std::map<void*, std::size_t> allocations;

constexpr std::size_t kStackBytes = std::size_t{1} << 18;

struct Fiber {
  ucontext_t context;
  std::unique_ptr<char[]> stack{new char[kStackBytes]};
  bool has_ended = false;
};

ucontext_t scheduler;
std::vector<std::unique_ptr<Fiber>> fibers;
Fiber* running = nullptr;
const std::function<void()>* thread_body = nullptr;

void run_thread() {
  (*thread_body)();
  running->has_ended = true;
}

/// Runs the threads of a block from barrier to barrier until all have ended.
void run_block(unsigned n_threads, std::mt19937& random) {
  while (fibers.size() < n_threads) fibers.push_back(std::make_unique<Fiber>());
  for (unsigned thread = 0; thread < n_threads; ++thread) {
    Fiber& fiber = *fibers[thread];
    fiber.has_ended = false;
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack.get();
    fiber.context.uc_stack.ss_size = kStackBytes;
    fiber.context.uc_link = &scheduler;
    makecontext(&fiber.context, run_thread, 0);
  }
  std::vector<unsigned> order(n_threads);
  std::iota(order.begin(), order.end(), 0u);
  for (unsigned n_ended = 0; n_ended == 0;) {
    std::shuffle(order.begin(), order.end(), random);
    for (const unsigned thread : order) {
      threadIdx = dim3(thread, 0, 0);
      running = fibers[thread].get();
      swapcontext(&scheduler, &running->context);
      n_ended += running->has_ended;
    }
    if (n_ended != 0 && n_ended != n_threads) {
      std::fprintf(stderr, "FAILED: %u of %u threads ended while the others wait at a barrier\n", n_ended,
                   n_threads);
      std::abort();
    }
  }
}

}  // namespace

void __syncthreads() { swapcontext(&running->context, &scheduler); }

void run_emulated_grid(dim3 grid, dim3 block, const std::function<void()>& thread) {
  static std::mt19937 random(1);
  const std::lock_guard<std::mutex> lock(machine);
  ++emulated_machine.n_launches;
  thread_body = &thread;
  gridDim = grid;
  blockDim = block;
  std::vector<unsigned> order(grid.x * grid.y);
  std::iota(order.begin(), order.end(), 0u);
  std::shuffle(order.begin(), order.end(), random);
  for (const unsigned place : order) {
    blockIdx = dim3(place % grid.x, place / grid.x, 0);
    run_block(block.x, random);
  }
}

cudaError_t cudaMalloc(void** memory, std::size_t n_bytes) {
  const std::lock_guard<std::mutex> lock(memory_table);
  if (n_bytes > emulated_machine.memory_bytes - emulated_machine.used_bytes) return cudaErrorMemoryAllocation;
  *memory = std::malloc(n_bytes);
  std::memset(*memory, 0xA5, n_bytes);
  allocations[*memory] = n_bytes;
  emulated_machine.used_bytes += n_bytes;
  return cudaSuccess;
}

cudaError_t cudaFree(void* memory) {
  const std::lock_guard<std::mutex> lock(memory_table);
  const auto found = allocations.find(memory);
  if (found == allocations.end()) return memory == nullptr ? cudaSuccess : cudaErrorInvalidValue;
  emulated_machine.used_bytes -= found->second;
  allocations.erase(found);
  std::free(memory);
  return cudaSuccess;
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* facts, const void* address) {
  const std::lock_guard<std::mutex> lock(memory_table);
  const bool is_known = allocations.count(const_cast<void*>(address)) != 0;
  *facts = {is_known ? cudaMemoryTypeDevice : cudaMemoryTypeUnregistered, 0};
  return cudaSuccess;
}

cudaError_t cudaMemGetInfo(std::size_t* n_free, std::size_t* n_total) {
  *n_total = emulated_machine.memory_bytes;
  *n_free = *n_total - emulated_machine.used_bytes;
  return cudaSuccess;
}
