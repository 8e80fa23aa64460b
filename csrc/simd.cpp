// Which instruction sets this processor runs, and the kernels written for each.
#include "kernel.h"

namespace rshash {

std::vector<Simd> available_simd() {
  std::vector<Simd> found{Simd::portable};
#ifdef RSHASH_NEON
  found.push_back(Simd::neon);  // every 64-bit ARM processor has it
#endif
#ifdef RSHASH_X86
  // The builtin also asks the operating system whether it saves the wide registers.
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("popcnt"))
    found.push_back(Simd::avx2);
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vpopcntdq") &&
      __builtin_cpu_supports("gfni") && __builtin_cpu_supports("bmi2")) {
    found.push_back(Simd::avx512);
  }
#endif
  return found;
}

Kernels kernels_for(Simd simd) {
  switch (simd) {
#ifdef RSHASH_NEON
    case Simd::neon:
      return {scan_popcount_neon, measure_portable, sliced_kernel_neon()};
#endif
#ifdef RSHASH_X86
    case Simd::avx512:
      return {scan_popcount_avx512, measure_avx2, sliced_kernel_avx512()};
    case Simd::avx2:
      return {scan_popcount_avx2, measure_avx2, sliced_kernel_avx2()};
#endif
    default:
      return {scan_popcount_portable, measure_portable, sliced_kernel_portable()};
  }
}

}  // namespace rshash
