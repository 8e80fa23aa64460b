// In how many bits two codes differ, with fewer counts than words.
//
// A multiprocessor of compute capability 8.0 or 9.0 counts the bits of 16 words a cycle and does 64 logical
// operations or additions, each kind on its own pipe (CUDA C++ Programming Guide, throughput of native
// arithmetic instructions). A full adder, two operations, turns three words into one of sums and one of
// carries (Harley and Seal; Warren, Hacker's Delight, 5-1). Cycles of a multiprocessor for 32 pairs of code
// and query, by pipe; the slower one bounds:
//
//   words  counts        exclusive ors and adders  instead of counts
//     4    3 * 2 = 6     (4 + 2) / 2 = 3           4 * 2 =  8
//     8    4 * 2 = 8     (8 + 8) / 2 = 8           8 * 2 = 16
//
// The additions, one or three a pair, go to the second pipe or to a third, the multiply-adders, as the
// compiler likes; nvcc 13.0 makes 16.3 operations of the second pipe of 8 words. All this is arithmetic:
// nothing was measured. Codes of 64 bits gain nothing, and more than 8 words at a time would need more of
// the second pipe than they save of the first.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "words.cuh"

namespace rshash::cuda {

/// Adds three bits in each of 32 places.
struct FullAdder {
  std::uint32_t sum, carry;

  __device__ FullAdder(std::uint32_t a, std::uint32_t b, std::uint32_t c) {
#ifdef __CUDA_ARCH__
    // Left to itself the compiler spreads the exclusive ors over the adders, 24 operations for 16. The tables
    // are what the functions make of the columns 0xF0, 0xCC and 0xAA (PTX ISA, lop3).
    static_assert((0xF0 ^ 0xCC ^ 0xAA) == 0x96 && ((0xF0 & 0xCC) | (0xF0 & 0xAA) | (0xCC & 0xAA)) == 0xE8,
                  "tables of sum and carry");
    asm("lop3.b32 %0, %1, %2, %3, 0x96;" : "=r"(sum) : "r"(a), "r"(b), "r"(c));
    asm("lop3.b32 %0, %1, %2, %3, 0xE8;" : "=r"(carry) : "r"(a), "r"(b), "r"(c));
#else
    sum = a ^ b ^ c;
    carry = (a & b) | (a & c) | (b & c);
#endif
  }
};

/// Bits in which words of a code differ from those of a query.
template <int kWords, int kLoads>
__device__ int count_differences(const Words<kWords> (&code)[kLoads], const Words<kWords> (&query)[kLoads]) {
  constexpr int kCount = kWords * kLoads;
  std::uint32_t x[kCount];
#pragma unroll
  for (int i = 0; i < kCount; ++i)
    x[i] = code[i / kWords].word[i % kWords] ^ query[i / kWords].word[i % kWords];
  if constexpr (kCount == 8) {
    const FullAdder first(x[0], x[1], x[2]), second(first.sum, x[3], x[4]), third(second.sum, x[5], x[6]);
    const FullAdder twos(first.carry, second.carry, third.carry);
    return __popc(third.sum) + __popc(x[7]) + 2 * __popc(twos.sum) + 4 * __popc(twos.carry);
  } else if constexpr (kCount == 4) {
    const FullAdder ones(x[0], x[1], x[2]);
    return __popc(ones.sum) + __popc(x[3]) + 2 * __popc(ones.carry);
  } else {
    int n = 0;
#pragma unroll
    for (int i = 0; i < kCount; ++i) n += __popc(x[i]);
    return n;
  }
}

}  // namespace rshash::cuda
