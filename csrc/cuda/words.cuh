// Codes in device memory as 32-bit words, whatever their width: how a thread reads its row.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace rshash::cuda {

/// Words of the widest code.
inline constexpr int kMaxWords = 128;

/// Words that one instruction loads.
template <int kCount>
struct alignas(4 * kCount) Words {
  std::uint32_t word[kCount];
};

/// Rows that begin and end on 4 * kCount bytes.
template <int kCount>
struct AlignedLoad {
  static constexpr int kWords = kCount;

  static __device__ Words<kCount> load(const std::uint8_t* row, int word, int /*n_bytes*/) {
    return *reinterpret_cast<const Words<kCount>*>(row + 4 * word);
  }
};

/// Rows of any number of bytes that begin anywhere: a word is put together from the two aligned ones it lies
/// in, of which only those are read that hold a byte of the row. Bytes behind the row's last are zero.
struct UnalignedLoad {
  static constexpr int kWords = 1;

  static __device__ Words<1> load(const std::uint8_t* row, int word, int n_bytes) {
    const std::uint8_t* start = row + 4 * word;
    const int shift = 8 * static_cast<int>(reinterpret_cast<std::uintptr_t>(start) % 4);
    const auto* aligned = reinterpret_cast<const std::uint32_t*>(start - shift / 8);
    const int n_bits = 8 * (n_bytes - 4 * word);  // of the row from here on
    std::uint32_t value = aligned[0] >> shift;
    if (shift > 0 && shift + n_bits > 32) value |= aligned[1] << (32 - shift);
    if (n_bits < 32) value &= (1u << n_bits) - 1;
    return {{value}};
  }
};

}  // namespace rshash::cuda
