// A core as data: the content of a page in cores/.
#ifndef EDGECNN_FORECAST_CORE_H_
#define EDGECNN_FORECAST_CORE_H_

#include "instruction.h"

enum { MAX_PIPES = 16, MAX_PARTS = 8 };

struct timing {
  int latency;     // cycles from issue (of the last part) to the result
  int accumulate;  // the same to the accumulator of the next of its kind
  int parts;       // micro-operations
  int cycles;      // for which each keeps its pipe
  unsigned pipes;  // a set: any one of them
};

struct core {
  char name[32];
  int out_of_order;
  int width;       // instructions a cycle
  int reorder;     // instructions in flight (out of order)
  int queue;       // instructions that wait for a pipe (out of order)
  int mispredict;  // cycles
  int address;     // latency of integer arithmetic into an address (in order)
  int base;        // latency of the base that an access writes back
  int l1_kib, l1_ways, l2_ways, l2_latency;
  int outstanding;   // misses of the first level at one time
  int prefetch;      // lines ahead of a stream
  int forward;       // cycles from a store to a load of the same data
  int write_buffer;  // lines that stores may wait for at one time
  int tlb, tlb_latency, tlb2, walk;
  int pipe_count;
  char pipe_names[MAX_PIPES][8];
  struct timing timing[CLASS_COUNT];
  // In order: whether two classes cannot issue in one cycle; and those that cannot issue exactly gap cycles
  // after certain others.
  bool apart[CLASS_COUNT][CLASS_COUNT];
  int gap;
  bool gap_after[CLASS_COUNT], gap_before[CLASS_COUNT];
};

// Reads a page. Returns false and writes a message where it is not one.
bool read_core(const char* path, struct core* core, char* message, int room);

#endif
