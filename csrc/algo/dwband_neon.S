// Two rows of a depthwise convolution 3x3 at stride 1 or 2 for ARMv8.0 cores: the walks of algo/dwband-inl.h over
// whole vectors of channels.
//
//   void edgecnn_dwband_2x<stride>(const DwBand::Lines* lines)
//
// A walk takes one vector of channels from left to right. Registers:
//
//   v0 - v4               a column of the 4 or 5 input rows     x1 - x5    the next column
//   v5 - v7, v28, v29     stride 2: an even one                 x6 - x10   bytes from column to column
//   v16 - v24             weights, row by row                   x11, x12   results of the two rows
//   v25, v26, v27         bias, least and greatest result       x13        bytes from result to result
//   v8, v9, v10, v11,     sums of the windows that are open,    x14        steps left
//   v30, v31              two rows each                         x15        which columns lie outside, a bit each
//   x0 lines   x17 free                                         x16        bytes from the first vector of channels
//
// Every sum begins with the bias and takes column by column, row by row. The products of one sum lie four and more
// apart, and so do the last of them and what follows it: in-order cores wait for their results.

// The offsets of Lines' fields (asserted in algo/dwband-inl.h).
#define LINES_ROW 0
#define LINES_INSIDE 40
#define LINES_STEP 80
#define LINES_WEIGHTS 120
#define LINES_BIAS 136
#define LINES_OUT 144
#define LINES_STEPS 168
#define LINES_FIRST 176
#define LINES_END 184
#define LINES_OUTSIDE 192
#define LINES_BOUNDS 200
#define LINES_OUT_VECTOR 208

.altmacro

.macro get column, row, step
  ld1 {v\column\().4s}, [x\row], x\step
.endm
.macro skip column, row, step
  movi v\column\().4s, #0
  add x\row, x\row, x\step
.endm
// An odd column, or any at stride 1.
.macro odd how
  \how 0, 1, 6
  \how 1, 2, 7
  \how 2, 3, 8
  \how 3, 4, 9
  .if STRIDE == 2
    \how 4, 5, 10
  .endif
.endm
.macro even how
  \how 5, 1, 6
  \how 6, 2, 7
  \how 7, 3, 8
  \how 28, 4, 9
  \how 29, 5, 10
.endm
// A column that may lie outside: then it is zeros.
.macro at_edge bit, column
  LOCAL outside, done
  tbnz x15, #\bit, outside
  \column get
  b done
outside:
  \column skip
done:
.endm

.macro point row, step, inside
  ldr x17, [x0, #(LINES_INSIDE + 8 * \inside)]
  and x17, x17, x16
  add x\row, x\row, x17
.endm

// One tap: a weight, its column in the upper and in the lower row, and the sums of both.
.macro tap weight, upper, lower, sum
  tap_ \weight, \upper, \lower, \sum, %(\sum + 1)
.endm
.macro tap_ weight, upper, lower, sum, next
  fmla v\sum\().4s, v\upper\().4s, v\weight\().4s
  fmla v\next\().4s, v\lower\().4s, v\weight\().4s
.endm
.macro begin sum
  begin_ \sum, %(\sum + 1)
.endm
.macro begin_ sum, next
  mov v\sum\().16b, v25.16b
  mov v\next\().16b, v25.16b
.endm
.macro raise sum
  raise_ \sum, %(\sum + 1)
.endm
.macro raise_ sum, next
  fmax v\sum\().4s, v26.4s, v\sum\().4s
  fmax v\next\().4s, v26.4s, v\next\().4s
.endm
.macro lower sum
  lower_ \sum, %(\sum + 1)
.endm
.macro lower_ sum, next
  fmin v\sum\().4s, v27.4s, v\sum\().4s
  fmin v\next\().4s, v27.4s, v\next\().4s
.endm
.macro put sum
  put_ \sum, %(\sum + 1)
.endm
.macro put_ sum, next
  st1 {v\sum\().4s}, [x11], x13
  st1 {v\next\().4s}, [x12], x13
.endm

// The oldest window is done.
.macro finish sum
  raise \sum
  lower \sum
  put \sum
.endm

// Stride 1: a column is the last of the oldest window, the middle of the next one and the first of a new one.
.macro step1 oldest, middle, newest
  begin \newest
  tap 18, 0, 1, \oldest
  tap 17, 0, 1, \middle
  tap 16, 0, 1, \newest
  tap 21, 1, 2, \oldest
  tap 20, 1, 2, \middle
  tap 19, 1, 2, \newest
  tap 24, 2, 3, \oldest
  tap 23, 2, 3, \middle
  tap 22, 2, 3, \newest
  subs x14, x14, #1
.endm
.macro first1
  begin 8
  at_edge 0, odd
  tap 16, 0, 1, 8
  begin 10
  tap 19, 1, 2, 8
  tap 22, 2, 3, 8
  at_edge 1, odd
  tap 17, 0, 1, 8
  tap 16, 0, 1, 10
  tap 20, 1, 2, 8
  tap 19, 1, 2, 10
  tap 23, 2, 3, 8
  tap 22, 2, 3, 10
.endm
.macro last1 oldest, middle
  at_edge 2, odd
  tap 18, 0, 1, \oldest
  tap 17, 0, 1, \middle
  tap 21, 1, 2, \oldest
  tap 20, 1, 2, \middle
  tap 24, 2, 3, \oldest
  tap 23, 2, 3, \middle
  at_edge 3, odd
  tap 18, 0, 1, \middle
  raise \oldest
  tap 21, 1, 2, \middle
  lower \oldest
  tap 24, 2, 3, \middle
  put \oldest
  raise \middle
  lower \middle
  put \middle
.endm

// Stride 2: an odd column is the middle of one window; an even one is the last of it and the first of the next.
.macro step2 oldest, newest
  even get
  begin \newest
  tap 17, 0, 2, \oldest
  tap 20, 1, 3, \oldest
  tap 16, 5, 7, \newest
  tap 23, 2, 4, \oldest
  tap 19, 6, 28, \newest
  tap 18, 5, 7, \oldest
  tap 22, 7, 29, \newest
  tap 21, 6, 28, \oldest
  subs x14, x14, #1
  tap 24, 7, 29, \oldest
.endm
.macro first2
  begin 8
  at_edge 0, even
  tap 16, 5, 7, 8
  tap 19, 6, 28, 8
  tap 22, 7, 29, 8
.endm
.macro last2 sum
  at_edge 2, odd
  tap 17, 0, 2, \sum
  tap 20, 1, 3, \sum
  tap 23, 2, 4, \sum
  at_edge 3, even
  tap 18, 5, 7, \sum
  tap 21, 6, 28, \sum
  tap 24, 7, 29, \sum
  raise \sum
  lower \sum
  put \sum
.endm

.macro band_function name
  .globl \name
  .hidden \name
  .type \name, %function
  .balign 64
\name\():
  stp d8, d9, [sp, #-32]!
  stp d10, d11, [sp, #16]
  ldp x6, x7, [x0, #LINES_STEP]
  ldp x8, x9, [x0, #(LINES_STEP + 16)]
  ldr x10, [x0, #(LINES_STEP + 32)]
  ldp s26, s27, [x0, #LINES_BOUNDS]
  dup v26.4s, v26.s[0]
  dup v27.4s, v27.s[0]
  ldr x16, [x0, #LINES_FIRST]
  ldr x15, [x0, #LINES_OUTSIDE]
7:  // a vector of channels
  ldp x11, x12, [x0, #LINES_WEIGHTS]
  ldr x17, [x0, #LINES_BIAS]
  add x11, x11, x16
  ldr q25, [x17, x16]
  ld1 {v16.4s}, [x11], x12
  ld1 {v17.4s}, [x11], x12
  ld1 {v18.4s}, [x11], x12
  ld1 {v19.4s}, [x11], x12
  ld1 {v20.4s}, [x11], x12
  ld1 {v21.4s}, [x11], x12
  ld1 {v22.4s}, [x11], x12
  ld1 {v23.4s}, [x11], x12
  ld1 {v24.4s}, [x11]
  ldp x1, x2, [x0, #LINES_ROW]
  ldp x3, x4, [x0, #(LINES_ROW + 16)]
  point 1, 6, 0
  point 2, 7, 1
  point 3, 8, 2
  point 4, 9, 3
  .if STRIDE == 2
    ldr x5, [x0, #(LINES_ROW + 32)]
    point 5, 10, 4
  .endif
  ldp x11, x12, [x0, #LINES_OUT]
  ldr x13, [x0, #LINES_OUT_VECTOR]
  lsr x14, x16, #4
  madd x11, x13, x14, x11
  madd x12, x13, x14, x12
  ldp x13, x14, [x0, #(LINES_OUT + 16)]
  .if STRIDE == 1
    first1
    cbz x14, 3f
    odd get
2:
    step1 8, 10, 30
    b.eq 4f
    odd get
    finish 8
    step1 10, 30, 8
    b.eq 5f
    odd get
    finish 10
    step1 30, 8, 10
    b.eq 1f
    odd get
    finish 30
    b 2b
1:
    finish 30
3:
    last1 8, 10
    b 6f
4:
    finish 8
    last1 10, 30
    b 6f
5:
    finish 10
    last1 30, 8
  .else
    first2
    cbz x14, 3f
    odd get
2:
    step2 8, 10
    b.eq 4f
    odd get
    finish 8
    step2 10, 8
    b.eq 1f
    odd get
    finish 10
    b 2b
1:
    finish 10
3:
    last2 8
    b 6f
4:
    finish 8
    last2 10
  .endif
6:
  ldr x17, [x0, #LINES_END]
  add x16, x16, #16
  cmp x16, x17
  b.lo 7b
  ldp d10, d11, [sp, #16]
  ldp d8, d9, [sp], #32
  ret
  .size \name, . - \name
.endm

  .text
  .set STRIDE, 1
  band_function edgecnn_dwband_2x1
  .set STRIDE, 2
  band_function edgecnn_dwband_2x2

  .section .note.GNU-stack, "", %progbits
