// Codes to search, and what must be found: one byte and one row at a time, nothing of the kernels.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <random>
#include <utility>
#include <vector>

#include "../../csrc/hamming.h"

/// Packed codes, dense.
struct Codes {
  std::int64_t n_rows, n_bytes;
  std::vector<std::uint8_t> bytes;

  const std::uint8_t* row(std::int64_t i) const { return bytes.data() + i * n_bytes; }
};

/// Distance and row, in the order of hits.
using Hit = std::pair<std::int32_t, std::int64_t>;

/// Codes half of which repeat an earlier one but for at most three bits: ties and near neighbours abound.
inline Codes make_codes(std::int64_t n_rows, std::int64_t n_bytes, std::mt19937& random) {
  Codes codes{n_rows, n_bytes, std::vector<std::uint8_t>(n_rows * n_bytes)};
  for (std::int64_t row = 0; row < n_rows; ++row) {
    std::uint8_t* code = codes.bytes.data() + row * n_bytes;
    if (row > 0 && random() % 2 == 0) {
      std::copy_n(codes.row(random() % row), n_bytes, code);
      for (auto n_flips = random() % 4; n_flips > 0; --n_flips)
        code[random() % n_bytes] ^= static_cast<std::uint8_t>(1 << random() % 8);
    } else {
      for (std::int64_t byte = 0; byte < n_bytes; ++byte) code[byte] = static_cast<std::uint8_t>(random());
    }
  }
  return codes;
}

/// Every second query is a code of the database, the others are as they are.
inline Codes make_queries(const Codes& codes, std::int64_t n_queries, std::mt19937& random) {
  Codes queries = make_codes(n_queries, codes.n_bytes, random);
  for (std::int64_t query = 0; query < n_queries; query += 2)
    std::copy_n(codes.row(random() % codes.n_rows), codes.n_bytes,
                queries.bytes.data() + query * codes.n_bytes);
  return queries;
}

/// All rows in the order in which they are hits of a query.
inline std::vector<Hit> rank_naively(const Codes& codes, const std::uint8_t* query) {
  std::vector<Hit> hits;
  for (std::int64_t row = 0; row < codes.n_rows; ++row) {
    std::int32_t distance = 0;
    for (std::int64_t byte = 0; byte < codes.n_bytes; ++byte)
      distance += __builtin_popcount(codes.row(row)[byte] ^ query[byte]);
    hits.emplace_back(distance, row);
  }
  std::sort(hits.begin(), hits.end());
  return hits;
}

/// Bit planes of a database in the layout of `rshash::slice_codes`.
struct Planes {
  struct Free {
    void operator()(std::uint8_t* memory) const { ::operator delete[](memory, std::align_val_t{64}); }
  };
  std::size_t size;
  std::unique_ptr<std::uint8_t[], Free> bytes;

  explicit Planes(const Codes& codes)
      : size((codes.n_rows + rshash::kBlockRows - 1) / rshash::kBlockRows * rshash::kBlockRows *
             codes.n_bytes),
        bytes(static_cast<std::uint8_t*>(::operator new[](size, std::align_val_t{64}))) {}
};

/// Bit planes, one bit at a time.
inline Planes slice_naively(const Codes& codes) {
  Planes planes(codes);
  std::fill_n(planes.bytes.get(), planes.size, std::uint8_t{0});
  for (std::int64_t row = 0; row < codes.n_rows; ++row) {
    const std::int64_t block = row / rshash::kBlockRows, inside = row % rshash::kBlockRows;
    for (std::int64_t bit = 0; bit < 8 * codes.n_bytes; ++bit) {
      const int value = codes.row(row)[bit / 8] >> bit % 8 & 1;
      planes.bytes[(8 * codes.n_bytes * block + bit) * rshash::kBlockRows / 8 + inside / 8] |=
          static_cast<std::uint8_t>(value << inside % 8);
    }
  }
  return planes;
}

/// The same codes lying in memory in some way, with not a byte to spare: a sanitizer sees what reads beyond.
class Layout {
 public:
  enum Kind { dense, unaligned, padded, columns_apart, backwards, n_kinds };

  Layout(const Codes& codes, Kind kind) {
    std::ptrdiff_t column = 1, row = codes.n_bytes, start = kind == unaligned ? 1 : 0;
    if (kind == padded) row += 3;
    if (kind == columns_apart) column = codes.n_rows, row = 1;
    if (kind == backwards) column = -1, row = -codes.n_bytes, start = codes.n_rows * codes.n_bytes - 1;
    const std::ptrdiff_t span = (codes.n_rows - 1) * std::abs(row) + (codes.n_bytes - 1) * std::abs(column);
    memory_.reset(new std::uint8_t[span + 1 + (kind == unaligned)]());
    view_ = {memory_.get() + start, codes.n_rows, codes.n_bytes, row, column};
    for (std::int64_t i = 0; i < codes.n_rows; ++i) {
      for (std::int64_t byte = 0; byte < codes.n_bytes; ++byte)
        memory_[start + i * row + byte * column] = codes.row(i)[byte];
    }
  }

  const rshash::CodesView& view() const { return view_; }

 private:
  std::unique_ptr<std::uint8_t[]> memory_;
  rshash::CodesView view_;
};
