// Popcount kernel for AVX-512 with VPOPCNTDQ: eight rows at a time, read in place at any width.
//
// A row of up to 64 bytes takes a slot of 8, 16, 32 or 64 bytes of a vector (one vpermb spreads odd widths),
// so that a 64-bit lane belongs to one row; sums of neighbouring lanes then leave eight distances in one
// vector. Wider rows are counted 64 bytes at a time. Four such vectors share one comparison with the limit.
#include <immintrin.h>

#include <cstring>

#include "kernel.h"

namespace rshash {
namespace {

using Vector = __m512i;

constexpr std::uint32_t kRowsAtOnce = 8;
constexpr std::uint32_t kGroups = 4;  // vectors of eight distances that share a comparison

/// Mask of the first `count` bytes, 0 <= count <= 64.
inline __mmask64 first_bytes(std::uint32_t count) {
  return count == 64 ? ~__mmask64{0} : (__mmask64{1} << count) - 1;
}

/// Adds lane 2i to lane 2i + 1 of both: a0+a1, b0+b1, a2+a3, b2+b3, …
inline Vector add_lanes(Vector a, Vector b) {
  return _mm512_add_epi64(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
}

/// Adds lanes 4i, 4i + 1 to lanes 4i + 2, 4i + 3: the pairs of a, then those of b.
inline Vector add_pairs(Vector a, Vector b) {
  return _mm512_add_epi64(_mm512_shuffle_i64x2(a, b, 0x88), _mm512_shuffle_i64x2(a, b, 0xdd));
}

/// Sums of whole rows from the counts of `kSlot / 8` vectors; lane_of_row<kSlot>() tells which row lies
/// where.
template <int kSlot>
inline Vector sum_slots(const Vector* counts) {
  if constexpr (kSlot == 8) return counts[0];
  if constexpr (kSlot == 16) return add_lanes(counts[0], counts[1]);
  if constexpr (kSlot >= 32) {
    const Vector first = add_pairs(add_lanes(counts[0], counts[1]), add_lanes(counts[2], counts[3]));
    if constexpr (kSlot == 32) return first;
    if constexpr (kSlot == 64) {
      return add_pairs(first, add_pairs(add_lanes(counts[4], counts[5]), add_lanes(counts[6], counts[7])));
    }
  }
}

template <int kSlot>
inline Vector lane_of_row() {
  if constexpr (kSlot == 16) return _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
  if constexpr (kSlot == 32) return _mm512_setr_epi64(0, 2, 1, 3, 4, 6, 5, 7);
  return _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7);
}

/// Distances of rows of at most 64 bytes, each in a slot of kSlot bytes.
template <int kSlotBytes>
struct NarrowRows {
  static constexpr int kSlot = kSlotBytes;
  static constexpr int kVectors = kSlot / 8;
  static constexpr int kRowsInVector = 64 / kSlot;

  std::uint32_t n_bytes;
  __mmask64 load;  // bytes that the rows of one vector take in memory
  __mmask64 keep;  // bytes of the slots that hold a byte of a row
  Vector sources;  // which loaded byte goes to each byte of the slots
  Vector query;    // the query in every slot

  NarrowRows(std::uint32_t n_bytes, const std::uint8_t* padded_query) : n_bytes(n_bytes), keep(0) {
    alignas(64) std::uint8_t source[64], repeated[64];
    for (std::uint32_t byte = 0; byte < 64; ++byte) {
      const std::uint32_t inside = byte % kSlot;
      source[byte] = static_cast<std::uint8_t>((byte / kSlot * n_bytes + inside) % 64);
      repeated[byte] = padded_query[inside];
      if (inside < n_bytes) keep |= __mmask64{1} << byte;
    }
    load = first_bytes(kRowsInVector * n_bytes);
    sources = _mm512_load_si512(source);
    query = _mm512_load_si512(repeated);
  }

  inline Vector operator()(const std::uint8_t* rows) const {
    Vector counts[kVectors];
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      const std::uint8_t* here = rows + std::size_t{v * kRowsInVector * n_bytes};
      const Vector codes = n_bytes == kSlot ? _mm512_loadu_si512(here)
                                            : _mm512_maskz_permutexvar_epi8(
                                                  keep, sources, _mm512_maskz_loadu_epi8(load, here));
      counts[v] = _mm512_popcnt_epi64(_mm512_xor_si512(codes, query));
    }
    return sum_slots<kSlot>(counts);
  }
};

/// Distances of rows of more than 64 bytes.
struct WideRows {
  static constexpr int kSlot = 64;

  std::uint32_t n_bytes;
  const std::uint8_t* query;  // padded with zeros to a multiple of 64 bytes

  inline Vector operator()(const std::uint8_t* rows) const {
    Vector counts[8] = {};
    for (std::uint32_t byte = 0; byte < n_bytes; byte += 64) {
      const std::uint32_t left = n_bytes - byte;
      const __mmask64 load = first_bytes(left < 64 ? left : 64);
      const Vector bits = _mm512_loadu_si512(query + byte);
#pragma GCC unroll 8
      for (std::uint32_t row = 0; row < 8; ++row) {
        const Vector codes = _mm512_maskz_loadu_epi8(load, rows + std::size_t{row} * n_bytes + byte);
        counts[row] = _mm512_add_epi64(counts[row], _mm512_popcnt_epi64(_mm512_xor_si512(codes, bits)));
      }
    }
    return sum_slots<64>(counts);
  }
};

/// Appends the rows of one vector of distances that are below the limit; `first` is its first row.
template <int kSlot>
inline std::size_t append_below(Vector distances, Vector limit, std::uint32_t first, Candidate* found) {
  const Vector ordered = _mm512_permutexvar_epi64(lane_of_row<kSlot>(), distances);
  const __mmask8 below = _mm512_cmplt_epu64_mask(ordered, limit);
  const Vector rows = _mm512_add_epi64(_mm512_set1_epi64(first), _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7));
  const Vector candidates = _mm512_or_si512(rows, _mm512_slli_epi64(ordered, 32));
  // Counted before the store: where a call must follow it (a sanitizer's), GCC 12 spills the mask as one byte
  // and then counts four.
  const auto n_below = static_cast<std::size_t>(__builtin_popcount(below));
  _mm512_storeu_si512(found, _mm512_maskz_compress_epi64(below, candidates));
  return n_below;
}

template <class Rows>
std::size_t scan_rows(const Rows& eight_distances, const Tile& tile, std::uint32_t limit_bits,
                      Candidate* found) {
  const Vector limit = _mm512_set1_epi64(limit_bits);
  const std::size_t step = std::size_t{kRowsAtOnce} * tile.n_bytes;
  const std::uint8_t* rows = tile.rows;
  std::size_t n_found = 0;
  std::uint32_t row = 0;
  for (; row + kGroups * kRowsAtOnce <= tile.n_rows; row += kGroups * kRowsAtOnce) {
    Vector distances[kGroups];
#pragma GCC unroll 4
    for (std::uint32_t g = 0; g < kGroups; ++g, rows += step) {
      if (tile.ahead != 0) {
        for (std::size_t line = 0; line < step; line += 64) __builtin_prefetch(rows + tile.ahead + line);
      }
      distances[g] = eight_distances(rows);
    }
    const Vector least = _mm512_min_epu64(_mm512_min_epu64(distances[0], distances[1]),
                                          _mm512_min_epu64(distances[2], distances[3]));
    if (__builtin_expect(_mm512_cmplt_epu64_mask(least, limit) == 0, 1)) continue;
    for (std::uint32_t g = 0; g < kGroups; ++g) {
      n_found += append_below<Rows::kSlot>(distances[g], limit, row + g * kRowsAtOnce, found + n_found);
    }
  }
  for (; row + kRowsAtOnce <= tile.n_rows; row += kRowsAtOnce, rows += step) {
    n_found += append_below<Rows::kSlot>(eight_distances(rows), limit, row, found + n_found);
  }
  if (row < tile.n_rows) {  // the rows left over, in a buffer where eight may be read
    alignas(64) std::uint8_t last[kRowsAtOnce * kMaxBytes];
    std::memset(last, 0, step);
    std::memcpy(last, rows, std::size_t{tile.n_rows - row} * tile.n_bytes);
    const std::size_t n_last = append_below<Rows::kSlot>(eight_distances(last), limit, row, found + n_found);
    for (std::size_t i = 0; i < n_last && found[n_found].row < tile.n_rows; ++i) ++n_found;
  }
  return n_found;
}

}  // namespace

std::size_t scan_popcount_avx512(const Tile& tile, const std::uint8_t* query, std::uint32_t limit,
                                 Candidate* found) {
  const std::uint32_t n_bytes = tile.n_bytes;
  if (n_bytes <= 8) return scan_rows(NarrowRows<8>(n_bytes, query), tile, limit, found);
  if (n_bytes <= 16) return scan_rows(NarrowRows<16>(n_bytes, query), tile, limit, found);
  if (n_bytes <= 32) return scan_rows(NarrowRows<32>(n_bytes, query), tile, limit, found);
  if (n_bytes <= 64) return scan_rows(NarrowRows<64>(n_bytes, query), tile, limit, found);
  return scan_rows(WideRows{n_bytes, query}, tile, limit, found);
}

}  // namespace rshash
