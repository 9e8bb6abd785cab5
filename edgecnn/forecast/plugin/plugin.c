// The plugin: follows the instructions of one thread of a program under qemu-aarch64 through the model of a
// core.
//
//   -plugin forecast.so,core=PAGE,worlds=L2KIB:DRAM+L2KIB:DRAM,interval=N,skip=N,report=FILE
//
// A program marks what is timed: hint #96 begins a region, hint #97 ends it; both are NOPs on hardware. The
// first regions, skip many, only run. Each of the others writes, to the file, a line "region" and one
// "interval" for each so many instructions: instructions, misses of the first level, page walks, then for
// each world cycles, lines missed in the second level, lines written back. A DRAM of so many cycles behind a
// second level of so many KiB is a world.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline.h"
#include "qemu_api.h"

__attribute__((visibility("default"))) int qemu_plugin_version = 1;

enum { BEGIN = 0xd5032c1f, END = 0xd5032c3f };

// What was translated together, and the addresses that its instructions touch when it runs.
struct block {
  int count;
  struct instruction* instructions;
  uint64_t* addresses;  // 0: none yet
};

struct access {
  struct block* block;
  int index;
};

static struct core core;
static struct pipeline* pipelines;
static int world_count, l2_count, l2_kib[MAX_L2], regions, skip;
static uint64_t interval = 500000, instructions, last_instructions, last_cycles[MAX_WORLDS];
static struct traffic last_traffic;
static bool active;
static unsigned thread;
static struct block* running;
static FILE* report;

static void write_interval(void) {
  fprintf(report, "interval %" PRIu64 " %" PRIu64 " %" PRIu64, instructions - last_instructions,
          traffic.l1_misses - last_traffic.l1_misses, traffic.walks - last_traffic.walks);
  for (int k = 0; k < world_count; ++k) {
    const int level = pipelines[k].world.l2;
    fprintf(report, " %" PRIu64 " %" PRIu64 " %" PRIu64, pipelines[k].now - last_cycles[k],
            traffic.l2_misses[level] - last_traffic.l2_misses[level],
            traffic.write_backs[level] - last_traffic.write_backs[level]);
    last_cycles[k] = pipelines[k].now;
  }
  fputc('\n', report);
  last_instructions = instructions;
  last_traffic = traffic;
}

// Sends a block that has run through the model; next is the address that followed.
static void finish(struct block* block, uint64_t next) {
  for (int k = 0; k < block->count; ++k) {
    const struct instruction* i = &block->instructions[k];
    struct event event = {.instruction = i};
    if (block->addresses[k]) {
      event.address = block->addresses[k];
      event.touch_count = memory_touch(event.address, i->bytes, i->stores, event.touches);
      block->addresses[k] = 0;
    }
    if (i->class == C_branch) {
      const uint64_t after = k + 1 < block->count ? i->address + 4 : next;
      event.taken = after != i->address + 4;
      event.mispredicted = mispredicted(i, after);
    }
    for (int w = 0; w < world_count; ++w) {
      if (core.out_of_order) {
        step_out_of_order(&pipelines[w], &core, &event);
      } else {
        step_in_order(&pipelines[w], &core, &event);
      }
    }
  }
  instructions += (uint64_t)block->count;
  if (instructions - last_instructions >= interval) write_interval();
}

static void on_block(unsigned vcpu, void* data) {
  if (!active || vcpu != thread) return;
  struct block* block = data;
  if (running) finish(running, block->instructions[0].address);
  running = block;
}

static void on_access(unsigned vcpu, qemu_plugin_meminfo_t info, uint64_t address, void* data) {
  (void)info;
  const struct access* access = data;
  if (active && vcpu == thread && access->block == running && !running->addresses[access->index]) {
    running->addresses[access->index] = address;
  }
}

static void on_begin(unsigned vcpu, void* data) {
  (void)data;
  if (regions++ < skip) return;
  active = true;
  thread = vcpu;
  running = NULL;
  fprintf(report, "region %d\n", regions - 1);
}

static void on_end(unsigned vcpu, void* data) {
  (void)data;
  if (!active || vcpu != thread) return;
  write_interval();
  fflush(report);
  active = false;
}

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb* tb) {
  (void)id;
  const int count = (int)qemu_plugin_tb_n_insns(tb);
  struct block* block = malloc(sizeof *block);
  block->count = count;
  block->instructions = calloc((size_t)count, sizeof *block->instructions);
  block->addresses = calloc((size_t)count, sizeof *block->addresses);
  qemu_plugin_register_vcpu_tb_exec_cb(tb, on_block, QEMU_PLUGIN_CB_NO_REGS, block);
  for (int k = 0; k < count; ++k) {
    struct qemu_plugin_insn* from = qemu_plugin_tb_get_insn(tb, (size_t)k);
    struct instruction* i = &block->instructions[k];
    uint32_t word;
    memcpy(&word, qemu_plugin_insn_data(from), sizeof word);
    decode(word, qemu_plugin_insn_vaddr(from), i);
    if (i->loads || i->stores) {
      struct access* access = malloc(sizeof *access);
      *access = (struct access){block, k};
      qemu_plugin_register_vcpu_mem_cb(from, on_access, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_RW, access);
    }
    if (word == BEGIN) qemu_plugin_register_vcpu_insn_exec_cb(from, on_begin, QEMU_PLUGIN_CB_NO_REGS, NULL);
    if (word == END) qemu_plugin_register_vcpu_insn_exec_cb(from, on_end, QEMU_PLUGIN_CB_NO_REGS, NULL);
  }
}

static int second_level_of(int kib) {
  for (int k = 0; k < l2_count; ++k) {
    if (l2_kib[k] == kib) return k;
  }
  if (l2_count == MAX_L2) return -1;
  l2_kib[l2_count] = kib;
  return l2_count++;
}

// "512:100+512:200"
static bool read_worlds(const char* text) {
  pipelines = calloc(MAX_WORLDS, sizeof *pipelines);
  while (*text && world_count < MAX_WORLDS) {
    char* end;
    const long kib = strtol(text, &end, 10);
    if (*end != ':' || kib < 16) return false;
    const long dram = strtol(end + 1, &end, 10);
    const int level = second_level_of((int)kib);
    if (level < 0 || dram < 0) return false;
    pipelines[world_count].world.l2 = level;
    pipelines[world_count++].world.dram = (int)dram;
    text = *end == '+' ? end + 1 : end;
    if (*end && *end != '+') return false;
  }
  return world_count > 0 && !*text;
}

__attribute__((visibility("default"))) int qemu_plugin_install(qemu_plugin_id_t id, const void* info,
                                                               int count, char** arguments) {
  (void)info;
  char message[256] = "";
  report = stderr;
  for (int k = 0; k < count; ++k) {
    const char* value = strchr(arguments[k], '=');
    const size_t length = value ? (size_t)(value++ - arguments[k]) : 0;
    bool good = value != NULL;
    if (good && strncmp(arguments[k], "core", length) == 0) {
      good = read_core(value, &core, message, sizeof message);
    } else if (good && strncmp(arguments[k], "worlds", length) == 0) {
      good = read_worlds(value);
    } else if (good && strncmp(arguments[k], "interval", length) == 0) {
      interval = strtoull(value, NULL, 10);
    } else if (good && strncmp(arguments[k], "skip", length) == 0) {
      skip = atoi(value);
    } else if (good && strncmp(arguments[k], "report", length) == 0) {
      good = (report = fopen(value, "w")) != NULL;
    } else {
      good = false;
    }
    if (!good) {
      fprintf(stderr, "forecast plugin: %s: %s\n", arguments[k], message);
      return 1;
    }
  }
  if (!core.width || !world_count) {
    fprintf(stderr, "forecast plugin: needs core= and worlds=\n");
    return 1;
  }
  memory_start(&core, l2_kib, l2_count);
  qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
  return 0;
}
