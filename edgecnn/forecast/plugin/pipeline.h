// A core that executes: when each instruction issues, and its results are there.
#ifndef EDGECNN_FORECAST_PIPELINE_H_
#define EDGECNN_FORECAST_PIPELINE_H_

#include "memory.h"

enum { WINDOW = 512, SCHEDULE = 4096, STORES = 1024, WRITE_BUFFER = 32 };

// What an instruction did this time.
struct event {
  const struct instruction* instruction;
  uint64_t address;  // of the access; 0 where there is none
  int touch_count;
  struct touch touches[2];
  bool mispredicted, taken;
};

struct pipeline {
  struct world world;
  uint64_t now;         // in order: the cycle of the last issue; out of order: of the last retirement
  uint64_t not_before;  // nothing issues (is decoded) earlier
  uint64_t ready[REGISTER_COUNT], address_ready[REGISTER_COUNT];
  uint64_t stored[STORES], stored_at[STORES];  // vectors written lately, and when a load can have them
  uint64_t write_buffer[WRITE_BUFFER];         // when the lines that stores have missed will be there
  int next_write;
  // In order.
  int issued;     // instructions in this cycle
  uint8_t first;  // class of the first of them
  uint64_t pipe_free[MAX_PIPES];
  uint64_t gap_cycles[16];  // the latest cycles that others keep their distance from
  int next_gap;
  // Out of order.
  uint64_t decode;          // cycle of the last decoding
  int decoded, retired;     // instructions in that cycle, and in the last of retirement
  uint64_t window[WINDOW];  // when those in flight retire
  uint64_t queue[MAX_PIPES][64];
  int next_window, next_queue[MAX_PIPES];
  uint64_t schedule_cycle[MAX_PIPES][SCHEDULE];  // the cycles that are taken
};

// A load waits for data that were stored just before; a store that misses for a place in the write buffer.
void remember_store(struct pipeline* p, const struct event* event, uint64_t available);
uint64_t stored_data(const struct pipeline* p, const struct event* event, uint64_t now);
uint64_t write_buffer(struct pipeline* p, const struct core* core, uint64_t arrival);

void step_in_order(struct pipeline* p, const struct core* core, const struct event* event);
void step_out_of_order(struct pipeline* p, const struct core* core, const struct event* event);

// The branch predictor: whether this one went another way than foreseen. Called once for each branch, in
// order.
bool mispredicted(const struct instruction* branch, uint64_t next);

#endif
