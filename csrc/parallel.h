// One fork and one join: runs a job on several threads, stops all of them when one fails or the user
// interrupts.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>

#include "hamming.h"

namespace rshash {

/// Asked by every worker between tiles.
class StopSign {
 public:
  explicit StopSign(bool (*interrupted)()) : interrupted_(interrupted) {}

  /// True once the work should end. The calling thread also asks the user, about twenty times a second.
  bool raised(bool is_calling_thread) {
    if (is_calling_thread && interrupted_ != nullptr) {
      const auto now = std::chrono::steady_clock::now();
      if (now >= next_question_) {
        next_question_ = now + std::chrono::milliseconds(50);
        if (interrupted_()) {
          interrupted_by_user_ = true;
          raise();
        }
      }
    }
    return raised_.load(std::memory_order_relaxed);
  }

  void raise() { raised_.store(true, std::memory_order_relaxed); }
  bool interrupted_by_user() const { return interrupted_by_user_; }

 private:
  bool (*interrupted_)();
  std::chrono::steady_clock::time_point next_question_ = std::chrono::steady_clock::now();
  bool interrupted_by_user_ = false;  // written and read by the calling thread only
  std::atomic<bool> raised_{false};
};

/// Runs job(part) for part = 0 .. n_parts - 1, each on its own thread, part 0 on the calling one; returns
/// when all have ended. Rethrows the first exception of a job; throws `Interrupted` when the user asked to
/// stop.
void run_parts(int n_parts, StopSign& stop, const std::function<void(int part)>& job);

}  // namespace rshash
