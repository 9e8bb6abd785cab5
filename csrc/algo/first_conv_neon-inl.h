// The tile of the first layer for NEON, 12 pixels by 8 channels, in assembly: GCC 12 would spread the loads
// and wait for each.
//
//             v24 v25 | v26 v27   8 weights of this tap | of the next one, in turn
//   v28 (4)   s0 s1 ... s7
//   v29 (4)   s8    ... s15       s[2 i + j]: pixel i, channels 4 j to 4 j + 3
//   v30 (4)   s16   ... s23       v30, v31 in turn
//
// Two schedules of the same arithmetic. Cores that reorder (Cortex-A72) load whole vectors ahead of their
// use. Those that do not (Cortex-A53) issue a vector load of 64 bits with nothing but an INS, and none four
// cycles after an FMLA: each vector comes as `ldr d`, `ldr x` and `ins`, in cycles of their own between
// threes of FMLA, which makes 24 FMLA in 30 cycles.
#ifndef EDGECNN_ALGO_FIRST_CONV_NEON_INL_H_
#define EDGECNN_ALGO_FIRST_CONV_NEON_INL_H_

#include "simd/vec.h"

namespace edgecnn {
namespace EC_ISA {

// clang-format off

// s += w * p[lane]
#define EC_F(s, w, p, lane) "fmla %[s" #s "].4s, v" #w ".4s, v" #p ".s[" #lane "]\n"

// One tap: weights w0 w1 and pixels v28, (v29), p2, whose pointer is `x`. Meanwhile v29 of this tap and, of
// the next one, its weights n0 n1, its pixels v28 and q2 and, from its offset `o`, their pointer `y` are
// loaded. x9 counts, x10 points to weights, x11 to offsets. Two taps are a turn of the loop: one has OFFSETS, the
// other COUNT. An odd number of taps begins with the second.
#define EC_TAP_REORDERED(w0, w1, p2, x, n0, n1, q2, y, o, OFFSETS, COUNT)                               \
  EC_F(0, w0, 28, 0) "ldp q29, q" #p2 ", [" #x ", #16]\n" EC_F(1, w1, 28, 0) OFFSETS                    \
  EC_F(2, w0, 28, 1) EC_F(3, w1, 28, 1) "ldp q" #n0 ", q" #n1 ", [x10], #32\n" EC_F(4, w0, 28, 2)       \
  EC_F(5, w1, 28, 2) "add " #y ", %[strip], " #o ", lsl #2\n" EC_F(6, w0, 28, 3) EC_F(7, w1, 28, 3)     \
  "ldr q28, [" #y "]\n" EC_F(8, w0, 29, 0) EC_F(9, w1, 29, 0) EC_F(10, w0, 29, 1) EC_F(11, w1, 29, 1)   \
  EC_F(12, w0, 29, 2) COUNT EC_F(13, w1, 29, 2) EC_F(14, w0, 29, 3) EC_F(15, w1, 29, 3)                 \
  EC_F(16, w0, p2, 0) EC_F(17, w1, p2, 0) EC_F(18, w0, p2, 1) EC_F(19, w1, p2, 1) EC_F(20, w0, p2, 2)   \
  EC_F(21, w1, p2, 2) EC_F(22, w0, p2, 3) EC_F(23, w1, p2, 3)

// A vector in order: its low half, its high half by way of an integer register, and putting the two together.
#define EC_LOW(v, base, at) "ldr d" #v ", [" #base ", #" #at "]\n"
#define EC_HIGH(x, base, at) "ldr " #x ", [" #base ", #" #at " + 8]\n"
#define EC_JOIN(v, x) "ins v" #v ".d[1], " #x "\n"

// The same; x14 and x15 are high halves on their way. The nop keeps the cycle four before the next load free of
// FMLA.
#define EC_TAP_IN_ORDER(w0, w1, p2, x, n0, n1, q2, y, o, OFFSETS, COUNT)                                 \
  EC_LOW(29, x, 16) EC_JOIN(p2, x15)                                                                     \
  EC_F(0, w0, 28, 0) EC_HIGH(x14, x, 16) EC_F(1, w1, 28, 0) OFFSETS EC_F(2, w0, 28, 1)                   \
  EC_LOW(n0, x10, 0) EC_JOIN(29, x14)                                                                    \
  EC_F(3, w1, 28, 1) EC_HIGH(x15, x10, 0) EC_F(4, w0, 28, 2) EC_F(5, w1, 28, 2)                          \
  EC_LOW(n1, x10, 16) EC_JOIN(n0, x15)                                                                   \
  EC_F(6, w0, 28, 3) EC_HIGH(x14, x10, 16) EC_F(7, w1, 28, 3) "add " #y ", %[strip], " #o ", lsl #2\n"   \
  EC_F(8, w0, 29, 0)                                                                                     \
  EC_LOW(28, y, 0) EC_JOIN(n1, x14)                                                                      \
  EC_F(9, w1, 29, 0) EC_HIGH(x15, y, 0) EC_F(10, w0, 29, 1) "add x10, x10, #32\n" EC_F(11, w1, 29, 1)    \
  EC_LOW(q2, y, 32) EC_JOIN(28, x15)                                                                     \
  EC_F(12, w0, 29, 2) EC_HIGH(x15, y, 32) EC_F(13, w1, 29, 2) COUNT EC_F(14, w0, 29, 3)                  \
  EC_F(15, w1, 29, 3) EC_F(16, w0, p2, 0) EC_F(17, w1, p2, 0) EC_F(18, w0, p2, 1) EC_F(19, w1, p2, 1)    \
  EC_F(20, w0, p2, 2)                                                                                    \
  "nop\n"                                                                                                \
  EC_F(21, w1, p2, 2) EC_F(22, w0, p2, 3) EC_F(23, w1, p2, 3)

// s = bias of channels 0 to 3, t = bias of 4 to 7.
#define EC_BIAS(s, t) "mov %[s" #s "].16b, v24.16b\n" "mov %[s" #t "].16b, v25.16b\n"

// What comes before the first tap, whose offset is in x16.
#define EC_FIRST(w0, w1, p2, x)                                                                        \
  "ldp q" #w0 ", q" #w1 ", [x10], #32\n"                                                               \
  "add " #x ", %[strip], x16, lsl #2\n"                                                                \
  "ldr q28, [" #x "]\n"                                                                                \
  "ldr q" #p2 ", [" #x ", #32]\n"                                                                      \
  "ldr x15, [" #x ", #40]\n"

#define EC_OUT(i) [s##i] "=&w"(sums[i].v)

#define EC_TAPS(TAP)                                                                                     \
  asm volatile(                                                                                          \
      "ldp q24, q25, [%[bias]]\n"                                                                        \
      "mov x9, %[taps]\n"                                                                                \
      "mov x10, %[weights]\n"                                                                            \
      "mov x11, %[offsets]\n"                                                                            \
      EC_BIAS(0, 1) EC_BIAS(2, 3) EC_BIAS(4, 5) EC_BIAS(6, 7) EC_BIAS(8, 9) EC_BIAS(10, 11)              \
      EC_BIAS(12, 13) EC_BIAS(14, 15) EC_BIAS(16, 17) EC_BIAS(18, 19) EC_BIAS(20, 21) EC_BIAS(22, 23)    \
      "tbz %[taps], #0, 2f\n"                                                                            \
      "add x9, x9, #1\n"                                                                                 \
      "ldpsw x16, x17, [x11], #8\n"                                                                      \
      EC_FIRST(26, 27, 31, x13)                                                                          \
      "b 1f\n"                                                                                           \
      "2:\n"                                                                                             \
      "ldrsw x16, [x11], #4\n"                                                                           \
      EC_FIRST(24, 25, 30, x12)                                                                          \
      "0:\n"                                                                                             \
      TAP(24, 25, 30, x12, 26, 27, 31, x13, x16, "ldpsw x16, x17, [x11], #8\n", "")                      \
      "1:\n"                                                                                             \
      TAP(26, 27, 31, x13, 24, 25, 30, x12, x17, "", "subs x9, x9, #2\n")                                \
      "b.ne 0b\n"                                                                                        \
      : EC_OUT(0), EC_OUT(1), EC_OUT(2), EC_OUT(3), EC_OUT(4), EC_OUT(5), EC_OUT(6), EC_OUT(7),          \
        EC_OUT(8), EC_OUT(9), EC_OUT(10), EC_OUT(11), EC_OUT(12), EC_OUT(13), EC_OUT(14), EC_OUT(15),    \
        EC_OUT(16), EC_OUT(17), EC_OUT(18), EC_OUT(19), EC_OUT(20), EC_OUT(21), EC_OUT(22), EC_OUT(23)   \
      : [strip] "r"(strip), [offsets] "r"(offsets), [taps] "r"(taps), [weights] "r"(weights),            \
        [bias] "r"(bias)                                                                                 \
      : "v24", "v25", "v26", "v27", "v28", "v29", "v30", "v31", "x9", "x10", "x11", "x12", "x13", "x14", \
        "x15", "x16", "x17", "memory", "cc")

// clang-format on

// sums[2 i + j]: bias, then the sum over taps >= 1 of weights[8 k + 4 j ...] * strip[offsets[k] + i]. Reads
// offsets[taps] and what a tap with it would, and 32 bytes behind the weights.
EC_INLINE void first_conv_taps(bool in_order, const float* strip, const int32_t* offsets, int64_t taps,
                               const float* weights, const float* bias, Vec (&sums)[24]) {
  if (in_order) {
    EC_TAPS(EC_TAP_IN_ORDER);
  } else {
    EC_TAPS(EC_TAP_REORDERED);
  }
}

#undef EC_F
#undef EC_LOW
#undef EC_HIGH
#undef EC_JOIN
#undef EC_TAP_IN_ORDER
#undef EC_TAP_REORDERED
#undef EC_BIAS
#undef EC_FIRST
#undef EC_OUT
#undef EC_TAPS

}  // namespace EC_ISA
}  // namespace edgecnn

#endif  // EDGECNN_ALGO_FIRST_CONV_NEON_INL_H_
