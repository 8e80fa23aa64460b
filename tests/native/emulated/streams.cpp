// Emulated streams: what is asked of one is done as late as a wait allows, and in any order that streams and
// events leave open. A copy that nothing holds back may overtake what it should follow, and then hits are
// wrong or memory is used after it was freed.
#include <deque>
#include <iterator>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <utility>
#include <vector>

#include "cuda_runtime.h"

namespace {

/// How often an event was recorded, and up to which of these it has passed.
struct Passing {
  long recorded = 0, passed = 0;
};

/// One thing to do, once an event has passed.
struct Task {
  std::function<void()> action;
  std::shared_ptr<Passing> awaited;
  long generation = 0;

  bool is_ready() const { return awaited == nullptr || awaited->passed >= generation; }
};

}  // namespace

struct EmulatedStream {
  std::deque<Task> tasks;
};

struct EmulatedEvent {
  std::shared_ptr<Passing> passing = std::make_shared<Passing>();
};

namespace {

std::recursive_mutex device;  // guards all below; held while tasks run
std::set<EmulatedStream*> streams;
std::set<std::pair<const char*, const char*>> pinned;  // first and last byte

/// Does tasks, of whichever stream, until the condition holds.
void run_until(const std::function<bool()>& holds) {
  static std::mt19937 random(2);
  while (!holds()) {
    std::vector<EmulatedStream*> ready;
    for (EmulatedStream* stream : streams) {
      if (!stream->tasks.empty() && stream->tasks.front().is_ready()) ready.push_back(stream);
    }
    if (ready.empty()) std::abort();  // streams wait for each other
    EmulatedStream* stream = ready[random() % ready.size()];
    const Task task = std::move(stream->tasks.front());
    stream->tasks.pop_front();
    task.action();
  }
}

bool is_pinned(const void* address) {
  for (const auto& [first, last] : pinned) {
    if (address >= first && address <= last) return true;
  }
  return false;
}

}  // namespace

void ask_emulated(cudaStream_t stream, std::function<void()> action) {
  const std::lock_guard<std::recursive_mutex> lock(device);
  stream->tasks.push_back({std::move(action), nullptr});
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  const std::lock_guard<std::recursive_mutex> lock(device);
  streams.insert(*stream = new EmulatedStream);
  return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  const std::lock_guard<std::recursive_mutex> lock(device);
  run_until([&] { return stream->tasks.empty(); });
  return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  const std::lock_guard<std::recursive_mutex> lock(device);
  cudaStreamSynchronize(stream);
  streams.erase(stream);
  delete stream;
  return cudaSuccess;
}

cudaError_t cudaDeviceSynchronize() {
  const std::lock_guard<std::recursive_mutex> lock(device);
  for (EmulatedStream* stream : streams) cudaStreamSynchronize(stream);
  return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new EmulatedEvent;
  return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  const std::lock_guard<std::recursive_mutex> lock(device);
  const long generation = ++event->passing->recorded;
  stream->tasks.push_back(
      {[passing = event->passing, generation] { passing->passed = generation; }, nullptr});
  return cudaSuccess;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  const std::lock_guard<std::recursive_mutex> lock(device);
  stream->tasks.push_back({[] {}, event->passing, event->passing->recorded});
  return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  const std::lock_guard<std::recursive_mutex> lock(device);
  run_until([&] { return event->passing->passed >= event->passing->recorded; });
  return cudaSuccess;
}

cudaError_t cudaMallocHost(void** memory, std::size_t n_bytes) {
  const std::lock_guard<std::recursive_mutex> lock(device);
  *memory = std::malloc(n_bytes);
  const auto* first = static_cast<const char*>(*memory);
  pinned.emplace(first, first + n_bytes);
  return cudaSuccess;
}

cudaError_t cudaFreeHost(void* memory) {
  const std::lock_guard<std::recursive_mutex> lock(device);
  const auto found = pinned.lower_bound({static_cast<const char*>(memory), nullptr});
  if (found == pinned.end() || found->first != memory) return cudaErrorInvalidValue;
  pinned.erase(found);
  std::free(memory);
  return cudaSuccess;
}

cudaError_t cudaMemcpy2DAsync(void* target, std::size_t target_pitch, const void* source,
                              std::size_t source_pitch, std::size_t n_bytes, std::size_t n_rows,
                              cudaMemcpyKind kind, cudaStream_t stream) {
  if (n_bytes > target_pitch || n_bytes > source_pitch) return cudaErrorInvalidValue;
  if (n_bytes == 0 || n_rows == 0) return cudaSuccess;
  const std::lock_guard<std::recursive_mutex> lock(device);
  const auto* from = static_cast<const char*>(source);
  std::shared_ptr<std::vector<char>> staged;
  if (kind == cudaMemcpyHostToDevice && !is_pinned(source)) {  // such memory is read before the call returns
    staged = std::make_shared<std::vector<char>>(from, from + (n_rows - 1) * source_pitch + n_bytes);
    from = staged->data();
  }
  ask_emulated(stream, [=, to = static_cast<char*>(target)] {
    for (std::size_t row = 0; row < n_rows; ++row)
      std::memcpy(to + row * target_pitch, from + row * source_pitch, n_bytes);
    (void)staged;
  });
  return cudaSuccess;
}
