// Branch prediction: two-bit counters by address and history, and the last target of indirect branches.
#include "pipeline.h"

enum { COUNTERS = 8192, TARGETS = 1024, HISTORY_BITS = 8 };

bool mispredicted(const struct instruction* branch, uint64_t next) {
  static uint8_t counters[COUNTERS];
  static uint64_t targets[TARGETS];
  static uint32_t history;
  const uint64_t place = branch->address >> 2;
  if (branch->conditional) {
    const bool taken = next != branch->address + 4;
    uint8_t* counter = &counters[(place ^ history) % COUNTERS];
    const bool wrong = (*counter >= 2) != taken;
    if (taken && *counter < 3) ++*counter;
    if (!taken && *counter > 0) --*counter;
    history = (history << 1 | taken) & ((1u << HISTORY_BITS) - 1);
    return wrong;
  }
  const bool is_return = (branch->word & 0xffe00000) == 0xd6400000;  // a stack of its own foresees these
  if (branch->indirect && !is_return) {
    uint64_t* target = &targets[place % TARGETS];
    const bool wrong = *target != next;
    *target = next;
    return wrong;
  }
  return false;
}
