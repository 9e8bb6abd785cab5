// Caches, prefetcher and page tables. What they hold does not depend on time, so it is followed once; when
// data arrives depends on the DRAM behind, and is followed for each of several memories ("worlds") at once.
#ifndef EDGECNN_FORECAST_MEMORY_H_
#define EDGECNN_FORECAST_MEMORY_H_

#include "core.h"

enum { LINE = 64, MAX_L2 = 4, MAX_WORLDS = 6, MAX_PREFETCH = 8, FILLS = 512, MAX_OUTSTANDING = 32 };

// One line that an instruction touches.
struct touch {
  uint64_t line;
  bool hit;         // in the first level, or on the way to it
  unsigned in_l2;   // a bit for each second-level cache that has the line
  int translation;  // cycles that the address takes longer
  int prefetches;
  struct {
    uint64_t line;
    unsigned in_l2;
  } prefetched[MAX_PREFETCH];
};

// When lines arrive with a DRAM of some latency behind a second-level cache.
struct world {
  int l2;    // which
  int dram;  // cycles
  uint64_t fill_line[FILLS], fill_time[FILLS];
  uint64_t outstanding[MAX_OUTSTANDING];
};

struct traffic {
  uint64_t l1_misses, walks;
  uint64_t l2_misses[MAX_L2], write_backs[MAX_L2];  // lines; misses with those of the prefetcher
};

extern struct traffic traffic;

void memory_start(const struct core* core, const int* l2_kib, int l2_count);

// The lines that bytes from address lie in; returns how many (at most 2).
int memory_touch(uint64_t address, int bytes, bool store, struct touch* touches);

// When a line that is asked for at time can be used; 0 where it is there.
uint64_t world_ready(struct world* world, const struct core* core, const struct touch* touch, uint64_t time);

#endif
