// Threads that live for one search.
#include "parallel.h"

#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace rshash {

void run_parts(int n_parts, StopSign& stop, const std::function<void(int part)>& job) {
  std::exception_ptr failure;
  std::mutex failure_lock;
  const auto guarded = [&](int part) {
    try {
      job(part);
    } catch (...) {
      const std::lock_guard<std::mutex> lock(failure_lock);
      if (!failure) failure = std::current_exception();
      stop.raise();
    }
  };
  std::vector<std::thread> threads;
  threads.reserve(n_parts);
  int n_started = 1;
  try {
    for (; n_started < n_parts; ++n_started) threads.emplace_back(guarded, n_started);
  } catch (const std::system_error&) {
    // The system grants no more threads; the calling thread does the parts that got none.
  }
  guarded(0);
  for (int part = n_started; part < n_parts; ++part) guarded(part);
  for (std::thread& thread : threads) thread.join();
  if (failure) std::rethrow_exception(failure);
  if (stop.interrupted_by_user()) throw Interrupted();
}

}  // namespace rshash
