// The register tile of 8 (or 4) pixels by 8 output channels for ARMv8.0 cores, see gemm/igemm-inl.h: the sums over
// all runs, without what follows them.
//
//   void edgecnn_tile_<rows>x8_<core>(const Tile* tile, float* sums, ptrdiff_t row_bytes, const float* bounds)
//   void edgecnn_tiles_<rows>x8_<core>(const PackedTiles* tiles)
//   void edgecnn_pack_<rows>(const float* const* from, float* to, int64_t turns)
//
// The first is for rows anywhere in memory, given by pointers; the second is for those that lie packed, four k of each
// of eight rows side by side, and computes a series of tiles, which share their rows or their panel. Where `bounds` is
// not null, the sums are clamped to [bounds[0], bounds[1]].
//
// Four k are one turn of the loop: 16 vectors are loaded for 64 multiply-adds. Registers:
//
//   v0 - v7     A: four k of each row                x16        B
//   v8 - v15    B: two vectors of each k             x3         prefetched memory (wide turns: its distance from B)
//   v16 - v31   sums, two vectors a row              x17        turns left            x14, x15   halves
//
//   tile:   x0 tile    x1 next run   x2 pointers of the next run   x4 - x11 rows
//           x12, x13 offset of k within a row, and 8 bytes more
//   tiles:  x0 tiles   x1 A, x2 B, x5 start and x6 results of the tile at hand   x7 tiles left   x4 A
//           x8 bytes between the rows of `start`, x9 of the results   x10 k   x11 bounds
//           x12 bytes from four k of A to the next four
//   wide:   x1 A   x16 B   x12 start   x13 results   and from the end of a tile to the next one: x0, x2, x5, x6
//           x3, x4, x7 - x11 as above, and bit 63 of x10 where the upper bound is infinite   x15 turns before the last
//           x19 residual   x20 bytes from four k of A to the next four, x14 the same from the last load of a turn on
//
// Out-of-order cores (A72, A76, ...) want at most one load an FMLA and the loads well ahead. For rows anywhere the
// order is that of the in-order cores with plain 128-bit loads. Of packed rows and of B a load takes four vectors; the
// rows 0 to 3 and 4 to 7 meet two k in turn, so that each load comes 16 FMLAs or more before its vectors are used. What
// is between the multiply-adds of two tiles is spread among them, as far as registers allow: these cores decode in
// order, no more than a few instructions ahead of the oldest multiply-add that waits.
//
// In-order cores (A53, A55) issue two instructions a cycle, but: a 128-bit vector load takes two cycles alone; a 64-bit
// one takes one, beside an INS but not beside an FMLA; an integer load of 64 bits or an ADD goes beside an FMLA at no
// cost; and a vector load or INS waits if an FMLA was issued exactly four cycles earlier (ncnn's and gemmlowp's notes on
// the A53, and the measurements behind them). So a vector comes as two halves: `ldr d` for the lower, an integer load
// for the upper, which INS puts in its place beside the next `ldr d`; and the cycles of the `ldr d` follow each other
// at a distance of four, three FMLAs between. Sixteen such cycles serve 48 FMLAs; the other 16 run free, after which a
// cycle without FMLA, four before the next load, brings back the beat: 81 cycles a turn at best, 79 % of the peak.
//
// The first and the last k go row by row, so that each row of A is free early and needed late: its next four k are
// loaded meanwhile. The two in the middle go column by column, which frees the vectors of B one by one.

// The offsets of Tile's fields (asserted in gemm/igemm-inl.h).
#define TILE_RUN_COUNT 0
#define TILE_RUN_LENGTH 4
#define TILE_RUNS 8
#define TILE_A 16
#define TILE_A_STEP 24
#define TILE_A_OFFSET 32
#define TILE_B 40
#define TILE_PREFETCH 48
#define TILE_START 56
#define TILE_START_STEP 64

// Those of PackedTiles.
#define TILES_A 0
#define TILES_START 16
#define TILES_A_STEP 32
#define TILES_START_STEP 48
#define TILES_OUT_STEP 56
#define TILES_START_ROW 64
#define TILES_PREFETCH 80
#define TILES_COUNT 96
#define TILES_A_TURN 112
#define TILES_RESIDUAL_STEP 120
#define TILES_RESIDUAL 128
#define TILES_RESIDUAL_ROW 136

// Frame: d8 - d15, the arguments, and how many runs are left.
#define FRAME 96
#define FRAME_SUMS 64
#define FRAME_BOUNDS 80
#define FRAME_RUNS 88

.altmacro
.set NONE, 99

// One multiply-add with lane k of A: row, column.
.macro fm k, row, column
  .if \row < ROWS
    fmla_ %(16 + 2 * \row + \column), %(8 + 2 * \k + \column), \row, \k
  .endif
.endm
.macro fmla_ sum, b, a, lane
  fmla v\sum\().4s, v\b\().4s, v\a\().s[\lane]
.endm

// A vector's load: whole, or its lower half beside the upper half of the vector before.
.macro load_low register, base, offset
  .if IN_ORDER
    ldr d\register, [\base, \offset]
  .else
    ldr q\register, [\base, \offset]
  .endif
.endm
.macro insert_high
  .if IN_ORDER && (LOADED != NONE)
    insert_high_ %LOADED, %HALF
    .set LOADED, NONE
  .endif
.endm
.macro insert_high_ register, half
  ins v\register\().d[1], x\half
.endm
// Its upper half, on its way through x14 and x15 by turns.
.macro load_high register, base, offset
  .if IN_ORDER
    .set HALF, 29 - HALF
    .set LOADED, \register
    load_half %HALF, \base, \offset
  .endif
.endm
.macro load_half half, base, offset
  ldr x\half, [\base, \offset]
.endm

// Four cycles of an in-order core: a load, and three multiply-adds. `next`: it is for the next turn.
.macro block_a row, f1, f2, f3
  load_a_low \row, %(4 + \row)
  fm \f1
  load_a_high \row, %(4 + \row)
  .ifnb \f2
    fm \f2
    fm \f3
  .endif
.endm
.macro load_a_low row, pointer
  .if (\row < ROWS) && ((\row >= 5) || !LAST)
    .if PACKED
      load_low \row, x4, %(16 * \row)
    .else
      load_low \row, x\pointer, x12
    .endif
  .endif
  insert_high
.endm
.macro load_a_high row, pointer
  .if (\row < ROWS) && ((\row >= 5) || !LAST)
    .if PACKED
      load_high \row, x4, %(16 * \row + 8)
    .else
      load_high \row, x\pointer, x13
    .endif
  .endif
.endm

.macro block_b k, column, f1, f2, f3
  load_b_low %(8 + 2 * \k + \column), \k, %(32 * \k + 16 * \column)
  fm \f1
  load_b_high %(8 + 2 * \k + \column), \k, %(32 * \k + 16 * \column + 8)
  fm \f2
  fm \f3
.endm
.macro load_b_low register, k, offset
  .if (\k == 3) || !LAST
    load_low \register, x16, \offset
  .endif
  insert_high
.endm
.macro load_b_high register, k, offset
  .if (\k == 3) || !LAST
    load_high \register, x16, \offset
  .endif
.endm

// Four k. On entry A's rows 0 to 4 and the first three k of B are loaded, but the upper half of row 4 is still in x14.
.macro turn
  .set LOADED, 4
  .set HALF, 14
  .if ROWS < 5
    .set LOADED, NONE
  .endif
  fm 0, 0, 0
  fm 0, 0, 1
  block_a 5, <0, 1, 0>, <0, 1, 1>, <0, 2, 0>
  block_a 6, <0, 2, 1>, <0, 3, 0>, <0, 3, 1>
  block_a 7, <0, 4, 0>, <0, 4, 1>, <0, 5, 0>
  block_b 3, 0, <0, 5, 1>, <0, 6, 0>, <0, 6, 1>
  .if PACKED
    add x4, x4, x12
  .else
    add x12, x12, #16
  .endif
  block_b 3, 1, <0, 7, 0>, <0, 7, 1>, <1, 0, 0>
  add x16, x16, #128
  block_b 0, 0, <1, 1, 0>, <1, 2, 0>, <1, 3, 0>
  .if !PACKED
    add x13, x13, #16
  .endif
  block_b 0, 1, <1, 4, 0>, <1, 5, 0>, <1, 6, 0>
  fm 1, 7, 0
  prfm pldl2keep, [x3]
  fm 1, 0, 1
  add x3, x3, #64
  fm 1, 1, 1
  subs x17, x17, #1
  fm 1, 2, 1
  fm 1, 3, 1
  fm 1, 4, 1
  fm 1, 5, 1
  fm 1, 6, 1
  fm 1, 7, 1
  fm 2, 0, 0
  fm 2, 1, 0
  fm 2, 2, 0
  fm 2, 3, 0
  .if IN_ORDER && !LAST
    nop
  .endif
  fm 2, 4, 0
  fm 2, 5, 0
  fm 2, 6, 0
  block_b 1, 0, <2, 7, 0>, <2, 0, 1>, <2, 1, 1>
  block_b 2, 0, <2, 2, 1>, <2, 3, 1>, <2, 4, 1>
  block_b 1, 1, <2, 5, 1>, <2, 6, 1>, <2, 7, 1>
  block_b 2, 1, <3, 0, 0>, <3, 0, 1>, <3, 1, 0>
  block_a 0, <3, 1, 1>, <3, 2, 0>, <3, 2, 1>
  block_a 1, <3, 3, 0>, <3, 3, 1>, <3, 4, 0>
  block_a 2, <3, 4, 1>, <3, 5, 0>, <3, 5, 1>
  block_a 3, <3, 6, 0>, <3, 6, 1>, <3, 7, 0>
  block_a 4, <3, 7, 1>
.endm

// What comes before the first turn.
.macro load_first row, pointer
  .if (\row < ROWS) && (\row < 5)
    .if (\row == 4) && IN_ORDER
      ldr d4, [x8]
      ldr x14, [x8, #8]
    .else
      ldr q\row, [x\pointer]
    .endif
  .endif
.endm

// Four k of packed rows on an out-of-order core. On entry A and the first two k of B are loaded. Two of these are a turn
// of the loop.
.macro wide_turn
  load_wide_b 12, 16
  fm_half 0, 0
  fm_half 1, 0
  prfm pldl2keep, [x16, x3]
  fm_half 0, 4
  fm_half 1, 4
  .if COUNTS
    subs x17, x17, #2
  .endif
  .if !LAST
    load_wide_b 8, 16
  .endif
  fm_half 2, 0
  fm_half 3, 0
  .if !LAST
    .if ROWS == 8
      ld1 {v0.4s, v1.4s, v2.4s, v3.4s}, [x4], #64
    .else
      ld1 {v0.4s, v1.4s, v2.4s, v3.4s}, [x4], x14
    .endif
  .endif
  fm_half 2, 4
  fm_half 3, 4
  .if !LAST && (ROWS == 8)
    ld1 {v4.4s, v5.4s, v6.4s, v7.4s}, [x4], x14
  .endif
.endm
// Two k of B.
.macro load_wide_b first, pointer
  load_wide_b_ \first, %(\first + 1), %(\first + 2), %(\first + 3), \pointer
.endm
.macro load_wide_b_ v0, v1, v2, v3, pointer
  ld1 {v\v0\().4s, v\v1\().4s, v\v2\().4s, v\v3\().4s}, [x\pointer], #64
.endm
// A's rows 4 to 7 for the first turn of the next tile.
.macro load_wide_last
  .if ROWS == 8
    ldp q4, q5, [x1, #64]
    ldp q6, q7, [x1, #96]
  .endif
.endm
// One k of four rows.
.macro fm_half k, row
  fm \k, %(\row + 0), 0
  fm \k, %(\row + 0), 1
  fm \k, %(\row + 1), 0
  fm \k, %(\row + 1), 1
  fm \k, %(\row + 2), 0
  fm \k, %(\row + 2), 1
  fm \k, %(\row + 3), 0
  fm \k, %(\row + 3), 1
.endm

// One k: lane 0 of a vector for each row.
.macro load_one row, pointer
  .if \row < ROWS
    ldr s\row, [x\pointer, x12]
  .endif
.endm

.macro load_one_packed row, pointer
  .if \row < ROWS
    load_one_packed_ \row, %(16 * \row)
  .endif
.endm
.macro load_one_packed_ row, offset
  ldr s\row, [x4, #\offset]
.endm

.macro start_row row, left, right
  .if \row < ROWS
    ldp q\left, q\right, [x12]
    add x12, x12, x13
  .endif
.endm
.macro put_row row, left, right
  .if \row < ROWS
    stp q\left, q\right, [x14]
    add x14, x14, x15
  .endif
.endm
.macro start_packed_row row, left, right
  .if \row < ROWS
    ld1 {v\left\().4s, v\right\().4s}, [x12], x8
  .endif
.endm
.macro copy_row row, left, right
  .if (\row > 0) && (\row < ROWS)
    mov v\left\().16b, v16.16b
    mov v\right\().16b, v17.16b
  .endif
.endm
.macro put_packed_row row, left, right
  .if \row < ROWS
    st1 {v\left\().4s, v\right\().4s}, [x12], x9
  .endif
.endm
.macro raise_row row, left, right
  .if \row < ROWS
    fmax v\left\().4s, v2.4s, v\left\().4s
    fmax v\right\().4s, v2.4s, v\right\().4s
  .endif
.endm
.macro lower_row row, left, right
  .if \row < ROWS
    fmin v\left\().4s, v3.4s, v\left\().4s
    fmin v\right\().4s, v3.4s, v\right\().4s
  .endif
.endm
// Clamps the sums to [s2, s3]; where the upper bound is infinite, the lower one is all.
.macro bound_sums end
  dup v2.4s, v2.s[0]
  for_sums raise_row
  fmov w12, s3
  mov w13, #0x7f800000
  cmp w12, w13
  b.eq \end
  dup v3.4s, v3.s[0]
  for_sums lower_row
.endm
.macro point_rows first, second
  .if \first - 4 < ROWS
    ldp x\first, x\second, [x2, #(8 * (\first - 4))]
    add x\first, x\first, x12, lsl #2
    add x\second, x\second, x12, lsl #2
  .endif
.endm
.macro for_rows macro
  \macro 0, 4
  \macro 1, 5
  \macro 2, 6
  \macro 3, 7
  \macro 4, 8
  \macro 5, 9
  \macro 6, 10
  \macro 7, 11
.endm
.macro for_sums macro
  \macro 0, 16, 17
  \macro 1, 18, 19
  \macro 2, 20, 21
  \macro 3, 22, 23
  \macro 4, 24, 25
  \macro 5, 26, 27
  \macro 6, 28, 29
  \macro 7, 30, 31
.endm

.macro tile_function name
  .globl \name
  .hidden \name
  .type \name, %function
  .balign 64
\name\():
  stp d8, d9, [sp, #-FRAME]!
  stp d10, d11, [sp, #16]
  stp d12, d13, [sp, #32]
  stp d14, d15, [sp, #48]
  stp x1, x2, [sp, #FRAME_SUMS]
  str x3, [sp, #FRAME_BOUNDS]
  ldp x12, x13, [x0, #TILE_START]
  lsl x13, x13, #2
  for_sums start_row
  ldr w14, [x0, #TILE_RUN_COUNT]
  cbz w14, 7f
  str w14, [sp, #FRAME_RUNS]
  ldp x1, x2, [x0, #TILE_RUNS]
  ldr x3, [x0, #TILE_PREFETCH]
1:  // a run
  ldp x12, x13, [x1], #16
  ldp x14, x15, [x0, #TILE_A_STEP]
  ldr x16, [x0, #TILE_B]
  add x12, x12, x15
  ldr w17, [x0, #TILE_RUN_LENGTH]
  point_rows 4, 5
  point_rows 6, 7
  point_rows 8, 9
  point_rows 10, 11
  add x2, x2, x14, lsl #3
  add x16, x16, x13, lsl #5
  mov x12, #0
  lsr x17, x17, #2
  cbz x17, 4f
  for_rows load_first
  ldp q8, q9, [x16]
  ldp q10, q11, [x16, #32]
  ldp q12, q13, [x16, #64]
  mov x12, #0
  mov x13, #8
  sub x17, x17, #1
  cbz x17, 3f
  .set LAST, 0
2:
  // The rows 0 to 4 are loaded at the end of a turn for the next one.
  turn
  b.ne 2b
3:
  .set LAST, 1
  turn
4:
  ldr w17, [x0, #TILE_RUN_LENGTH]
  ands x17, x17, #3
  b.eq 6f
5:
  for_rows load_one
  ldp q8, q9, [x16], #32
  for_sums fm_one
  add x12, x12, #4
  subs x17, x17, #1
  b.ne 5b
6:
  ldr w14, [sp, #FRAME_RUNS]
  subs w14, w14, #1
  str w14, [sp, #FRAME_RUNS]
  b.ne 1b
7:
  ldp x14, x15, [sp, #FRAME_SUMS]
  ldr x3, [sp, #FRAME_BOUNDS]
  cbz x3, 8f
  ldp s2, s3, [x3]
  bound_sums 8f
8:
  for_sums put_row
  ldp d10, d11, [sp, #16]
  ldp d12, d13, [sp, #32]
  ldp d14, d15, [sp, #48]
  ldp d8, d9, [sp], #FRAME
  ret
  .size \name, . - \name
.endm
.macro fm_one row, left, right
  fm 0, \row, 0
  fm 0, \row, 1
.endm

.macro tiles_function name
  .globl \name
  .hidden \name
  .type \name, %function
  .balign 64
\name\():
  save_vectors
  ldp x1, x2, [x0, #TILES_A]
  ldp x5, x6, [x0, #TILES_START]
  ldp x8, x9, [x0, #TILES_START_ROW]
  ldp x7, x11, [x0, #TILES_COUNT]
1:  // a tile
  ldp x3, x10, [x0, #TILES_PREFETCH]
  mov x4, x1
  mov x16, x2
  mov x12, x5
  add x3, x3, x2
  cbnz x8, 2f
  // Moves are the faster ones.
  ldp q16, q17, [x5]
  for_sums copy_row
  b 3f
2:
  for_sums start_packed_row
3:
  ldr x12, [x0, #TILES_A_TURN]
  lsr x17, x10, #2
  cbz x17, 6f
  ldp q0, q1, [x4]
  ldp q2, q3, [x4, #32]
  .if ROWS > 4
    ldr d4, [x4, #64]
    ldr x14, [x4, #72]
  .endif
  ldp q8, q9, [x16]
  ldp q10, q11, [x16, #32]
  ldp q12, q13, [x16, #64]
  sub x17, x17, #1
  cbz x17, 5f
  .set LAST, 0
4:
  turn
  b.ne 4b
5:
  .set LAST, 1
  turn
6:
  ands x17, x10, #3
  b.eq 8f
7:
  single_k
  b.ne 7b
8:
  ldp x12, x13, [x0, #TILES_RESIDUAL]
  cbz x12, 9f
  ldr x14, [x0, #TILES_RESIDUAL_STEP]
  ldr x15, [x0, #TILES_COUNT]
  sub x15, x15, x7
  madd x12, x14, x15, x12
  for_rows load_residual
  for_sums add_residual
9:
  cbz x11, 10f
  ldp s2, s3, [x11]
  bound_sums 10f
10:
  mov x12, x6
  for_sums put_packed_row
  ldp x12, x13, [x0, #TILES_A_STEP]
  ldp x14, x15, [x0, #TILES_START_STEP]
  add x1, x1, x12
  add x2, x2, x13
  add x5, x5, x14
  add x6, x6, x15
  subs x7, x7, #1
  b.ne 1b
  restore_vectors
  ret
  .size \name, . - \name
.endm
// The residual of a row goes into A's and B's registers.
.macro load_residual row, next
  .if \row < ROWS
    load_residual_ %(2 * \row), %(2 * \row + 1), x12, x13
  .endif
.endm
.macro load_residual_ left, right, pointer, step
  ld1 {v\left\().4s, v\right\().4s}, [\pointer], \step
.endm
.macro add_residual row, left, right
  .if \row < ROWS
    add_residual_ \left, \right, %(2 * \row), %(2 * \row + 1)
  .endif
.endm
.macro add_residual_ left, right, a, b
  fadd v\left\().4s, v\left\().4s, v\a\().4s
  fadd v\right\().4s, v\right\().4s, v\b\().4s
.endm
.macro single_k
  for_rows load_one_packed
  ldp q8, q9, [x16], #32
  for_sums fm_one
  add x4, x4, #4
  subs x17, x17, #1
.endm
.macro save_vectors
  stp d8, d9, [sp, #-64]!
  stp d10, d11, [sp, #16]
  stp d12, d13, [sp, #32]
  stp d14, d15, [sp, #48]
.endm
.macro restore_vectors
  ldp d10, d11, [sp, #16]
  ldp d12, d13, [sp, #32]
  ldp d14, d15, [sp, #48]
  ldp d8, d9, [sp], #64
.endm

.macro wide_tiles_function name
  .globl \name
  .hidden \name
  .type \name, %function
  .balign 64
\name\():
  save_vectors
  stp x19, x20, [sp, #-32]!
  str x0, [sp, #16]
  ldp x1, x16, [x0, #TILES_A]
  ldp x12, x13, [x0, #TILES_START]
  ldp x8, x9, [x0, #TILES_START_ROW]
  ldp x3, x10, [x0, #TILES_PREFETCH]
  ldp x7, x11, [x0, #TILES_COUNT]
  ldr x20, [x0, #TILES_A_TURN]
  ldr x19, [x0, #TILES_RESIDUAL]
  ldp x5, x6, [x0, #TILES_START_STEP]
  ldp x0, x2, [x0, #TILES_A_STEP]
  // From the end of a tile to the next one.
  sub x2, x2, x10, lsl #5
  .if ROWS == 8
    sub x14, x20, #64
    sub x5, x5, x8, lsl #3
    sub x6, x6, x9, lsl #3
  .else
    mov x14, x20
    sub x5, x5, x8, lsl #2
    sub x6, x6, x9, lsl #2
  .endif
  sub x13, x13, x6
  lsr x15, x10, #2
  sub x15, x15, #1
  cbz x11, 1f
  ldr w4, [x11, #4]
  mov w17, #0x7f800000
  cmp w4, w17
  cset x17, eq
  orr x10, x10, x17, lsl #63
1:
  for_sums start_packed_row
2:  // a tile of which nothing is loaded
  tbnz x15, #63, 8f
  load_wide_b 8, 16
  ldp q0, q1, [x1]
  ldp q2, q3, [x1, #32]
  load_wide_last
  add x4, x1, x20
3:  // a tile
  .set LAST, 0
  .set COUNTS, 0
  mov x17, x15
  cbz x15, 6f
  tbz x15, #0, 4f
  add x17, x15, #1
  b 5f
4:
  wide_turn
  .set COUNTS, 1
5:
  wide_turn
  .set COUNTS, 0
  b.ne 4b
6:
  .set LAST, 1
  tst x10, #3
  b.ne 7f
  load_wide_b 12, 16
  fm_half 0, 0
  go_on
  fm_half 1, 0
  add x4, x1, x20
  fm_half 0, 4
  fm_half 1, 4
  load_wide_b 8, 16
  fm_half 2, 0
  fm_half 3, 0
  ldp q0, q1, [x1]
  finish_tile 1
  cbnz x7, 3b
  b 11f
7:  // a number of k that is not a multiple of four
  wide_turn
  b 9f
8:
  mov x4, x1
9:
  ands x17, x10, #3
  b.eq 12f
10:
  single_k
  b.ne 10b
12:
  go_on
  finish_tile 0
  cbnz x7, 2b
11:
  ldp x19, x20, [sp], #32
  restore_vectors
  ret
  .size \name, . - \name
.endm
// To the next tile. Behind the last one there is none to load from: it is loaded again.
.macro go_on
  LOCAL go
  subs x7, x7, #1
  b.ne go
  mov x0, #0
  neg x2, x10, lsl #5
  .if ROWS == 8
    neg x5, x8, lsl #3
  .else
    neg x5, x8, lsl #2
  .endif
go:
  add x1, x1, x0
  add x16, x16, x2
  add x12, x12, x5
  add x13, x13, x6
.endm
// Clamps and stores the sums, and begins those of the next tile. Between them, if `multiplies`, the third and fourth k of
// the rows 4 to 7, and the loads of A for the next tile, of which v0 and v1 are there.
// Before all that, what is added to the sums; then all comes after the multiply-adds.
.macro finish_tile multiplies
  LOCAL raised, plain, done, added, stored
  cbnz x19, added
  cbz x11, plain
  ld1r {v2.4s}, [x11]
  tbnz x10, #63, raised
  ldr s3, [x11, #4]
  dup v3.4s, v3.s[0]
  raise_rows 0
  lower_rows 0
  begin_rows \multiplies
  raise_rows 4
  lower_row 4, 24, 25
  lower_row 5, 26, 27
  renew_row 4, 24, 25
  lower_row 6, 28, 29
  renew_row 5, 26, 27
  lower_row 7, 30, 31
  b done
raised:
  raise_rows 0
  begin_rows \multiplies
  raise_row 4, 24, 25
  raise_row 5, 26, 27
  renew_row 4, 24, 25
  raise_row 6, 28, 29
  renew_row 5, 26, 27
  raise_row 7, 30, 31
  b done
added:
  .if \multiplies
    fm_half 2, 4
    fm_half 3, 4
  .endif
  ldr x17, [sp, #16]
  ldr x4, [x17, #TILES_RESIDUAL_ROW]
  ldr x17, [x17, #TILES_RESIDUAL_STEP]
  for_sums add_far_residual
  .if ROWS == 8
    sub x17, x17, x4, lsl #3
  .else
    sub x17, x17, x4, lsl #2
  .endif
  add x19, x19, x17
  add x4, x1, x20
  cbz x11, stored
  ld1r {v2.4s}, [x11]
  for_sums raise_row
  tbnz x10, #63, stored
  ldr s3, [x11, #4]
  dup v3.4s, v3.s[0]
  for_sums lower_row
stored:
  .if \multiplies
    load_wide_last
  .endif
  for_sums renew_some
  b done
plain:
  begin_rows \multiplies
  renew_row 4, 24, 25
  renew_row 5, 26, 27
done:
  .if \multiplies
    ldp q2, q3, [x1, #32]
  .endif
  renew_row 6, 28, 29
  renew_row 7, 30, 31
.endm
.macro add_far_residual row, left, right
  .if \row < ROWS
    load_residual_ %(12 + \left % 4), %(13 + \left % 4), x19, x4
    add_residual_ \left, \right, %(12 + \left % 4), %(13 + \left % 4)
  .endif
.endm
// All rows but the last two.
.macro renew_some row, left, right
  .if \row < 6
    renew_row \row, \left, \right
  .endif
.endm
.macro raise_rows first
  raise_row %(\first + 0), %(16 + 2 * \first), %(17 + 2 * \first)
  raise_row %(\first + 1), %(18 + 2 * \first), %(19 + 2 * \first)
  raise_row %(\first + 2), %(20 + 2 * \first), %(21 + 2 * \first)
  raise_row %(\first + 3), %(22 + 2 * \first), %(23 + 2 * \first)
.endm
.macro lower_rows first
  lower_row %(\first + 0), %(16 + 2 * \first), %(17 + 2 * \first)
  lower_row %(\first + 1), %(18 + 2 * \first), %(19 + 2 * \first)
  lower_row %(\first + 2), %(20 + 2 * \first), %(21 + 2 * \first)
  lower_row %(\first + 3), %(22 + 2 * \first), %(23 + 2 * \first)
.endm
// Stores the rows 0 to 3 while the others are multiplied.
.macro begin_rows multiplies
  fm_two \multiplies, 2, 4
  fm_two \multiplies, 2, 5
  renew_row 0, 16, 17
  fm_two \multiplies, 2, 6
  fm_two \multiplies, 2, 7
  renew_row 1, 18, 19
  fm_two \multiplies, 3, 4
  fm_two \multiplies, 3, 5
  renew_row 2, 20, 21
  fm_two \multiplies, 3, 6
  fm_two \multiplies, 3, 7
  renew_row 3, 22, 23
  .if \multiplies
    load_wide_last
  .endif
.endm
.macro fm_two multiplies, k, row
  .if \multiplies
    fm \k, \row, 0
    fm \k, \row, 1
  .endif
.endm
// Stores a row of sums and begins it anew for the next tile.
.macro renew_row row, left, right
  .if \row < ROWS
    st1 {v\left\().4s, v\right\().4s}, [x13], x9
    ld1 {v\left\().4s, v\right\().4s}, [x12], x8
  .endif
.endm

// Packs as many k as `turns` have, of so many rows: two turns at a time.
.macro pack_function name
  .globl \name
  .hidden \name
  .type \name, %function
  .balign 16
\name\():
  ldp x4, x5, [x0]
  ldp x6, x7, [x0, #16]
  .if ROWS == 8
    ldp x8, x9, [x0, #32]
    ldp x10, x11, [x0, #48]
  .endif
  mov x3, #128
  subs x2, x2, #2
  b.lo 2f
1:
  for_packs pack_two
  pack_put 0
  pack_put 16
  subs x2, x2, #2
  b.hs 1b
2:
  tbz x2, #0, 3f
  for_packs pack_one
  pack_put 0
3:
  ret
  .size \name, . - \name
.endm
.macro for_packs macro
  \macro 4, 0, 16
  \macro 5, 1, 17
  \macro 6, 2, 18
  \macro 7, 3, 19
  .if ROWS == 8
    \macro 8, 4, 20
    \macro 9, 5, 21
    \macro 10, 6, 22
    \macro 11, 7, 23
  .endif
.endm
.macro pack_two row, first, second
  ldp q\first, q\second, [x\row], #32
.endm
.macro pack_one row, first, second
  ldr q\first, [x\row]
.endm
.macro pack_put first
  .if ROWS == 8
    pack_put_ \first, %(\first + 1), %(\first + 2), %(\first + 3), #64
    pack_put_ %(\first + 4), %(\first + 5), %(\first + 6), %(\first + 7), #64
  .else
    pack_put_ \first, %(\first + 1), %(\first + 2), %(\first + 3), x3
  .endif
.endm
.macro pack_put_ v0, v1, v2, v3, step
  st1 {v\v0\().4s, v\v1\().4s, v\v2\().4s, v\v3\().4s}, [x1], \step
.endm

  .text
  .set PACKED, 0
  .set ROWS, 8
  pack_function edgecnn_pack_8
  .set IN_ORDER, 1
  tile_function edgecnn_tile_8x8_in_order
  .set IN_ORDER, 0
  tile_function edgecnn_tile_8x8_out_of_order
  .set ROWS, 4
  pack_function edgecnn_pack_4
  tile_function edgecnn_tile_4x8_out_of_order
  .set IN_ORDER, 1
  tile_function edgecnn_tile_4x8_in_order

  .set PACKED, 1
  tiles_function edgecnn_tiles_4x8_in_order
  .set IN_ORDER, 0
  wide_tiles_function edgecnn_tiles_4x8_out_of_order
  .set ROWS, 8
  wide_tiles_function edgecnn_tiles_8x8_out_of_order
  .set IN_ORDER, 1
  tiles_function edgecnn_tiles_8x8_in_order

  .section .note.GNU-stack, "", %progbits
