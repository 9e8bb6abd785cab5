// A64 as far as timing asks: class and registers of each instruction, from one table for all but loads and
// stores.
#include <stddef.h>
#include <string.h>

#include "instruction.h"

const char* const class_names[CLASS_COUNT] = {
#define X(name) #name,
    CLASSES(X)
#undef X
};

// A row matches where (word & mask) == value; the first that matches counts. Operands are "writes:reads":
//   d n m a t  the general register of the field (31: none)        p q  Rn, Rd, where 31 is the stack pointer
//   D N M A    the vector register of the field                    E    Vm of an instruction by element
//   K          the table of TBL: one to four vectors from Rn       f    the flags       l  the link register
//   +          the operand after it is an accumulator
// A class ending in _d becomes its _q where a vector instruction has bit 30 (Q) set.
struct row {
  uint32_t mask, value;
  uint8_t class;
  const char* operands;
};

static const struct row kRows[] = {
    // Hints, barriers, system registers.
    {0xfffff01f, 0xd503201f, C_nop, ":"},
    {0xff000000, 0xd5000000, C_system, ":"},
    {0xff000000, 0xd4000000, C_system, ":"},
    // Branches.
    {0xfc000000, 0x14000000, C_branch, ":"},
    {0xfc000000, 0x94000000, C_branch, "l:"},
    {0xff000010, 0x54000000, C_branch, ":f"},
    {0x7c000000, 0x34000000, C_branch, ":t"},  // CBZ, CBNZ, TBZ, TBNZ
    {0xffe00000, 0xd6200000, C_branch, "l:n"},
    {0xfe000000, 0xd6000000, C_branch, ":n"},
    // Immediates.
    {0x1f000000, 0x10000000, C_alu, "d:"},
    {0x3f800000, 0x31000000, C_alu, "df:p"},
    {0x1f800000, 0x11000000, C_alu, "q:p"},
    {0x7f800000, 0x72000000, C_alu, "df:n"},
    {0x1f800000, 0x12000000, C_alu, "q:n"},
    {0x7f800000, 0x72800000, C_alu, "d:d"},
    {0x1f800000, 0x12800000, C_alu, "d:"},
    {0x7f800000, 0x33000000, C_alu, "d:nd"},
    {0x1f800000, 0x13000000, C_alu, "d:n"},
    {0x1f800000, 0x13800000, C_alu, "d:nm"},
    // Registers.
    {0x7f000000, 0x6a000000, C_alu, "df:nm"},
    {0x1f000000, 0x0a000000, C_alu, "d:nm"},
    {0x3f200000, 0x2b000000, C_alu, "df:nm"},
    {0x1f200000, 0x0b000000, C_alu, "d:nm"},
    {0x3f200000, 0x2b200000, C_alu, "df:pm"},
    {0x1f200000, 0x0b200000, C_alu, "q:pm"},
    {0x3fe00000, 0x3a000000, C_alu, "df:nmf"},
    {0x1fe00000, 0x1a000000, C_alu, "d:nmf"},
    {0x1fe00800, 0x1a400800, C_alu, "f:nf"},
    {0x1fe00000, 0x1a400000, C_alu, "f:nmf"},
    {0x1fe00000, 0x1a800000, C_alu, "d:nmf"},
    {0x5fe0f800, 0x1ac00800, C_div, "d:nm"},
    {0x5fe00000, 0x1ac00000, C_alu, "d:nm"},
    {0x5fe00000, 0x5ac00000, C_alu, "d:n"},
    {0x1f000000, 0x1b000000, C_mul, "d:nma"},
    // Scalar floating point.
    {0x5f000000, 0x1f000000, C_fma_d, "D:NM+A"},
    {0x5f27fc00, 0x1e220000, C_to_v, "D:n"},
    {0x5f27fc00, 0x1e230000, C_to_v, "D:n"},
    {0x5f27fc00, 0x1e270000, C_to_v, "D:n"},
    {0x5f20fc00, 0x1e200000, C_from_v, "d:N"},
    {0x5f201c00, 0x1e201000, C_simd_d, "D:"},
    {0x5f203c08, 0x1e202008, C_fcmp, "f:N"},
    {0x5f203c00, 0x1e202000, C_fcmp, "f:NM"},
    {0x5f3ffc00, 0x1e21c000, C_fdiv_d, "D:N"},
    {0x5f207c00, 0x1e204000, C_fadd_d, "D:N"},
    {0x5f200c00, 0x1e200400, C_fcmp, "f:NMf"},
    {0x5f20fc00, 0x1e201800, C_fdiv_d, "D:NM"},
    {0x5f20fc00, 0x1e200800, C_fmul_d, "D:NM"},
    {0x5f20fc00, 0x1e208800, C_fmul_d, "D:NM"},
    {0x5f200c00, 0x1e200c00, C_fadd_d, "D:NMf"},
    {0x5f200c00, 0x1e200800, C_fadd_d, "D:NM"},
    {0x5f200000, 0x1e000000, C_from_v, "d:N"},
    // Vectors: copies and immediates.
    {0xffe08400, 0x6e000400, C_perm_d, "D:ND"},
    {0xbfe0fc00, 0x0e000400, C_perm_d, "D:N"},
    {0xffe0fc00, 0x5e000400, C_perm_d, "D:N"},
    {0xbfe0fc00, 0x0e000c00, C_to_v, "D:n"},
    {0xffe0fc00, 0x4e001c00, C_ins, "D:nD"},
    {0xbfe08400, 0x0e000400, C_from_v, "d:N"},
    {0x9ff80400, 0x0f000400, C_simd_d, "D:"},
    // Shifts by an immediate: those that accumulate, insert, or narrow into the upper half also read Vd.
    {0x9f80dc00, 0x0f001400, C_simdacc_d, "D:N+D"},
    {0xbf80ec00, 0x2f004400, C_simd_d, "D:ND"},
    {0xff80e400, 0x4f008400, C_simd_d, "D:ND"},
    {0xff80e400, 0x6f008400, C_simd_d, "D:ND"},
    {0x9f80e400, 0x0f00e400, C_fadd_d, "D:N"},
    {0x9f800400, 0x0f000400, C_simd_d, "D:N"},
    {0xdf800400, 0x5f000400, C_simd_d, "D:N"},
    // By element, vector and scalar.
    {0xaf00b400, 0x0f001000, C_fma_d, "D:NE+D"},
    {0x8f00f400, 0x0f009000, C_fmul_d, "D:NE"},
    {0x8f00f400, 0x0f008000, C_simdmul_d, "D:NE"},
    {0x8f00e400, 0x0f00a000, C_long, "D:NE"},    // SMULL, SQDMULL
    {0x8f00f400, 0x0f002000, C_long, "D:NE+D"},  // SMLAL
    {0x8f00f400, 0x0f006000, C_long, "D:NE+D"},  // SMLSL
    {0xaf00e400, 0x0f00c000, C_simdmul_d, "D:NE"},
    {0x8f00f400, 0x0f00e000, C_dot_d, "D:NE+D"},
    {0x8f000400, 0x0f000000, C_simdmac_d, "D:NE+D"},
    // Three of the same size.
    {0xbf20fc00, 0x0e20cc00, C_fma_d, "D:NM+D"},
    {0xbfa0fc00, 0x2e20fc00, C_fdiv_d, "D:NM"},
    {0x9f20fc00, 0x0e20fc00, C_fmul_d, "D:NM"},
    {0x9f20fc00, 0x0e20dc00, C_fmul_d, "D:NM"},
    {0x9f20c400, 0x0e20c400, C_fadd_d, "D:NM"},
    {0xbfe0fc00, 0x2e201c00, C_simd_d, "D:NM"},   // EOR
    {0xbf20fc00, 0x2e201c00, C_simd_d, "D:NMD"},  // BSL, BIT, BIF
    {0x9f20fc00, 0x0e209400, C_simdmac_d, "D:NM+D"},
    {0x9f20fc00, 0x0e207c00, C_simdacc_d, "D:NM+D"},
    {0x9f20fc00, 0x0e209c00, C_simdmul_d, "D:NM"},
    {0x9f20fc00, 0x0e20b400, C_simdmul_d, "D:NM"},
    {0x9f200400, 0x0e200400, C_simd_d, "D:NM"},
    {0xdf200400, 0x5e200400, C_fadd_d, "D:NM"},
    {0xbf60fc00, 0x0e400c00, C_fma_d, "D:NM+D"},  // half precision
    {0xbfe0fc00, 0x2e403c00, C_fdiv_d, "D:NM"},
    {0x9f60fc00, 0x0e401c00, C_fmul_d, "D:NM"},
    {0x9f60c400, 0x0e400400, C_fadd_d, "D:NM"},
    {0x9f20fc00, 0x0e009400, C_dot_d, "D:NM+D"},
    // Three of different sizes.
    {0x9f20fc00, 0x0e205000, C_simdacc_d, "D:NM+D"},
    {0x9f20dc00, 0x0e208000, C_long, "D:NM+D"},
    {0x9f20dc00, 0x0e209000, C_long, "D:NM+D"},
    {0x9f20cc00, 0x0e20c000, C_long, "D:NM"},
    {0xdf20dc00, 0x4e204000, C_simd_d, "D:NMD"},
    {0x9f200c00, 0x0e200000, C_simd_d, "D:NM"},
    {0xdf200c00, 0x5e200000, C_long, "D:NM+D"},
    // Two registers, and across lanes.
    {0x9f3ffc00, 0x0e206800, C_simdacc_d, "D:N+D"},  // SADALP
    {0xdf3ffc00, 0x4e216800, C_fadd_d, "D:ND"},      // FCVTN2
    {0xdf3f9c00, 0x4e210800, C_simd_d, "D:ND"},      // XTN2, SQXTN2
    {0xbfbffc00, 0x2ea1f800, C_fdiv_d, "D:N"},       // FSQRT
    {0x9f3fec00, 0x0e216800, C_fadd_d, "D:N"},       // FCVTN, FCVTL
    {0x9f3fcc00, 0x0e20c800, C_fadd_d, "D:N"},
    {0x9f3f8c00, 0x0e218800, C_fadd_d, "D:N"},
    {0x9f3e0c00, 0x0e200800, C_simd_d, "D:N"},
    {0x9f7e0c00, 0x0e780800, C_fadd_d, "D:N"},  // half precision
    {0xdf3e0c00, 0x5e200800, C_fadd_d, "D:N"},
    {0xdf3e0c00, 0x5e300800, C_fadd_d, "D:N"},
    {0x9f3e0c00, 0x0e300800, C_simd_d, "D:N"},
    // Permutations.
    {0xbf208c00, 0x0e000800, C_perm_d, "D:NM"},
    {0xbfe08400, 0x2e000000, C_perm_d, "D:NM"},
    {0xbfe09c00, 0x0e000000, C_perm_d, "D:KM"},
    {0xbfe09c00, 0x0e001000, C_perm_d, "D:KMD"},
};

static unsigned field(uint32_t word, int high, int low) {
  return word >> low & ((1u << (high - low + 1)) - 1);
}

static void reads(struct instruction* i, int reg) {
  if (reg != R_NONE && i->read_count < 6) i->reads[i->read_count++] = (uint8_t)reg;
}

static void writes(struct instruction* i, int reg) {
  if (reg != R_NONE && i->write_count < 5) i->writes[i->write_count++] = (uint8_t)reg;
}

static int general(unsigned n) { return n == 31 ? R_NONE : (int)n; }
static int or_sp(unsigned n) { return n == 31 ? R_SP : (int)n; }
static int vector(unsigned n) { return R_VECTORS + (int)(n & 31); }

// The register that a letter of the table names.
static int operand(char letter, uint32_t word) {
  const unsigned d = field(word, 4, 0), n = field(word, 9, 5), a = field(word, 14, 10),
                 m = field(word, 20, 16);
  switch (letter) {
    case 'd':
    case 't':
      return general(d);
    case 'n':
      return general(n);
    case 'm':
      return general(m);
    case 'a':
      return general(a);
    case 'p':
      return or_sp(n);
    case 'q':
      return or_sp(d);
    case 'D':
      return vector(d);
    case 'N':
      return vector(n);
    case 'M':
      return vector(m);
    case 'A':
      return vector(a);
    case 'E':
      return vector(field(word, 23, 22) < 2 ? m & 15 : m);  // halves: the fifth bit is part of the index
    case 'f':
      return R_FLAGS;
    case 'l':
      return 30;
  }
  return R_NONE;
}

static void decode_row(const struct row* row, struct instruction* i) {
  const uint32_t word = i->word;
  i->class = row->class;
  bool reading = false;
  for (const char* letter = row->operands; *letter; ++letter) {
    if (*letter == ':') {
      reading = true;
    } else if (*letter == '+') {
      i->accumulator = (uint8_t)operand(letter[1], word);
    } else if (*letter == 'K') {
      for (unsigned k = 0; k <= field(word, 14, 13); ++k) reads(i, vector(field(word, 9, 5) + k));
    } else if (reading) {
      reads(i, operand(*letter, word));
    } else {
      writes(i, operand(*letter, word));
    }
  }
  const bool is_vector = field(word, 27, 25) == 7 && field(word, 28, 28) == 0;
  const char* name = class_names[i->class];
  if (is_vector && field(word, 30, 30) && strcmp(name + strlen(name) - 2, "_d") == 0) ++i->class;  // its _q
  i->conditional = (word & 0xff000010) == 0x54000000 || (word & 0x7c000000) == 0x34000000;
  i->indirect = i->class == C_branch && (word & 0xfe000000) == 0xd6000000;
}

static void set_memory_class(struct instruction* i, bool is_vector, unsigned bytes) {
  static const uint8_t kVector[2][4] = {{C_storev_d, C_storev_q, C_storev_2q, C_storev_4q},
                                        {C_loadv_d, C_loadv_q, C_loadv_2q, C_loadv_4q}};
  i->bytes = (uint8_t)bytes;
  if (is_vector) {
    i->class = kVector[i->loads][bytes <= 8 ? 0 : bytes <= 16 ? 1 : bytes <= 32 ? 2 : 3];
  } else {
    i->class = i->loads ? (bytes > 8 ? C_load_pair : C_load) : (bytes > 8 ? C_store_pair : C_store);
  }
}

// Registers first, first + 1 ... of a transfer; the address has been read before.
static void transfers(struct instruction* i, bool is_vector, const unsigned* registers, int count) {
  for (int k = 0; k < count; ++k) {
    const int reg = is_vector ? vector(registers[k]) : general(registers[k]);
    if (i->loads) {
      writes(i, reg);
    } else {
      reads(i, reg);
    }
  }
}

// LD1 to LD4, ST1 to ST4: whole vectors, one lane, or one element for all lanes.
static void decode_structures(struct instruction* i) {
  const uint32_t word = i->word;
  const bool lane = field(word, 24, 24);
  const unsigned first = field(word, 4, 0), m = field(word, 20, 16);
  unsigned count, bytes;
  bool interleaved, one_lane = false;
  if (lane) {
    const unsigned opcode = field(word, 15, 13);
    count = ((opcode & 1) << 1 | field(word, 21, 21)) + 1;
    interleaved = count > 1;
    one_lane = opcode < 6;
    const unsigned size = opcode >= 6  ? field(word, 11, 10)
                          : opcode < 4 ? opcode / 2
                                       : 2 + (field(word, 11, 10) == 1);
    bytes = count << size;
  } else {
    static const uint8_t kCounts[16] = {4, 0, 4, 0, 3, 0, 3, 1, 2, 0, 2};
    const unsigned opcode = field(word, 15, 12);
    count = kCounts[opcode];
    interleaved = opcode == 0 || opcode == 4 || opcode == 8;
    bytes = count * (field(word, 30, 30) ? 16 : 8);
  }
  i->loads = field(word, 22, 22);
  i->stores = !i->loads;
  set_memory_class(i, true, bytes);
  if (interleaved) i->class = i->loads ? C_load_struct : C_store_struct;
  reads(i, or_sp(field(word, 9, 5)));
  i->writes_back = field(word, 23, 23);
  if (i->writes_back) reads(i, general(m));
  i->address_reads = i->read_count;
  unsigned registers[4];
  for (unsigned k = 0; k < count; ++k) registers[k] = first + k;
  transfers(i, true, registers, (int)count);
  if (i->loads && one_lane) reads(i, vector(first));
}

static void decode_memory(struct instruction* i) {
  const uint32_t word = i->word;
  const bool is_vector = field(word, 26, 26);
  if (is_vector && field(word, 29, 25) == 6) {
    decode_structures(i);
  } else if (field(word, 29, 27) == 5) {  // pairs
    const unsigned size = is_vector ? 4u << field(word, 31, 30) : field(word, 31, 31) ? 8 : 4;
    i->loads = field(word, 22, 22);
    i->stores = !i->loads;
    i->writes_back = field(word, 23, 23);
    set_memory_class(i, is_vector, 2 * size);
    reads(i, or_sp(field(word, 9, 5)));
    i->address_reads = i->read_count;
    const unsigned registers[2] = {field(word, 4, 0), field(word, 14, 10)};
    transfers(i, is_vector, registers, 2);
  } else if (field(word, 29, 27) == 3) {  // from a table in the code
    i->loads = true;
    set_memory_class(i, is_vector, is_vector ? 4u << field(word, 31, 30) : 8);
    transfers(i, is_vector, (const unsigned[]){field(word, 4, 0)}, 1);
  } else if (field(word, 29, 27) == 7 &&
             !(field(word, 24, 24) == 0 && field(word, 21, 21) && field(word, 11, 10) != 2)) {
    const bool offset = field(word, 24, 24), index = !offset && field(word, 21, 21);
    const unsigned size = field(word, 31, 30), opc = field(word, 23, 22);
    const bool prefetch = !is_vector && size == 3 && opc == 2;
    i->loads = is_vector ? opc & 1 : opc != 0;
    i->stores = !i->loads;
    i->writes_back = !offset && !index && field(word, 10, 10);
    set_memory_class(i, is_vector, is_vector && opc > 1 ? 16 : 1u << size);
    reads(i, or_sp(field(word, 9, 5)));
    if (index) reads(i, general(field(word, 20, 16)));
    i->address_reads = i->read_count;
    if (prefetch) {
      i->loads = false;
    } else {
      transfers(i, is_vector, (const unsigned[]){field(word, 4, 0)}, 1);
    }
  } else {  // exclusive and atomic ones: rare enough to be taken for a register of the system
    i->class = C_system;
    reads(i, or_sp(field(word, 9, 5)));
    writes(i, general(field(word, 4, 0)));
  }
  if (i->writes_back) writes(i, or_sp(field(word, 9, 5)));
}

void decode(uint32_t word, uint64_t address, struct instruction* out) {
  *out = (struct instruction){.address = address, .word = word, .class = C_system, .accumulator = R_NONE};
  if ((word >> 25 & 5) == 4) {
    decode_memory(out);
    return;
  }
  for (size_t k = 0; k < sizeof kRows / sizeof kRows[0]; ++k) {
    if ((word & kRows[k].mask) == kRows[k].value) {
      decode_row(&kRows[k], out);
      return;
    }
  }
}
