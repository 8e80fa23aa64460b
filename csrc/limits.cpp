// Loops that run one resource of the machine at its limit; see limits.h.
//
// One unit holds every instruction set: the functions carry their own target, and call nothing inline.
#include "limits.h"

#include <atomic>
#include <chrono>
#include <cstring>
#include <vector>

#include "parallel.h"
#ifdef RSHASH_X86
#include <immintrin.h>
#endif
#ifdef RSHASH_NEON
#include <arm_neon.h>
#endif

namespace rshash {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double kLeastSeconds = 0.005;        // long for a clock, short enough to be left alone now and then
constexpr std::size_t kTableBytes = 16 << 10;  // half of the smallest first-level cache in use
constexpr std::int64_t kTableWords = kTableBytes / 8;
constexpr int kRounds = 64;     // between two looks at the clock
constexpr int kLoads = 33;      // planes that stand for a word of 64 planes
constexpr int kAdders = 31;     // full adders that leave two of them
constexpr int kUnits = 64;      // words summed in one call
constexpr int kPlaneStep = 16;  // planes from one unit's first to the next's

struct alignas(64) Table {
  std::uint64_t words[kTableWords];
};

/// Keeps the result of a loop alive.
std::atomic<std::uint64_t> sink{0};

/// Runs loop(n_rounds, part) on every thread, n_rounds at a time, until the time is over.
template <class Loop>
Rate measure(int n_threads, std::int64_t n_rounds, std::int64_t amount_a_round, const Loop& loop) {
  StopSign stop(nullptr);
  std::atomic<std::int64_t> all_rounds{0};
  const auto start = Clock::now();
  const auto seconds = [start] { return std::chrono::duration<double>(Clock::now() - start).count(); };
  run_parts(n_threads, stop, [&](int part) {
    std::int64_t rounds = 0;
    std::uint64_t result = 0;
    do {
      result ^= loop(n_rounds, part);
      rounds += n_rounds;
    } while (seconds() < kLeastSeconds);
    all_rounds += rounds;
    sink.fetch_xor(result);
  });
  return {seconds(), all_rounds * amount_a_round};
}

/// One table a thread, filled with bits that no compiler knows.
std::vector<Table> make_tables(int n_threads) {
  std::vector<Table> tables(static_cast<std::size_t>(n_threads));
  std::uint64_t state = 0x9e3779b97f4a7c15;
  for (Table& table : tables) {
    for (std::uint64_t& word : table.words) word = state = state * 6364136223846793005 + 1442695040888963407;
  }
  return tables;
}

// ---- reading

std::uint64_t read_words(const std::uint8_t* data, std::size_t n_bytes) {
  std::uint64_t sums[16] = {};
  for (std::size_t byte = 0; byte + sizeof sums <= n_bytes; byte += sizeof sums) {
    std::uint64_t words[16];
    std::memcpy(words, data + byte, sizeof words);
    for (int i = 0; i < 16; ++i) sums[i] ^= words[i];
  }
  std::uint64_t all = 0;
  for (const std::uint64_t sum : sums) all ^= sum;
  return all;
}

// ---- counting: the least distance of a table of 64-bit codes to one query

using CountWords = std::uint64_t (*)(const std::uint64_t* words, std::uint64_t query);

std::uint64_t count_portable(const std::uint64_t* words, std::uint64_t query) {
  std::uint64_t least = 64;
  for (std::int64_t i = 0; i < kTableWords; ++i) {
    const auto distance = static_cast<std::uint64_t>(__builtin_popcountll(words[i] ^ query));
    least = distance < least ? distance : least;
  }
  return least;
}

#ifdef RSHASH_NEON
std::uint64_t count_neon(const std::uint64_t* words, std::uint64_t query) {
  const uint64x2_t wanted = vdupq_n_u64(query);
  uint8x16_t least = vdupq_n_u8(64);
  for (std::int64_t i = 0; i < kTableWords; i += 16) {
    uint8x16_t counts[8];
#pragma GCC unroll 8
    for (int j = 0; j < 8; ++j)
      counts[j] = vcntq_u8(vreinterpretq_u8_u64(veorq_u64(vld1q_u64(words + i + 2 * j), wanted)));
#pragma GCC unroll 8
    for (int n_left = 8; n_left > 1; n_left /= 2) {
      for (int j = 0; j < n_left / 2; ++j) counts[j] = vpaddq_u8(counts[2 * j], counts[2 * j + 1]);
    }
    least = vminq_u8(least, counts[0]);
  }
  return vminvq_u8(least);
}
#endif

#ifdef RSHASH_X86
__attribute__((target("popcnt"))) std::uint64_t count_popcnt(const std::uint64_t* words,
                                                             std::uint64_t query) {
  std::uint64_t least[4] = {64, 64, 64, 64};
  for (std::int64_t i = 0; i < kTableWords; i += 4) {
    for (int j = 0; j < 4; ++j) {
      const auto distance = static_cast<std::uint64_t>(_mm_popcnt_u64(words[i + j] ^ query));
      least[j] = distance < least[j] ? distance : least[j];
    }
  }
  return least[0] ^ least[1] ^ least[2] ^ least[3];
}

__attribute__((target("avx512f,avx512vpopcntdq"))) std::uint64_t count_avx512(const std::uint64_t* words,
                                                                              std::uint64_t query) {
  const __m512i wanted = _mm512_set1_epi64(static_cast<long long>(query));
  __m512i least[4];
  for (__m512i& lanes : least) lanes = _mm512_set1_epi64(64);
  for (std::int64_t i = 0; i < kTableWords; i += 32) {
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      const __m512i codes = _mm512_load_si512(words + i + 8 * j);
      least[j] = _mm512_min_epu64(least[j], _mm512_popcnt_epi64(_mm512_xor_si512(codes, wanted)));
    }
  }
  alignas(64) std::uint64_t lanes[8];
  _mm512_store_si512(
      lanes, _mm512_xor_si512(_mm512_xor_si512(least[0], least[1]), _mm512_xor_si512(least[2], least[3])));
  return lanes[0] ^ lanes[1] ^ lanes[2] ^ lanes[3] ^ lanes[4] ^ lanes[5] ^ lanes[6] ^ lanes[7];
}
#endif

// ---- adding planes: kUnits words, each kLoads planes that queue up for kAdders full adders

using AddPlanes = std::uint64_t (*)(const std::uint64_t* table);

// The same text for every width of plane: a vector type cannot leave a function of another target.
#define RSHASH_ADD_PLANES(kBytes)                                                               \
  typedef std::uint64_t Plane __attribute__((vector_size(kBytes)));                             \
  constexpr int kTablePlanes = kTableBytes / kBytes;                                            \
  const Plane* planes = reinterpret_cast<const Plane*>(table);                                  \
  Plane all = {};                                                                               \
  for (int unit = 0; unit < kUnits; ++unit) {                                                   \
    const Plane* here = planes + unit * kPlaneStep % (kTablePlanes - kLoads);                   \
    Plane queue[kLoads + 2 * kAdders];                                                          \
    _Pragma("GCC unroll 40") for (int i = 0; i < kLoads; ++i) { queue[i] = here[i]; }           \
    _Pragma("GCC unroll 40") for (int i = 0; i < kAdders; ++i) {                                \
      const Plane a = queue[3 * i], b = queue[3 * i + 1], c = queue[3 * i + 2], either = a ^ b; \
      queue[kLoads + 2 * i] = either ^ c;                                                       \
      queue[kLoads + 2 * i + 1] = (a & b) | (either & c);                                       \
    }                                                                                           \
    all ^= queue[3 * kAdders] ^ queue[3 * kAdders + 1];                                         \
  }                                                                                             \
  return all[0] ^ all[1]

std::uint64_t add_portable(const std::uint64_t* table) { RSHASH_ADD_PLANES(16); }

#ifdef RSHASH_NEON
std::uint64_t add_neon(const std::uint64_t* table) {
  constexpr int kTablePlanes = kTableBytes / 16;
  uint64x2_t all = vdupq_n_u64(0);
  for (int unit = 0; unit < kUnits; ++unit) {
    const std::uint64_t* here = table + 2 * (unit * kPlaneStep % (kTablePlanes - kLoads));
    uint64x2_t queue[kLoads + 2 * kAdders];
#pragma GCC unroll 40
    for (int i = 0; i < kLoads; ++i) queue[i] = vld1q_u64(here + 2 * i);
#pragma GCC unroll 40
    for (int i = 0; i < kAdders; ++i) {
      const uint64x2_t a = queue[3 * i], b = queue[3 * i + 1], c = queue[3 * i + 2], differ = veorq_u64(a, b);
      queue[kLoads + 2 * i] = veorq_u64(differ, c);
      queue[kLoads + 2 * i + 1] = vbslq_u64(differ, c, b);
    }
    all = veorq_u64(all, veorq_u64(queue[3 * kAdders], queue[3 * kAdders + 1]));
  }
  return vgetq_lane_u64(all, 0) ^ vgetq_lane_u64(all, 1);
}
#endif

#ifdef RSHASH_X86
__attribute__((target("avx2"))) std::uint64_t add_avx2(const std::uint64_t* table) { RSHASH_ADD_PLANES(32); }

__attribute__((target("avx512f"))) std::uint64_t add_avx512(const std::uint64_t* table) {
  constexpr int kTablePlanes = kTableBytes / 64;
  __m512i all = _mm512_setzero_si512();
  for (int unit = 0; unit < kUnits; ++unit) {
    const std::uint64_t* here = table + 8 * (unit * kPlaneStep % (kTablePlanes - kLoads));
    __m512i queue[kLoads + 2 * kAdders];
#pragma GCC unroll 40
    for (int i = 0; i < kLoads; ++i) queue[i] = _mm512_load_si512(here + 8 * i);
#pragma GCC unroll 40
    for (int i = 0; i < kAdders; ++i) {
      const __m512i a = queue[3 * i], b = queue[3 * i + 1], c = queue[3 * i + 2];
      // The sum takes the place of c, the carry that of a: an instruction overwrites its first operand.
      const __m512i sum = _mm512_ternarylogic_epi64(c, a, b, 0x96);  // parity
      queue[kLoads + 2 * i] = sum;
      queue[kLoads + 2 * i + 1] = _mm512_ternarylogic_epi64(a, b, sum, 0xd4);  // majority, from the sum
    }
    all = _mm512_ternarylogic_epi64(all, queue[3 * kAdders], queue[3 * kAdders + 1], 0x96);
  }
  alignas(64) std::uint64_t lanes[8];
  _mm512_store_si512(lanes, all);
  return lanes[0] ^ lanes[1] ^ lanes[2] ^ lanes[3] ^ lanes[4] ^ lanes[5] ^ lanes[6] ^ lanes[7];
}
#endif

}  // namespace

Rate measure_reads(const std::uint8_t* data, std::size_t n_bytes, int n_threads) {
  const std::size_t part_bytes = n_bytes / static_cast<std::size_t>(n_threads);
  return measure(n_threads, 1, static_cast<std::int64_t>(part_bytes), [&](std::int64_t, int part) {
    return read_words(data + static_cast<std::size_t>(part) * part_bytes, part_bytes);
  });
}

Rate measure_popcounts(Simd simd, int n_threads) {
  CountWords count = count_portable;
#ifdef RSHASH_NEON
  if (simd == Simd::neon) count = count_neon;
#endif
#ifdef RSHASH_X86
  if (simd == Simd::avx2) count = count_popcnt;
  if (simd == Simd::avx512) count = count_avx512;
#endif
  const std::vector<Table> tables = make_tables(n_threads);
  return measure(n_threads, kRounds, kTableWords, [&](std::int64_t n_rounds, int part) {
    std::uint64_t all = 0;
    for (std::int64_t round = 0; round < n_rounds; ++round) {
      all ^= count(tables[part].words, static_cast<std::uint64_t>(round));
    }
    return all;
  });
}

Rate measure_planes(Simd simd, int n_threads) {
  AddPlanes add = add_portable;
  std::int64_t rows = 128;
#ifdef RSHASH_NEON
  if (simd == Simd::neon) add = add_neon;
#endif
#ifdef RSHASH_X86
  if (simd == Simd::avx2) add = add_avx2, rows = 256;
  if (simd == Simd::avx512) add = add_avx512, rows = 512;
#endif
  std::vector<Table> tables = make_tables(n_threads);
  return measure(n_threads, kRounds, rows * kUnits, [&](std::int64_t n_rounds, int part) {
    std::uint64_t all = 0;
    for (std::int64_t round = 0; round < n_rounds; ++round) {
      tables[part].words[round % kTableWords] ^= all;  // no round is like the last
      all ^= add(tables[part].words);
    }
    return all;
  });
}

}  // namespace rshash
