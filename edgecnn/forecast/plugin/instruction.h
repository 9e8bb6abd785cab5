// What the models of cores know about an instruction.
#ifndef EDGECNN_FORECAST_INSTRUCTION_H_
#define EDGECNN_FORECAST_INSTRUCTION_H_

#include <stdbool.h>
#include <stdint.h>

// Classes of instructions that a core treats alike; the page of a core (cores/*.txt) has a row for each. _d
// is a scalar or a vector of up to 64 bits, _q one of 128; simdacc adds to its target, simdmac multiplies
// too, long multiplies to twice the width, dot is a dot product, ins puts a general register into a lane.
#define CLASSES(X)                                                                                          \
  X(nop)                                                                                                    \
  X(alu)                                                                                                    \
  X(mul) X(div) X(branch) X(load) X(load_pair) X(loadv_d) X(loadv_q) X(loadv_2q) X(loadv_4q) X(load_struct) \
      X(store) X(store_pair) X(storev_d) X(storev_q) X(storev_2q) X(storev_4q) X(store_struct) X(fma_d)     \
          X(fma_q) X(fadd_d) X(fadd_q) X(fmul_d) X(fmul_q) X(fdiv_d) X(fdiv_q) X(simd_d) X(simd_q)          \
              X(simdmul_d) X(simdmul_q) X(simdmac_d) X(simdmac_q) X(simdacc_d) X(simdacc_q) X(dot_d)        \
                  X(dot_q) X(long) X(perm_d) X(perm_q) X(ins) X(to_v) X(from_v) X(fcmp) X(system)

enum class {
#define X(name) C_##name,
  CLASSES(X)
#undef X
      CLASS_COUNT
};

// Registers: x0..x30 are 0..30, then these, then the vectors.
enum { R_SP = 31, R_FLAGS = 32, R_VECTORS = 33, REGISTER_COUNT = R_VECTORS + 32, R_NONE = 255 };

struct instruction {
  uint64_t address;
  uint32_t word;
  uint8_t class;
  uint8_t read_count, write_count;
  uint8_t reads[6], writes[5];
  uint8_t accumulator;  // the register that is needed only when the product is there; R_NONE if there is none
  uint8_t address_reads;  // so many of reads, from the first, make the address of a memory access
  uint8_t bytes;          // that it moves
  bool loads, stores;
  bool writes_back;            // the last of writes is the base
  bool conditional, indirect;  // branches
};

// Describes the A64 instruction word at address.
void decode(uint32_t word, uint64_t address, struct instruction* out);

extern const char* const class_names[CLASS_COUNT];

#endif
