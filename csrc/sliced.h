// The bit-sliced kernel: distances of a whole group of rows to one query, without counting bits row by row.
//
// A group of kRows rows is turned into bit planes: plane p holds bit p of every row. The distance of all rows
// to a query is then a sum of planes, each as it is or inverted where the query has a one, and adders made of
// logic instructions sum them for all rows at once (carry-save). Three planes enter a full adder: its sum bit
// is their parity, inverted or not as a whole, and its carry bit has eight variants, one for each choice of
// the three query bits. So the carries of every first adder, and of the adders over their parities, down to
// two planes, are the same for all queries but for the choice of a variant: they are made once a group and
// kept in a table ("Four Russians"). A query loads U = P / 2 - 1 carries and 2 planes, each the variant that
// its bits choose, and has about half of the additions left to do. Its choices are encoded once, three bits
// each.
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

constexpr int kWordPlanes = 64;                  // planes summed through one table
constexpr int kWordUnits = kWordPlanes / 2 - 1;  // full adders whose carries are tabled
constexpr int kChoices = 21;                     // choices of a variant, three bits each, in 64 bits
constexpr int kWordChoices = 2;                  // 64-bit words of them for one word: 31 units and two planes
constexpr int kTablePlanes = 8 * kWordUnits + 4;  // carry variants, then two planes and their inverses

static_assert(kWordUnits + 2 <= kChoices * kWordChoices);

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

/// How far a choice is shifted to become an offset into the variants of an entry: log2 of a plane's bytes.
template <class Plane>
constexpr int kChoiceShift = __builtin_ctz(sizeof(Plane));

/// The variants that the query bits of one word choose: of the units in the order they are tabled, then of
/// the two planes that are left. Rotated so that the first choice stands where an offset has it.
template <class Plane>
void encode_word(const std::uint8_t* query, int n_planes, std::uint64_t* choices) {
  int bits[kWordPlanes];
  for (int p = 0; p < n_planes; ++p) bits[p] = query[p / 8] >> (p % 8) & 1;
  int n_chosen = 0;
  choices[0] = choices[1] = 0;
  const auto choose = [&](int variant) {
    choices[n_chosen / kChoices] |= static_cast<std::uint64_t>(variant) << 3 * (n_chosen % kChoices);
    ++n_chosen;
  };
  while (n_planes >= 3) {
    int n_next = 0, p = 0;
    for (; p + 3 <= n_planes; p += 3) {
      choose(bits[p] | bits[p + 1] << 1 | bits[p + 2] << 2);
      bits[n_next++] = bits[p] ^ bits[p + 1] ^ bits[p + 2];
    }
    for (; p < n_planes; ++p) bits[n_next++] = bits[p];
    n_planes = n_next;
  }
  choose(bits[0]);
  choose(bits[1]);
  constexpr int kShift = kChoiceShift<Plane>;
  for (int i = 0; i < kWordChoices; ++i) choices[i] = choices[i] << kShift | choices[i] >> (64 - kShift);
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

/// The variant of entry i that the query chose; entries kUnits and kUnits + 1 are planes, with two variants
/// each. Loads are what the kernel waits for, and one of a number costs as much as one of a plane: with the
/// choices in registers an offset is a rotation and a mask, and all queries take a quarter of the cache that
/// offsets took.
template <class Plane, int kUnits>
RSHASH_INLINE Plane load_entry(const std::uint8_t* table, const std::uint64_t* choices, int i) {
  const std::uint64_t word = choices[i / kChoices];
  const int shift = 3 * (i % kChoices);
  const std::uint64_t rotated = shift == 0 ? word : word >> shift | word << (64 - shift);
  const int first_variant = i <= kUnits ? 8 * i : 8 * kUnits + 2;
  return Plane::load(table + sizeof(Plane) * first_variant + (rotated & 7 * sizeof(Plane)));
}

/// Adds one word of kPlanes planes to sums[0 .. kLevels - 1]; returns the carry of weight 2^kLevels.
template <class Plane, int kPlanes, int kLevels>
RSHASH_INLINE Plane add_word(const std::uint8_t* table, const std::uint64_t* choices, Plane* sums) {
  constexpr int kUnits = kPlanes / 2 - 1;
  Plane ones[6] = {sums[0], load_entry<Plane, kUnits>(table, choices, kUnits),
                   load_entry<Plane, kUnits>(table, choices, kUnits + 1)};
  Plane carries[kUnits + 1];
  add_level<Plane, 3>(ones, carries, sums[0]);
#pragma GCC unroll 64
  for (int i = 0; i < kUnits; ++i) carries[i + 1] = load_entry<Plane, kUnits>(table, choices, i);
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

/// Level `level` of the initial sum (see encode_limit).
template <class Plane>
RSHASH_INLINE Plane initial_sum(const std::uint64_t* initial, int level) {
  std::uint32_t bits;
  std::memcpy(&bits, reinterpret_cast<const std::uint8_t*>(initial) + 4 * level, 4);
  return Plane::fill(bits);
}

/// Mask of the rows at distance >= limit of one query; kHigh levels lie above the six of a word, kTail planes
/// count in the last word. `encoded` are the choices of the words, then the initial sum (see encode_limit).
template <class Plane, int kHigh, int kTail>
RSHASH_INLINE Plane far_rows(const std::uint8_t* tables, const std::uint64_t* encoded,
                             std::uint32_t n_words) {
  const std::uint64_t* initial = encoded + n_words * kWordChoices;
  if constexpr (kHigh == 0) {
    constexpr int kLevels = levels_for(kTail);
    Plane sums[kLevels];
#pragma GCC unroll 8
    for (int i = 0; i < kLevels; ++i) sums[i] = initial_sum<Plane>(initial, i);
    return add_word<Plane, kTail, kLevels>(tables, encoded, sums);
  } else {
    Plane sums[6], high[kHigh], over = Plane::zeros();
#pragma GCC unroll 8
    for (int i = 0; i < 6; ++i) sums[i] = initial_sum<Plane>(initial, i);
#pragma GCC unroll 8
    for (int i = 0; i < kHigh; ++i) high[i] = initial_sum<Plane>(initial, 6 + i);
    for (std::uint32_t word = 0; word + 1 < n_words; ++word) {
      add_high<Plane, kHigh>(add_word<Plane, kWordPlanes, 6>(tables, encoded, sums), high, over);
      tables += sizeof(Plane) * kTablePlanes;
      encoded += kWordChoices;
      if (8 * (word + 1) >= kOpenEighths * n_words && over.all_ones()) return over;  // no row is near
    }
    add_high<Plane, kHigh>(add_word<Plane, kTail, 6>(tables, encoded, sums), high, over);
    return over;
  }
}

// ---- the kernel's functions (see SlicedKernel) ----

std::size_t query_words(std::uint32_t n_bytes) {
  return std::size_t{words_of(n_bytes)} * kWordChoices +
         (static_cast<std::size_t>(total_levels(n_bytes)) + 1) / 2;
}

/// Behind the choices: 32 equal bits for each level of the initial sum.
void encode_limit(std::uint32_t limit, std::uint32_t n_bytes, std::uint64_t* encoded) {
  const int n_levels = total_levels(n_bytes);
  const std::uint32_t start = (std::uint32_t{1} << n_levels) - (limit == 0 ? 1 : limit);
  auto* const place =
      reinterpret_cast<std::uint8_t*>(encoded + std::size_t{words_of(n_bytes)} * kWordChoices);
  for (int level = 0; level < n_levels; ++level) {
    const std::uint32_t bits = -(start >> level & 1);
    std::memcpy(place + 4 * level, &bits, 4);
  }
}

template <class Plane>
void encode_query(const std::uint8_t* query, std::uint32_t n_bytes, std::uint64_t* encoded) {
  const std::uint32_t n_words = words_of(n_bytes);
  for (std::uint32_t word = 0; word < n_words; ++word) {
    const std::uint32_t here = word + 1 < n_words ? 8 : tail_bytes(n_bytes);
    encode_word<Plane>(query + 8 * word, 8 * static_cast<int>(here), encoded + word * kWordChoices);
  }
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
std::size_t scan_shape(const SlicedGroup& group, const std::uint64_t* encoded, std::uint32_t n_queries,
                       const Marks& marks) {
  const std::uint32_t n_words = kHigh == 0 ? 1 : words_of(group.n_bytes);
  const std::size_t query_size =
      kHigh == 0 ? kWordChoices + (levels_for(kTail) + 1) / 2 : query_words(group.n_bytes);
  const Plane admitted = Plane::load(reinterpret_cast<const std::uint8_t*>(group.admitted));
  // Marks are looked for once in kTogether queries: a branch after each would often be mispredicted, and
  // throw away the work on the next queries.
  constexpr std::uint32_t kTogether = 16;
  const std::size_t n_rounds = (n_queries + kTogether - 1) / kTogether;
  const std::size_t lines_a_round = (group.ahead_bytes / 64 + n_rounds - 1) / n_rounds;
  const std::uint8_t* ahead = group.ahead;
  Plane near[kTogether];
  std::size_t n_marks = 0;
  for (std::uint32_t first = 0; first < n_queries; first += kTogether) {
    for (std::size_t line = 0; line < lines_a_round; ++line, ahead += 64) __builtin_prefetch(ahead, 0, 2);
    const std::uint32_t n_here = n_queries - first < kTogether ? n_queries - first : kTogether;
    std::uint32_t marked = 0;
    for (std::uint32_t i = 0; i < n_here; ++i, encoded += query_size) {
      near[i] = admitted.and_not(far_rows<Plane, kHigh, kTail>(group.tables, encoded, n_words));
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
std::size_t scan_tail(const SlicedGroup& group, const std::uint64_t* encoded, std::uint32_t n_queries,
                      const Marks& marks) {
  switch (tail_bytes(group.n_bytes)) {
    case 1:
      return scan_shape<Plane, kHigh, 8>(group, encoded, n_queries, marks);
    case 2:
      return scan_shape<Plane, kHigh, 16>(group, encoded, n_queries, marks);
    case 3:
      return scan_shape<Plane, kHigh, 24>(group, encoded, n_queries, marks);
    case 4:
      return scan_shape<Plane, kHigh, 32>(group, encoded, n_queries, marks);
    case 5:
      return scan_shape<Plane, kHigh, 40>(group, encoded, n_queries, marks);
    case 6:
      return scan_shape<Plane, kHigh, 48>(group, encoded, n_queries, marks);
    case 7:
      return scan_shape<Plane, kHigh, 56>(group, encoded, n_queries, marks);
    default:
      return scan_shape<Plane, kHigh, 64>(group, encoded, n_queries, marks);
  }
}

template <class Plane>
std::size_t scan_queries(const SlicedGroup& group, const std::uint64_t* encoded, std::uint32_t n_queries,
                         const Marks& marks) {
  switch (levels_for(static_cast<int>(words_of(group.n_bytes)))) {
    case 0:
      return scan_tail<Plane, 0>(group, encoded, n_queries, marks);
    case 1:
      return scan_tail<Plane, 1>(group, encoded, n_queries, marks);
    case 2:
      return scan_tail<Plane, 2>(group, encoded, n_queries, marks);
    case 3:
      return scan_shape<Plane, 3, 64>(group, encoded, n_queries, marks);
    case 4:
      return scan_shape<Plane, 4, 64>(group, encoded, n_queries, marks);
    case 5:
      return scan_shape<Plane, 5, 64>(group, encoded, n_queries, marks);
    default:
      return scan_shape<Plane, 6, 64>(group, encoded, n_queries, marks);
  }
}

template <class Plane>
SlicedKernel sliced_kernel() {
  return {Plane::kRows,       sizeof(Plane) * kTablePlanes, query_words,        encode_query<Plane>,
          encode_limit,       prepare_group<Plane>,         slice_group<Plane>, prepare_sliced<Plane>,
          scan_queries<Plane>};
}

}  // namespace
}  // namespace rshash
