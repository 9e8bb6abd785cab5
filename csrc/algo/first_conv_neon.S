// A row of the first layer for ARMv8.0 cores that reorder: tiles of 8 pixels by 8 output channels, see
// algo/first_conv-inl.h.
//
//   void edgecnn_first_conv_row(const FirstConvStep::RowTiles* row)
//
// From tile to tile without a pause: while the sums of one are bounded and stored, those of the next one begin with
// the bias and the first tap. Registers:
//
//   v0 - v15    sums, two vectors a pixel                  x0, x1     strips of this tile and of the next one
//   v16, v17    weights of a tap, v18, v19 its pixels      x2         bytes from a strip to the second tap
//   v20 - v23   the same of the tap behind it, in turn     x3         weights of the second tap
//   v24 - v27   the same of the first tap                  x4         bias
//   v28, v29    least and greatest result                  x5, x6     results, bytes from pixel to pixel
//   x9 turns left    x10 weights    x11 offsets            x7, x8     what x11 and x17 begin with
//   x12 pixels of the tap to load    x16, x17 offsets      x14, x15   where a tile ends, where its loop is entered
//   x19 tiles left   x20, x21 strip and results of the last tile   x22 turns of a tile
//
// A turn is four taps, so that predictors with a short memory see the end of the loop coming; where it is entered
// makes up for taps that are not a multiple of four, plus the first. These cores decode in order, no more than a few
// instructions ahead of the oldest multiply-add that waits: loads come a tap ahead, and what is between tiles is
// spread among the multiply-adds.

// The offsets of RowTiles' fields (asserted in algo/first_conv-inl.h).
#define ROW_STRIP 0
#define ROW_LAST_STRIP 8
#define ROW_OUT 16
#define ROW_LAST_OUT 24
#define ROW_TILES 32
#define ROW_OUT_STEP 40
#define ROW_OFFSETS 48
#define ROW_TAPS 56
#define ROW_WEIGHTS 64
#define ROW_BIAS 72
#define ROW_BOUNDS 80
#define ROW_BOUND_COUNT 88

.altmacro

// One pixel's two sums, each + weight * pixel.
.macro add_product pixel, w0, w1, p, lane
  add_product_ %(2 * \pixel), %(2 * \pixel + 1), \w0, \w1, \p, \lane
.endm
.macro add_product_ even, odd, w0, w1, p, lane
  fmla v\even\().4s, v\w0\().4s, v\p\().s[\lane]
  fmla v\odd\().4s, v\w1\().4s, v\p\().s[\lane]
.endm
.macro raise even, odd
  fmax v\even\().4s, v28.4s, v\even\().4s
  fmax v\odd\().4s, v28.4s, v\odd\().4s
.endm
.macro lower even, odd
  fmin v\even\().4s, v29.4s, v\even\().4s
  fmin v\odd\().4s, v29.4s, v\odd\().4s
.endm
.macro put even, odd
  stp q\even, q\odd, [x5]
  add x5, x5, x6
.endm
.macro begin even, odd
  ldp q\even, q\odd, [x4]
.endm
.macro first_tap even, odd
  .if \even < 8
    add_product_ \even, \odd, 24, 25, 26, %(\even / 2)
  .else
    add_product_ \even, \odd, 24, 25, 27, %(\even / 2 - 4)
  .endif
.endm
// `what` for pixel \pixel, if there is one.
.macro with what, pixel
  .if \pixel >= 0 && \pixel < 8
    \what %(2 * \pixel), %(2 * \pixel + 1)
  .endif
.endm

// A tap of w, p; loads the next one to n, q.
.macro tap w0, w1, p0, p1, n0, n1, q0, q1, offset
  add_product 0, \w0, \w1, \p0, 0
  ldp q\n0, q\n1, [x10], #32
  add_product 1, \w0, \w1, \p0, 1
  add x12, x0, \offset, lsl #2
  add_product 2, \w0, \w1, \p0, 2
  ldp q\q0, q\q1, [x12]
  add_product 3, \w0, \w1, \p0, 3
  add_product 4, \w0, \w1, \p1, 0
  add_product 5, \w0, \w1, \p1, 1
  add_product 6, \w0, \w1, \p1, 2
  add_product 7, \w0, \w1, \p1, 3
.endm
.macro odd_tap
  ldpsw x16, x17, [x11], #8
  tap 16, 17, 18, 19, 20, 21, 22, 23, x16
.endm
.macro even_tap
  tap 20, 21, 22, 23, 16, 17, 18, 19, x17
.endm

// The second tap; which registers have it depends on where the loop is entered.
.macro second_tap
  add x12, x0, x2
  ldp q16, q17, [x3]
  ldp q20, q21, [x3]
  ldp q18, q19, [x12]
  ldp q22, q23, [x12]
  add x10, x3, #32
  mov x11, x7
  mov x17, x8
  mov x9, x22
.endm
// From here on x0 is the next tile, and x19 counts from it on.
.macro next_tile
  mov x0, x1
  sub x19, x19, #1
  add x1, x1, #32
  cmp x19, #2
  csel x1, x1, x20, hi
.endm

// From a tile to the next one, \bounds bounds. Behind the last tile there is another first tap, for nothing.
.macro between bounds
  next_tile
  .set STEP, 0
  .rept 8 + 2 + \bounds
    .if \bounds > 0
      with raise, %STEP
    .endif
    .if \bounds > 1
      with lower, %(STEP - 2)
    .endif
    with put, %(STEP - \bounds)
    with begin, %(STEP - \bounds)
    .if STEP == 3
      second_tap
    .endif
    with first_tap, %(STEP - \bounds - 2)
    .set STEP, STEP + 1
  .endr
  ldp q26, q27, [x1]
  cmp x19, #1
  csel x5, x5, x21, hi
  b.lo 9f
  br x15
.endm

// The place of entry, if the number is at least so large.
.macro enter_at label, place, number, least
  adr x11, \label
  cmp \number, #\least
  csel \place, x11, \place, hs
.endm

  .text
  .globl edgecnn_first_conv_row
  .hidden edgecnn_first_conv_row
  .type edgecnn_first_conv_row, %function
  .balign 64
edgecnn_first_conv_row:
  stp d8, d9, [sp, #-96]!
  stp d10, d11, [sp, #16]
  stp d12, d13, [sp, #32]
  stp d14, d15, [sp, #48]
  stp x19, x20, [sp, #64]
  stp x21, x22, [sp, #80]
  ldp x3, x4, [x0, #ROW_WEIGHTS]
  ldp x7, x9, [x0, #ROW_OFFSETS]
  ldp x19, x6, [x0, #ROW_TILES]
  ldp x5, x21, [x0, #ROW_OUT]
  ldp s28, s29, [x0, #ROW_BOUNDS]
  ldr x14, [x0, #ROW_BOUND_COUNT]
  ldp x0, x20, [x0, #ROW_STRIP]
  dup v28.4s, v28.s[0]
  dup v29.4s, v29.s[0]
  ldp q24, q25, [x3], #32
  ldp q26, q27, [x0]
  // An even number of taps enters in front of an even one, whose loads take the offset in x17.
  ldpsw x2, x8, [x7, #4]
  lsl x2, x2, #2
  sub x9, x9, #1
  and x10, x9, #1
  add x7, x7, #8
  add x7, x7, x10, lsl #2
  add x22, x9, #3
  lsr x22, x22, #2
  neg x9, x9
  and x9, x9, #3
  adr x15, 0f
  enter_at 1f, x15, x9, 1
  enter_at 2f, x15, x9, 2
  enter_at 3f, x15, x9, 3
  adr x10, 6f
  enter_at 7f, x10, x14, 1
  enter_at 8f, x10, x14, 2
  mov x14, x10
  add x1, x0, #32
  cmp x19, #2
  csel x1, x1, x20, hi
  .irp even, 0, 2, 4, 6, 8, 10, 12, 14
    begin \even, %(\even + 1)
  .endr
  second_tap
  .irp even, 0, 2, 4, 6, 8, 10, 12, 14
    first_tap \even, %(\even + 1)
  .endr
  ldp q26, q27, [x1]
  br x15

  .balign 16
0:
  odd_tap
1:
  even_tap
2:
  odd_tap
3:
  subs x9, x9, #1
  even_tap
  b.ne 0b
  br x14

6:
  between 0
7:
  between 1
8:
  between 2
9:
  ldp x21, x22, [sp, #80]
  ldp x19, x20, [sp, #64]
  ldp d14, d15, [sp, #48]
  ldp d12, d13, [sp, #32]
  ldp d10, d11, [sp, #16]
  ldp d8, d9, [sp], #96
  ret
  .size edgecnn_first_conv_row, . - edgecnn_first_conv_row

  .section .note.GNU-stack, "", %progbits
