// Hands a database to the scan slab by slab, in ascending rows: in place if it lies on the device, else
// copied there block by block, the next block while the last is scanned.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>

#include "runtime.h"
#include "scan.cuh"
#include "search.h"

namespace rshash::cuda {

/// Writes rows first .. first + n_rows - 1 densely.
inline void copy_rows(const CodesView& codes, std::int64_t first, std::int64_t n_rows, std::uint8_t* dense) {
  const std::uint8_t* row = codes.data + first * codes.row_stride;
  const auto n_bytes = static_cast<std::size_t>(codes.n_bytes);
  if (codes.column_stride == 1 && codes.row_stride == codes.n_bytes) {
    std::memcpy(dense, row, static_cast<std::size_t>(n_rows) * n_bytes);
    return;
  }
  for (std::int64_t i = 0; i < n_rows; ++i, row += codes.row_stride, dense += n_bytes) {
    for (std::int64_t byte = 0; byte < codes.n_bytes; ++byte) dense[byte] = row[byte * codes.column_stride];
  }
}

/// Copies blocks of rows to the device by way of two page-locked blocks: one is filled while the device reads
/// the other.
class Staging {
 public:
  Staging(const CodesView& codes, std::int64_t block_rows)
      : codes_(codes), even_(n_bytes(block_rows)), odd_(n_bytes(block_rows)) {}

  const Stream& stream() const { return stream_; }

  /// Starts to copy a block to device memory; the event passes when it is there.
  const Event& send(std::int64_t first, std::int64_t n_rows, std::uint8_t* target) {
    std::uint8_t* staged = is_odd_ ? odd_.get() : even_.get();
    Event& sent = sent_[is_odd_ ? 1 : 0];
    is_odd_ = !is_odd_;
    sent.wait();  // until the device has read what was staged here before
    copy_rows(codes_, first, n_rows, staged);
    check(cudaMemcpyAsync(target, staged, n_bytes(n_rows), cudaMemcpyHostToDevice, stream_.get()),
          "copy codes to the device");
    sent.record(stream_);
    return sent;
  }

 private:
  std::size_t n_bytes(std::int64_t n_rows) const { return static_cast<std::size_t>(n_rows * codes_.n_bytes); }

  const CodesView codes_;
  PinnedBytes even_, odd_;
  Event sent_[2];
  bool is_odd_ = false;
  Stream stream_;  // destroyed first: it ends its copies before their memory goes
};

/// Rows in a block of a database that is copied.
inline std::int64_t count_block_rows(const CodesView& codes, std::int64_t block_bytes) {
  return std::clamp<std::int64_t>(block_bytes / codes.n_bytes, 1, std::max<std::int64_t>(codes.n_rows, 1));
}

/// The database of one search.
class Feed {
 public:
  Feed(const Codes& database, const Options& options, const Stream& stream)
      : codes_(database.view), stream_(stream), interrupted_(options.interrupted) {
    if (!database.on_device)
      copies_.emplace(codes_, count_block_rows(codes_, options.sizes.block_bytes), stream);
  }

  /// Calls scan(slab) for slabs that follow each other and cover all rows; slab_rows(n) is the most rows of
  /// the one that begins at row n. What scan asks of the stream finds the slab in device memory.
  template <class SlabRows, class Scan>
  void run(SlabRows slab_rows, Scan scan) {
    if (!copies_) return cut(codes_.data, 0, codes_.n_rows, slab_rows, scan);
    for (std::int64_t first = 0; first < codes_.n_rows; first += copies_->block_rows) {
      const std::int64_t n_rows = std::min(copies_->block_rows, codes_.n_rows - first);
      auto& [block, is_free] = copies_->next();
      is_free.hold_up(copies_->staging.stream());
      copies_->staging.send(first, n_rows, block.get()).hold_up(stream_);
      cut(block.get(), first, n_rows, slab_rows, scan);
      is_free.record(stream_);
    }
  }

 private:
  /// Where copied blocks lie on the device, and when the search is done with them.
  struct Block {
    Block(std::size_t n_bytes, const Stream& stream) : memory(n_bytes, stream.get()) {
      is_free.record(stream);
    }
    DeviceArray<std::uint8_t> memory;
    Event is_free;
  };

  struct Copies {
    Copies(const CodesView& codes, std::int64_t n_rows, const Stream& stream)
        : block_rows(n_rows),
          even(static_cast<std::size_t>(n_rows * codes.n_bytes), stream),
          odd(static_cast<std::size_t>(n_rows * codes.n_bytes), stream),
          staging(codes, n_rows) {}

    Block& next() {
      is_odd = !is_odd;
      return is_odd ? odd : even;
    }

    std::int64_t block_rows;
    Block even, odd;
    bool is_odd = false;
    Staging staging;
  };

  /// Calls scan for slabs of rows first .. first + n_rows - 1, which lie at `rows`.
  template <class SlabRows, class Scan>
  void cut(const std::uint8_t* rows, std::int64_t first, std::int64_t n_rows, SlabRows slab_rows, Scan scan) {
    for (std::int64_t done = 0; done < n_rows;) {
      if (interrupted_ != nullptr && interrupted_()) throw Interrupted();
      const std::int64_t n_slab = std::min(slab_rows(first + done), n_rows - done);
      scan(Slab{rows + done * codes_.n_bytes, first + done, n_slab, 1, static_cast<int>(codes_.n_bytes)});
      done += n_slab;
    }
  }

  const CodesView codes_;
  const Stream& stream_;
  bool (*interrupted_)();
  std::optional<Copies> copies_;  // none where the database lies on the device
};

}  // namespace rshash::cuda
