// The bit-sliced kernel: distances of a whole group of rows to one query, without counting bits row by row.
//
// A group of kRows rows is turned into bit planes: plane p holds bit p of every row. The distance of all rows
// to a query is then a sum of planes, each as it is or inverted where the query has a one, and adders made of
// logic instructions sum them for all rows at once (carry-save). Three planes enter a full adder: its sum bit
// is their parity, inverted or not as a whole, and its carry bit has eight variants, one for each choice of
// the three query bits. So the carries of every first adder, and of the adders over their parities, down to
// two planes, are the same for all queries but for the choice of a variant: they are made once a group and
// kept in a table ("Four Russians"). A query loads U = P / 2 - 1 carries and 2 planes by offset and has about
// half of the additions left to do.
//
// The limit is folded in: the sum starts at 2^L - limit, so that the carry out of the highest bit is the mask
// of the rows at distance >= limit.
//
// Included by one unit for each instruction set, with a Plane type that names the operations; all of it has
// internal linkage (see kernel.h).
#pragma once

#include <cstring>

#include "kernel.h"

#define RSHASH_INLINE inline __attribute__((always_inline))

namespace rshash {
namespace {

constexpr int kWordPlanes = 64;                   // planes summed through one table
constexpr int kWordUnits = kWordPlanes / 2 - 1;   // full adders whose carries are tabled
constexpr int kWordOffsets = kWordUnits + 2;      // table entries one query loads for one word
constexpr int kTablePlanes = 8 * kWordUnits + 4;  // carry variants, then two planes and their inverses

/// Eighths of a code that are summed before looking whether all its rows have reached the limit: clustered
/// codes of 512 bits often have by then, and shorter codes look after half (the next whole word).
constexpr std::uint32_t kOpenEighths = 3;

/// Levels of the sum of P planes: the smallest L with 2^L >= P.
constexpr int levels_for(int n_planes) { return n_planes <= 1 ? 0 : 1 + levels_for((n_planes + 1) / 2); }

/// Words of 64 planes of a code.
constexpr std::uint32_t words_of(std::uint32_t n_bytes) { return (n_bytes + 7) / 8; }

/// Bytes of the last word that count: all eight in codes of more than four words, where zeros cost little.
constexpr std::uint32_t tail_bytes(std::uint32_t n_bytes) {
  return words_of(n_bytes) > 4 ? 8 : n_bytes - 8 * (words_of(n_bytes) - 1);
}

/// Levels of the whole sum: it never exceeds 2^levels.
inline int total_levels(std::uint32_t n_bytes) {
  const std::uint32_t n_words = words_of(n_bytes);
  return n_words == 1 ? levels_for(8 * static_cast<int>(n_bytes)) : 6 + levels_for(static_cast<int>(n_words));
}

// ---- gates, where a unit has no better ones ----

template <class Plane>
RSHASH_INLINE Plane parity(Plane a, Plane b, Plane c) {
  return a ^ b ^ c;
}

template <class Plane>
RSHASH_INLINE void full_add(Plane a, Plane b, Plane c, Plane& sum, Plane& carry) {
  const Plane either = a ^ b;
  sum = either ^ c;
  carry = (a & b) | (either & c);
}

/// The carries of a + b + c with a, b, c inverted where bit 0, 1, 2 of the index is set.
template <class Plane>
RSHASH_INLINE void carry_variants(Plane a, Plane b, Plane c, Plane* variants) {
  for (int inverted = 0; inverted < 4; ++inverted) {
    const Plane x = inverted & 1 ? ~a : a;
    const Plane y = inverted & 2 ? ~b : b;
    variants[inverted] = (x & y) | (c & (x | y));
    variants[7 - inverted] = ~variants[inverted];  // the majority of inverted planes is the inverted majority
  }
}

// ---- queries ----

/// Offsets of the table entries that the query bits of one word choose: units in the order they are tabled.
template <class Plane>
void encode_word(const std::uint8_t* query, int n_planes, std::uint16_t* offsets) {
  constexpr int kBytes = Plane::kRows / 8;
  int bits[kWordPlanes];
  for (int p = 0; p < n_planes; ++p) bits[p] = query[p / 8] >> (p % 8) & 1;
  int n_units = 0;
  while (n_planes >= 3) {
    int n_next = 0, p = 0;
    for (; p + 3 <= n_planes; p += 3) {
      const int variant = bits[p] | bits[p + 1] << 1 | bits[p + 2] << 2;
      offsets[n_units] = static_cast<std::uint16_t>((8 * n_units + variant) * kBytes);
      ++n_units;
      bits[n_next++] = bits[p] ^ bits[p + 1] ^ bits[p + 2];
    }
    for (; p < n_planes; ++p) bits[n_next++] = bits[p];
    n_planes = n_next;
  }
  for (int i = 0; i < 2; ++i)
    offsets[n_units + i] = static_cast<std::uint16_t>((8 * n_units + 2 * i + bits[i]) * kBytes);
}

// ---- tables ----

/// Fills the table of one word from its planes, level by level, until two planes are left.
template <class Plane, int kPlanes>
RSHASH_INLINE void build_table(const Plane* planes, Plane* table) {
  if constexpr (kPlanes >= 3) {
    constexpr int kUnits = kPlanes / 3;
    Plane parities[kUnits + 2];
#pragma GCC unroll 32
    for (int i = 0; i < kUnits; ++i) {
      const Plane a = planes[3 * i], b = planes[3 * i + 1], c = planes[3 * i + 2];
      carry_variants(a, b, c, table + 8 * i);
      parities[i] = parity(a, b, c);
    }
    for (int i = 0; i < kPlanes % 3; ++i) parities[kUnits + i] = planes[3 * kUnits + i];
    build_table<Plane, kUnits + kPlanes % 3>(parities, table + 8 * kUnits);
  } else {
    for (int i = 0; i < kPlanes; ++i) {
      table[2 * i] = planes[i];
      table[2 * i + 1] = ~planes[i];
    }
  }
}

// ---- sums ----

/// Adds kInputs planes of one weight: their sum bit goes to `sum`, n / 2 carries of twice the weight to
/// `carries`. `inputs` has room for 2 * kInputs planes: sums queue up behind the inputs, which keeps the
/// chains short.
template <class Plane, int kInputs>
RSHASH_INLINE void add_level(Plane* inputs, Plane* carries, Plane& sum) {
  int head = 0, tail = kInputs;
#pragma GCC unroll 64
  for (int i = 0; i < (kInputs - 1) / 2; ++i, head += 3) {
    full_add(inputs[head], inputs[head + 1], inputs[head + 2], inputs[tail++], carries[i]);
  }
  if constexpr (kInputs % 2 == 0) {
    sum = inputs[head] ^ inputs[head + 1];
    carries[kInputs / 2 - 1] = inputs[head] & inputs[head + 1];
  } else {
    sum = inputs[tail - 1];
  }
}

/// Carries of one weight, one sum bit already there: the levels above `kLevel`, by recursion; returns the
/// last carry.
template <class Plane, int kLevel, int kLevels, int kCarries>
RSHASH_INLINE Plane add_carries(const Plane* carries, Plane* sums) {
  if constexpr (kLevel == kLevels) {
    static_assert(kCarries == 1);
    return carries[0];
  } else {
    Plane inputs[2 * (kCarries + 1)], next[kCarries + 1];
    inputs[0] = sums[kLevel];
#pragma GCC unroll 64
    for (int i = 0; i < kCarries; ++i) inputs[i + 1] = carries[i];
    add_level<Plane, kCarries + 1>(inputs, next, sums[kLevel]);
    return add_carries<Plane, kLevel + 1, kLevels, (kCarries + 1) / 2>(next, sums);
  }
}

/// The table entry at offsets[i]. Loads are what the kernel waits for, and a scalar one costs about as much
/// as one of a plane; kByFour reads four offsets in one, some of them behind those of the word.
template <class Plane, bool kByFour>
RSHASH_INLINE Plane load_entry(const std::uint8_t* table, const std::uint16_t* offsets, int i) {
  if constexpr (!kByFour) return Plane::load(table + offsets[i]);
  std::uint64_t four;
  std::memcpy(&four, offsets + i / 4 * 4, 8);
  return Plane::load(table + static_cast<std::uint16_t>(four >> 16 * (i % 4)));
}

/// Adds one word of kPlanes planes to sums[0 .. kLevels - 1]; returns the carry of weight 2^kLevels.
template <class Plane, int kPlanes, int kLevels, bool kByFour>
RSHASH_INLINE Plane add_word(const std::uint8_t* table, const std::uint16_t* offsets, Plane* sums) {
  constexpr int kUnits = kPlanes / 2 - 1;
  Plane ones[6] = {sums[0], load_entry<Plane, kByFour>(table, offsets, kUnits),
                   load_entry<Plane, kByFour>(table, offsets, kUnits + 1)};
  Plane carries[kUnits + 1];
  add_level<Plane, 3>(ones, carries, sums[0]);
#pragma GCC unroll 64
  for (int i = 0; i < kUnits; ++i) carries[i + 1] = load_entry<Plane, kByFour>(table, offsets, i);
  return add_carries<Plane, 1, kLevels, kUnits + 1>(carries, sums);
}

/// Adds one carry to the counter `high`; `over` keeps what leaves it.
template <class Plane, int kHigh>
RSHASH_INLINE void add_high(Plane carry, Plane* high, Plane& over) {
#pragma GCC unroll 8
  for (int i = 0; i < kHigh; ++i) {
    const Plane sum = high[i] ^ carry;
    carry = high[i] & carry;
    high[i] = sum;
  }
  over = over | carry;
}

/// Mask of the rows at distance >= limit of one query; kHigh levels lie above the six of a word, kTail planes
/// count in the last word. `offsets` are those of the words, then those of the initial sum (see
/// encode_limit).
template <class Plane, int kHigh, int kTail>
RSHASH_INLINE Plane far_rows(const std::uint8_t* tables, const std::uint16_t* offsets,
                             std::uint32_t n_words) {
  const std::uint16_t* initial = offsets + n_words * kWordOffsets;
  if constexpr (kHigh == 0) {
    // Offsets one by one: by four costs 13 % here, and gains 3 .. 7 % below (Zen 5).
    constexpr int kLevels = levels_for(kTail);
    Plane sums[kLevels];
#pragma GCC unroll 8
    for (int i = 0; i < kLevels; ++i) sums[i] = Plane::fill(initial + 2 * i);
    return add_word<Plane, kTail, kLevels, false>(tables, offsets, sums);
  } else {
    Plane sums[6], high[kHigh], over = Plane::zeros();
#pragma GCC unroll 8
    for (int i = 0; i < 6; ++i) sums[i] = Plane::fill(initial + 2 * i);
#pragma GCC unroll 8
    for (int i = 0; i < kHigh; ++i) high[i] = Plane::fill(initial + 12 + 2 * i);
    for (std::uint32_t word = 0; word + 1 < n_words; ++word) {
      add_high<Plane, kHigh>(add_word<Plane, kWordPlanes, 6, true>(tables, offsets, sums), high, over);
      tables += sizeof(Plane) * kTablePlanes;
      offsets += kWordOffsets;
      if (8 * (word + 1) >= kOpenEighths * n_words && over.all_ones()) return over;  // no row is near
    }
    add_high<Plane, kHigh>(add_word<Plane, kTail, 6, true>(tables, offsets, sums), high, over);
    return over;
  }
}

// ---- the kernel's functions (see SlicedKernel) ----

std::size_t query_offsets(std::uint32_t n_bytes) {
  return std::size_t{words_of(n_bytes)} * kWordOffsets + 2 * static_cast<std::size_t>(total_levels(n_bytes));
}

template <class Plane>
void encode_limit(std::uint32_t limit, std::uint32_t n_bytes, std::uint16_t* offsets) {
  const int n_levels = total_levels(n_bytes);
  const std::uint32_t start = (std::uint32_t{1} << n_levels) - (limit == 0 ? 1 : limit);
  for (int i = 0; i < n_levels; ++i) {
    const auto fill = static_cast<std::uint16_t>(-static_cast<int>(start >> i & 1));
    std::uint16_t* const place = offsets + words_of(n_bytes) * kWordOffsets + 2 * i;
    place[0] = place[1] = fill;
  }
}

template <class Plane>
void encode_query(const std::uint8_t* query, std::uint32_t n_bytes, std::uint16_t* offsets) {
  const std::uint32_t n_words = words_of(n_bytes);
  for (std::uint32_t word = 0; word + 1 < n_words; ++word) {
    encode_word<Plane>(query + 8 * word, kWordPlanes, offsets + word * kWordOffsets);
  }
  const std::uint32_t last = n_words - 1;
  encode_word<Plane>(query + 8 * last, 8 * static_cast<int>(tail_bytes(n_bytes)),
                     offsets + last * kWordOffsets);
}

/// Word `word` of every row of a group, its missing bytes zero.
template <class Plane>
void gather_words(const Tile& group, std::uint32_t word, std::uint64_t* words) {
  const std::uint8_t* from = group.rows + std::size_t{8} * word;
  const std::uint32_t left = group.n_bytes - 8 * word;
  if (left >= 8) {
    for (std::uint32_t row = 0; row < Plane::kRows; ++row, from += group.n_bytes)
      std::memcpy(words + row, from, 8);
  } else {
    std::memset(words, 0, 8 * Plane::kRows);
    for (std::uint32_t row = 0; row < Plane::kRows; ++row, from += group.n_bytes)
      std::memcpy(words + row, from, left);
  }
}

/// The planes of one word of a group; those of bytes that a code lacks are zero.
template <class Plane>
RSHASH_INLINE void slice_word(const Tile& group, std::uint32_t word, Plane* planes) {
  if (Plane::kStrided ? group.n_bytes >= 8 * (word + 1) : group.n_bytes == 8) {
    Plane::slice(group.rows + std::size_t{8} * word, group.n_bytes, planes);
  } else {
    alignas(64) std::uint64_t words[Plane::kRows];
    gather_words<Plane>(group, word, words);
    Plane::slice(reinterpret_cast<const std::uint8_t*>(words), 8, planes);
  }
}

/// Fills the table of word `word` from its planes.
template <class Plane>
RSHASH_INLINE void fill_table(const Plane* planes, std::uint32_t word, std::uint32_t n_bytes,
                              std::uint8_t* tables) {
  Plane* table = reinterpret_cast<Plane*>(tables) + std::size_t{word} * kTablePlanes;
  switch (word + 1 < words_of(n_bytes) ? 8 : tail_bytes(n_bytes)) {
    case 1:
      build_table<Plane, 8>(planes, table);
      break;
    case 2:
      build_table<Plane, 16>(planes, table);
      break;
    case 3:
      build_table<Plane, 24>(planes, table);
      break;
    case 4:
      build_table<Plane, 32>(planes, table);
      break;
    case 5:
      build_table<Plane, 40>(planes, table);
      break;
    case 6:
      build_table<Plane, 48>(planes, table);
      break;
    case 7:
      build_table<Plane, 56>(planes, table);
      break;
    default:
      build_table<Plane, 64>(planes, table);
  }
}

template <class Plane>
void prepare_group(const Tile& group, std::uint8_t* tables) {
  Plane planes[kWordPlanes];
  for (std::uint32_t word = 0; word < words_of(group.n_bytes); ++word) {
    slice_word(group, word, planes);
    fill_table(planes, word, group.n_bytes, tables);
  }
}

template <class Plane>
void slice_group(const Tile& group, std::uint8_t* to) {
  Plane planes[kWordPlanes];
  for (std::uint32_t word = 0; word < words_of(group.n_bytes); ++word) {
    slice_word(group, word, planes);
    for (std::uint32_t p = 0; p < kWordPlanes && 64 * word + p < 8 * group.n_bytes; ++p, to += kBlockRows / 8)
      planes[p].store(reinterpret_cast<std::uint64_t*>(to));
  }
}

template <class Plane>
void prepare_sliced(const std::uint8_t* from, std::uint32_t n_bytes, std::uint8_t* tables) {
  Plane copies[kWordPlanes];
  for (std::uint32_t word = 0; word < words_of(n_bytes); ++word) {
    const std::uint32_t left = 8 * n_bytes - kWordPlanes * word;
    if (Plane::kRows == kBlockRows && (left >= kWordPlanes || left == 8 * tail_bytes(n_bytes))) {
      fill_table(reinterpret_cast<const Plane*>(from), word, n_bytes, tables);
    } else {
      for (std::uint32_t p = 0; p < kWordPlanes; ++p)
        copies[p] = p < left ? Plane::load(from + kBlockRows / 8 * p) : Plane::zeros();
      fill_table<Plane>(copies, word, n_bytes, tables);
    }
    from += kBlockRows / 8 * kWordPlanes;
  }
}

/// The loop over queries for one shape of code.
template <class Plane, int kHigh, int kTail>
std::size_t scan_shape(const SlicedGroup& group, const std::uint16_t* offsets, std::uint32_t n_queries,
                       const Marks& marks) {
  const std::uint32_t n_words = kHigh == 0 ? 1 : words_of(group.n_bytes);
  const std::size_t n_offsets =
      kHigh == 0 ? kWordOffsets + 2 * levels_for(kTail) : query_offsets(group.n_bytes);
  const Plane admitted = Plane::load(reinterpret_cast<const std::uint8_t*>(group.admitted));
  const std::uint8_t* ahead = group.ahead;
  const std::uint8_t* const ahead_end = ahead + group.ahead_bytes;
  for (; ahead + std::size_t{64} * n_queries < ahead_end; ahead += 64) __builtin_prefetch(ahead, 0, 2);
  // Marks are looked for once in kTogether queries: a branch after each would often be mispredicted, and
  // throw away the work on the next queries.
  constexpr std::uint32_t kTogether = 16;
  Plane near[kTogether];
  std::size_t n_marks = 0;
  for (std::uint32_t first = 0; first < n_queries; first += kTogether) {
    const std::uint32_t n_here = n_queries - first < kTogether ? n_queries - first : kTogether;
    std::uint32_t marked = 0;
    for (std::uint32_t i = 0; i < n_here; ++i, offsets += n_offsets) {
      __builtin_prefetch(ahead, 0, 2);  // the rest, a line a query
      ahead += ahead < ahead_end ? 64 : 0;
      near[i] = admitted.and_not(far_rows<Plane, kHigh, kTail>(group.tables, offsets, n_words));
      marked |= static_cast<std::uint32_t>(!near[i].all_zeros()) << i;
    }
    for (; marked != 0; marked &= marked - 1, ++n_marks) {
      const int i = __builtin_ctz(marked);
      near[i].store(marks.rows + n_marks * (Plane::kRows / 64));
      marks.queries[n_marks] = static_cast<std::uint16_t>(first + i);
    }
  }
  return n_marks;
}

/// Picks the loop for the code's number of words and the bytes of its last word.
template <class Plane, int kHigh>
std::size_t scan_tail(const SlicedGroup& group, const std::uint16_t* offsets, std::uint32_t n_queries,
                      const Marks& marks) {
  switch (tail_bytes(group.n_bytes)) {
    case 1:
      return scan_shape<Plane, kHigh, 8>(group, offsets, n_queries, marks);
    case 2:
      return scan_shape<Plane, kHigh, 16>(group, offsets, n_queries, marks);
    case 3:
      return scan_shape<Plane, kHigh, 24>(group, offsets, n_queries, marks);
    case 4:
      return scan_shape<Plane, kHigh, 32>(group, offsets, n_queries, marks);
    case 5:
      return scan_shape<Plane, kHigh, 40>(group, offsets, n_queries, marks);
    case 6:
      return scan_shape<Plane, kHigh, 48>(group, offsets, n_queries, marks);
    case 7:
      return scan_shape<Plane, kHigh, 56>(group, offsets, n_queries, marks);
    default:
      return scan_shape<Plane, kHigh, 64>(group, offsets, n_queries, marks);
  }
}

template <class Plane>
std::size_t scan_queries(const SlicedGroup& group, const std::uint16_t* offsets, std::uint32_t n_queries,
                         const Marks& marks) {
  switch (levels_for(static_cast<int>(words_of(group.n_bytes)))) {
    case 0:
      return scan_tail<Plane, 0>(group, offsets, n_queries, marks);
    case 1:
      return scan_tail<Plane, 1>(group, offsets, n_queries, marks);
    case 2:
      return scan_tail<Plane, 2>(group, offsets, n_queries, marks);
    case 3:
      return scan_shape<Plane, 3, 64>(group, offsets, n_queries, marks);
    case 4:
      return scan_shape<Plane, 4, 64>(group, offsets, n_queries, marks);
    case 5:
      return scan_shape<Plane, 5, 64>(group, offsets, n_queries, marks);
    default:
      return scan_shape<Plane, 6, 64>(group, offsets, n_queries, marks);
  }
}

template <class Plane>
SlicedKernel sliced_kernel() {
  return {Plane::kRows,        sizeof(Plane) * kTablePlanes, query_offsets,
          encode_query<Plane>, encode_limit<Plane>,          prepare_group<Plane>,
          slice_group<Plane>,  prepare_sliced<Plane>,        scan_queries<Plane>};
}

}  // namespace
}  // namespace rshash
