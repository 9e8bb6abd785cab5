// forecast_trace PAGE DRAM REPEATS STEP: the models of edgecnn/forecast/plugin/ without QEMU. Standard input
// holds one instruction a line: its word, and the address that it touches where it touches one, in
// hexadecimal. The lines run REPEATS times, each time with addresses STEP bytes on; prints the cycles of
// that, and the class of each line.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "pipeline.h"

enum { MOST = 256 };

int main(int argc, char** argv) {
  static struct core core;
  static struct pipeline pipeline;
  static struct instruction instructions[MOST];
  static uint64_t addresses[MOST];
  char message[256];
  if (argc != 5 || !read_core(argv[1], &core, message, sizeof message)) {
    fprintf(stderr, "%s\n", argc == 5 ? message : "usage: forecast_trace PAGE DRAM REPEATS STEP");
    return 1;
  }
  pipeline.world.dram = atoi(argv[2]);
  memory_start(&core, (const int[]){512}, 1);
  int count = 0;
  char line[128];
  while (count < MOST && fgets(line, sizeof line, stdin)) {
    uint32_t word;
    if (sscanf(line, "%" SCNx32 " %" SCNx64, &word, &addresses[count]) < 1) continue;
    decode(word, 0x1000 + 4 * (uint64_t)count, &instructions[count]);
    printf("%s\n", class_names[instructions[count].class]);
    ++count;
  }
  for (int turn = 0; turn < atoi(argv[3]); ++turn) {
    for (int k = 0; k < count; ++k) {
      struct event event = {.instruction = &instructions[k]};
      if (addresses[k]) {
        event.address = addresses[k] + (uint64_t)(turn * atoi(argv[4]));
        event.touch_count =
            memory_touch(event.address, instructions[k].bytes, instructions[k].stores, event.touches);
      }
      if (core.out_of_order) {
        step_out_of_order(&pipeline, &core, &event);
      } else {
        step_in_order(&pipeline, &core, &event);
      }
    }
  }
  printf("%" PRIu64 "\n", pipeline.now);
  return 0;
}
